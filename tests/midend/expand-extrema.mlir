// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: buddy-opt %s -split-input-file -pass-pipeline='builtin.module(func.func(buddy-expand-extrema))' | FileCheck %s

// The state of a reduction, on the left, is compared once; whether the other one is a NaN is known
// before it is there.
// CHECK-LABEL: func @maximum
// CHECK-SAME:    (%[[STATE:.*]]: vector<16xf32>, %[[X:.*]]: vector<16xf32>)
// CHECK-DAG:   %[[LARGER:.*]] = arith.cmpf ogt, %[[X]], %[[STATE]]
// CHECK-DAG:   %[[NUMBER:.*]] = arith.select %[[LARGER]], %[[X]], %[[STATE]]
// CHECK-DAG:   %[[NAN:.*]] = arith.cmpf uno, %[[X]], %[[X]]
// CHECK:       %[[RESULT:.*]] = arith.select %[[NAN]], %[[X]], %[[NUMBER]]
// CHECK:       return %[[RESULT]]
func.func @maximum(%state: vector<16xf32>, %x: vector<16xf32>) -> vector<16xf32> {
  %0 = arith.maximumf %state, %x : vector<16xf32>
  return %0 : vector<16xf32>
}

// -----

// A limit is no NaN.
// CHECK-LABEL: func @limit
// CHECK:       arith.cmpf olt
// CHECK-NOT:   arith.cmpf
// CHECK:       return
func.func @limit(%x: f64) -> f64 {
  %six = arith.constant 6.0 : f64
  %0 = arith.minimumf %x, %six : f64
  return %0 : f64
}

// -----

// A softmax has its NaNs from the exponentials.
// CHECK-LABEL: func @lost
// CHECK-NOT:   arith.cmpf uno
// CHECK:       return
func.func @lost(%state: vector<16xf32>, %x: vector<16xf32>) -> vector<16xf32> {
  %0 = arith.maximumf %state, %x fastmath<nnan> : vector<16xf32>
  return %0 : vector<16xf32>
}

// -----

// CHECK-LABEL: func @reduction
// CHECK-NOT:   vector.reduction
// CHECK:       vector.shuffle {{.*}} [0, 1, 2, 3, 4, 5, 6, 7] : vector<16xf32>
// CHECK:       arith.cmpf ogt, {{.*}} : vector<8xf32>
// CHECK:       arith.cmpf ogt, {{.*}} : vector<4xf32>
// CHECK:       arith.cmpf ogt, {{.*}} : vector<2xf32>
// CHECK:       arith.cmpf ogt, {{.*}} : vector<1xf32>
// CHECK:       arith.cmpf ogt, {{.*}} : f32
// CHECK-NOT:   vector.reduction
// CHECK:       return
func.func @reduction(%x: vector<16xf32>, %before: f32) -> f32 {
  %0 = vector.reduction <maximumf>, %x, %before fastmath<reassoc> : vector<16xf32> into f32
  return %0 : f32
}

// -----

// Sums, integers and half precisions are left to others.
// CHECK-LABEL: func @others
// CHECK:       vector.reduction <add>
// CHECK:       vector.reduction <maxsi>
// CHECK:       arith.maximumf {{.*}} : vector<32xbf16>
func.func @others(%x: vector<16xf32>, %i: vector<16xi32>, %h: vector<32xbf16>, %g: vector<32xbf16>) -> (f32, i32, vector<32xbf16>) {
  %0 = vector.reduction <add>, %x : vector<16xf32> into f32
  %1 = vector.reduction <maxsi>, %i : vector<16xi32> into i32
  %2 = arith.maximumf %h, %g : vector<32xbf16>
  return %0, %1, %2 : f32, i32, vector<32xbf16>
}
