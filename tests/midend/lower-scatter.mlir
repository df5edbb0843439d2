// RUN: buddy-opt %s -split-input-file -pass-pipeline='builtin.module(func.func(buddy-lower-scatter))' | FileCheck %s
// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Positions may collide: one loop in their order, never a parallel one. Those out of range
// write nothing.
// CHECK-LABEL: func @elements
// CHECK-NOT:   scf.forall
// CHECK:       scf.for
// CHECK:         arith.cmpi ult
// CHECK:         scf.if
// CHECK:           arith.addf
// CHECK:           memref.store
func.func @elements(%positions: memref<7xi64>, %source: memref<7x1xf32>, %out: memref<5x1xf32>) {
  "buddy.scatter"(%positions, %source, %out) <{kind = 0 : i64}>
      : (memref<7xi64>, memref<7x1xf32>, memref<5x1xf32>) -> ()
  return
}

// -----

// A row is an elementwise op, which becomes vectors; threads share the columns of long rows.
// CHECK-LABEL: func @rows
// CHECK:       scf.forall
// CHECK:         scf.for
// CHECK:           linalg.generic
// CHECK-NOT:   buddy.scatter
func.func @rows(%positions: memref<7xi64>, %source: memref<7x600xf32>, %out: memref<5x600xf32>) {
  "buddy.scatter"(%positions, %source, %out) <{kind = 3 : i64}>
      : (memref<7xi64>, memref<7x600xf32>, memref<5x600xf32>) -> ()
  return
}
