// RUN: buddy-opt %s -split-input-file -buddy-describe-kernels | FileCheck %s
// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// 2 M N K operations and those of the epilogue; every argument read once, the result written
// once. The user's operators are those of the locations, bodies of loops included.
// CHECK:       #[[WORK:.*]] = affine_map<()[s0] -> (s0 * 16640, s0 * 768 + 33280)>
// CHECK-LABEL: func private @matmul
// CHECK-SAME:    buddy.arithmetic = "f32"
// CHECK-SAME:    buddy.sources = ["addmm", "relu"]
// CHECK-SAME:    buddy.work = #[[WORK]], buddy.work_sizes = array<i64: 0, 0>
func.func private @matmul(%x: tensor<?x64xf32>, %w: tensor<8x64x16x1xf32>, %b: tensor<128xf32>,
                          %out: tensor<?x128xf32>) -> tensor<?x128xf32>
    attributes {buddy.kernel} {
  %zero = arith.constant 0.0 : f32 loc("full"("zero"))
  %c0 = arith.constant 0 : index
  %rows = tensor.dim %x, %c0 : tensor<?x64xf32>
  %e = tensor.empty(%rows) : tensor<?x128xf32>
  %m = "buddy.matmul"(%x, %w, %e) : (tensor<?x64xf32>, tensor<8x64x16x1xf32>, tensor<?x128xf32>) -> tensor<?x128xf32> loc("addmm"("addmm_1"("model.py":3:0)))
  %e2 = tensor.empty(%rows) : tensor<?x128xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%m, %b : tensor<?x128xf32>, tensor<128xf32>) outs(%e2 : tensor<?x128xf32>) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %s = arith.addf %p, %q : f32 loc("addmm"("addmm_1"("model.py":3:0)))
    %t = arith.maximumf %s, %zero : f32 loc("relu"("relu_1"("model.py":4:0)))
    linalg.yield %t : f32
  } -> tensor<?x128xf32> loc("relu"("relu_1"("model.py":4:0)))
  return %r : tensor<?x128xf32>
}

// -----

// Of a gathered table only the gathered rows are read.
// CHECK:       #[[WORK:.*]] = affine_map<() -> (0, 8224)>
// CHECK-LABEL: func private @gather
// CHECK-SAME:    buddy.work = #[[WORK]], buddy.work_sizes = array<i64>}
func.func private @gather(%ids: tensor<4xi64>, %table: tensor<50000x256xf32>, %out: tensor<4x256xf32>)
    -> tensor<4x256xf32> attributes {buddy.kernel} {
  %r = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%ids : tensor<4xi64>) outs(%out : tensor<4x256xf32>) {
  ^bb0(%id: i64, %o: f32):
    %row = arith.index_cast %id : i64 to index
    %column = linalg.index 1 : index
    %v = tensor.extract %table[%row, %column] : tensor<50000x256xf32>
    linalg.yield %v : f32
  } -> tensor<4x256xf32>
  return %r : tensor<4x256xf32>
}

// -----

// A cache counts as far as it is filled; a causal query sees the keys before it.
// CHECK:       #[[WORK:.*]] = affine_map<()[s0] -> ((s0 * 4 - 6) * 1024, s0 * 2048 + 8192)>
// CHECK-LABEL: func private @attention
// CHECK-SAME:    buddy.work_sizes = array<i64: 3, -1>
func.func private @attention(%q: tensor<1x4x4x64xf32>, %k: tensor<1x4x2048x64xf32>, %v: tensor<1x4x2048x64xf32>,
                             %valid: index, %out: tensor<1x4x4x64xf32>) -> tensor<1x4x4x64xf32>
    attributes {buddy.kernel} {
  %r = "buddy.attention"(%q, %k, %v, %valid, %out) {scale = 1.0 : f32, causal = true, operandSegmentSizes = array<i32: 1, 1, 1, 1, 0, 1>}
      : (tensor<1x4x4x64xf32>, tensor<1x4x2048x64xf32>, tensor<1x4x2048x64xf32>, index, tensor<1x4x4x64xf32>) -> tensor<1x4x4x64xf32>
  return %r : tensor<1x4x4x64xf32>
}

// -----

