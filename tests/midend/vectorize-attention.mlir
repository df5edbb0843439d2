// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: buddy-opt %s -split-input-file -buddy-vectorize-attention -canonicalize | FileCheck %s

// Decoding: one unit takes the three query heads of a key/value head, so every key is read
// once. All scratch is allocated at the entry of the unit, none in a loop.
// CHECK-LABEL: func @decode
// CHECK:       scf.forall
// CHECK:         call @attention_unit
// CHECK-NOT:   buddy.attention
// CHECK-LABEL: func private @attention_unit
// CHECK:       memref.alloca() {{.*}} : memref<3x64xf32>
// CHECK:       scf.for
// CHECK-NOT:   memref.alloca
// CHECK:       vector.shuffle
// CHECK:       scf.for {{.*}} iter_args
// CHECK-COUNT-12: vector.fma
// CHECK:       math.exp {{.*}} : vector<16xf32>
func.func @decode(%q: memref<1x9x1x64xf32>, %k: memref<1x3x512x64xf32>, %v: memref<1x3x512x64xf32>,
                  %valid: index, %out: memref<1x9x1x64xf32>) {
  "buddy.attention"(%q, %k, %v, %valid, %out)
      {operandSegmentSizes = array<i32: 1, 1, 1, 1, 0, 1>, scale = 0.125 : f32, causal = true}
      : (memref<1x9x1x64xf32>, memref<1x3x512x64xf32>, memref<1x3x512x64xf32>, index,
         memref<1x9x1x64xf32>) -> ()
  return
}

// -----

// Inside a parallel loop the units run in sequence; bf16 is widened as it is read, and a
// head size that is no multiple of the vector is read under a mask.
// CHECK-LABEL: func @nested
// CHECK:       scf.forall
// CHECK-NOT:   scf.forall
// CHECK:       scf.for
// CHECK:       call @attention_unit
// CHECK-LABEL: func private @attention_unit
// CHECK:       vector.maskedload {{.*}} vector<16xbf16>
// CHECK:       arith.extf {{.*}} : vector<16xbf16> to vector<16xf32>
func.func @nested(%q: memref<2x4x?x20xbf16>, %k: memref<2x4x?x20xbf16>, %out: memref<2x4x?x20xbf16>) {
  scf.forall (%i) in (2) {
    "buddy.attention"(%q, %k, %k, %out)
        {operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 1>, scale = 0.25 : f32, causal = false}
        : (memref<2x4x?x20xbf16>, memref<2x4x?x20xbf16>, memref<2x4x?x20xbf16>,
           memref<2x4x?x20xbf16>) -> ()
  }
  return
}

// -----

// A dynamic number of heads is refused.
// CHECK-LABEL: func @heads
// CHECK:       buddy.attention
func.func @heads(%q: memref<1x?x8x64xf32>, %k: memref<1x?x8x64xf32>, %out: memref<1x?x8x64xf32>) {
  "buddy.attention"(%q, %k, %k, %out)
      {operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 1>, scale = 0.125 : f32, causal = false}
      : (memref<1x?x8x64xf32>, memref<1x?x8x64xf32>, memref<1x?x8x64xf32>, memref<1x?x8x64xf32>) -> ()
  return
}
