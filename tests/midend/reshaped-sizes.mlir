// RUN: buddy-opt %s --buddy-cpu-pipeline=stop-after=bufferized | FileCheck %s
// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// The size of what lies between the two kernels is asked of a reshape. It is a product of
// arguments: known on entry, so that the workspace has room for it and nothing is allocated.
// CHECK-LABEL: func.func @forward(
// CHECK-NOT:   memref.alloc
// CHECK:       call @
// CHECK:       call @
// CHECK-NOT:   memref.alloc
func.func @forward(%n: index {buddy.kind = "symbol", buddy.name = "n"},
                   %m: index {buddy.kind = "symbol", buddy.name = "m"},
                   %x: tensor<?x8xf32> {buddy.kind = "input", buddy.name = "x"}) -> tensor<?xf32> {
  %zero = arith.constant 0.0 : f32
  %first = arith.constant 0 : index
  %pairs = tensor.empty(%n, %m) : tensor<?x?xf32>
  %flat = tensor.collapse_shape %pairs [[0, 1]] : tensor<?x?xf32> into tensor<?xf32>
  %rows = tensor.dim %flat, %first : tensor<?xf32>
  %out = tensor.empty(%rows) : tensor<?xf32>
  %start = linalg.fill ins(%zero : f32) outs(%out : tensor<?xf32>) -> tensor<?xf32>
  %sums = linalg.reduce ins(%x : tensor<?x8xf32>) outs(%start : tensor<?xf32>) dimensions = [1]
    (%a: f32, %total: f32) {
      %sum = arith.addf %total, %a : f32
      linalg.yield %sum : f32
    }
  %back = linalg.generic {
      indexing_maps = [affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      outs(%out : tensor<?xf32>) {
    ^bb0(%unused: f32):
      %i = linalg.index 0 : index
      %last = arith.subi %rows, %i : index
      %one = arith.constant 1 : index
      %at = arith.subi %last, %one : index
      %value = tensor.extract %sums[%at] : tensor<?xf32>
      linalg.yield %value : f32
  } -> tensor<?xf32>
  return %back : tensor<?xf32>
}
