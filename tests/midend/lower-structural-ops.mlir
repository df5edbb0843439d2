// RUN: buddy-opt %s -split-input-file -buddy-lower-structural-ops | FileCheck %s
// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Slices of one buffer, which bufferize in place.
// CHECK-LABEL: func @concat
// CHECK-NOT:   tensor.concat
// CHECK:       %[[FIRST:.*]] = tensor.insert_slice %{{.*}} into %{{.*}}[0, 0] [2, 4] [1, 1]
// CHECK:       tensor.insert_slice %{{.*}} into %[[FIRST]][2, 0] [3, 4] [1, 1]
func.func @concat(%a: tensor<2x4xf32>, %b: tensor<3x4xf32>) -> tensor<5x4xf32> {
  %c = tensor.concat dim(0) %a, %b : (tensor<2x4xf32>, tensor<3x4xf32>) -> tensor<5x4xf32>
  return %c : tensor<5x4xf32>
}

// -----

// CHECK-LABEL: func @pad
// CHECK-NOT:   tensor.pad
// CHECK:       linalg.fill
// CHECK:       tensor.insert_slice %{{.*}} into %{{.*}}[1] [4] [1]
func.func @pad(%a: tensor<4xf32>) -> tensor<6xf32> {
  %zero = arith.constant 0.0 : f32
  %p = tensor.pad %a low[1] high[1] {
  ^bb0(%i: index):
    tensor.yield %zero : f32
  } : tensor<4xf32> to tensor<6xf32>
  return %p : tensor<6xf32>
}

// -----

// CHECK-LABEL: func @pack
// CHECK-NOT:   linalg.pack
// CHECK:       linalg.transpose
func.func @pack(%w: tensor<128x64xf32>, %out: tensor<8x64x16x1xf32>) -> tensor<8x64x16x1xf32> {
  %p = linalg.pack %w inner_dims_pos = [0, 1] inner_tiles = [16, 1] into %out : tensor<128x64xf32> -> tensor<8x64x16x1xf32>
  return %p : tensor<8x64x16x1xf32>
}

// -----

// A part that yields what is outside of it.
// CHECK-LABEL: func @concat_constant
// CHECK-NOT:   tensor.concat
// CHECK:       %[[TWO:.*]] = arith.constant 2.0
// CHECK:       linalg.generic
// CHECK:       scf.yield %[[TWO]]
func.func @concat_constant(%a: tensor<4xf32>) -> tensor<7xf32> {
  %two = arith.constant 2.0 : f32
  %empty = tensor.empty() : tensor<3xf32>
  %twos = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]} outs(%empty : tensor<3xf32>) {
  ^bb0(%out: f32):
    linalg.yield %two : f32
  } -> tensor<3xf32>
  %c = tensor.concat dim(0) %twos, %a : (tensor<3xf32>, tensor<4xf32>) -> tensor<7xf32>
  return %c : tensor<7xf32>
}

// -----

// What a part adds to is not its own.
// CHECK-LABEL: func @concat_update
// CHECK:       linalg.generic
// CHECK:       arith.addf
// CHECK:       tensor.insert_slice
func.func @concat_update(%a: tensor<4xf32>, %b: tensor<4xf32>) -> tensor<8xf32> {
  %sum = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]} ins(%a : tensor<4xf32>) outs(%b : tensor<4xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = arith.addf %in, %out : f32
    linalg.yield %0 : f32
  } -> tensor<4xf32>
  %c = tensor.concat dim(0) %sum, %a : (tensor<4xf32>, tensor<4xf32>) -> tensor<8xf32>
  return %c : tensor<8xf32>
}