// Whichever way the heads lie: two products of 4 heads, 8 queries, 16 keys and 64 elements.
// CHECK:       #[[WORK:.*]] = affine_map<() -> (131072, 32768)>
// CHECK-LABEL: func private @heads_inside
func.func private @heads_inside(%q: tensor<1x8x4x64xf32>, %k: tensor<1x16x4x64xf32>, %out: tensor<1x4x8x64xf32>) -> tensor<1x4x8x64xf32>
    attributes {buddy.kernel} {
  %r = "buddy.attention"(%q, %k, %k, %out) {scale = 1.0 : f32, causal = false, operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 1>,
                                            layouts = array<i64: 0, 2, 1, 3, 0, 2, 1, 3, 0, 2, 1, 3, 0, 1, 2, 3>}
      : (tensor<1x8x4x64xf32>, tensor<1x16x4x64xf32>, tensor<1x16x4x64xf32>, tensor<1x4x8x64xf32>) -> tensor<1x4x8x64xf32>
  return %r : tensor<1x4x8x64xf32>
}

// -----

// A store into a slice writes the slice, however large what it lies in.
// CHECK:       #[[WORK:.*]] = affine_map<() -> (64, 512)>
// CHECK-LABEL: func private @store
func.func private @store(%x: tensor<64xf32>, %cache: tensor<2048x64xf32>, %at: index) -> tensor<2048x64xf32>
    attributes {buddy.kernel} {
  %e = tensor.empty() : tensor<64xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%x : tensor<64xf32>) outs(%e : tensor<64xf32>) {
  ^bb0(%p: f32, %o: f32):
    %s = math.exp %p : f32
    linalg.yield %s : f32
  } -> tensor<64xf32>
  %i = tensor.insert_slice %r into %cache[%at, 0] [1, 64] [1, 1] : tensor<64xf32> into tensor<2048x64xf32>
  return %i : tensor<2048x64xf32>
}

// -----

// A size that is read from memory is not known beforehand.
// CHECK-LABEL: func private @data_dependent
// CHECK-NOT:     buddy.work
func.func private @data_dependent(%count: tensor<index>, %x: f32) -> tensor<?xf32> attributes {buddy.kernel} {
  %n = tensor.extract %count[] : tensor<index>
  %e = tensor.empty(%n) : tensor<?xf32>
  %r = linalg.fill ins(%x : f32) outs(%e : tensor<?xf32>) -> tensor<?xf32>
  return %r : tensor<?xf32>
}

// -----

// Batch by batch, of operands that lie as they are: 3 * 4 * 6 results of 5 products and sums each.
// CHECK:       #[[WORK:.*]] = affine_map<() -> (720, 888)>
// CHECK-LABEL: func private @batches
// CHECK-SAME:    buddy.work = #[[WORK]]
func.func private @batches(%a: tensor<3x4x5xf32>, %b: tensor<3x6x5xf32>, %e: tensor<3x4x6xf32>) -> tensor<3x4x6xf32>
    attributes {buddy.kernel} {
  %m = "buddy.matmul"(%a, %b, %e) {transposed} : (tensor<3x4x5xf32>, tensor<3x6x5xf32>, tensor<3x4x6xf32>) -> tensor<3x4x6xf32>
  return %m : tensor<3x4x6xf32>
}

// -----

// Of a convolution, 2 x 16 filters x 8 channels x (2+3+3+3+2) lines of the image that windows read
// x 5 x 3 along x: lines of padding are left out.
// CHECK:       #[[WORK:.*]] = affine_map<() -> (49920, 7776)>
// CHECK-LABEL: func private @padded
// CHECK-SAME:    buddy.work = #[[WORK]]
func.func private @padded(%x: tensor<7x7x8xf32>, %w: tensor<1x72x16x1xf32>, %out: tensor<5x5x16xf32>)
    -> tensor<5x5x16xf32> attributes {buddy.kernel} {
  %c1 = arith.constant 1 : index
  %c = "buddy.conv"(%x, %w, %c1, %c1, %out) {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>}
      : (tensor<7x7x8xf32>, tensor<1x72x16x1xf32>, index, index, tensor<5x5x16xf32>) -> tensor<5x5x16xf32>
  return %c : tensor<5x5x16xf32>
}
