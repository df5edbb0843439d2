// RUN: buddy-opt %s -split-input-file -verify-diagnostics
// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

func.func @planes(%k: memref<3x7xf32>, %o: memref<3x7xi64>) {
  // expected-error@+1 {{takes keys [R,N] and init [2,R,N]}}
  "buddy.sort"(%k, %o) <{descending = false}> : (memref<3x7xf32>, memref<3x7xi64>) -> ()
  return
}

// -----

func.func @positions(%k: memref<3x7xf32>, %o: memref<2x3x7xi32>) {
  // expected-error@+1 {{gives positions of i64, not 'i32'}}
  "buddy.sort"(%k, %o) <{descending = false}> : (memref<3x7xf32>, memref<2x3x7xi32>) -> ()
  return
}

// -----

func.func @length(%k: memref<3x7xf32>, %o: memref<2x3x8xi64>) {
  // expected-error@+1 {{keys and init differ in N}}
  "buddy.sort"(%k, %o) <{descending = false}> : (memref<3x7xf32>, memref<2x3x8xi64>) -> ()
  return
}
