// RUN: buddy-opt %s -split-input-file -verify-diagnostics
// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

func.func @length(%q: memref<1x4x8x64xf32>, %k: memref<1x4x9x64xf32>, %v: memref<1x4x8x64xf32>) {
  // expected-error @below {{key and value differ in heads or length}}
  "buddy.attention"(%q, %k, %v, %q) {operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 1>, scale = 1.0 : f32, causal = false}
      : (memref<1x4x8x64xf32>, memref<1x4x9x64xf32>, memref<1x4x8x64xf32>, memref<1x4x8x64xf32>) -> ()
  return
}

// -----

// Four heads of queries and eight of keys, as the layouts say.
func.func @heads(%q: memref<1x8x4x64xf32>, %k: memref<1x8x4x64xf32>) {
  // expected-error @below {{query heads are not a multiple of key/value heads}}
  "buddy.attention"(%q, %k, %k, %q) {operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 1>, scale = 1.0 : f32, causal = false,
                                     layouts = array<i64: 0, 2, 1, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 2, 1, 3>}
      : (memref<1x8x4x64xf32>, memref<1x8x4x64xf32>, memref<1x8x4x64xf32>, memref<1x8x4x64xf32>) -> ()
  return
}

// -----

func.func @depth(%q: memref<1x4x64x8xf32>) {
  // expected-error @below {{takes layouts of the numbers 0 to 3, 3 last}}
  "buddy.attention"(%q, %q, %q, %q) {operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 1>, scale = 1.0 : f32, causal = false,
                                     layouts = array<i64: 0, 1, 3, 2, 0, 1, 3, 2, 0, 1, 3, 2, 0, 1, 3, 2>}
      : (memref<1x4x64x8xf32>, memref<1x4x64x8xf32>, memref<1x4x64x8xf32>, memref<1x4x64x8xf32>) -> ()
  return
}

// -----

func.func @none(%q: memref<1x4x8x64xf32>) {
  // expected-error @below {{takes the layouts of query, key, value and init, or none}}
  "buddy.attention"(%q, %q, %q, %q) {operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 1>, scale = 1.0 : f32, causal = false,
                                     layouts = array<i64: 0, 1, 2, 3>}
      : (memref<1x4x8x64xf32>, memref<1x4x8x64xf32>, memref<1x4x8x64xf32>, memref<1x4x8x64xf32>) -> ()
  return
}
