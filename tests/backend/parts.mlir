// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: rm -rf %t && mkdir %t
// RUN: buddy-compile %s -o %t/out.so --timing-json=%t/times.json
// RUN: readelf --dyn-syms --wide %t/out.so | FileCheck %s
// RUN: ls %t | FileCheck %s --check-prefix=FILES

// Functions enough for several parts, made side by side: linked, they are one library that
// exports what a whole module would, and no part is left behind.
// CHECK-NOT:  elementwise
// CHECK-DAG:  buddy_manifest
// CHECK-DAG:  buddy_invoke_first
// CHECK-DAG:  buddy_invoke_second
// CHECK-DAG:  buddy_invoke_sixth
// CHECK-DAG:  buddy_workspace_sixth
// CHECK-NOT:  elementwise
// FILES:      out.so
// FILES-NEXT: times.json
// FILES-NOT:  {{.}}
func.func @first(%x: tensor<4096xf32> {buddy.kind = "input", buddy.name = "x"}) -> tensor<4096xf32> {
  %c = arith.constant dense<1.0> : tensor<4096xf32>
  %e = tensor.empty() : tensor<4096xf32>
  %r = linalg.add ins(%x, %c : tensor<4096xf32>, tensor<4096xf32>) outs(%e : tensor<4096xf32>) -> tensor<4096xf32>
  return %r : tensor<4096xf32>
}
func.func @second(%x: tensor<4096xf32> {buddy.kind = "input", buddy.name = "x"}) -> tensor<4096xf32> {
  %c = arith.constant dense<2.0> : tensor<4096xf32>
  %e = tensor.empty() : tensor<4096xf32>
  %r = linalg.add ins(%x, %c : tensor<4096xf32>, tensor<4096xf32>) outs(%e : tensor<4096xf32>) -> tensor<4096xf32>
  return %r : tensor<4096xf32>
}
func.func @third(%x: tensor<4096xf32> {buddy.kind = "input", buddy.name = "x"}) -> tensor<4096xf32> {
  %c = arith.constant dense<3.0> : tensor<4096xf32>
  %e = tensor.empty() : tensor<4096xf32>
  %r = linalg.add ins(%x, %c : tensor<4096xf32>, tensor<4096xf32>) outs(%e : tensor<4096xf32>) -> tensor<4096xf32>
  return %r : tensor<4096xf32>
}
func.func @fourth(%x: tensor<4096xf32> {buddy.kind = "input", buddy.name = "x"}) -> tensor<4096xf32> {
  %c = arith.constant dense<4.0> : tensor<4096xf32>
  %e = tensor.empty() : tensor<4096xf32>
  %r = linalg.add ins(%x, %c : tensor<4096xf32>, tensor<4096xf32>) outs(%e : tensor<4096xf32>) -> tensor<4096xf32>
  return %r : tensor<4096xf32>
}
func.func @fifth(%x: tensor<4096xf32> {buddy.kind = "input", buddy.name = "x"}) -> tensor<4096xf32> {
  %c = arith.constant dense<5.0> : tensor<4096xf32>
  %e = tensor.empty() : tensor<4096xf32>
  %r = linalg.add ins(%x, %c : tensor<4096xf32>, tensor<4096xf32>) outs(%e : tensor<4096xf32>) -> tensor<4096xf32>
  return %r : tensor<4096xf32>
}
func.func @sixth(%x: tensor<4096xf32> {buddy.kind = "input", buddy.name = "x"}) -> tensor<4096xf32> {
  %c = arith.constant dense<6.0> : tensor<4096xf32>
  %e = tensor.empty() : tensor<4096xf32>
  %r = linalg.add ins(%x, %c : tensor<4096xf32>, tensor<4096xf32>) outs(%e : tensor<4096xf32>) -> tensor<4096xf32>
  return %r : tensor<4096xf32>
}
