// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: buddy-opt %s -split-input-file -canonicalize | FileCheck %s

#heads = affine_map<(b, h, g, l, d) -> (b, h, l, d)>
#all = affine_map<(b, h, g, l, d) -> (b, h, g, l, d)>

// Keys and values repeated for each query head of a group need not be: the op knows groups.
// CHECK-LABEL: func @groups
// CHECK-SAME:    %[[Q:.*]]: tensor<1x6x1x8xf32>, %[[K:.*]]: tensor<1x2x?x8xf32>
// CHECK-NOT:   linalg.generic
// CHECK:       "buddy.attention"(%[[Q]], %[[K]], %[[K]],
func.func @groups(%q: tensor<1x6x1x8xf32>, %k: tensor<1x2x?x8xf32>, %length: index) -> tensor<1x6x1x8xf32> {
  %room = tensor.empty(%length) : tensor<1x2x3x?x8xf32>
  %repeated = linalg.generic {indexing_maps = [#heads, #all], iterator_types = ["parallel", "parallel", "parallel", "parallel", "parallel"]}
      ins(%k : tensor<1x2x?x8xf32>) outs(%room : tensor<1x2x3x?x8xf32>) {
  ^bb0(%in: f32, %out: f32):
    linalg.yield %in : f32
  } -> tensor<1x2x3x?x8xf32>
  %keys = tensor.collapse_shape %repeated [[0], [1, 2], [3], [4]] : tensor<1x2x3x?x8xf32> into tensor<1x6x?x8xf32>
  %init = tensor.empty() : tensor<1x6x1x8xf32>
  %out = "buddy.attention"(%q, %keys, %keys, %init)
      {operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 1>, scale = 0.25 : f32, causal = false}
      : (tensor<1x6x1x8xf32>, tensor<1x6x?x8xf32>, tensor<1x6x?x8xf32>, tensor<1x6x1x8xf32>) -> tensor<1x6x1x8xf32>
  return %out : tensor<1x6x1x8xf32>
}

// -----

#tiled = affine_map<(b, g, h, l, d) -> (b, h, l, d)>
#every = affine_map<(b, g, h, l, d) -> (b, g, h, l, d)>

// Heads that alternate are not groups.
// CHECK-LABEL: func @alternating
// CHECK:       linalg.generic
// CHECK:       "buddy.attention"
func.func @alternating(%q: tensor<1x6x1x8xf32>, %k: tensor<1x2x4x8xf32>) -> tensor<1x6x1x8xf32> {
  %room = tensor.empty() : tensor<1x3x2x4x8xf32>
  %repeated = linalg.generic {indexing_maps = [#tiled, #every], iterator_types = ["parallel", "parallel", "parallel", "parallel", "parallel"]}
      ins(%k : tensor<1x2x4x8xf32>) outs(%room : tensor<1x3x2x4x8xf32>) {
  ^bb0(%in: f32, %out: f32):
    linalg.yield %in : f32
  } -> tensor<1x3x2x4x8xf32>
  %keys = tensor.collapse_shape %repeated [[0], [1, 2], [3], [4]] : tensor<1x3x2x4x8xf32> into tensor<1x6x4x8xf32>
  %init = tensor.empty() : tensor<1x6x1x8xf32>
  %out = "buddy.attention"(%q, %keys, %keys, %init)
      {operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 1>, scale = 0.25 : f32, causal = false}
      : (tensor<1x6x1x8xf32>, tensor<1x6x4x8xf32>, tensor<1x6x4x8xf32>, tensor<1x6x1x8xf32>) -> tensor<1x6x1x8xf32>
  return %out : tensor<1x6x1x8xf32>
}
