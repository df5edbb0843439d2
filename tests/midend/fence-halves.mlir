// RUN: buddy-opt %s -buddy-fence-halves | FileCheck %s
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

// CHECK-LABEL: llvm.func @quotients(
// CHECK:       %[[Y:.*]] = llvm.fpext %arg1 : bf16 to f32
// CHECK:       %[[F:.*]] = llvm.call_intrinsic "llvm.arithmetic.fence"(%[[Y]])
// CHECK-NEXT:  llvm.fdiv %{{.*}}, %[[F]] : f32
// CHECK-NOT:   llvm.arithmetic.fence
llvm.func @quotients(%x: f16, %y: bf16) -> f32 {
  %a = llvm.fpext %x : f16 to f32
  %b = llvm.fpext %y : bf16 to f32
  %c = llvm.fdiv %a, %b : f32
  %d = llvm.fmul %b, %b : f32
  %e = llvm.fadd %c, %d : f32
  llvm.return %e : f32
}

// CHECK-LABEL: llvm.func @comparisons(
// CHECK:       %[[X:.*]] = llvm.fpext %arg0 : vector<16xbf16> to vector<16xf32>
// CHECK-NEXT:  %[[F:.*]] = llvm.call_intrinsic "llvm.arithmetic.fence"(%[[X]])
// CHECK-NEXT:  llvm.fcmp "oge" %[[F]], %[[X]] : vector<16xf32>
// CHECK:       %[[G:.*]] = llvm.call_intrinsic "llvm.arithmetic.fence"(%[[X]])
// CHECK-NEXT:  llvm.fcmp "olt" %arg1, %[[G]] : vector<16xf32>
// CHECK-NOT:   llvm.arithmetic.fence
llvm.func @comparisons(%x: vector<16xbf16>, %y: vector<16xf32>, %z: vector<16xf16>) {
  %a = llvm.fpext %x : vector<16xbf16> to vector<16xf32>
  %b = llvm.fcmp "oge" %a, %a : vector<16xf32>
  %c = llvm.fcmp "olt" %y, %a : vector<16xf32>
  %d = llvm.fpext %z : vector<16xf16> to vector<16xf32>
  %e = llvm.fcmp "olt" %y, %d : vector<16xf32>
  llvm.return
}
