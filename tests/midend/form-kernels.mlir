// RUN: buddy-opt %s -split-input-file -buddy-form-kernels | FileCheck %s
// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// A matmul takes its bias along; the entry point only calls.
// CHECK-LABEL: func private @matmul_0
// CHECK-SAME:    attributes {buddy.kernel, no_inline}
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

// -----

// What is stored into a slice is tiled; the convolution that it ends is part of it.
// CHECK-LABEL: func private @conv_0
// CHECK:       "buddy.conv"
// CHECK:       linalg.generic
// CHECK-SAME:    buddy.tile_dims = array<i64: 0, 1, 2>
// CHECK:       tensor.insert_slice
// CHECK-LABEL: func @padded
// CHECK:       bufferization.alloc_tensor
// CHECK:       call @conv_0
func.func @padded(%x: tensor<5x5x8xf32>, %w: tensor<1x72x32x1xf32>) -> tensor<5x5x32xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<3x3x32xf32>
  %c = "buddy.conv"(%x, %w, %e) {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>}
      : (tensor<5x5x8xf32>, tensor<1x72x32x1xf32>, tensor<3x3x32xf32>) -> tensor<3x3x32xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(i, j, k) -> (i, j, k)>, affine_map<(i, j, k) -> (i, j, k)>], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%c : tensor<3x3x32xf32>) outs(%e : tensor<3x3x32xf32>) {
  ^bb0(%p: f32, %o: f32):
    %s = math.absf %p : f32
    linalg.yield %s : f32
  } -> tensor<3x3x32xf32>
  %border = tensor.empty() : tensor<5x5x32xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%border : tensor<5x5x32xf32>) -> tensor<5x5x32xf32>
  %i = tensor.insert_slice %r into %zeros[1, 1, 0] [3, 3, 32] [1, 1, 1] : tensor<3x3x32xf32> into tensor<5x5x32xf32>
  return %i : tensor<5x5x32xf32>
}

// -----

// A function that an entry point calls is made of kernels too. They alone are not inlined.
// CHECK:       func private @elementwise_0
// CHECK-SAME:    attributes {buddy.kernel, no_inline}
// CHECK-LABEL: func private @layer
// CHECK-SAME:    -> tensor<8xf32> {
// CHECK-NOT:   linalg.generic
// CHECK:       call @elementwise_0
func.func private @layer(%x: tensor<8xf32>) -> tensor<8xf32> {
  %e = tensor.empty() : tensor<8xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%x : tensor<8xf32>) outs(%e : tensor<8xf32>) {
  ^bb0(%p: f32, %o: f32):
    %s = arith.addf %p, %p : f32
    linalg.yield %s : f32
  } -> tensor<8xf32>
  return %r : tensor<8xf32>
}
func.func @twice(%x: tensor<8xf32>) -> tensor<8xf32> {
  %a = call @layer(%x) : (tensor<8xf32>) -> tensor<8xf32>
  %b = call @layer(%a) : (tensor<8xf32>) -> tensor<8xf32>
  return %b : tensor<8xf32>
}

// -----

// The fill that is read is not the one that is written to, though they are equal. Entry points
// write to no argument that the graph does not update.
// CHECK-LABEL: func private @scatter_0
// CHECK-SAME:    %[[OUT:[a-z0-9]+]]: tensor<5x1xi64> {bufferization.writable = true}
// CHECK-DAG:   %[[EMPTY:.*]] = tensor.empty
// CHECK-DAG:   %[[SOURCE:.*]] = linalg.fill {{.*}} outs(%[[EMPTY]]
// CHECK-DAG:   %[[START:.*]] = linalg.fill {{.*}} outs(%[[OUT]]
// CHECK:       "buddy.scatter"(%{{.*}}, %[[SOURCE]], %[[START]])
// CHECK-LABEL: func @counts
// CHECK-SAME:    tensor<5xi64> {bufferization.writable = false}
// CHECK-SAME:    tensor<2xf32> {buddy.mutable, bufferization.writable = true}
func.func @counts(%positions: tensor<5xi64>, %state: tensor<2xf32> {buddy.mutable}) -> tensor<5x1xi64> {
  %one = arith.constant 1 : i64
  %e = tensor.empty() : tensor<5x1xi64>
  %ones = linalg.fill ins(%one : i64) outs(%e : tensor<5x1xi64>) -> tensor<5x1xi64>
  %r = "buddy.scatter"(%positions, %ones, %ones) <{kind = 1 : i64}> : (tensor<5xi64>, tensor<5x1xi64>, tensor<5x1xi64>) -> tensor<5x1xi64>
  return %r : tensor<5x1xi64>
}

