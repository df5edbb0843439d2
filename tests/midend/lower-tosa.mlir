// RUN: buddy-opt %s -split-input-file -buddy-lower-tosa | FileCheck %s
// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// A linear layer must reach the packing of weights, which takes no batches.
// CHECK-LABEL: func @linear
// CHECK-NOT:   tosa.matmul
// CHECK:       linalg.matmul {{.*}} -> tensor<4x6xf32>
func.func @linear(%x: tensor<1x4x5xbf16>, %w: tensor<1x5x6xbf16>) -> tensor<1x4x6xf32> {
  %zero = "tosa.const"() {values = dense<0.0> : tensor<1xbf16>} : () -> tensor<1xbf16>
  %y = tosa.matmul %x, %w, %zero, %zero : (tensor<1x4x5xbf16>, tensor<1x5x6xbf16>, tensor<1xbf16>, tensor<1xbf16>) -> tensor<1x4x6xf32>
  return %y : tensor<1x4x6xf32>
}

// -----

// CHECK-LABEL: func @batches
// CHECK:       tosa.matmul
func.func @batches(%x: tensor<2x4x5xf32>, %w: tensor<2x5x6xf32>) -> tensor<2x4x6xf32> {
  %zero = "tosa.const"() {values = dense<0.0> : tensor<1xf32>} : () -> tensor<1xf32>
  %y = tosa.matmul %x, %w, %zero, %zero : (tensor<2x4x5xf32>, tensor<2x5x6xf32>, tensor<1xf32>, tensor<1xf32>) -> tensor<2x4x6xf32>
  return %y : tensor<2x4x6xf32>
}

// -----

// The largest of elements that are all -inf is -inf.
// CHECK-LABEL: func @extrema
// CHECK:       %[[NEGATIVE:.*]] = arith.constant 0xFF800000 : f32
// CHECK:       linalg.fill ins(%[[NEGATIVE]]
// CHECK:       arith.maximumf
// CHECK:       %[[POSITIVE:.*]] = arith.constant 0x7F800000 : f32
// CHECK:       linalg.fill ins(%[[POSITIVE]]
// CHECK:       arith.minimumf
func.func @extrema(%x: tensor<4x5xf32>) -> (tensor<4x1xf32>, tensor<1x5xf32>) {
  %0 = tosa.reduce_max %x {axis = 1 : i32} : (tensor<4x5xf32>) -> tensor<4x1xf32>
  %1 = tosa.reduce_min %x {axis = 0 : i32} : (tensor<4x5xf32>) -> tensor<1x5xf32>
  return %0, %1 : tensor<4x1xf32>, tensor<1x5xf32>
}

// -----

// CHECK-LABEL: func @others
// CHECK:       tosa.reduce_max
// CHECK:       tosa.reduce_max
func.func @others(%x: tensor<4x5xi32>, %y: tensor<4x5xf32>) -> (tensor<4x1xi32>, tensor<4x1xf32>) {
  %0 = tosa.reduce_max %x {axis = 1 : i32} : (tensor<4x5xi32>) -> tensor<4x1xi32>
  %1 = tosa.reduce_max %y {axis = 1 : i32, nan_mode = IGNORE} : (tensor<4x5xf32>) -> tensor<4x1xf32>
  return %0, %1 : tensor<4x1xi32>, tensor<4x1xf32>
}

// -----

// CHECK-LABEL: func @pool
// CHECK-NOT:   tosa.max_pool2d
// CHECK:       dense<0xFF800000>
// CHECK:       tosa.pad
// CHECK:       arith.constant 0xFF800000 : f32
// CHECK:       linalg.pooling_nhwc_max {{.*}}tensor<1x6x6x5xf32>
func.func @pool(%x: tensor<1x5x5x5xf32>) -> tensor<1x3x3x5xf32> {
  %y = tosa.max_pool2d %x {kernel = array<i64: 2, 2>, stride = array<i64: 2, 2>, pad = array<i64: 0, 1, 1, 0>} : (tensor<1x5x5x5xf32>) -> tensor<1x3x3x5xf32>
  return %y : tensor<1x3x3x5xf32>
}

// -----

// Packing takes convolutions with channels first and sums from zero; the bias must not be rounded
// before it is added.
// CHECK-LABEL: func @convolution
// CHECK:       tosa.pad
// CHECK:       linalg.conv_2d_nchw_fchw {{.*}} -> tensor<1x6x5x5xf32>
// CHECK:       tosa.add {{.*}} tensor<1x5x5x6xf32>
// CHECK:       tosa.cast {{.*}} -> tensor<1x5x5x6xbf16>
func.func @convolution(%x: tensor<1x5x5x4xbf16>, %w: tensor<6x3x3x4xbf16>, %b: tensor<6xbf16>) -> tensor<1x5x5x6xbf16> {
  %zero = "tosa.const"() {values = dense<0.0> : tensor<1xbf16>} : () -> tensor<1xbf16>
  %y = tosa.conv2d %x, %w, %b, %zero, %zero {acc_type = f32, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>, dilation = array<i64: 1, 1>} : (tensor<1x5x5x4xbf16>, tensor<6x3x3x4xbf16>, tensor<6xbf16>, tensor<1xbf16>, tensor<1xbf16>) -> tensor<1x5x5x6xbf16>
  return %y : tensor<1x5x5x6xbf16>
}

// -----

// CHECK-LABEL: func @depthwise
// CHECK:       linalg.conv_2d_ngchw_gfchw {{.*}}, tensor<4x2x1x3x3xf32>{{.*}} -> tensor<1x4x2x3x3xf32>
// CHECK-NOT:   tosa.add
func.func @depthwise(%x: tensor<1x5x5x4xf32>, %w: tensor<3x3x4x2xf32>) -> tensor<1x3x3x8xf32> {
  %zero = "tosa.const"() {values = dense<0.0> : tensor<1xf32>} : () -> tensor<1xf32>
  %y = tosa.depthwise_conv2d %x, %w, %zero, %zero, %zero {acc_type = f32, pad = array<i64: 0, 0, 0, 0>, stride = array<i64: 1, 1>, dilation = array<i64: 1, 1>} : (tensor<1x5x5x4xf32>, tensor<3x3x4x2xf32>, tensor<1xf32>, tensor<1xf32>, tensor<1xf32>) -> tensor<1x3x3x8xf32>
  return %y : tensor<1x3x3x8xf32>
}
