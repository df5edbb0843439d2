// RUN: buddy-opt %s -split-input-file -buddy-fuse-elementwise | FileCheck %s
// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// A chain, here through a reshape, is one loop over the data.
// CHECK-LABEL: func @chain
// CHECK:       linalg.generic
// CHECK:         math.exp
// CHECK-NEXT:    arith.negf
// CHECK-NOT:   linalg.generic
func.func @chain(%x: tensor<4x8xf32>) -> tensor<32xf32> {
  %e = tensor.empty() : tensor<4x8xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<4x8xf32>) outs(%e : tensor<4x8xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = math.exp %in : f32
    linalg.yield %0 : f32
  } -> tensor<4x8xf32>
  %flat = tensor.collapse_shape %y [[0, 1]] : tensor<4x8xf32> into tensor<32xf32>
  %e1 = tensor.empty() : tensor<32xf32>
  %z = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%flat : tensor<32xf32>) outs(%e1 : tensor<32xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = arith.negf %in : f32
    linalg.yield %0 : f32
  } -> tensor<32xf32>
  return %z : tensor<32xf32>
}

// -----

// A sum over no dimensions adds its element once, not once in each loop of what reads it.
// CHECK-LABEL: func @sum_of_one
// CHECK:       %[[SUM:.*]] = linalg.generic {{.*}}iterator_types = []
// CHECK:       linalg.generic {{.*}}iterator_types = ["parallel"]} ins(%[[SUM]]
func.func @sum_of_one(%x: tensor<f32>, %start: tensor<f32>) -> tensor<3xf32> {
  %sum = linalg.generic {indexing_maps = [affine_map<() -> ()>, affine_map<() -> ()>], iterator_types = []}
      ins(%x : tensor<f32>) outs(%start : tensor<f32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = arith.addf %out, %in : f32
    linalg.yield %0 : f32
  } -> tensor<f32>
  %e = tensor.empty() : tensor<3xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(i) -> ()>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%sum : tensor<f32>) outs(%e : tensor<3xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = arith.negf %in : f32
    linalg.yield %0 : f32
  } -> tensor<3xf32>
  return %r : tensor<3xf32>
}

// -----

// The vector that a matrix is multiplied by is computed once, not once for each row of the matrix.
// CHECK-LABEL: func @vector_of_product
// CHECK:       %[[V:.*]] = linalg.generic
// CHECK:         math.exp
// CHECK:       linalg.generic {{.*}} ins(%arg1, %[[V]] :
func.func @vector_of_product(%x: tensor<64xf32>, %w: tensor<128x64xf32>, %start: tensor<128xf32>) -> tensor<128xf32> {
  %e = tensor.empty() : tensor<64xf32>
  %v = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%x : tensor<64xf32>) outs(%e : tensor<64xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = math.exp %in : f32
    linalg.yield %0 : f32
  } -> tensor<64xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(n, k) -> (n, k)>, affine_map<(n, k) -> (k)>, affine_map<(n, k) -> (n)>], iterator_types = ["parallel", "reduction"]}
      ins(%w, %v : tensor<128x64xf32>, tensor<64xf32>) outs(%start : tensor<128xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %0 = arith.mulf %a, %b : f32
    %1 = arith.addf %out, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<128xf32>
  return %y : tensor<128xf32>
}