// -----

// A fill of what is not an empty tensor as it stands stays in the kernel, on the destination.
// CHECK-LABEL: func private @reduce_0
// CHECK-SAME:    %[[SUM:[a-z0-9]+]]: tensor<4x8xf32> {bufferization.writable = true}
// CHECK:       %[[ZERO:.*]] = linalg.fill {{.*}} outs(%[[SUM]] : tensor<4x8xf32>)
// CHECK:       linalg.generic {{.*}} outs(%[[ZERO]] : tensor<4x8xf32>)
func.func @filled_view(%x: tensor<4x8x16xf32>) -> tensor<4x8xf32> {
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<2x2x8xf32>
  %view = tensor.collapse_shape %empty [[0, 1], [2]] : tensor<2x2x8xf32> into tensor<4x8xf32>
  %init = linalg.fill ins(%zero : f32) outs(%view : tensor<4x8xf32>) -> tensor<4x8xf32>
  %sum = linalg.generic {indexing_maps = [affine_map<(i, j, k) -> (i, j, k)>, affine_map<(i, j, k) -> (i, j)>], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x : tensor<4x8x16xf32>) outs(%init : tensor<4x8xf32>) {
  ^bb0(%in: f32, %out: f32):
    %s = arith.addf %in, %out : f32
    linalg.yield %s : f32
  } -> tensor<4x8xf32>
  return %sum : tensor<4x8xf32>
}

// -----

