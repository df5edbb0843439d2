// RUN: buddy-opt %s -split-input-file -buddy-pack-matmul=vector-bits=256 | FileCheck %s
// RUN: buddy-opt %s -split-input-file -buddy-pack-matmul='vector-bits=256 has-int8-dot=true' | FileCheck %s --check-prefix=DOT
// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// A transposed weight is packed as it lies in memory: no transpose is left.
// CHECK-LABEL: func @transposed_weight
// CHECK-SAME:    %[[X:.*]]: tensor<4x64xf32>, %[[W:.*]]: tensor<128x64xf32>
// CHECK-NOT:   linalg.transpose
// CHECK:       %[[PANELS:.*]] = linalg.pack %[[W]] {{.*}}inner_tiles = [16, 1]{{.*}} -> tensor<8x64x16x1xf32>
// CHECK:       "buddy.matmul"(%[[X]], %[[PANELS]]
// CHECK-NOT:   linalg.matmul
func.func @transposed_weight(%x: tensor<4x64xf32>, %w: tensor<128x64xf32>) -> tensor<4x128xf32> {
  %zero = arith.constant 0.0 : f32
  %columns = tensor.empty() : tensor<64x128xf32>
  %wt = linalg.transpose ins(%w : tensor<128x64xf32>) outs(%columns : tensor<64x128xf32>) permutation = [1, 0]
  %empty = tensor.empty() : tensor<4x128xf32>
  %init = linalg.fill ins(%zero : f32) outs(%empty : tensor<4x128xf32>) -> tensor<4x128xf32>
  %m = linalg.matmul ins(%x, %wt : tensor<4x64xf32>, tensor<64x128xf32>) outs(%init : tensor<4x128xf32>) -> tensor<4x128xf32>
  return %m : tensor<4x128xf32>
}

// -----

// Integers have no packed schedule.
// CHECK-LABEL: func @integers
// CHECK:       linalg.matmul
// CHECK-NOT:   buddy.matmul
func.func @integers(%x: tensor<4x8xi32>, %w: tensor<8x16xi32>) -> tensor<4x16xi32> {
  %zero = arith.constant 0 : i32
  %empty = tensor.empty() : tensor<4x16xi32>
  %init = linalg.fill ins(%zero : i32) outs(%empty : tensor<4x16xi32>) -> tensor<4x16xi32>
  %m = linalg.matmul ins(%x, %w : tensor<4x8xi32>, tensor<8x16xi32>) outs(%init : tensor<4x16xi32>) -> tensor<4x16xi32>
  return %m : tensor<4x16xi32>
}

// -----

// Bytes have one where the CPU adds up their products, four at a time.
// CHECK-LABEL: func @bytes
// CHECK:       linalg.matmul
// DOT-LABEL: func @bytes
// DOT:         %[[PANELS:.*]] = linalg.pack {{.*}}inner_tiles = [16, 4]{{.*}} -> tensor<1x2x16x4xi8>
// DOT:         "buddy.matmul"(%{{.*}}, %[[PANELS]]
func.func @bytes(%x: tensor<4x8xi8>, %w: tensor<8x16xi8>) -> tensor<4x16xi32> {
  %zero = arith.constant 0 : i32
  %empty = tensor.empty() : tensor<4x16xi32>
  %init = linalg.fill ins(%zero : i32) outs(%empty : tensor<4x16xi32>) -> tensor<4x16xi32>
  %m = linalg.matmul ins(%x, %w : tensor<4x8xi8>, tensor<8x16xi8>) outs(%init : tensor<4x16xi32>) -> tensor<4x16xi32>
  return %m : tensor<4x16xi32>
}
