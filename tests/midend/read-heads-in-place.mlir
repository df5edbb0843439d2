// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: buddy-opt %s -split-input-file -buddy-read-heads-in-place -canonicalize -cse | FileCheck %s

// Queries and values are read, and the result is written, as products leave and take them.
// CHECK-LABEL: func @folded
// CHECK-SAME:    %[[Q:[^:]*]]: tensor<1x?x4x64xf32>, %[[K:[^:]*]]: tensor<1x4x9x64xf32>, %[[V:[^:]*]]: tensor<1x9x4x64xf32>
// CHECK-SAME:    %[[OUT:[^:]*]]: tensor<1x?x4x64xf32>)
// CHECK-NOT:   linalg.transpose
// CHECK:       %[[R:.*]] = "buddy.attention"(%[[Q]], %[[K]], %[[V]], %[[OUT]])
// CHECK-SAME:    layouts = array<i64: 0, 2, 1, 3, 0, 1, 2, 3, 0, 2, 1, 3, 0, 2, 1, 3>
// CHECK:       return %[[R]]
func.func @folded(%q: tensor<1x?x4x64xf32>, %k: tensor<1x4x9x64xf32>, %v: tensor<1x9x4x64xf32>,
                  %queries: tensor<1x4x?x64xf32>, %values: tensor<1x4x9x64xf32>,
                  %out: tensor<1x?x4x64xf32>) -> tensor<1x?x4x64xf32> {
  %qh = linalg.transpose ins(%q : tensor<1x?x4x64xf32>) outs(%queries : tensor<1x4x?x64xf32>) permutation = [0, 2, 1, 3]
  %vh = linalg.transpose ins(%v : tensor<1x9x4x64xf32>) outs(%values : tensor<1x4x9x64xf32>) permutation = [0, 2, 1, 3]
  %r = "buddy.attention"(%qh, %k, %vh, %queries)
      {operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 1>, scale = 0.125 : f32, causal = true}
      : (tensor<1x4x?x64xf32>, tensor<1x4x9x64xf32>, tensor<1x4x9x64xf32>, tensor<1x4x?x64xf32>) -> tensor<1x4x?x64xf32>
  %t = linalg.transpose ins(%r : tensor<1x4x?x64xf32>) outs(%out : tensor<1x?x4x64xf32>) permutation = [0, 2, 1, 3]
  return %t : tensor<1x?x4x64xf32>
}

// -----

// Keys and values of which a head does not fit an eighth of L2, 1500 x 128 x 4 bytes, are
// transposed. So is a result that is also read with its heads outside.
// CHECK-LABEL: func @kept
// CHECK:       %[[K:.*]] = linalg.transpose
// CHECK:       %[[R:.*]] = "buddy.attention"(%{{[^,]*}}, %[[K]], %[[K]],
// CHECK-SAME:    layouts = array<i64: 0, 2, 1, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3>
// CHECK:       %[[T:.*]] = linalg.transpose ins(%[[R]]
// CHECK:       return %[[R]], %[[T]]
func.func @kept(%x: tensor<1x1500x4x64xf32>, %out: tensor<1x1500x4x64xf32>)
    -> (tensor<1x4x1500x64xf32>, tensor<1x1500x4x64xf32>) {
  %empty = tensor.empty() : tensor<1x4x1500x64xf32>
  %h = linalg.transpose ins(%x : tensor<1x1500x4x64xf32>) outs(%empty : tensor<1x4x1500x64xf32>) permutation = [0, 2, 1, 3]
  %r = "buddy.attention"(%h, %h, %h, %empty)
      {operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 1>, scale = 0.125 : f32, causal = false}
      : (tensor<1x4x1500x64xf32>, tensor<1x4x1500x64xf32>, tensor<1x4x1500x64xf32>, tensor<1x4x1500x64xf32>) -> tensor<1x4x1500x64xf32>
  %t = linalg.transpose ins(%r : tensor<1x4x1500x64xf32>) outs(%out : tensor<1x1500x4x64xf32>) permutation = [0, 2, 1, 3]
  return %r, %t : tensor<1x4x1500x64xf32>, tensor<1x1500x4x64xf32>
}

// -----

