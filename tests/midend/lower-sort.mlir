// RUN: buddy-opt %s -split-input-file -pass-pipeline='builtin.module(func.func(buddy-lower-sort))' | FileCheck %s
// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Passes over the row, pairs of runs in a pass, elements of a pair: no branch inside.
// CHECK-LABEL: func @floats
// CHECK:       scf.forall
// CHECK:         math.ctlz
// CHECK:         scf.for
// CHECK:           scf.for
// CHECK:             scf.for
// CHECK-NOT:           scf.if
// CHECK:               arith.cmpf ult
// CHECK:               memref.store
// CHECK-NOT:   buddy.sort
func.func @floats(%keys: memref<3x?xf32>, %out: memref<2x3x?xi64>) {
  "buddy.sort"(%keys, %out) <{descending = false}> : (memref<3x?xf32>, memref<2x3x?xi64>) -> ()
  return
}

// -----

// CHECK-LABEL: func @integers
// CHECK:       %[[LEFT:.*]] = memref.load %{{.*}} : memref<3x7xi32>
// CHECK:       %[[RIGHT:.*]] = memref.load %{{.*}} : memref<3x7xi32>
// CHECK:       arith.cmpi slt, %[[LEFT]], %[[RIGHT]]
func.func @integers(%keys: memref<3x7xi32>, %out: memref<2x3x7xi64>) {
  "buddy.sort"(%keys, %out) <{descending = true}> : (memref<3x7xi32>, memref<2x3x7xi64>) -> ()
  return
}
