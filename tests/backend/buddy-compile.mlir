// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: rm -rf %t && mkdir %t
// RUN: buddy-compile %s -o %t/out.ll --emit=llvm --features=+avx2,+fma --dump-stages=%t/stages --timing-json=%t/times.json
// RUN: FileCheck %s --input-file=%t/out.ll
// RUN: FileCheck %s --check-prefix=TIMES --input-file=%t/times.json
// RUN: ls %t/stages | FileCheck %s --check-prefix=STAGES
// RUN: buddy-compile %s -o %t/out.so && test -s %t/out.so
// RUN: not buddy-compile %s -o %t/none.so --target=tpu 2>&1 | FileCheck %s --check-prefix=TARGET
// RUN: not buddy-compile %t/missing.mlirbc -o %t/none.so 2>&1 | FileCheck %s --check-prefix=MISSING
// RUN: not buddy-compile %s -o %t/no/such/folder/out.so 2>&1 | FileCheck %s --check-prefix=FOLDER
// RUN: not ls %t/none.so

// The features asked for are in the manifest; the entry point takes an array of arguments.
// CHECK:      @buddy_manifest = {{.*}}\22features\22:[\22+avx2\22,\22+fma\22]
// CHECK-NOT:  define void @elementwise
// CHECK-DAG:  define void @buddy_invoke_forward(ptr
// CHECK-DAG:  define {{.*}}i64 @buddy_workspace_forward(ptr
// TIMES:      "bufferized":{{.*}}"optimize":
// STAGES:     00-graph.mlir
// STAGES:     06-llvm.mlir
// TARGET:     unknown target `tpu`; there is: cpu
// MISSING:    cannot read {{.*}}missing.mlirbc
// FOLDER:     no/such/folder
func.func @forward(%x: tensor<?xf32> {buddy.kind = "input", buddy.name = "x"}) -> tensor<?xf32> {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?xf32>
  %e = tensor.empty(%n) : tensor<?xf32>
  %r = linalg.negf ins(%x : tensor<?xf32>) outs(%e : tensor<?xf32>) -> tensor<?xf32>
  return %r : tensor<?xf32>
}
