// RUN: buddy-opt %s --pass-pipeline="builtin.module(func.func(buddy-expand-bf16))" | FileCheck %s
// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// CHECK-LABEL: func @vector
// CHECK-SAME:    (%[[X:.*]]: vector<8xf32>)
// CHECK-NOT:   arith.truncf
// CHECK:       arith.cmpf uno, %[[X]], %[[X]] : vector<8xf32>
// CHECK:       %[[BITS:.*]] = arith.select {{.*}} : vector<8xi1>, vector<8xi16>
// CHECK:       arith.bitcast %[[BITS]] : vector<8xi16> to vector<8xbf16>
func.func @vector(%x: vector<8xf32>) -> vector<8xbf16> {
  %y = arith.truncf %x : vector<8xf32> to vector<8xbf16>
  return %y : vector<8xbf16>
}

// CHECK-LABEL: func @double
// CHECK:       arith.truncf %{{.*}} : f64 to f32
// CHECK-NOT:   to bf16
// CHECK:       arith.bitcast %{{.*}} : i16 to bf16
func.func @double(%x: f64) -> bf16 {
  %y = arith.truncf %x : f64 to bf16
  return %y : bf16
}

// CHECK-LABEL: func @select
// CHECK:       arith.select %{{.*}} : i16
func.func @select(%c: i1, %x: bf16, %y: bf16) -> bf16 {
  %z = arith.select %c, %x, %y : bf16
  return %z : bf16
}

// Others are left to the CPU.
// CHECK-LABEL: func @half
// CHECK:       arith.truncf %{{.*}} : f32 to f16
func.func @half(%x: f32) -> f16 {
  %y = arith.truncf %x : f32 to f16
  return %y : f16
}
