// RUN: buddy-opt %s -split-input-file '-buddy-emit-manifest=features=+avx2,+fma' | FileCheck %s
// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// CHECK-LABEL: func @forward
// CHECK-SAME:    buddy.entry = "buddy_invoke_forward"
// CHECK:       llvm.mlir.global external constant @buddy_manifest("
// CHECK-SAME:    \22abi\22:1
// CHECK-SAME:    \22dtype\22:\22f32\22,\22kind\22:\22input\22,\22name\22:\22x\22,\22shape\22:[-1,64]
// CHECK-SAME:    \22kind\22:\22output\22
// CHECK-SAME:    \22+avx2\22,\22+fma\22
// CHECK-SAME:    \00
func.func @forward(%x: memref<?x64xf32> {buddy.kind = "input", buddy.name = "x"},
                   %y: memref<?x64xf32> {buddy.kind = "output", buddy.name = "output.0"},
                   %w: memref<?xi8> {buddy.kind = "workspace", buddy.name = "workspace"}) {
  return
}
