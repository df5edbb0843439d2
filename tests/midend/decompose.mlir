// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: buddy-opt %s -pass-pipeline='builtin.module(func.func(buddy-decompose))' | FileCheck %s

// Three query heads read one key/value head; the softmax is over keys.
// CHECK-DAG:   affine_map<(d0, d1, d2, d3, d4) -> (d0, d1 floordiv 3, d3, d4)>
// CHECK-DAG:   affine_map<(d0, d1, d2) -> (d1 floordiv 32, d2 floordiv 2, d1 mod 32, d2 mod 2)>
// CHECK-DAG:   #[[OWN:.*]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d0 + d3, d1 + d4, (d2 floordiv 40) * 8 + d5)>
// CHECK-DAG:   #[[PANELS:.*]] = affine_map<(d0, d1, d2, d3, d4, d5) -> ((d2 floordiv 40) * 2 + (d2 mod 40) floordiv 32, (d3 * 3 + d4) * 8 + d5, (d2 mod 40) mod 32, 0)>
// CHECK-DAG:   #[[BACKWARDS:.*]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d2 floordiv 32, (-(d3 * 3 + d4) + 8) * 8 + d5, d2 mod 32, 0)>
// CHECK-DAG:   #[[INSIDE:.*]] = affine_map<(d0, d1, d2, d3, d4) -> (d0, d2, d1, d4)>
// CHECK-DAG:   #[[INSIDE_KEY:.*]] = affine_map<(d0, d1, d2, d3, d4) -> (d0, d3, d1, d4)>
// CHECK-DAG:   #[[ALL:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>
// CHECK-DAG:   #[[FIRST:.*]] = affine_map<(d0, d1, d2, d3) -> (d2, d0, d1, d3)>
// CHECK-LABEL: func @attention
// CHECK-NOT:   buddy.attention
// CHECK:       arith.maximumf
// CHECK:       math.exp
// CHECK:       arith.divf
// CHECK:       return
func.func @attention(%q: tensor<1x9x?x64xf32>, %k: tensor<1x3x?x64xf32>, %v: tensor<1x3x?x64xf32>,
                     %valid: index, %init: tensor<1x9x?x64xf32>) -> tensor<1x9x?x64xf32> {
  %out = "buddy.attention"(%q, %k, %v, %valid, %init)
      {operandSegmentSizes = array<i32: 1, 1, 1, 1, 0, 1>, scale = 0.125 : f32, causal = true}
      : (tensor<1x9x?x64xf32>, tensor<1x3x?x64xf32>, tensor<1x3x?x64xf32>, index,
         tensor<1x9x?x64xf32>) -> tensor<1x9x?x64xf32>
  return %out : tensor<1x9x?x64xf32>
}

// Heads side by side, and results with positions before the batch.
// CHECK-LABEL: func @layouts
// CHECK-NOT:   buddy.attention
// CHECK:       linalg.generic {indexing_maps = [#[[INSIDE]], #[[INSIDE_KEY]], #{{.*}}]
// CHECK-SAME:    ins(%arg0, %arg1
// CHECK:       tensor<2x4x8x64xf32>
// CHECK:       linalg.generic {indexing_maps = [#[[ALL]], #[[FIRST]]]
// CHECK-SAME:    outs(%arg2 : tensor<8x2x4x64xf32>)
func.func @layouts(%q: tensor<2x8x4x64xf32>, %k: tensor<2x16x4x64xf32>, %init: tensor<8x2x4x64xf32>) -> tensor<8x2x4x64xf32> {
  %out = "buddy.attention"(%q, %k, %k, %init)
      {operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 1>, scale = 0.125 : f32, causal = false,
       layouts = array<i64: 0, 2, 1, 3, 0, 2, 1, 3, 0, 2, 1, 3, 2, 0, 1, 3>}
      : (tensor<2x8x4x64xf32>, tensor<2x16x4x64xf32>, tensor<2x16x4x64xf32>, tensor<8x2x4x64xf32>) -> tensor<8x2x4x64xf32>
  return %out : tensor<8x2x4x64xf32>
}

