// RUN: buddy-opt %s -buddy-freeze-conversions | FileCheck %s
// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// CHECK-LABEL: llvm.func @conversions(
// CHECK-SAME:    %[[X:.*]]: vector<8xf32>, %[[Y:.*]]: f64
// CHECK:       %[[SIGNED:.*]] = llvm.fptosi %[[X]]
// CHECK-NEXT:  %[[A:.*]] = llvm.freeze %[[SIGNED]] : vector<8xi32>
// CHECK:       %[[UNSIGNED:.*]] = llvm.fptoui %[[Y]]
// CHECK-NEXT:  %[[B:.*]] = llvm.freeze %[[UNSIGNED]] : i64
// CHECK:       llvm.add %[[A]], %[[A]]
// CHECK:       llvm.add %[[B]], %[[B]]
llvm.func @conversions(%x: vector<8xf32>, %y: f64) -> i64 {
  %a = llvm.fptosi %x : vector<8xf32> to vector<8xi32>
  %b = llvm.fptoui %y : f64 to i64
  %c = llvm.add %a, %a : vector<8xi32>
  %d = llvm.add %b, %b : i64
  llvm.return %d : i64
}
