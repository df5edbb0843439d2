// RUN: buddy-opt %s -split-input-file -buddy-form-kernels | FileCheck %s
// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// A matmul takes its bias along; the entry point only calls.
// CHECK-LABEL: func private @matmul_0
// CHECK-SAME:    attributes {buddy.kernel}
// CHECK:       buddy.matmul
// CHECK:       linalg.generic
// CHECK-SAME:    buddy.tile_dims = array<i64: 0, 1>
// CHECK-LABEL: func @forward
// CHECK-NOT:   linalg.generic
// CHECK:       call @matmul_0
// CHECK-NEXT:  return

func.func @forward(%x: tensor<4x64xf32>, %w: tensor<8x64x16x1xf32>, %b: tensor<128xf32>) -> tensor<4x128xf32> {
  %e = tensor.empty() : tensor<4x128xf32>
  %m = "buddy.matmul"(%x, %w, %e) : (tensor<4x64xf32>, tensor<8x64x16x1xf32>, tensor<4x128xf32>) -> tensor<4x128xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%m, %b : tensor<4x128xf32>, tensor<128xf32>) outs(%e : tensor<4x128xf32>) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %s = arith.addf %p, %q : f32
    linalg.yield %s : f32
  } -> tensor<4x128xf32>
  return %r : tensor<4x128xf32>
}
