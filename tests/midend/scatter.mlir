// RUN: buddy-opt %s -split-input-file -verify-diagnostics
// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

func.func @rank(%p: memref<3xi64>, %s: memref<3xf32>, %o: memref<5x1xf32>) {
  // expected-error@+1 {{takes positions [N], source [N,R] and init [M,R]}}
  "buddy.scatter"(%p, %s, %o) <{kind = 1 : i64}> : (memref<3xi64>, memref<3xf32>, memref<5x1xf32>) -> ()
  return
}

// -----

func.func @floats(%p: memref<3xf32>, %s: memref<3x1xf32>, %o: memref<5x1xf32>) {
  // expected-error@+1 {{takes integer positions, not 'f32'}}
  "buddy.scatter"(%p, %s, %o) <{kind = 1 : i64}> : (memref<3xf32>, memref<3x1xf32>, memref<5x1xf32>) -> ()
  return
}

// -----

func.func @count(%p: memref<4xi64>, %s: memref<3x1xf32>, %o: memref<5x1xf32>) {
  // expected-error@+1 {{positions and source differ in N}}
  "buddy.scatter"(%p, %s, %o) <{kind = 1 : i64}> : (memref<4xi64>, memref<3x1xf32>, memref<5x1xf32>) -> ()
  return
}

// -----

func.func @row(%p: memref<3xi64>, %s: memref<3x2xf32>, %o: memref<5x1xf32>) {
  // expected-error@+1 {{source and init differ in R}}
  "buddy.scatter"(%p, %s, %o) <{kind = 1 : i64}> : (memref<3xi64>, memref<3x2xf32>, memref<5x1xf32>) -> ()
  return
}

// -----

func.func @element(%p: memref<3xi64>, %s: memref<3x1xf32>, %o: memref<5x1xf64>) {
  // expected-error@+1 {{source and init differ in their element type}}
  "buddy.scatter"(%p, %s, %o) <{kind = 1 : i64}> : (memref<3xi64>, memref<3x1xf32>, memref<5x1xf64>) -> ()
  return
}
