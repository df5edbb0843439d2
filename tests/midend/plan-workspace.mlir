// RUN: buddy-opt %s -split-input-file -buddy-plan-workspace -canonicalize | FileCheck %s
// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Three buffers of 1024 bytes, of which two live at a time: two slots.
// CHECK-LABEL: func @workspace_forward
// CHECK-SAME:    buddy.entry = "buddy_workspace_forward"
// CHECK:       %[[BYTES:.*]] = arith.constant 2048 : index
// CHECK:       return %[[BYTES]]
// CHECK-LABEL: func @forward
// CHECK-SAME:    %[[W:[a-z0-9]+]]: memref<?xi8> {buddy.kind = "workspace", buddy.name = "workspace"})
// CHECK-NOT:   memref.alloc
// CHECK-COUNT-3: memref.view %[[W]]
func.func private @kernel(memref<256xf32>, memref<256xf32>)
func.func @forward(%x: memref<256xf32> {buddy.kind = "input", buddy.name = "x"},
                   %y: memref<256xf32> {buddy.kind = "output", buddy.name = "output.0"}) {
  %a = memref.alloc() : memref<256xf32>
  call @kernel(%x, %a) : (memref<256xf32>, memref<256xf32>) -> ()
  %b = memref.alloc() : memref<256xf32>
  call @kernel(%a, %b) : (memref<256xf32>, memref<256xf32>) -> ()
  %c = memref.alloc() : memref<256xf32>
  call @kernel(%b, %c) : (memref<256xf32>, memref<256xf32>) -> ()
  call @kernel(%c, %y) : (memref<256xf32>, memref<256xf32>) -> ()
  return
}

// -----

// A size that is an argument itself, as a dynamic sequence length is.
// CHECK-LABEL: func @workspace_dynamic
// CHECK-SAME:    (%[[LENGTH:[a-z0-9]+]]: index
// CHECK:       arith.muli %[[LENGTH]]
// CHECK-LABEL: func @dynamic
// CHECK-NOT:   memref.alloc
// CHECK:       memref.view
func.func private @kernel(index, memref<?xf32>)
func.func @dynamic(%n: index {buddy.kind = "symbol", buddy.name = "s0"}) {
  %a = memref.alloc(%n) : memref<?xf32>
  call @kernel(%n, %a) : (index, memref<?xf32>) -> ()
  return
}

// -----

// A size that only a result of the caller's has is not known when the workspace's is asked for.
// CHECK-LABEL: func @workspace_late
// CHECK:       %[[BYTES:.*]] = arith.constant 0 : index
// CHECK:       return %[[BYTES]]
// CHECK-LABEL: func @late
// CHECK:       %[[A:.*]] = memref.alloc
// CHECK:       memref.dealloc %[[A]]
func.func private @kernel(memref<?xf32>)
func.func @late(%y: memref<?x6xf32> {buddy.kind = "output", buddy.name = "output.0"}) {
  %c0 = arith.constant 0 : index
  %flat = memref.collapse_shape %y [[0, 1]] : memref<?x6xf32> into memref<?xf32>
  %n = memref.dim %flat, %c0 : memref<?xf32>
  %a = memref.alloc(%n) : memref<?xf32>
  call @kernel(%a) : (memref<?xf32>) -> ()
  return
}
