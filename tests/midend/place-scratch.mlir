// RUN: buddy-opt %s -split-input-file -buddy-place-scratch=stack-bytes=1024 | FileCheck %s
// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// CHECK-LABEL: func private @small
// CHECK-NOT:   memref.alloc()
// CHECK:       memref.alloca() {{.*}}: memref<4x16xf32>
func.func private @small(%x: memref<4x16xf32>) attributes {buddy.kernel} {
  %a = memref.alloc() {alignment = 64 : i64} : memref<4x16xf32>
  linalg.copy ins(%x : memref<4x16xf32>) outs(%a : memref<4x16xf32>)
  return
}

// -----

// Too large for the stack: freed where its block ends.
// CHECK-LABEL: func private @large
// CHECK:       %[[A:.*]] = memref.alloc()
// CHECK:       memref.dealloc %[[A]]
// CHECK-NEXT:  return
func.func private @large(%x: memref<4096xf32>) attributes {buddy.kernel} {
  %a = memref.alloc() : memref<4096xf32>
  linalg.copy ins(%x : memref<4096xf32>) outs(%a : memref<4096xf32>)
  return
}
