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

// -----

// The order of constants says nothing; which one is added does.
// CHECK-COUNT-2: func private
// CHECK-NOT:   func private
// CHECK-LABEL: func @ordered
// CHECK:       %[[A:.*]] = call @[[KERNEL:.*]](%{{.*}})
// CHECK:       call @[[KERNEL]](%[[A]])
// CHECK-NOT:   call @[[KERNEL]](
func.func private @two_three(%x: f32) -> f32 attributes {buddy.kernel} {
  %two = arith.constant 2.0 : f32
  %three = arith.constant 3.0 : f32
  %y = arith.mulf %x, %two : f32
  %z = arith.addf %y, %three : f32
  return %z : f32
}
func.func private @three_two(%x: f32) -> f32 attributes {buddy.kernel} {
  %three = arith.constant 3.0 : f32
  %two = arith.constant 2.0 : f32
  %y = arith.mulf %x, %two : f32
  %z = arith.addf %y, %three : f32
  return %z : f32
}
func.func private @exchanged(%x: f32) -> f32 attributes {buddy.kernel} {
  %three = arith.constant 3.0 : f32
  %two = arith.constant 2.0 : f32
  %y = arith.mulf %x, %three : f32
  %z = arith.addf %y, %two : f32
  return %z : f32
}
func.func @ordered(%x: f32) -> f32 {
  %a = call @two_three(%x) : (f32) -> f32
  %b = call @three_two(%a) : (f32) -> f32
  %c = call @exchanged(%b) : (f32) -> f32
  return %c : f32
}
