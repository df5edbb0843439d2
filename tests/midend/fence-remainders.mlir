// RUN: buddy-opt %s -buddy-fence-remainders | FileCheck %s
// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// CHECK-LABEL: llvm.func @remainders(
// CHECK-SAME:    %[[X:.*]]: f32, %[[Y:.*]]: f32, %[[V:.*]]: vector<8xf64>
// CHECK:       %[[YF:.*]] = llvm.call_intrinsic "llvm.arithmetic.fence"(%[[Y]]) : (f32) -> f32
// CHECK-NEXT:  llvm.frem %[[X]], %[[YF]] : f32
// CHECK:       %[[VF:.*]] = llvm.call_intrinsic "llvm.arithmetic.fence"(%[[V]])
// CHECK-NEXT:  llvm.frem %[[V]], %[[VF]] : vector<8xf64>
llvm.func @remainders(%x: f32, %y: f32, %v: vector<8xf64>) -> f32 {
  %a = llvm.frem %x, %y : f32
  %b = llvm.frem %v, %v : vector<8xf64>
  llvm.return %a : f32
}
