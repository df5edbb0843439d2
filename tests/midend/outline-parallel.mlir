// RUN: buddy-opt %s -buddy-outline-parallel | FileCheck %s
// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// CHECK:       llvm.func internal @kernel.tiles(%[[FROM:.*]]: !llvm.ptr, %[[THREAD:.*]]: i64, %[[TEAM:.*]]: i64)
// CHECK-DAG:     llvm.mlir.constant(4 : i64)
// CHECK-DAG:     %[[LIMIT:.*]] = llvm.load %{{.*}} -> i64
// CHECK-DAG:     %[[TO:.*]] = llvm.load %{{.*}} -> !llvm.ptr
// CHECK:         llvm.icmp "slt" %[[THREAD]], %[[LIMIT]]
// CHECK:         llvm.getelementptr %[[TO]]
// CHECK:         llvm.store %[[TEAM]]
// CHECK:         llvm.return

// What the region takes from outside goes through memory, but for constants.
// CHECK-LABEL: llvm.func @kernel
// CHECK-SAME:    %[[X:.*]]: !llvm.ptr, %[[N:.*]]: i64
// CHECK:         %[[DATA:.*]] = llvm.alloca %{{.*}} x !llvm.struct<(i64, ptr)>
// CHECK:         llvm.store %[[N]],
// CHECK:         llvm.store %[[X]],
// CHECK:         %[[BODY:.*]] = llvm.mlir.addressof @kernel.tiles
// CHECK:         %[[PLACE:.*]] = llvm.mlir.addressof @buddy_run_parallel
// CHECK:         %[[RUNNER:.*]] = llvm.load %[[PLACE]]
// CHECK:         llvm.call %[[RUNNER]](%[[BODY]], %[[DATA]])
llvm.func @kernel(%x: !llvm.ptr, %n: i64) {
  %four = llvm.mlir.constant(4 : i64) : i64
  buddy.parallel {
  ^bb0(%thread: i64, %team: i64):
    %more = llvm.icmp "slt" %thread, %n : i64
    llvm.cond_br %more, ^bb1, ^bb2
  ^bb1:
    %next = llvm.mul %thread, %four : i64
    %place = llvm.getelementptr %x[%next] : (!llvm.ptr, i64) -> !llvm.ptr, i64
    llvm.store %team, %place : i64, !llvm.ptr
    llvm.br ^bb2
  ^bb2:
    buddy.parallel_end
  }
  llvm.return
}

// Nobody has brought threads yet.
// CHECK:       llvm.func internal @run_alone(%[[F:.*]]: !llvm.ptr, %[[D:.*]]: !llvm.ptr)
// CHECK:         %[[ZERO:.*]] = llvm.mlir.constant(0 : i64)
// CHECK:         %[[ONE:.*]] = llvm.mlir.constant(1 : i64)
// CHECK:         llvm.call %[[F]](%[[D]], %[[ZERO]], %[[ONE]])
// CHECK:       llvm.mlir.global external @buddy_run_parallel()
// CHECK:         llvm.mlir.addressof @run_alone