// bf16 products are summed in f32 and rounded once.
// CHECK-LABEL: func @matmul
// CHECK-NOT:   buddy.matmul
// CHECK:       arith.mulf {{.*}} : f32
// CHECK:       arith.truncf {{.*}} : f32 to bf16
func.func @matmul(%a: tensor<?x65xbf16>, %b: tensor<2x33x32x2xbf16>, %init: tensor<?x50xbf16>)
    -> tensor<?x50xbf16> {
  %out = "buddy.matmul"(%a, %b, %init)
      : (tensor<?x65xbf16>, tensor<2x33x32x2xbf16>, tensor<?x50xbf16>) -> tensor<?x50xbf16>
  return %out : tensor<?x50xbf16>
}

// -----

// CHECK-LABEL: func @convolution
// CHECK-NOT:   buddy.conv
// CHECK:       linalg.generic
// CHECK-SAME:    iterator_types = ["parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]
func.func @convolution(%x: tensor<5x5x8xf32>, %w: tensor<1x72x32x1xf32>, %e: tensor<3x3x32xf32>) -> tensor<3x3x32xf32> {
  %c = "buddy.conv"(%x, %w, %e) {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>}
      : (tensor<5x5x8xf32>, tensor<1x72x32x1xf32>, tensor<3x3x32xf32>) -> tensor<3x3x32xf32>
  return %c : tensor<3x3x32xf32>
}

// Each filter reads its group: 2 panels for the 40 filters of one.
// CHECK-LABEL: func @groups
// CHECK-NOT:   buddy.conv
// CHECK:       linalg.generic {indexing_maps = [#[[OWN]], #[[PANELS]],
func.func @groups(%x: tensor<5x5x16xf32>, %w: tensor<4x72x32x1xf32>, %e: tensor<3x3x80xf32>) -> tensor<3x3x80xf32> {
  %c = "buddy.conv"(%x, %w, %e) {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, group = array<i64: 8, 40>}
      : (tensor<5x5x16xf32>, tensor<4x72x32x1xf32>, tensor<3x3x80xf32>) -> tensor<3x3x80xf32>
  return %c : tensor<3x3x80xf32>
}

// CHECK-LABEL: func @mirrored
// CHECK-NOT:   buddy.conv
// CHECK:       linalg.generic {indexing_maps = [#{{.*}}, #[[BACKWARDS]],
func.func @mirrored(%x: tensor<5x5x8xf32>, %w: tensor<1x72x32x1xf32>, %e: tensor<3x3x32xf32>) -> tensor<3x3x32xf32> {
  %c = "buddy.conv"(%x, %w, %e) {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, mirrored}
      : (tensor<5x5x8xf32>, tensor<1x72x32x1xf32>, tensor<3x3x32xf32>) -> tensor<3x3x32xf32>
  return %c : tensor<3x3x32xf32>
}

// CHECK-LABEL: func @unpacked
// CHECK-NOT:   buddy.matmul
// CHECK:       linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "parallel", "reduction"]
// CHECK-NOT:   buddy.matmul
func.func @unpacked(%a: tensor<3x4x5xf32>, %b: tensor<3x6x5xf32>, %init: tensor<3x4x6xf32>) -> tensor<3x4x6xf32> {
  %out = "buddy.matmul"(%a, %b, %init) {transposed} : (tensor<3x4x5xf32>, tensor<3x6x5xf32>, tensor<3x4x6xf32>) -> tensor<3x4x6xf32>
  return %out : tensor<3x4x6xf32>
}

// CHECK-LABEL: func @bytes
// CHECK:       %[[X:.*]] = arith.extsi %{{.*}} : i8 to i32
// CHECK:       %[[Y:.*]] = arith.extsi %{{.*}} : i8 to i32
// CHECK:       %[[PRODUCT:.*]] = arith.muli %[[X]], %[[Y]] : i32
// CHECK:       arith.addi %{{.*}}, %[[PRODUCT]] : i32
func.func @bytes(%a: tensor<3x8xi8>, %b: tensor<1x2x16x4xi8>, %init: tensor<3x16xi32>) -> tensor<3x16xi32> {
  %0 = "buddy.matmul"(%a, %b, %init) : (tensor<3x8xi8>, tensor<1x2x16x4xi8>, tensor<3x16xi32>) -> tensor<3x16xi32>
  return %0 : tensor<3x16xi32>
}
