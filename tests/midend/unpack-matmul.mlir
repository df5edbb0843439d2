// RUN: buddy-opt %s -split-input-file -buddy-unpack-matmul -canonicalize | FileCheck %s
// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// A pack that was not hoisted is not made at all; one that reads [N,K] leaves a transposed rhs.
// CHECK-LABEL: func @activations
// CHECK-SAME:    %[[A:.*]]: tensor<?x64xf32>, %[[B:.*]]: tensor<64x128xf32>, %[[C:.*]]: tensor<128x64xf32>
// CHECK-NOT:   linalg.pack
// CHECK:       "buddy.matmul"(%[[A]], %[[B]], %{{.*}}) : (
// CHECK:       "buddy.matmul"(%[[A]], %[[C]], %{{.*}}) <{transposed}>
// CHECK-NOT:   linalg.pack
func.func @activations(%a: tensor<?x64xf32>, %b: tensor<64x128xf32>, %c: tensor<128x64xf32>, %out: tensor<?x128xf32>) -> (tensor<?x128xf32>, tensor<?x128xf32>) {
  %e = tensor.empty() : tensor<8x64x16x1xf32>
  %p = linalg.pack %b outer_dims_perm = [1, 0] inner_dims_pos = [1, 0] inner_tiles = [16, 1] into %e : tensor<64x128xf32> -> tensor<8x64x16x1xf32>
  %q = linalg.pack %c outer_dims_perm = [0, 1] inner_dims_pos = [0, 1] inner_tiles = [16, 1] into %e : tensor<128x64xf32> -> tensor<8x64x16x1xf32>
  %m = "buddy.matmul"(%a, %p, %out) : (tensor<?x64xf32>, tensor<8x64x16x1xf32>, tensor<?x128xf32>) -> tensor<?x128xf32>
  %n = "buddy.matmul"(%a, %q, %out) : (tensor<?x64xf32>, tensor<8x64x16x1xf32>, tensor<?x128xf32>) -> tensor<?x128xf32>
  return %m, %n : tensor<?x128xf32>, tensor<?x128xf32>
}

// -----

// A weight comes packed, as an argument.
// CHECK-LABEL: func @weight
// CHECK:       "buddy.matmul"{{.*}} : (tensor<4x64xf32>, tensor<8x64x16x1xf32>
func.func @weight(%a: tensor<4x64xf32>, %p: tensor<8x64x16x1xf32>, %out: tensor<4x128xf32>) -> tensor<4x128xf32> {
  %m = "buddy.matmul"(%a, %p, %out) : (tensor<4x64xf32>, tensor<8x64x16x1xf32>, tensor<4x128xf32>) -> tensor<4x128xf32>
  return %m : tensor<4x128xf32>
}

// -----

// Batch by batch, the transposition of the keys included.
// CHECK-LABEL: func @scores
// CHECK-SAME:    %[[Q:.*]]: tensor<12x?x64xf32>, %[[K:.*]]: tensor<12x?x64xf32>
// CHECK-NOT:   linalg.transpose
// CHECK:       "buddy.matmul"(%[[Q]], %[[K]], %{{.*}}) <{transposed}> : (tensor<12x?x64xf32>, tensor<12x?x64xf32>, tensor<12x?x?xf32>)
func.func @scores(%q: tensor<12x?x64xf32>, %k: tensor<12x?x64xf32>, %t: index) -> tensor<12x?x?xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty(%t) : tensor<12x64x?xf32>
  %kt = linalg.transpose ins(%k : tensor<12x?x64xf32>) outs(%e : tensor<12x64x?xf32>) permutation = [0, 2, 1]
  %o = tensor.empty(%t, %t) : tensor<12x?x?xf32>
  %f = linalg.fill ins(%zero : f32) outs(%o : tensor<12x?x?xf32>) -> tensor<12x?x?xf32>
  %s = linalg.batch_matmul ins(%q, %kt : tensor<12x?x64xf32>, tensor<12x64x?xf32>) outs(%f : tensor<12x?x?xf32>) -> tensor<12x?x?xf32>
  return %s : tensor<12x?x?xf32>
}

// -----

// Sums over a depth that nobody knows wait aside of a bf16 result.
// CHECK-LABEL: func @narrow
// CHECK:       "buddy.matmul"(%arg0, %arg1
func.func @narrow(%a: tensor<2x4x?xbf16>, %b: tensor<2x?x8xbf16>) -> tensor<2x4x8xbf16> {
  %zero = arith.constant 0.0 : bf16
  %o = tensor.empty() : tensor<2x4x8xbf16>
  %f = linalg.fill ins(%zero : bf16) outs(%o : tensor<2x4x8xbf16>) -> tensor<2x4x8xbf16>
  %s = linalg.batch_matmul ins(%a, %b : tensor<2x4x?xbf16>, tensor<2x?x8xbf16>) outs(%f : tensor<2x4x8xbf16>) -> tensor<2x4x8xbf16>
  return %s : tensor<2x4x8xbf16>
}

// -----

