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
