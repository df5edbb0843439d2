// RUN: buddy-opt %s -split-input-file -buddy-parallelize-tiles | FileCheck %s
// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// One region; the scratch of a tile is made once a thread, outside of the loop over its part: tiles
// from 4 thread / team to 4 (thread + 1) / team.
// CHECK-LABEL: func private @kernel
// CHECK:       buddy.parallel {
// CHECK-NEXT:  ^bb0(%[[THREAD:.*]]: index, %[[TEAM:.*]]: index):
// CHECK-NEXT:    %[[FROM:.*]] = arith.muli %{{.*}}, %[[THREAD]]
// CHECK-NEXT:    %[[BEGIN:.*]] = arith.divui %[[FROM]], %[[TEAM]]
// CHECK-NEXT:    %[[NEXT:.*]] = arith.addi %[[THREAD]]
// CHECK-NEXT:    %[[TO:.*]] = arith.muli %{{.*}}, %[[NEXT]]
// CHECK-NEXT:    %[[END:.*]] = arith.divui %[[TO]], %[[TEAM]]
// CHECK:         memref.alloca
// CHECK:         scf.for %{{.*}} = %[[BEGIN]] to %[[END]]
// CHECK-NOT:       memref.alloca
// CHECK-NOT:   scf.forall
func.func private @kernel(%x: memref<64xf32>) attributes {buddy.kernel} {
  scf.forall (%i) = (0) to (64) step (16) {
    %tile = memref.subview %x[%i] [16] [1] : memref<64xf32> to memref<16xf32, strided<[1], offset: ?>>
    %a = memref.alloca() : memref<16xf32>
    linalg.copy ins(%tile : memref<16xf32, strided<[1], offset: ?>>) outs(%a : memref<16xf32>)
    linalg.copy ins(%a : memref<16xf32>) outs(%tile : memref<16xf32, strided<[1], offset: ?>>)
  }
  return
}
