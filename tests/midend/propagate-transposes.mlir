// RUN: buddy-opt %s -split-input-file -pass-pipeline='builtin.module(func.func(buddy-propagate-transposes))' | FileCheck %s
// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Between two convolutions: a scale for each channel and a border, both on channels last.
// CHECK-LABEL: func @between
// CHECK-SAME:    %[[X:.*]]: tensor<1x5x6x8xf32>
// CHECK-NOT:   linalg.transpose
// CHECK:       linalg.generic
// CHECK-SAME:    ins(%[[X]], %{{.*}} : tensor<1x5x6x8xf32>, tensor<8xf32>)
// CHECK:       tensor.pad %{{.*}} low[0, 1, 2, 0] high[0, 1, 2, 0]
// CHECK-NOT:   linalg.transpose
#id = affine_map<(n, c, y, x) -> (n, c, y, x)>
func.func @between(%x: tensor<1x5x6x8xf32>, %scale: tensor<8xf32>) -> tensor<1x7x10x8xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<1x8x5x6xf32>
  %first = linalg.transpose ins(%x : tensor<1x5x6x8xf32>) outs(%e : tensor<1x8x5x6xf32>) permutation = [0, 3, 1, 2]
  %scaled = linalg.generic {indexing_maps = [#id, affine_map<(n, c, y, x) -> (c)>, #id], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%first, %scale : tensor<1x8x5x6xf32>, tensor<8xf32>) outs(%e : tensor<1x8x5x6xf32>) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %s = arith.mulf %p, %q : f32
    linalg.yield %s : f32
  } -> tensor<1x8x5x6xf32>
  %padded = tensor.pad %scaled low[0, 0, 1, 2] high[0, 0, 1, 2] {
  ^bb0(%a: index, %b: index, %c: index, %d: index):
    tensor.yield %zero : f32
  } : tensor<1x8x5x6xf32> to tensor<1x8x7x10xf32>
  %e2 = tensor.empty() : tensor<1x7x10x8xf32>
  %last = linalg.transpose ins(%padded : tensor<1x8x7x10xf32>) outs(%e2 : tensor<1x7x10x8xf32>) permutation = [0, 2, 3, 1]
  return %last : tensor<1x7x10x8xf32>
}

// -----

// A mean over an image reads channels last; nothing is transposed for it.
// CHECK-LABEL: func @mean
// CHECK-SAME:    %[[X:.*]]: tensor<1x5x6x8xf32>
// CHECK-NOT:   linalg.transpose
// CHECK:       linalg.generic
// CHECK-SAME:    ins(%[[X]]
func.func @mean(%x: tensor<1x5x6x8xf32>, %sums: tensor<1x8xf32>) -> tensor<1x8xf32> {
  %e = tensor.empty() : tensor<1x8x5x6xf32>
  %first = linalg.transpose ins(%x : tensor<1x5x6x8xf32>) outs(%e : tensor<1x8x5x6xf32>) permutation = [0, 3, 1, 2]
  %r = linalg.generic {indexing_maps = [affine_map<(n, c, y, x) -> (n, c, y, x)>, affine_map<(n, c, y, x) -> (n, c)>], iterator_types = ["parallel", "parallel", "reduction", "reduction"]}
      ins(%first : tensor<1x8x5x6xf32>) outs(%sums : tensor<1x8xf32>) {
  ^bb0(%p: f32, %o: f32):
    %s = arith.addf %p, %o : f32
    linalg.yield %s : f32
  } -> tensor<1x8xf32>
  return %r : tensor<1x8xf32>
}

// -----

// Another operand that lies channels first would have to be transposed instead: left alone.
// CHECK-LABEL: func @mixed
// CHECK:       linalg.transpose
// CHECK:       linalg.generic
#id = affine_map<(n, c, y, x) -> (n, c, y, x)>
func.func @mixed(%x: tensor<1x5x6x8xf32>, %y: tensor<1x8x5x6xf32>) -> tensor<1x8x5x6xf32> {
  %e = tensor.empty() : tensor<1x8x5x6xf32>
  %first = linalg.transpose ins(%x : tensor<1x5x6x8xf32>) outs(%e : tensor<1x8x5x6xf32>) permutation = [0, 3, 1, 2]
  %r = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%first, %y : tensor<1x8x5x6xf32>, tensor<1x8x5x6xf32>) outs(%e : tensor<1x8x5x6xf32>) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %s = arith.addf %p, %q : f32
    linalg.yield %s : f32
  } -> tensor<1x8x5x6xf32>
  return %r : tensor<1x8x5x6xf32>
}

// -----

// A batch of one image is no batch.
// CHECK-LABEL: func @one_image
// CHECK:       "buddy.conv"{{.*}} : (tensor<5x5x8xf32>, tensor<1x72x32x1xf32>, tensor<3x3x32xf32>) -> tensor<3x3x32xf32>
// CHECK:       tensor.expand_shape
func.func @one_image(%x: tensor<1x5x5x8xf32>, %w: tensor<1x72x32x1xf32>, %e: tensor<1x3x3x32xf32>) -> tensor<1x3x3x32xf32> {
  %c = "buddy.conv"(%x, %w, %e) {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>}
      : (tensor<1x5x5x8xf32>, tensor<1x72x32x1xf32>, tensor<1x3x3x32xf32>) -> tensor<1x3x3x32xf32>
  return %c : tensor<1x3x3x32xf32>
}

// -----