// Columns of one product: cut into heads before they are sliced, which keeps a slice in place.
// CHECK-LABEL: func @columns
// CHECK-SAME:    %[[X:[^:]*]]: tensor<1x8x768xf32>
// CHECK:       %[[H:.*]] = tensor.expand_shape %[[X]] {{\[}}[0], [1], [2, 3]] output_shape [1, 8, 12, 64]
// CHECK:       %[[Q:.*]] = tensor.extract_slice %[[H]][0, 0, 4, 0] [1, 8, 4, 64]
// CHECK:       "buddy.attention"(%[[Q]], %[[Q]], %[[Q]],
// CHECK-SAME:    layouts = array<i64: 0, 2, 1, 3, 0, 2, 1, 3, 0, 2, 1, 3, 0, 1, 2, 3>
func.func @columns(%x: tensor<1x8x768xf32>, %out: tensor<1x4x8x64xf32>) -> tensor<1x4x8x64xf32> {
  %part = tensor.extract_slice %x[0, 0, 256] [1, 8, 256] [1, 1, 1] : tensor<1x8x768xf32> to tensor<1x8x256xf32>
  %heads = tensor.expand_shape %part [[0], [1], [2, 3]] output_shape [1, 8, 4, 64] : tensor<1x8x256xf32> into tensor<1x8x4x64xf32>
  %empty = tensor.empty() : tensor<1x4x8x64xf32>
  %h = linalg.transpose ins(%heads : tensor<1x8x4x64xf32>) outs(%empty : tensor<1x4x8x64xf32>) permutation = [0, 2, 1, 3]
  %r = "buddy.attention"(%h, %h, %h, %out)
      {operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 1>, scale = 0.125 : f32, causal = false}
      : (tensor<1x4x8x64xf32>, tensor<1x4x8x64xf32>, tensor<1x4x8x64xf32>, tensor<1x4x8x64xf32>) -> tensor<1x4x8x64xf32>
  return %r : tensor<1x4x8x64xf32>
}

// -----

// The way of torch.nn.MultiheadAttention: of three parts moved outermost one is taken, its heads
// come before positions, and results go back with positions before the batch.
// CHECK-LABEL: func @outermost
// CHECK-SAME:    %[[X:[^:]*]]: tensor<8x2x768xf32>
// CHECK-NOT:   linalg.transpose
// CHECK:       %[[H:.*]] = tensor.expand_shape %[[X]] {{\[}}[0], [1], [2, 3]] output_shape [8, 2, 12, 64]
// CHECK:       %[[Q:.*]] = tensor.extract_slice %[[H]][0, 0, 8, 0] [8, 2, 4, 64]
// CHECK:       "buddy.attention"(%[[Q]], %[[Q]], %[[Q]],
// CHECK-SAME:    layouts = array<i64: 2, 0, 1, 3, 2, 0, 1, 3, 2, 0, 1, 3, 2, 0, 1, 3>
func.func @outermost(%x: tensor<8x2x768xf32>, %init: tensor<2x4x8x64xf32>, %out: tensor<8x2x4x64xf32>) -> tensor<8x2x4x64xf32> {
  %cut = tensor.expand_shape %x [[0], [1], [2, 3]] output_shape [8, 2, 3, 256] : tensor<8x2x768xf32> into tensor<8x2x3x256xf32>
  %moved = tensor.empty() : tensor<3x8x2x256xf32>
  %parts = linalg.transpose ins(%cut : tensor<8x2x3x256xf32>) outs(%moved : tensor<3x8x2x256xf32>) permutation = [2, 0, 1, 3]
  %part = tensor.extract_slice %parts[2, 0, 0, 0] [1, 8, 2, 256] [1, 1, 1, 1] : tensor<3x8x2x256xf32> to tensor<8x2x256xf32>
  %row = tensor.collapse_shape %part [[0], [1, 2]] : tensor<8x2x256xf32> into tensor<8x512xf32>
  %heads = tensor.expand_shape %row [[0], [1, 2]] output_shape [8, 8, 64] : tensor<8x512xf32> into tensor<8x8x64xf32>
  %empty = tensor.empty() : tensor<8x8x64xf32>
  %h = linalg.transpose ins(%heads : tensor<8x8x64xf32>) outs(%empty : tensor<8x8x64xf32>) permutation = [1, 0, 2]
  %q = tensor.expand_shape %h [[0, 1], [2], [3]] output_shape [2, 4, 8, 64] : tensor<8x8x64xf32> into tensor<2x4x8x64xf32>
  %r = "buddy.attention"(%q, %q, %q, %init)
      {operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 1>, scale = 0.125 : f32, causal = false}
      : (tensor<2x4x8x64xf32>, tensor<2x4x8x64xf32>, tensor<2x4x8x64xf32>, tensor<2x4x8x64xf32>) -> tensor<2x4x8x64xf32>
  %t = linalg.transpose ins(%r : tensor<2x4x8x64xf32>) outs(%out : tensor<8x2x4x64xf32>) permutation = [2, 0, 1, 3]
  return %t : tensor<8x2x4x64xf32>
}

