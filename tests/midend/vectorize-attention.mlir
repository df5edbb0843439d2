// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: buddy-opt %s -split-input-file -buddy-vectorize-attention -canonicalize | FileCheck %s
// RUN: buddy-opt %s -split-input-file -buddy-vectorize-attention=has-bf16-dot=true -canonicalize | FileCheck %s --check-prefix=DOT
// RUN: buddy-opt %s -split-input-file -buddy-vectorize-attention="has-bf16-dot=true has-bf16-tiles=true" -canonicalize | FileCheck %s --check-prefix=TILES

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
// CHECK:       math.exp2 {{.*}} : vector<16xf32>
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

// AMX's tiles take 32 rows and 32 keys at once; outputs go from memory to memory, 32 columns at a
// time. Weights of keys that do not exist are zero: so is what they are multiplied by.
// TILES-LABEL: func private @attention_unit
// TILES:       %[[MEMORY:.*]] = memref.alloca() {{.*}} : memref<12288xi8>
// TILES:       vector.interleave {{.*}} : vector<16xbf16>
// TILES-COUNT-4: amx.tile_zero
// TILES-COUNT-4: amx.tile_mulf
// TILES-COUNT-4: amx.tile_store {{.*}} : memref<32x64xf32>
// TILES:       math.exp2
// TILES-COUNT-4: amx.tile_load {{.*}} : memref<96x64xf32> into !amx.tile<16x16xf32>
// TILES-COUNT-4: amx.tile_mulf
// TILES-COUNT-4: amx.tile_store {{.*}} : memref<96x64xf32>
// TILES-NOT:   dpbf16ps

// With a dot product of bf16, pairs of depths and then pairs of keys go into one lane: six rows by
// four vectors of sums stay in registers. Rows of a causal block that see none of the keys are
// passed over; outputs are rescaled only when a maximum grows.
// DOT-LABEL: func private @attention_unit
// DOT:       memref.alloca() {{.*}} : memref<96x32xi32>
// DOT:       memref.alloca() {{.*}} : memref<32x64xi32>
// DOT:       scf.for
// DOT-NOT:   memref.alloca
// DOT:       vector.shuffle {{.*}} : vector<16xi32>
// DOT:       vector.interleave {{.*}} : vector<16xbf16>
// DOT:       scf.if
// DOT-COUNT-24: llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"
// DOT:       vector.reduction <maxnumf>
// DOT:       scf.if
// DOT:       math.exp2
// DOT:       arith.truncf {{.*}} : vector<16xf32> to vector<16xbf16>
// DOT-COUNT-24: llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"
func.func @pairs(%q: memref<1x4x?x64xbf16>, %k: memref<1x4x?x64xbf16>, %out: memref<1x4x?x64xbf16>) {
  "buddy.attention"(%q, %k, %k, %out)
      {operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 1>, scale = 0.125 : f32, causal = true}
      : (memref<1x4x?x64xbf16>, memref<1x4x?x64xbf16>, memref<1x4x?x64xbf16>, memref<1x4x?x64xbf16>) -> ()
  return
}

// -----

// A mask of numbers is added in units of its own: the lowest float would overflow in units of ln 2.
// CHECK-LABEL: func @added
// CHECK-LABEL: func private @attention_unit
// CHECK-NOT:   math.exp2
// CHECK:       math.exp {{.*}} : vector<16xf32>
func.func @added(%q: memref<1x4x8x64xf32>, %mask: memref<1x1x8x8xf32>, %out: memref<1x4x8x64xf32>) {
  "buddy.attention"(%q, %q, %q, %mask, %out)
      {operandSegmentSizes = array<i32: 1, 1, 1, 0, 1, 1>, scale = 0.125 : f32, causal = false}
      : (memref<1x4x8x64xf32>, memref<1x4x8x64xf32>, memref<1x4x8x64xf32>, memref<1x1x8x8xf32>, memref<1x4x8x64xf32>) -> ()
  return
}

// -----

// Heads side by side are read and written through views.
// CHECK-LABEL: func private @attention_unit
// CHECK:       memref.transpose {{.*}} : memref<1x128x4x64xf32> to memref<1x4x128x64xf32, strided<[32768, 64, 256, 1]>>
// CHECK-COUNT-24: vector.fma
// CHECK:       vector.store {{.*}} : memref<1x4x128x64xf32, strided<[32768, 64, 256, 1]>>
func.func @heads_inside(%q: memref<1x128x4x64xf32>, %out: memref<1x128x4x64xf32>) {
  "buddy.attention"(%q, %q, %q, %out)
      {operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 1>, scale = 0.125 : f32, causal = false,
       layouts = array<i64: 0, 2, 1, 3, 0, 2, 1, 3, 0, 2, 1, 3, 0, 2, 1, 3>}
      : (memref<1x128x4x64xf32>, memref<1x128x4x64xf32>, memref<1x128x4x64xf32>, memref<1x128x4x64xf32>) -> ()
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