// What has more columns than the other has rows is read as it lies, row by row: the other operand
// is the one to be packed.
// CHECK-LABEL: func @weight_that_may_change
// CHECK-SAME:    %[[X:.*]]: tensor<96x64xf32>, %[[W:.*]]: tensor<128x64xf32>
// CHECK:       %[[P:.*]] = linalg.pack %[[X]] {{.*}}inner_dims_pos = [0, 1] inner_tiles = [64, 1] {{.*}} -> tensor<2x64x64x1xf32>
// CHECK:       %[[T:.*]] = "buddy.matmul"(%[[W]], %[[P]], %{{.*}}) : (tensor<128x64xf32>, tensor<2x64x64x1xf32>, tensor<128x96xf32>)
// CHECK:       linalg.transpose ins(%[[T]] {{.*}} outs(%{{.*}} : tensor<96x128xf32>) permutation = [1, 0]
func.func @weight_that_may_change(%x: tensor<96x64xf32>, %w: tensor<128x64xf32>, %out: tensor<96x128xf32>) -> tensor<96x128xf32> {
  %e = tensor.empty() : tensor<4x64x32x1xf32>
  %p = linalg.pack %w outer_dims_perm = [0, 1] inner_dims_pos = [0, 1] inner_tiles = [32, 1] into %e : tensor<128x64xf32> -> tensor<4x64x32x1xf32>
  %m = "buddy.matmul"(%x, %p, %out) : (tensor<96x64xf32>, tensor<4x64x32x1xf32>, tensor<96x128xf32>) -> tensor<96x128xf32>
  return %m : tensor<96x128xf32>
}

// -----

// As columns these rows would leave much of a vector empty: each tile transposes what it needs.
// CHECK-LABEL: func @odd_rows
// CHECK-NOT:   linalg.pack
// CHECK:       "buddy.matmul"(%arg0, %arg1, %arg2) <{transposed}>
func.func @odd_rows(%x: tensor<100x64xf32>, %w: tensor<128x64xf32>, %out: tensor<100x128xf32>) -> tensor<100x128xf32> {
  %e = tensor.empty() : tensor<4x64x32x1xf32>
  %p = linalg.pack %w outer_dims_perm = [0, 1] inner_dims_pos = [0, 1] inner_tiles = [32, 1] into %e : tensor<128x64xf32> -> tensor<4x64x32x1xf32>
  %m = "buddy.matmul"(%x, %p, %out) : (tensor<100x64xf32>, tensor<4x64x32x1xf32>, tensor<100x128xf32>) -> tensor<100x128xf32>
  return %m : tensor<100x128xf32>
}

// -----

// Pairs keep the two vectors across that AMX's tiles have.
// CHECK-LABEL: func @pairs
// CHECK:       linalg.pack %arg0 {{.*}}inner_tiles = [32, 2] {{.*}} -> tensor<3x32x32x2xbf16>
func.func @pairs(%x: tensor<96x64xbf16>, %w: tensor<128x64xbf16>, %out: tensor<96x128xf32>) -> tensor<96x128xf32> {
  %e = tensor.empty() : tensor<4x32x32x2xbf16>
  %p = linalg.pack %w outer_dims_perm = [0, 1] inner_dims_pos = [0, 1] inner_tiles = [32, 2] into %e : tensor<128x64xbf16> -> tensor<4x32x32x2xbf16>
  %m = "buddy.matmul"(%x, %p, %out) : (tensor<96x64xbf16>, tensor<4x32x32x2xbf16>, tensor<96x128xf32>) -> tensor<96x128xf32>
  return %m : tensor<96x128xf32>
}

// -----

// Few rows are not worth a panel of either: they go along those of the weight.
// CHECK-LABEL: func @few_rows
// CHECK-NOT:   linalg.pack
// CHECK:       "buddy.matmul"(%arg0, %arg1, %arg2) <{transposed}>
func.func @few_rows(%x: tensor<3x64xbf16>, %w: tensor<128x64xbf16>, %out: tensor<3x128xbf16>) -> tensor<3x128xbf16> {
  %e = tensor.empty() : tensor<4x32x32x2xbf16>
  %p = linalg.pack %w outer_dims_perm = [0, 1] inner_dims_pos = [0, 1] inner_tiles = [32, 2] into %e : tensor<128x64xbf16> -> tensor<4x32x32x2xbf16>
  %m = "buddy.matmul"(%x, %p, %out) : (tensor<3x64xbf16>, tensor<4x32x32x2xbf16>, tensor<3x128xbf16>) -> tensor<3x128xbf16>
  return %m : tensor<3x128xbf16>
}

// -----

// A few more do too, if a row is long against the sums whose lanes are added up at its end.
// CHECK-LABEL: func @long_rows
// CHECK-NOT:   linalg.pack
// CHECK:       "buddy.matmul"(%arg0, %arg1, %arg2) <{transposed}>
func.func @long_rows(%x: tensor<32x768xf32>, %w: tensor<128x768xf32>, %out: tensor<32x128xf32>) -> tensor<32x128xf32> {
  %e = tensor.empty() : tensor<4x768x32x1xf32>
  %p = linalg.pack %w outer_dims_perm = [0, 1] inner_dims_pos = [0, 1] inner_tiles = [32, 1] into %e : tensor<128x768xf32> -> tensor<4x768x32x1xf32>
  %m = "buddy.matmul"(%x, %p, %out) : (tensor<32x768xf32>, tensor<4x768x32x1xf32>, tensor<32x128xf32>) -> tensor<32x128xf32>
  return %m : tensor<32x128xf32>
}

// -----

// CHECK-LABEL: func @short_rows
// CHECK:       linalg.pack
func.func @short_rows(%x: tensor<32x64xf32>, %w: tensor<128x64xf32>, %out: tensor<32x128xf32>) -> tensor<32x128xf32> {
  %e = tensor.empty() : tensor<4x64x32x1xf32>
  %p = linalg.pack %w outer_dims_perm = [0, 1] inner_dims_pos = [0, 1] inner_tiles = [32, 1] into %e : tensor<128x64xf32> -> tensor<4x64x32x1xf32>
  %m = "buddy.matmul"(%x, %p, %out) : (tensor<32x64xf32>, tensor<4x64x32x1xf32>, tensor<32x128xf32>) -> tensor<32x128xf32>
  return %m : tensor<32x128xf32>
}
