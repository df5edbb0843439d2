// RUN: buddy-opt %s -split-input-file -buddy-pass-destinations | FileCheck %s
// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// The caller's buffer takes the place of the allocation.
// CHECK-LABEL: func @allocated
// CHECK-SAME:    %[[OUT:[a-z0-9]+]]: memref<8xf32> {buddy.kind = "output", buddy.name = "output.0"})
// CHECK-NOT:   memref.alloc
// CHECK:       linalg.fill ins(%{{.*}}) outs(%[[OUT]]
// CHECK:       return{{$}}
func.func @allocated() -> memref<8xf32> {
  %zero = arith.constant 0.0 : f32
  %a = memref.alloc() : memref<8xf32>
  linalg.fill ins(%zero : f32) outs(%a : memref<8xf32>)
  return %a : memref<8xf32>
}

// -----

// A result that updates an argument gets no buffer: it is in place already.
// CHECK-LABEL: func @updated
// CHECK-NOT:   output
// CHECK:       linalg.fill
// CHECK-NOT:   memref.copy
// CHECK:       return{{$}}
func.func @updated(%cache: memref<8xf32> {buddy.kind = "input", buddy.name = "cache", buddy.mutable})
    -> (memref<8xf32> {buddy.updates = 0 : i64}) {
  %zero = arith.constant 0.0 : f32
  linalg.fill ins(%zero : f32) outs(%cache : memref<8xf32>)
  return %cache : memref<8xf32>
}

// -----

// A result that is an argument is copied.
// CHECK-LABEL: func @forwarded
// CHECK-SAME:    %[[IN:[a-z0-9]+]]: memref<8xf32>{{.*}}, %[[OUT:[a-z0-9]+]]: memref<8xf32> {buddy.kind = "output"
// CHECK:       memref.copy %[[IN]], %[[OUT]]
func.func @forwarded(%x: memref<8xf32> {buddy.kind = "input", buddy.name = "x"}) -> memref<8xf32> {
  return %x : memref<8xf32>
}

// -----

// Arguments that change places: no update may overwrite what another one reads.
// CHECK-LABEL: func @swapped
// CHECK-SAME:    %[[A:[a-z0-9]+]]: memref<8xf32>{{.*}}, %[[B:[a-z0-9]+]]: memref<8xf32>
// CHECK:       memref.copy %[[B]], %[[OLD_B:.*]] :
// CHECK:       memref.copy %[[A]], %[[OLD_A:.*]] :
// CHECK:       memref.copy %[[OLD_B]], %[[A]]
// CHECK:       memref.copy %[[OLD_A]], %[[B]]
func.func @swapped(%a: memref<8xf32> {buddy.kind = "input", buddy.name = "a", buddy.mutable},
                   %b: memref<8xf32> {buddy.kind = "input", buddy.name = "b", buddy.mutable})
    -> (memref<8xf32> {buddy.updates = 0 : i64}, memref<8xf32> {buddy.updates = 1 : i64}) {
  return %b, %a : memref<8xf32>, memref<8xf32>
}
