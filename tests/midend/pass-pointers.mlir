// RUN: buddy-opt %s -split-input-file -buddy-pass-pointers -canonicalize | FileCheck %s
// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// The list of calls computes addresses; reshapes and descriptors vanish from it.
// CHECK-LABEL: func private @kernel
// CHECK-SAME:    (%[[IN:.*]]: !llvm.ptr, %[[ROWS:.*]]: index, %[[OUT:.*]]: !llvm.ptr)
// CHECK:       builtin.unrealized_conversion_cast %{{.*}} : !llvm.struct<{{.*}}> to memref<?x8xf32>
// CHECK:       builtin.unrealized_conversion_cast %{{.*}} : !llvm.struct<{{.*}}> to memref<8xf32>
// CHECK-LABEL: func @forward
// CHECK-SAME:    (%[[WORKSPACE:.*]]: memref<?xi8>, %[[N:.*]]: index, %[[OFFSET:.*]]: index
// CHECK-NOT:   memref.expand_shape
// CHECK:       %[[BASE:.*]] = llvm.extractvalue %{{.*}}[1]
// CHECK:       %[[ADDRESS:.*]] = llvm.getelementptr %[[BASE]][%{{.*}}] : {{.*}} i8
// CHECK:       call @kernel(%[[ADDRESS]], %[[N]], %{{.*}}) : (!llvm.ptr, index, !llvm.ptr) -> ()
func.func private @kernel(%in: memref<?x8xf32>, %out: memref<8xf32>) {
  linalg.reduce ins(%in : memref<?x8xf32>) outs(%out : memref<8xf32>) dimensions = [0]
    (%a: f32, %b: f32) { %s = arith.addf %a, %b : f32 linalg.yield %s : f32 }
  return
}
func.func @forward(%workspace: memref<?xi8>, %n: index, %offset: index, %out: memref<8xf32>) {
  %view = memref.view %workspace[%offset][%n] : memref<?xi8> to memref<?xf32>
  %rows = memref.expand_shape %view [[0, 1]] output_shape [%n, 8] : memref<?xf32> into memref<?x8xf32>
  call @kernel(%rows, %out) : (memref<?x8xf32>, memref<8xf32>) -> ()
  return
}

// -----

// Another layout needs its strides: it stays a memref.
// CHECK-LABEL: func private @strided
// CHECK-SAME:    memref<4xf32, strided<[2]>>
func.func private @strided(%in: memref<4xf32, strided<[2]>>) {
  return
}
func.func @forward(%in: memref<4xf32, strided<[2]>>) {
  call @strided(%in) : (memref<4xf32, strided<[2]>>) -> ()
  return
}

// -----

// The size of a collapsed group is a product: no view is asked for it.
// CHECK-LABEL: func @collapsed
// CHECK-SAME:    (%[[WORKSPACE:.*]]: memref<?xi8>, %[[N:.*]]: index, %[[M:.*]]: index,
// CHECK-NOT:   shape
// CHECK:       %[[ROWS:.*]] = arith.muli %[[N]], %[[M]]
// CHECK-NOT:   shape
// CHECK:       call @rows(%{{.*}}, %[[ROWS]])
func.func private @rows(%in: memref<?x4xf32>) {
  return
}
func.func @collapsed(%workspace: memref<?xi8>, %n: index, %m: index, %offset: index) {
  %view = memref.view %workspace[%offset][%n, %m] : memref<?xi8> to memref<?x?xf32>
  %split = memref.expand_shape %view [[0], [1, 2]] output_shape [%n, %m, 4]
      : memref<?x?xf32> into memref<?x?x4xf32>
  %rows = memref.collapse_shape %split [[0, 1], [2]] : memref<?x?x4xf32> into memref<?x4xf32>
  call @rows(%rows) : (memref<?x4xf32>) -> ()
  return
}

// -----

// Upstream cannot lower a group of two dynamic extents: the view is made of its pointer.
// CHECK-LABEL: func @used_in_place
// CHECK-SAME:    (%[[FLAT:.*]]: memref<?xf32>, %[[ROWS:.*]]: index, %[[COLUMNS:.*]]: index
// CHECK-NOT:   memref.expand_shape
// CHECK-DAG:   llvm.insertvalue %[[HEIGHT:.*]], %{{.*}}[3, 0]
// CHECK-DAG:   llvm.insertvalue %[[WIDTH:.*]], %{{.*}}[3, 1]
// CHECK:       %[[VIEW:.*]] = builtin.unrealized_conversion_cast %{{.*}} : !llvm.struct<{{.*}}> to memref<?x?xf32>
// CHECK:       memref.load %[[VIEW]]
func.func @used_in_place(%flat: memref<?xf32>, %rows: index, %columns: index) -> f32 {
  %view = memref.expand_shape %flat [[0, 1]] output_shape [%rows, %columns] : memref<?xf32> into memref<?x?xf32>
  %one = arith.constant 1 : index
  %element = memref.load %view[%one, %one] : memref<?x?xf32>
  return %element : f32
}
