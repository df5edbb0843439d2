// RUN: buddy-opt %s -split-input-file -buddy-parallelize-tiles | FileCheck %s
// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// One region; the scratch of a tile is made once a thread, outside of the loop.
// CHECK-LABEL: func private @kernel
// CHECK:       omp.parallel
// CHECK:         memref.alloca
// CHECK:         omp.wsloop
// CHECK:           omp.loop_nest
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
