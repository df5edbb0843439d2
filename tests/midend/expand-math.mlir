// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: buddy-opt %s -split-input-file -pass-pipeline='builtin.module(func.func(buddy-expand-math))' | FileCheck %s
// RUN: buddy-opt %s -split-input-file -pass-pipeline='builtin.module(func.func(buddy-expand-math{has-avx512=true}))' | FileCheck %s --check-prefix=AVX512

// No function of a vector is left for libm to compute lane by lane.
// CHECK-LABEL: func @vectors
// CHECK-NOT:   math.{{exp|exp2|tanh|erf}}
// CHECK:       math.fma {{.*}} : vector<16xf32>
// CHECK-NOT:   math.{{exp|exp2|tanh|erf}}
// CHECK:       return
func.func @vectors(%x: vector<16xf32>) -> vector<16xf32> {
  %a = math.exp %x : vector<16xf32>
  %b = math.tanh %a : vector<16xf32>
  %c = math.erf %b : vector<16xf32>
  %d = math.exp2 %c : vector<16xf32>
  return %d : vector<16xf32>
}

// -----

// bf16 is computed in f32 and rounded once.
// CHECK-LABEL: func @narrow
// CHECK:       arith.extf {{.*}} : vector<16xbf16> to vector<16xf32>
// CHECK-NOT:   math.exp
// CHECK:       arith.truncf {{.*}} : vector<16xf32> to vector<16xbf16>
func.func @narrow(%x: vector<16xbf16>) -> vector<16xbf16> {
  %a = math.exp %x : vector<16xbf16>
  return %a : vector<16xbf16>
}

// -----

// Scalars and f64 keep libm's accuracy.
// CHECK-LABEL: func @libm
// CHECK:       math.exp %{{.*}} : f32
// CHECK:       math.exp %{{.*}} : vector<8xf64>
func.func @libm(%x: f32, %y: vector<8xf64>) -> (f32, vector<8xf64>) {
  %a = math.exp %x : f32
  %b = math.exp %y : vector<8xf64>
  return %a, %b : f32, vector<8xf64>
}

// -----

// AVX-512 scales by powers of two in one instruction.
// AVX512-LABEL: func @scaled
// AVX512:       llvm.call_intrinsic "llvm.x86.avx512.mask.scalef.ps.512"
// AVX512-NOT:   arith.shli
func.func @scaled(%x: vector<16xf32>) -> vector<16xf32> {
  %a = math.exp %x : vector<16xf32>
  return %a : vector<16xf32>
}

// -----

// It looks the coefficients of 32 polynomials up in one, too.
// AVX512-LABEL: func @pieces
// AVX512:       %[[PIECE:.*]] = arith.fptosi {{.*}} : vector<16xf32> to vector<16xi32>
// AVX512-COUNT-7: llvm.call_intrinsic "llvm.x86.avx512.vpermi2var.ps.512"(%{{.*}}, %[[PIECE]], %{{.*}})
// AVX512:       %[[PIECE:.*]] = arith.fptosi {{.*}} : vector<16xf32> to vector<16xi32>
// AVX512-COUNT-6: llvm.call_intrinsic "llvm.x86.avx512.vpermi2var.ps.512"(%{{.*}}, %[[PIECE]], %{{.*}})
// AVX512-NOT:   scalef
// AVX512-NOT:   arith.divf
// AVX512:       return
func.func @pieces(%x: vector<16xf32>) -> vector<16xf32> {
  %a = math.tanh %x : vector<16xf32>
  %b = math.erf %a : vector<16xf32>
  return %b : vector<16xf32>
}

// -----

// LLVM would take exp(x) - 1 literally; x / log(exp(x)) puts the lost digits right.
// CHECK-LABEL: func @small_digits
// CHECK-NOT:   math.expm1
// CHECK:       %[[U:.*]] = math.exp %[[X:.*]] : f64
// CHECK:       %[[LOG:.*]] = math.log %[[U]] : f64
// CHECK:       arith.divf %[[X]], %[[LOG]] : f64
// CHECK-NOT:   math.log1p
// CHECK:       math.log %{{.*}} : vector<8xf64>
func.func @small_digits(%x: f64, %y: vector<8xf64>) -> (f64, vector<8xf64>) {
  %a = math.expm1 %x : f64
  %b = math.log1p %y : vector<8xf64>
  return %a, %b : f64, vector<8xf64>
}

// -----

// The polynomial of log sees no subnormal number: they are scaled by 2^23 = 8388608.
// CHECK-LABEL: func @subnormal
// CHECK:       %[[SCALE:.*]] = arith.constant dense<0x4B000000> : vector<16xf32>
// CHECK:       arith.mulf %{{.*}}, %[[SCALE]] : vector<16xf32>
func.func @subnormal(%x: vector<16xf32>) -> vector<16xf32> {
  %a = math.log %x : vector<16xf32>
  return %a : vector<16xf32>
}
