// RUN: buddy-opt %s -split-input-file -buddy-lower-copies | FileCheck %s
// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// A strided memref.copy would become a call of MLIR's C runtime, which we do not link.
// CHECK-LABEL: func @strided
// CHECK-NOT:   memref.copy
// CHECK:       linalg
// CHECK-NOT:   memref.copy
func.func @strided(%x: memref<4x8xf32, strided<[16, 1]>>, %y: memref<4x8xf32>) {
  memref.copy %x, %y : memref<4x8xf32, strided<[16, 1]>> to memref<4x8xf32>
  return
}
