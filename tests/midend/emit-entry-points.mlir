// RUN: buddy-opt %s -split-input-file -buddy-emit-entry-points | FileCheck %s
// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// The launcher calls one symbol with an array of arguments, however many there are.
// CHECK-LABEL: llvm.func @buddy_invoke_forward
// CHECK-SAME:    (%[[ARGUMENTS:.*]]: !llvm.ptr)
// CHECK:       %[[FIRST:.*]] = llvm.load %{{.*}} : !llvm.ptr -> !llvm.ptr
// CHECK:       %[[SECOND:.*]] = llvm.load %{{.*}} : !llvm.ptr -> !llvm.ptr
// CHECK:       llvm.call @_mlir_ciface_forward(%[[FIRST]], %[[SECOND]])
// CHECK:       llvm.return
llvm.func @forward(%x: i64, %y: i64) attributes {buddy.entry = "buddy_invoke_forward", llvm.emit_c_interface} {
  llvm.return
}
llvm.func @_mlir_ciface_forward(%x: !llvm.ptr, %y: !llvm.ptr) attributes {llvm.emit_c_interface} {
  llvm.return
}
