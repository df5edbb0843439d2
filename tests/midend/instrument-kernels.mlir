// RUN: buddy-opt %s -buddy-instrument-kernels | FileCheck %s
// RUN: buddy-opt %s -buddy-instrument-kernels -buddy-emit-manifest | FileCheck %s --check-prefix=MANIFEST
// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Time before and report after each call of a kernel, and around the whole; the work follows
// from the sizes of the call's operands. The kernel and the function itself are left alone.
// CHECK:       {entry = "forward", kernel = "double_0", where = "package/model.py:7"}
// CHECK-SAME:  {entry = "forward", kernel = "double_0", where = "Conv2d 3"}
// CHECK-LABEL: func private @double_0
// CHECK-NOT:     llvm.call
// CHECK-LABEL: func @forward
// CHECK-NOT:   llvm.
// CHECK-LABEL: func @buddy_profile_forward
// CHECK-SAME:    buddy.entry = "buddy_profile_forward"
// CHECK:       %[[CONTEXT:.*]] = llvm.load %{{.*}} : !llvm.ptr -> !llvm.ptr
// CHECK:       %[[NOW:.*]] = llvm.load %{{.*}} : !llvm.ptr -> !llvm.ptr
// CHECK:       %[[RECORD:.*]] = llvm.load %{{.*}} : !llvm.ptr -> !llvm.ptr
// CHECK:       %[[ENTERED:.*]] = llvm.call %[[NOW]]() : !llvm.ptr, () -> i64
// CHECK-NOT:   llvm.load
// CHECK:       %[[ROWS:.*]] = memref.dim %arg0
// CHECK:       arith.muli %[[ROWS]]
// CHECK:       %[[START:.*]] = llvm.call %[[NOW]]() : !llvm.ptr, () -> i64
// CHECK-NEXT:  call @double_0
// CHECK-NEXT:  %[[SITE:.*]] = llvm.mlir.constant(1 : i64)
// CHECK:       llvm.call %[[RECORD]](%[[CONTEXT]], %[[SITE]], %[[START]], %{{.*}}, %{{.*}}) : !llvm.ptr
// CHECK:       llvm.call %[[RECORD]](%[[CONTEXT]], %{{.*}}, %[[ENTERED]], %{{.*}}, %{{.*}}) : !llvm.ptr
// CHECK-NEXT:  return

// CHECK:       llvm.mlir.global external @buddy_profile_hooks

// MANIFEST:      @buddy_manifest
// MANIFEST-SAME:   \22profile\22:{\22kernels\22:{\22double_0\22:{\22arithmetic\22:\22f32\22
// MANIFEST-SAME:   \22sites\22:[{\22entry\22:\22forward\22},{\22entry\22:\22forward\22,\22kernel\22:\22double_0\22

#rows = affine_map<()[s0] -> (s0 * 64, s0 * 512)>
func.func private @double_0(%x: memref<?x64xf32>, %y: memref<?x64xf32>)
    attributes {buddy.kernel, buddy.arithmetic = "f32", buddy.sources = ["add"],
                buddy.work = #rows, buddy.work_sizes = array<i64: 0, 0>} {
  linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%x : memref<?x64xf32>) outs(%y : memref<?x64xf32>) {
  ^bb0(%p: f32, %o: f32):
    %s = arith.addf %p, %p : f32
    linalg.yield %s : f32
  }
  return
}
// What runs once is not worth a second body.
// CHECK-NOT:   buddy_profile_prepare
func.func @prepare(%x: memref<?x64xf32> {buddy.kind = "parameter", buddy.name = "x"},
                   %y: memref<?x64xf32> {buddy.kind = "prepared", buddy.name = "prepared.0"}) {
  call @double_0(%x, %y) : (memref<?x64xf32>, memref<?x64xf32>) -> ()
  return
}
func.func @forward(%x: memref<?x64xf32> {buddy.kind = "input", buddy.name = "x"},
                   %y: memref<?x64xf32> {buddy.kind = "output", buddy.name = "output.0"}) {
  call @double_0(%x, %y) : (memref<?x64xf32>, memref<?x64xf32>) -> () loc("add"("add_1"("/usr/lib/site-packages/package/model.py":7:0)))
  call @double_0(%x, %y) : (memref<?x64xf32>, memref<?x64xf32>) -> () loc("add"("add_1"("Conv2d 3")))
  return
}
