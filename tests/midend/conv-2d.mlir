// RUN: buddy-opt %s -split-input-file -verify-diagnostics
// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

func.func @wrong_depth(%x: tensor<5x5x8xf32>, %w: tensor<1x64x32x1xf32>, %e: tensor<3x3x32xf32>) -> tensor<3x3x32xf32> {
  // expected-error@+1 {{rhs does not have the depth of kernel and channels}}
  %c = "buddy.conv_2d"(%x, %w, %e) {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>}
      : (tensor<5x5x8xf32>, tensor<1x64x32x1xf32>, tensor<3x3x32xf32>) -> tensor<3x3x32xf32>
  return %c : tensor<3x3x32xf32>
}