// Rows of a product are vectors: those whose elements are not side by side are copied first.
// A step between rows is read in place.
// CHECK-LABEL: func private @copy_0
// CHECK:       tensor.extract_slice %{{.*}}[0, 0] [4, 4] [1, 2]
// CHECK-LABEL: func private @matmul_1
// CHECK:       %[[ROWS:.*]] = tensor.extract_slice %{{.*}}[0, 0] [2, 4] [2, 1]
// CHECK-NOT:   tensor.extract_slice
// CHECK:       "buddy.matmul"(%[[ROWS]],
func.func @scattered(%x: tensor<4x8xf32>) -> tensor<2x4xf32> {
  %columns = tensor.extract_slice %x[0, 0] [4, 4] [1, 2] : tensor<4x8xf32> to tensor<4x4xf32>
  %rows = tensor.extract_slice %x[0, 0] [2, 4] [2, 1] : tensor<4x8xf32> to tensor<2x4xf32>
  %empty = tensor.empty() : tensor<2x4xf32>
  %r = "buddy.matmul"(%rows, %columns, %empty) : (tensor<2x4xf32>, tensor<4x4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  return %r : tensor<2x4xf32>
}

// -----

// Nor is a product stored where its rows would be scattered: it is copied there.
// CHECK-LABEL: func private @matmul_0
// CHECK-NOT:   tensor.insert_slice
// CHECK-LABEL: func private @insert_slice_1
// CHECK:       tensor.insert_slice %{{.*}}[0, 0, 1] [4, 4, 1]
func.func @interleaved(%x: tensor<4x4xf32>, %all: tensor<4x4x2xf32>) -> tensor<4x4x2xf32> {
  %empty = tensor.empty() : tensor<4x4xf32>
  %m = "buddy.matmul"(%x, %x, %empty) : (tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %r = tensor.insert_slice %m into %all[0, 0, 1] [4, 4, 1] [1, 1, 1] : tensor<4x4xf32> into tensor<4x4x2xf32>
  return %r : tensor<4x4x2xf32>
}

// -----

// What is written into is computed by its own kernel, even if it is what is written.
// CHECK-LABEL: func private @insert_slice_1
// CHECK-NOT:   math.exp
// CHECK-LABEL: func @into_itself
// CHECK:       %[[X:.*]] = call @elementwise_0
// CHECK:       call @insert_slice_1(%[[X]], %{{.*}}, %[[X]])
func.func @into_itself(%x: tensor<?x8xf32>, %n: index) -> tensor<?x8xf32> {
  %e = tensor.empty(%n) : tensor<?x8xf32>
  %a = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<?x8xf32>) outs(%e : tensor<?x8xf32>) {
  ^bb0(%u: f32, %o: f32):
    %0 = math.exp %u : f32
    linalg.yield %0 : f32
  } -> tensor<?x8xf32>
  %r = tensor.insert_slice %a into %a[0, 0] [%n, 8] [1, 1] : tensor<?x8xf32> into tensor<?x8xf32>
  return %r : tensor<?x8xf32>
}

// -----

// A product that the epilogue reads transposed belongs to its kernel too; its rows are columns there.
// CHECK-LABEL: func private @matmul_0
// CHECK:       buddy.matmul
// CHECK:       linalg.generic
// CHECK-SAME:    buddy.product_loops = array<i64: 1, 0>, buddy.tile_dims = array<i64: 0, 1>
func.func @transposed_product(%w: tensor<128x64xf32>, %x: tensor<2x64x32x1xf32>, %b: tensor<128xf32>) -> tensor<50x128xf32> {
  %e = tensor.empty() : tensor<128x50xf32>
  %m = "buddy.matmul"(%w, %x, %e) : (tensor<128x64xf32>, tensor<2x64x32x1xf32>, tensor<128x50xf32>) -> tensor<128x50xf32>
  %o = tensor.empty() : tensor<50x128xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(i, j) -> (j, i)>, affine_map<(i, j) -> (j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%m, %b : tensor<128x50xf32>, tensor<128xf32>) outs(%o : tensor<50x128xf32>) {
  ^bb0(%p: f32, %q: f32, %out: f32):
    %s = arith.addf %p, %q : f32
    linalg.yield %s : f32
  } -> tensor<50x128xf32>
  return %r : tensor<50x128xf32>
}

// -----

// A vector that all rows of a long sum read has a kernel of its own: computed together with the
// sums, it would leave them to a single thread, however few they are.
// CHECK-LABEL: func private @elementwise_0
// CHECK:       math.exp
// CHECK-LABEL: func private @reduce_1
// CHECK-NOT:   math.exp
// CHECK:       buddy.tile_dims = array<i64: 0>
#all = affine_map<(n, k) -> (n, k)>
#row = affine_map<(n, k) -> (n)>
#along = affine_map<(n, k) -> (k)>
#same = affine_map<(n) -> (n)>
func.func @vector_of_sums(%x: tensor<1536xf32>, %w: tensor<576x1536xf32>, %y: tensor<576xf32>) -> tensor<576xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<1536xf32>
  %h = linalg.generic {indexing_maps = [#same, #same], iterator_types = ["parallel"]} ins(%x : tensor<1536xf32>) outs(%e : tensor<1536xf32>) {
  ^bb0(%u: f32, %o: f32):
    %0 = math.exp %u : f32
    linalg.yield %0 : f32
  } -> tensor<1536xf32>
  %f = tensor.empty() : tensor<576xf32>
  %z = linalg.fill ins(%zero : f32) outs(%f : tensor<576xf32>) -> tensor<576xf32>
  %s = linalg.generic {indexing_maps = [#along, #all, #row], iterator_types = ["parallel", "reduction"]}
      ins(%h, %w : tensor<1536xf32>, tensor<576x1536xf32>) outs(%z : tensor<576xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %0 = arith.mulf %a, %b : f32
    %1 = arith.addf %o, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<576xf32>
  %r = linalg.generic {indexing_maps = [#same, #same, #same], iterator_types = ["parallel"]} ins(%s, %y : tensor<576xf32>, tensor<576xf32>) outs(%f : tensor<576xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %0 = arith.addf %a, %b : f32
    linalg.yield %0 : f32
  } -> tensor<576xf32>
  return %r : tensor<576xf32>
}
