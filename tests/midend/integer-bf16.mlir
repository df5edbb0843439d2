// RUN: buddy-opt %s -buddy-integer-bf16 | FileCheck %s
// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// CHECK-NOT:   bf16
// CHECK:       llvm.mlir.global internal constant @table(dense<[16256, -16384]> : tensor<2xi16>) {{.*}} : !llvm.array<2 x i16>
llvm.mlir.global internal constant @table(dense<[1.0, -2.0]> : tensor<2xbf16>) : !llvm.array<2 x bf16>

// What is moved is moved as i16; widening is a shift.
// CHECK-LABEL: llvm.func @moves
// CHECK:       %[[ZERO:.*]] = llvm.mlir.constant(dense<0> : vector<8xi16>) : vector<8xi16>
// CHECK:       %[[X:.*]] = llvm.intr.masked.load {{.*}}, %[[ZERO]] {{.*}} -> vector<8xi16>
// CHECK:       llvm.getelementptr {{.*}} -> !llvm.ptr, i16
// CHECK:       %[[Y:.*]] = llvm.load {{.*}} -> i16
// CHECK:       llvm.insertelement %[[Y]], %[[X]]{{.*}} : vector<8xi16>
// CHECK:       %[[WORD:.*]] = llvm.zext {{.*}} : vector<8xi16> to vector<8xi32>
// CHECK:       %[[UPPER:.*]] = llvm.shl %[[WORD]]
// CHECK:       llvm.bitcast %[[UPPER]] : vector<8xi32> to vector<8xf32>
// CHECK-NOT:   bf16
llvm.func @moves(%p: !llvm.ptr, %m: vector<8xi1>) -> vector<8xf32> {
  %zero = llvm.mlir.constant(dense<0.0> : vector<8xbf16>) : vector<8xbf16>
  %i = llvm.mlir.constant(3 : i64) : i64
  %x = llvm.intr.masked.load %p, %m, %zero {alignment = 2 : i32} : (!llvm.ptr, vector<8xi1>, vector<8xbf16>) -> vector<8xbf16>
  %q = llvm.getelementptr %p[%i] : (!llvm.ptr, i64) -> !llvm.ptr, bf16
  %y = llvm.load %q {alignment = 2 : i64} : !llvm.ptr -> bf16
  %z = llvm.insertelement %y, %x[%i : i64] : vector<8xbf16>
  %w = llvm.fpext %z : vector<8xbf16> to vector<8xf32>
  llvm.return %w : vector<8xf32>
}

// CHECK-LABEL: llvm.func @scalars(%arg0: i16) -> f64
// CHECK:       llvm.mlir.constant(16256 : i16) : i16
// CHECK:       llvm.mlir.constant(16 : i32) : i32
// CHECK:       llvm.bitcast {{.*}} : i32 to f32
// CHECK:       llvm.fpext {{.*}} : f32 to f64
llvm.func @scalars(%x: bf16) -> f64 {
  %one = llvm.mlir.constant(1.0 : bf16) : bf16
  %c = llvm.mlir.constant(true) : i1
  %bits = llvm.bitcast %one : bf16 to i16
  %again = llvm.bitcast %bits : i16 to bf16
  %y = llvm.select %c, %x, %again : i1, bf16
  %w = llvm.fpext %y : bf16 to f64
  llvm.return %w : f64
}