// A value that is padded to be convolved is channels last before; positions move as one.
// CHECK-LABEL: func @padded
// CHECK-SAME:    %[[X:.*]]: tensor<2x8x5x6xf32>
// CHECK:       %[[JOINED:.*]] = tensor.collapse_shape %[[X]] {{.*}} into tensor<2x8x30xf32>
// CHECK:       %[[T:.*]] = linalg.transpose ins(%[[JOINED]] {{.*}} permutation = [0, 2, 1]
// CHECK:       %[[LAST:.*]] = tensor.expand_shape %[[T]] {{.*}} into tensor<2x5x6x8xf32>
// CHECK:       tensor.pad %[[LAST]] low[0, 1, 2, 0] high[0, 1, 2, 0]
func.func @padded(%x: tensor<2x8x5x6xf32>) -> tensor<2x7x10x8xf32> {
  %zero = arith.constant 0.0 : f32
  %padded = tensor.pad %x low[0, 0, 1, 2] high[0, 0, 1, 2] {
  ^bb0(%a: index, %b: index, %c: index, %d: index):
    tensor.yield %zero : f32
  } : tensor<2x8x5x6xf32> to tensor<2x8x7x10xf32>
  %e = tensor.empty() : tensor<2x7x10x8xf32>
  %last = linalg.transpose ins(%padded : tensor<2x8x7x10xf32>) outs(%e : tensor<2x7x10x8xf32>) permutation = [0, 2, 3, 1]
  return %last : tensor<2x7x10x8xf32>
}

// -----

// Of three dimensions both directions are the same transposition: it sinks, and stays there.
// CHECK-LABEL: func @padded_lines
// CHECK-SAME:    %[[X:.*]]: tensor<2x8x5xf32>
// CHECK:       %[[PAD:.*]] = tensor.pad %[[X]] low[0, 0, 1] high[0, 0, 1]
// CHECK:       linalg.transpose ins(%[[PAD]]
func.func @padded_lines(%x: tensor<2x8x5xf32>) -> tensor<2x7x8xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<2x5x8xf32>
  %t = linalg.transpose ins(%x : tensor<2x8x5xf32>) outs(%e : tensor<2x5x8xf32>) permutation = [0, 2, 1]
  %padded = tensor.pad %t low[0, 1, 0] high[0, 1, 0] {
  ^bb0(%a: index, %b: index, %c: index):
    tensor.yield %zero : f32
  } : tensor<2x5x8xf32> to tensor<2x7x8xf32>
  return %padded : tensor<2x7x8xf32>
}

// -----

// Convolutions along one dimension work on lines of images of one line, which come and go between:
// the transpositions of two of them cancel.
// CHECK-LABEL: func @alongOneDimension
// CHECK-SAME:    %[[X:.*]]: tensor<1x1x6x8xf32>
// CHECK-NOT:   linalg.transpose
// CHECK:       %[[LINE:.*]] = tensor.collapse_shape %[[X]] {{\[\[}}0], [1, 2], [3]]
// CHECK:       linalg.generic {{.*}} ins(%[[LINE]] : tensor<1x6x8xf32>)
// CHECK:       tensor.expand_shape %{{.*}} {{\[\[}}0], [1, 2], [3]]
// CHECK-NOT:   linalg.transpose
#id = affine_map<(n, c, x) -> (n, c, x)>
func.func @alongOneDimension(%x: tensor<1x1x6x8xf32>) -> tensor<1x1x6x8xf32> {
  %e = tensor.empty() : tensor<1x8x1x6xf32>
  %first = linalg.transpose ins(%x : tensor<1x1x6x8xf32>) outs(%e : tensor<1x8x1x6xf32>) permutation = [0, 3, 1, 2]
  %line = tensor.collapse_shape %first [[0], [1], [2, 3]] : tensor<1x8x1x6xf32> into tensor<1x8x6xf32>
  %e2 = tensor.empty() : tensor<1x8x6xf32>
  %negated = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%line : tensor<1x8x6xf32>) outs(%e2 : tensor<1x8x6xf32>) {
  ^bb0(%p: f32, %o: f32):
    %s = arith.negf %p : f32
    linalg.yield %s : f32
  } -> tensor<1x8x6xf32>
  %image = tensor.expand_shape %negated [[0], [1], [2, 3]] output_shape [1, 8, 1, 6] : tensor<1x8x6xf32> into tensor<1x8x1x6xf32>
  %e3 = tensor.empty() : tensor<1x1x6x8xf32>
  %last = linalg.transpose ins(%image : tensor<1x8x1x6xf32>) outs(%e3 : tensor<1x1x6x8xf32>) permutation = [0, 2, 3, 1]
  return %last : tensor<1x1x6x8xf32>
}

// -----

// Channels that are joined with positions keep the order that they were given.
// CHECK-LABEL: func @joinsChannels
// CHECK:       linalg.transpose
// CHECK:       tensor.collapse_shape
func.func @joinsChannels(%x: tensor<2x5x6x8xf32>) -> tensor<2x240xf32> {
  %e = tensor.empty() : tensor<2x8x5x6xf32>
  %first = linalg.transpose ins(%x : tensor<2x5x6x8xf32>) outs(%e : tensor<2x8x5x6xf32>) permutation = [0, 3, 1, 2]
  %flat = tensor.collapse_shape %first [[0], [1, 2, 3]] : tensor<2x8x5x6xf32> into tensor<2x240xf32>
  return %flat : tensor<2x240xf32>
}