// -----

// Query, key and value side by side within each head, of a length that only the call knows.
// CHECK-LABEL: func @within_heads
// CHECK-SAME:    %[[X:[^:]*]]: tensor<?x768xf32>, %[[K:[^:]*]]: tensor<1x4x8x64xf32>
// CHECK:       %[[H:.*]] = tensor.expand_shape %[[X]] {{\[}}[0, 1], [2, 3]] output_shape [1, %{{.*}}, 4, 192]
// CHECK:       %[[Q:.*]] = tensor.extract_slice %[[H]][0, 0, 0, 64] [1, %{{.*}}, 4, 64]
// CHECK:       "buddy.attention"(%[[Q]], %[[K]], %[[K]],
func.func @within_heads(%x: tensor<?x768xf32>, %k: tensor<1x4x8x64xf32>, %size: index, %out: tensor<1x4x?x64xf32>) -> tensor<1x4x?x64xf32> {
  %heads = tensor.expand_shape %x [[0, 1], [2, 3]] output_shape [1, %size, 4, 192] : tensor<?x768xf32> into tensor<1x?x4x192xf32>
  %empty = tensor.empty(%size) : tensor<1x4x?x192xf32>
  %h = linalg.transpose ins(%heads : tensor<1x?x4x192xf32>) outs(%empty : tensor<1x4x?x192xf32>) permutation = [0, 2, 1, 3]
  %q = tensor.extract_slice %h[0, 0, 0, 64] [1, 4, %size, 64] [1, 1, 1, 1] : tensor<1x4x?x192xf32> to tensor<1x4x?x64xf32>
  %r = "buddy.attention"(%q, %k, %k, %out)
      {operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 1>, scale = 0.125 : f32, causal = false}
      : (tensor<1x4x?x64xf32>, tensor<1x4x8x64xf32>, tensor<1x4x8x64xf32>, tensor<1x4x?x64xf32>) -> tensor<1x4x?x64xf32>
  return %r : tensor<1x4x?x64xf32>
}

// -----

// An offset that only the call knows: as it was.
// CHECK-LABEL: func @unknown
// CHECK:       linalg.transpose
// CHECK:       %[[K:.*]] = tensor.extract_slice
// CHECK:       "buddy.attention"(%[[K]], %[[K]], %[[K]],
// CHECK-NOT:   layouts
func.func @unknown(%x: tensor<1x8x4x64xf32>, %at: index, %out: tensor<1x2x8x64xf32>) -> tensor<1x2x8x64xf32> {
  %empty = tensor.empty() : tensor<1x4x8x64xf32>
  %h = linalg.transpose ins(%x : tensor<1x8x4x64xf32>) outs(%empty : tensor<1x4x8x64xf32>) permutation = [0, 2, 1, 3]
  %k = tensor.extract_slice %h[0, %at, 0, 0] [1, 2, 8, 64] [1, 1, 1, 1] : tensor<1x4x8x64xf32> to tensor<1x2x8x64xf32>
  %r = "buddy.attention"(%k, %k, %k, %out)
      {operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 1>, scale = 0.125 : f32, causal = false}
      : (tensor<1x2x8x64xf32>, tensor<1x2x8x64xf32>, tensor<1x2x8x64xf32>, tensor<1x2x8x64xf32>) -> tensor<1x2x8x64xf32>
  return %r : tensor<1x2x8x64xf32>
}
