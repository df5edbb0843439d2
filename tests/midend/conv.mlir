// RUN: buddy-opt %s -split-input-file -verify-diagnostics
// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

func.func @wrong_depth(%x: tensor<5x5x8xf32>, %w: tensor<1x64x32x1xf32>, %e: tensor<3x3x32xf32>) -> tensor<3x3x32xf32> {
  // expected-error@+1 {{rhs does not have the depth of kernel and channels}}
  %c = "buddy.conv"(%x, %w, %e) {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>}
      : (tensor<5x5x8xf32>, tensor<1x64x32x1xf32>, tensor<3x3x32xf32>) -> tensor<3x3x32xf32>
  return %c : tensor<3x3x32xf32>
}

// -----

func.func @wrong_group(%x: tensor<5x5x8xf32>, %w: tensor<1x36x32x1xf32>, %e: tensor<3x3x32xf32>) -> tensor<3x3x32xf32> {
  // expected-error@+1 {{takes the numbers of a group's channels and filters}}
  %c = "buddy.conv"(%x, %w, %e) {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, group = array<i64: 4>}
      : (tensor<5x5x8xf32>, tensor<1x36x32x1xf32>, tensor<3x3x32xf32>) -> tensor<3x3x32xf32>
  return %c : tensor<3x3x32xf32>
}

// -----

func.func @wrong_rank(%x: tensor<5x5x8xf32>, %w: tensor<1x216x32x1xf32>, %e: tensor<3x3x32xf32>) -> tensor<3x3x32xf32> {
  // expected-error@+1 {{takes input [N,H,W,C]}}
  %c = "buddy.conv"(%x, %w, %e) {kernel = array<i64: 3, 3, 3>, strides = array<i64: 1, 1, 1>, dilations = array<i64: 1, 1, 1>}
      : (tensor<5x5x8xf32>, tensor<1x216x32x1xf32>, tensor<3x3x32xf32>) -> tensor<3x3x32xf32>
  return %c : tensor<3x3x32xf32>
}

// -----

func.func @part_of_a_step(%x: tensor<5x5x24xbf16>, %w: tensor<1x18x32x2xbf16>, %e: tensor<3x3x32xf32>) -> tensor<3x3x32xf32> {
  // expected-error@+1 {{takes groups of whole steps where several share a panel}}
  %c = "buddy.conv"(%x, %w, %e) {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, group = array<i64: 3, 4>}
      : (tensor<5x5x24xbf16>, tensor<1x18x32x2xbf16>, tensor<3x3x32xf32>) -> tensor<3x3x32xf32>
  return %c : tensor<3x3x32xf32>
}
