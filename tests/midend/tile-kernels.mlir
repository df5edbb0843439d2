// RUN: buddy-opt %s -split-input-file -buddy-tile-kernels -canonicalize -cse | FileCheck %s
// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// One parallel loop over panels; product and epilogue are computed tile by tile.
// CHECK-LABEL: func private @matmul
// CHECK:       scf.forall
// CHECK:         "buddy.matmul"{{.*}} tensor<1x64x16x1xf32>
// CHECK:         linalg.generic
// CHECK:         tensor.parallel_insert_slice
// CHECK-NOT:   "buddy.matmul"
func.func private @matmul(%x: tensor<4x64xf32>, %w: tensor<8x64x16x1xf32>, %b: tensor<128xf32>,
                          %e: tensor<4x128xf32>) -> tensor<4x128xf32> attributes {buddy.kernel} {
  %m = "buddy.matmul"(%x, %w, %e) : (tensor<4x64xf32>, tensor<8x64x16x1xf32>, tensor<4x128xf32>) -> tensor<4x128xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%m, %b : tensor<4x128xf32>, tensor<128xf32>) outs(%e : tensor<4x128xf32>) attrs = {buddy.tile_dims = array<i64: 0, 1>} {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %s = arith.addf %p, %q : f32
    linalg.yield %s : f32
  } -> tensor<4x128xf32>
  return %r : tensor<4x128xf32>
}
