// RUN: buddy-opt %s -split-input-file -buddy-emit-entry-points -canonicalize | FileCheck %s
// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// The launcher calls one symbol with an array of arguments, however many there are. A symbol is
// behind its pointer; of a memref only the address and the dynamic sizes are read, and only where
// the first operation needs them.
// CHECK-LABEL: func @_mlir_ciface_forward
// CHECK-SAME:    (%[[X:.*]]: !llvm.ptr, %[[N:.*]]: !llvm.ptr, %[[UNUSED:.*]]: !llvm.ptr)
// CHECK-SAME:    passthrough = ["noinline", "optnone"]
// CHECK:       %[[ARRAY:.*]] = llvm.alloca
// CHECK-COUNT-3: llvm.store
// CHECK:       call @buddy_invoke_forward(%[[ARRAY]])
// CHECK-LABEL: func @buddy_invoke_forward
// CHECK-SAME:    (%[[ARGUMENTS:.*]]: !llvm.ptr)
// CHECK:       %[[POINTER:.*]] = llvm.getelementptr %[[ARGUMENTS]][1]
// CHECK:       llvm.load
// CHECK:       %[[LENGTH:.*]] = llvm.load %{{.*}} : !llvm.ptr -> i64
// CHECK:       %[[INDEX:.*]] = arith.index_cast %[[LENGTH]]
// CHECK:       call @first(%[[INDEX]])
// CHECK:       %[[DESCRIPTOR:.*]] = llvm.load %[[ARGUMENTS]] : !llvm.ptr -> !llvm.ptr
// CHECK:       llvm.getelementptr %[[DESCRIPTOR]][0, 1]
// CHECK:       llvm.getelementptr %[[DESCRIPTOR]][0, 3, 0]
// CHECK-NOT:   llvm.getelementptr
// CHECK:       call @second
func.func private @first(index)
func.func private @second(memref<?x64xf32>)
func.func @forward(%x: memref<?x64xf32>, %n: index, %unused: memref<4xf32>)
    attributes {buddy.entry = "buddy_invoke_forward"} {
  call @first(%n) : (index) -> ()
  call @second(%x) : (memref<?x64xf32>) -> ()
  return
}
