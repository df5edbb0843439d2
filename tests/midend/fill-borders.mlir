// RUN: buddy-opt %s -split-input-file -buddy-fill-borders | FileCheck %s
// RUN: buddy-opt %s -split-input-file -buddy-fill-borders -buddy-tile-kernels -one-shot-bufferize=bufferize-function-boundaries | FileCheck %s --check-prefix=BUFFER
// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// The lines before and after the middle are filled whole, of its own lines the ends; no dimension
// without a border has a slab.
// CHECK-LABEL: func private @padding
// CHECK-SAME:    %[[IN:.*]]: tensor<56x56x8xf32>, %[[OUT:.*]]: tensor<1x59x58x8xf32>
// CHECK:       tensor.extract_slice %[[OUT]][0, 0, 0, 0] [1, 1, 58, 8]
// CHECK:       linalg.fill
// CHECK:       tensor.extract_slice %{{.*}}[0, 57, 0, 0] [1, 2, 58, 8]
// CHECK:       linalg.fill
// CHECK:       tensor.extract_slice %{{.*}}[0, 1, 0, 0] [1, 56, 1, 8]
// CHECK:       linalg.fill
// CHECK:       tensor.extract_slice %{{.*}}[0, 1, 57, 0] [1, 56, 1, 8]
// CHECK:       linalg.fill
// CHECK:       %[[BORDER:.*]] = tensor.insert_slice
// CHECK-NOT:   linalg.fill
// CHECK:       tensor.insert_slice %[[IN]] into %[[BORDER]][0, 1, 1, 0]
// All in place.
// BUFFER-LABEL: func private @padding
// BUFFER-NOT:   memref.alloc
// BUFFER-COUNT-4: linalg.fill
// BUFFER-NOT:   memref.alloc
// BUFFER-NOT:   linalg.fill
// BUFFER:       return
func.func private @padding(%x: tensor<56x56x8xf32>, %dest: tensor<1x59x58x8xf32> {bufferization.writable = true}) -> tensor<1x59x58x8xf32> attributes {buddy.kernel} {
  %zero = arith.constant 0.0 : f32
  %f = linalg.fill ins(%zero : f32) outs(%dest : tensor<1x59x58x8xf32>) -> tensor<1x59x58x8xf32>
  %r = tensor.insert_slice %x into %f[0, 1, 1, 0] [1, 56, 56, 8] [1, 1, 1, 1] {buddy.tile_dims = array<i64>} : tensor<56x56x8xf32> into tensor<1x59x58x8xf32>
  return %r : tensor<1x59x58x8xf32>
}

// -----

// Every second element leaves no border.
// CHECK-LABEL: func private @strided
// CHECK:       %[[F:.*]] = linalg.fill ins(%{{.*}} : f32) outs(%arg1 : tensor<15xf32>)
// CHECK:       tensor.insert_slice %arg0 into %[[F]]
func.func private @strided(%x: tensor<8xf32>, %dest: tensor<15xf32>) -> tensor<15xf32> attributes {buddy.kernel} {
  %zero = arith.constant 0.0 : f32
  %f = linalg.fill ins(%zero : f32) outs(%dest : tensor<15xf32>) -> tensor<15xf32>
  %r = tensor.insert_slice %x into %f[0] [8] [2] {buddy.tile_dims = array<i64>} : tensor<8xf32> into tensor<15xf32>
  return %r : tensor<15xf32>
}

// -----

// Where the middle lies is known when it runs.
// CHECK-LABEL: func private @somewhere
// CHECK:       %[[F:.*]] = linalg.fill ins(%{{.*}} : f32) outs(%arg1 : tensor<15xf32>)
// CHECK:       tensor.insert_slice %arg0 into %[[F]]
func.func private @somewhere(%x: tensor<8xf32>, %dest: tensor<15xf32>, %at: index) -> tensor<15xf32> attributes {buddy.kernel} {
  %zero = arith.constant 0.0 : f32
  %f = linalg.fill ins(%zero : f32) outs(%dest : tensor<15xf32>) -> tensor<15xf32>
  %r = tensor.insert_slice %x into %f[%at] [8] [1] {buddy.tile_dims = array<i64>} : tensor<8xf32> into tensor<15xf32>
  return %r : tensor<15xf32>
}
