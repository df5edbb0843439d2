// RUN: buddy-opt %s -split-input-file -buddy-deduplicate-kernels | FileCheck %s
// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Equal structure is one kernel, whatever its name; another constant is another kernel.
// CHECK-COUNT-2: func private
// CHECK-NOT:   func private
// CHECK-LABEL: func @forward
// CHECK:       %[[A:.*]] = call @[[KERNEL:.*]](%{{.*}})
// CHECK:       %[[B:.*]] = call @[[KERNEL]](%[[A]])
// CHECK-NOT:   call @[[KERNEL]](
// CHECK:       call @{{.*}}(%[[B]])
func.func private @first(%x: tensor<8xf32>) -> tensor<8xf32> attributes {buddy.kernel} {
  %c = arith.constant dense<2.0> : tensor<8xf32>
  %y = arith.mulf %x, %c : tensor<8xf32>
  return %y : tensor<8xf32>
}
func.func private @second(%x: tensor<8xf32>) -> tensor<8xf32> attributes {buddy.kernel} {
  %c = arith.constant dense<2.0> : tensor<8xf32>
  %y = arith.mulf %x, %c : tensor<8xf32>
  return %y : tensor<8xf32>
}
func.func private @third(%x: tensor<8xf32>) -> tensor<8xf32> attributes {buddy.kernel} {
  %c = arith.constant dense<3.0> : tensor<8xf32>
  %y = arith.mulf %x, %c : tensor<8xf32>
  return %y : tensor<8xf32>
}
func.func @forward(%x: tensor<8xf32>) -> tensor<8xf32> {
  %a = call @first(%x) : (tensor<8xf32>) -> tensor<8xf32>
  %b = call @second(%a) : (tensor<8xf32>) -> tensor<8xf32>
  %c = call @third(%b) : (tensor<8xf32>) -> tensor<8xf32>
  return %c : tensor<8xf32>
}
