// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: buddy-opt %s -split-input-file -buddy-stream-stores='cache-bytes=1000000' | FileCheck %s
// RUN: buddy-opt %s -split-input-file -pass-pipeline='builtin.module(buddy-stream-stores{cache-bytes=1000000}, func.func(buddy-parallelize-tiles))' | FileCheck %s --check-prefix=THREADS

// A result of a call that moves more than the cache holds: the store goes past it, if it is aligned,
// and each thread waits for its own stores.
// CHECK-LABEL: func private @double
// CHECK:         %[[BASE:.*]] = memref.extract_aligned_pointer_as_index
// CHECK:         %[[ADDRESS:.*]] = arith.addi %[[BASE]]
// CHECK:         %[[BEYOND:.*]] = arith.andi %[[ADDRESS]], %{{.*}}
// CHECK:         %[[ALIGNED:.*]] = arith.cmpi eq, %[[BEYOND]]
// CHECK:         scf.if %[[ALIGNED]]
// CHECK-NEXT:      vector.store {{.*}} {alignment = 64 : i64, nontemporal = true}
// CHECK-NEXT:    } else {
// CHECK-NEXT:      vector.store
// CHECK-NOT:       nontemporal
// CHECK:         vector.maskedstore
// THREADS-LABEL: func private @double
// THREADS:         buddy.parallel
// THREADS:           scf.for
// THREADS:             nontemporal
// THREADS:           llvm.fence seq_cst
func.func private @double(%x: memref<512x500xf32>, %out: memref<512x500xf32>, %mask: vector<16xi1>) {
  %c16 = arith.constant 16 : index
  scf.forall (%i) in (512) {
    %row = memref.subview %out[%i, 0] [1, 500] [1, 1] : memref<512x500xf32> to memref<1x500xf32, strided<[500, 1], offset: ?>>
    %c0 = arith.constant 0 : index
    %0 = vector.load %x[%i, %c0] : memref<512x500xf32>, vector<16xf32>
    %1 = arith.addf %0, %0 : vector<16xf32>
    vector.store %1, %row[%c0, %c16] : memref<1x500xf32, strided<[500, 1], offset: ?>>, vector<16xf32>
    vector.maskedstore %row[%c0, %c16], %mask, %1 : memref<1x500xf32, strided<[500, 1], offset: ?>>, vector<16xi1>, vector<16xf32>
  }
  return
}
func.func @forward(%x: memref<512x500xf32> {buddy.kind = "input"}, %out: memref<512x500xf32> {buddy.kind = "output"}, %mask: vector<16xi1>) {
  call @double(%x, %out, %mask) : (memref<512x500xf32>, memref<512x500xf32>, vector<16xi1>) -> ()
  return
}

// -----

// What stays: a result that another kernel reads (@first), one that the kernel itself reads
// (@second), an argument that is updated in place, and all results of a small call.
// CHECK-LABEL: func private @first
// CHECK-NOT:   nontemporal
// THREADS-LABEL: func private @first
// THREADS-NOT:   llvm.fence
func.func private @first(%out: memref<131072xf32>) {
  %zero = arith.constant dense<0.0> : vector<16xf32>
  scf.forall (%i) = (0) to (131072) step (16) {
    vector.store %zero, %out[%i] : memref<131072xf32>, vector<16xf32>
  }
  return
}
func.func private @second(%in: memref<131072xf32>, %out: memref<131072xf32>) {
  scf.forall (%i) = (0) to (131072) step (16) {
    %0 = vector.load %in[%i] : memref<131072xf32>, vector<16xf32>
    %1 = vector.load %out[%i] : memref<131072xf32>, vector<16xf32>
    %2 = arith.addf %0, %1 : vector<16xf32>
    vector.store %2, %out[%i] : memref<131072xf32>, vector<16xf32>
  }
  return
}
func.func private @third(%out: memref<131072xf32>) {
  %zero = arith.constant dense<0.0> : vector<16xf32>
  scf.forall (%i) = (0) to (131072) step (16) {
    vector.store %zero, %out[%i] : memref<131072xf32>, vector<16xf32>
  }
  return
}
func.func @forward(%state: memref<131072xf32> {buddy.kind = "input", buddy.mutable}, %a: memref<131072xf32> {buddy.kind = "output"}, %b: memref<131072xf32> {buddy.kind = "output"}) {
  call @first(%a) : (memref<131072xf32>) -> ()
  call @second(%a, %b) : (memref<131072xf32>, memref<131072xf32>) -> ()
  call @third(%state) : (memref<131072xf32>) -> ()
  return
}
func.func private @small(%out: memref<131072xf32>) {
  %zero = arith.constant dense<0.0> : vector<16xf32>
  scf.forall (%i) = (0) to (131072) step (16) {
    vector.store %zero, %out[%i] : memref<131072xf32>, vector<16xf32>
  }
  return
}
func.func @little(%a: memref<131072xf32> {buddy.kind = "output"}) {
  call @small(%a) : (memref<131072xf32>) -> ()
  return
}
