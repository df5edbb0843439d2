// RUN: buddy-opt %s -split-input-file -buddy-split-reductions | FileCheck %s
// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#all = affine_map<(i, j) -> (i, j)>
#none = affine_map<(i, j) -> ()>

// Rows are folded by all threads, and their results by one. What the result starts from counts once.
// CHECK-LABEL: func @largest
// CHECK-SAME:    %[[X:.*]]: tensor<?x300xf32>, %[[START:.*]]: tensor<f32>
// CHECK:       %[[LOWEST:.*]] = arith.constant 0xFF800000
// CHECK:       %[[ROWS:.*]] = tensor.dim %[[X]]
// CHECK:       %[[EMPTY:.*]] = tensor.empty(%[[ROWS]]) : tensor<?xf32>
// CHECK:       %[[FILL:.*]] = linalg.fill ins(%[[LOWEST]] : f32) outs(%[[EMPTY]]
// CHECK:       %[[PARTS:.*]] = linalg.generic {{.*}}["parallel", "reduction"]} ins(%[[X]]{{.*}} outs(%[[FILL]]
// CHECK:         math.absf
// CHECK:         arith.maximumf
// CHECK:       linalg.generic {{.*}}["reduction"]} ins(%[[PARTS]]{{.*}} outs(%[[START]]
// CHECK-NOT:     math.absf
// CHECK:         arith.maximumf
func.func @largest(%x: tensor<?x300xf32>, %start: tensor<f32>) -> tensor<f32> {
  %r = linalg.generic {indexing_maps = [#all, #none], iterator_types = ["reduction", "reduction"]}
      ins(%x : tensor<?x300xf32>) outs(%start : tensor<f32>) {
  ^bb0(%a: f32, %o: f32):
    %m = math.absf %a : f32
    %s = arith.maximumf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<f32>
  return %r : tensor<f32>
}

// -----

#one = affine_map<(i) -> (i)>
#zero = affine_map<(i) -> ()>

// 17 is the first divisor of 17 * 3000 from 16 on.
// CHECK-LABEL: func @one_dimension
// CHECK:       tensor.expand_shape %{{.*}} output_shape [17, 3000]
// CHECK:       linalg.generic {{.*}}["parallel", "reduction"]}
// CHECK:       linalg.generic {{.*}}["reduction"]}
func.func @one_dimension(%x: tensor<51000xf32>, %start: tensor<f32>) -> tensor<f32> {
  %r = linalg.generic {indexing_maps = [#one, #zero], iterator_types = ["reduction"]}
      ins(%x : tensor<51000xf32>) outs(%start : tensor<f32>) {
  ^bb0(%a: f32, %o: f32):
    %s = arith.addf %o, %a : f32
    linalg.yield %s : f32
  } -> tensor<f32>
  return %r : tensor<f32>
}

// -----

#all = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (i)>
#none = affine_map<(i, j) -> ()>

// Threads share 64 rows as they are, and nobody waits for help with 900 elements.
// CHECK-LABEL: func @enough_rows_or_few_elements
// CHECK:       linalg.generic {{.*}}["parallel", "reduction"]}
// CHECK:       linalg.generic {{.*}}["reduction", "reduction"]}
// CHECK-NOT:   linalg.generic
func.func @enough_rows_or_few_elements(%x: tensor<64x4096xf32>, %s: tensor<64xf32>,
                                       %y: tensor<30x30xf32>, %t: tensor<f32>)
    -> (tensor<64xf32>, tensor<f32>) {
  %rows = linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<64x4096xf32>) outs(%s : tensor<64xf32>) {
  ^bb0(%a: f32, %o: f32):
    %r = arith.addf %o, %a : f32
    linalg.yield %r : f32
  } -> tensor<64xf32>
  %all = linalg.generic {indexing_maps = [#all, #none], iterator_types = ["reduction", "reduction"]}
      ins(%y : tensor<30x30xf32>) outs(%t : tensor<f32>) {
  ^bb0(%a: f32, %o: f32):
    %r = arith.addf %o, %a : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  return %rows, %all : tensor<64xf32>, tensor<f32>
}
