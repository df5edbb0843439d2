// RUN: buddy-opt %s -split-input-file -verify-diagnostics
// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

func.func @ranks(%a: tensor<4x8xf32>, %b: tensor<2x8x6xf32>, %c: tensor<4x6xf32>) -> tensor<4x6xf32> {
  // expected-error @below {{takes lhs [M,K], rhs [N/nr,K/kr,nr,kr] or [K,N], and init [M,N]}}
  %r = "buddy.matmul"(%a, %b, %c) : (tensor<4x8xf32>, tensor<2x8x6xf32>, tensor<4x6xf32>) -> tensor<4x6xf32>
  return %r : tensor<4x6xf32>
}

// -----

func.func @panels(%a: tensor<4x8xf32>, %b: tensor<1x8x16x1xf32>, %c: tensor<4x6xf32>) -> tensor<4x6xf32> {
  // expected-error @below {{cannot transpose panels}}
  %r = "buddy.matmul"(%a, %b, %c) {transposed} : (tensor<4x8xf32>, tensor<1x8x16x1xf32>, tensor<4x6xf32>) -> tensor<4x6xf32>
  return %r : tensor<4x6xf32>
}

// -----

func.func @columns(%a: tensor<4x8xf32>, %b: tensor<8x6xf32>, %c: tensor<4x7xf32>) -> tensor<4x7xf32> {
  // expected-error @below {{rhs and init differ in N}}
  %r = "buddy.matmul"(%a, %b, %c) : (tensor<4x8xf32>, tensor<8x6xf32>, tensor<4x7xf32>) -> tensor<4x7xf32>
  return %r : tensor<4x7xf32>
}

// -----

func.func @depth(%a: tensor<4x8xf32>, %b: tensor<8x6xf32>, %c: tensor<4x8xf32>) -> tensor<4x8xf32> {
  // expected-error @below {{lhs and rhs differ in K}}
  %r = "buddy.matmul"(%a, %b, %c) {transposed} : (tensor<4x8xf32>, tensor<8x6xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return %r : tensor<4x8xf32>
}

// -----

func.func @batch(%a: tensor<2x4x8xf32>, %b: tensor<3x8x6xf32>, %c: tensor<2x4x6xf32>) -> tensor<2x4x6xf32> {
  // expected-error @below {{operands differ in their batch}}
  %r = "buddy.matmul"(%a, %b, %c) : (tensor<2x4x8xf32>, tensor<3x8x6xf32>, tensor<2x4x6xf32>) -> tensor<2x4x6xf32>
  return %r : tensor<2x4x6xf32>
}
