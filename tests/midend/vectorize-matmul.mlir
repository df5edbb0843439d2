// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: buddy-opt %s -split-input-file -pass-pipeline='builtin.module(func.func(buddy-vectorize-matmul{has-bf16-dot=true has-int8-dot=true}))' | FileCheck %s
// RUN: buddy-opt %s -split-input-file -pass-pipeline='builtin.module(func.func(buddy-vectorize-matmul{vector-bits=256}))' | FileCheck %s --check-prefix=AVX2

// Static and divisible: one register tile of 8 x 32 sums, no mask, no remainder.
// CHECK-LABEL: func @static
// CHECK-NOT:   arith.cmpi
// CHECK:       scf.for {{.*}} iter_args
// CHECK-COUNT-2: vector.load %{{.*}} : memref<2x64x32xf32>, vector<16xf32>
// CHECK-COUNT-16: vector.fma
// CHECK-NOT:   vector.fma
// CHECK-COUNT-16: vector.store
// CHECK-NOT:   buddy.matmul
// AVX2-LABEL: func @static
// AVX2:       vector.fma {{.*}} : vector<8xf32>
func.func @static(%a: memref<8x64xf32>, %b: memref<2x64x32x1xf32>, %c: memref<8x64xf32>) {
  "buddy.matmul"(%a, %b, %c) : (memref<8x64xf32>, memref<2x64x32x1xf32>, memref<8x64xf32>) -> ()
  return
}

// -----

// A matrix-vector product keeps eight independent sums in flight: bound by memory, not latency.
// CHECK-LABEL: func @vector
// CHECK:       scf.for {{.*}} iter_args
// CHECK-COUNT-8: vector.fma
// CHECK-NOT:   vector.fma
// CHECK:       scf.yield
func.func @vector(%a: memref<1x64xf32>, %b: memref<2x64x32x1xf32>, %c: memref<1x64xf32>) {
  "buddy.matmul"(%a, %b, %c) : (memref<1x64xf32>, memref<2x64x32x1xf32>, memref<1x64xf32>) -> ()
  return
}

// -----

// A dynamic remainder of rows goes by powers of two; a last partial panel is masked.
// CHECK-LABEL: func @dynamic
// CHECK:       vector.maskedstore
// CHECK-COUNT-4: scf.if
// CHECK-NOT:   vector.store
// CHECK:       return
func.func @dynamic(%a: memref<?x64xf32>, %b: memref<3x64x32x1xf32>, %c: memref<?x75xf32>) {
  "buddy.matmul"(%a, %b, %c) : (memref<?x64xf32>, memref<3x64x32x1xf32>, memref<?x75xf32>) -> ()
  return
}

// -----

// bf16 pairs use the dot product where there is one; the last half pair of an odd K is
// read under a mask, never past the row.
// CHECK-LABEL: func @pairs
// CHECK:       llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"
// CHECK:       vector.maskedload {{.*}} : memref<4x65xbf16>, vector<2xi1>, vector<2xbf16>
// AVX2-LABEL: func @pairs
// AVX2-NOT:   llvm.call_intrinsic
// AVX2:       vector.fma {{.*}} : vector<8xf32>
func.func @pairs(%a: memref<4x65xbf16>, %b: memref<1x33x32x2xbf16>, %c: memref<4x32xf32>) {
  "buddy.matmul"(%a, %b, %c) : (memref<4x65xbf16>, memref<1x33x32x2xbf16>, memref<4x32xf32>) -> ()
  return
}

// -----

// Four signed bytes at a time: 128 is added to those of a row, and what that adds to a column is
// summed up beside the rows and taken off at the end.
// CHECK-LABEL: func @bytes
// CHECK:       scf.for {{.*}} vector<16xi32>
// CHECK:         %[[WORD:.*]] = vector.bitcast {{.*}} : vector<4xi8> to vector<1xi32>
// CHECK:         %[[SIGNED:.*]] = vector.extract %[[WORD]]
// CHECK:         arith.xori %[[SIGNED]], %c-2139062144
// CHECK-COUNT-8: llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"
// CHECK:       vector.maskedload {{.*}} : memref<1x66xi8>, vector<4xi1>, vector<4xi8>
// CHECK:       arith.subi {{.*}} : vector<16xi32>
// CHECK:       arith.subi {{.*}} : vector<16xi32>
// AVX2-LABEL: func @bytes
// AVX2:       buddy.matmul
func.func @bytes(%a: memref<1x66xi8>, %b: memref<1x17x32x4xi8>, %c: memref<1x32xi32>) {
  "buddy.matmul"(%a, %b, %c) : (memref<1x66xi8>, memref<1x17x32x4xi8>, memref<1x32xi32>) -> ()
  return
}

// -----

// Rows that are not contiguous are refused, not gathered.
// CHECK-LABEL: func @strided
// CHECK:       buddy.matmul
func.func @strided(%a: memref<4x64xf32, strided<[128, 2]>>, %b: memref<1x64x32x1xf32>, %c: memref<4x32xf32>) {
  "buddy.matmul"(%a, %b, %c) : (memref<4x64xf32, strided<[128, 2]>>, memref<1x64x32x1xf32>, memref<4x32xf32>) -> ()
  return
}

// -----

// A convolution is a product whose rows overlap in the input: one run of 3 x 8 elements for each
// row of the kernel, two lines of 5 positions x 32 channels of sums in registers, no copy to
// columns. The third line is alone.
// CHECK-LABEL: func @convolution
// CHECK-SAME:    %[[X:.*]]: memref<7x11x8xf32>
// CHECK:       %[[LINES:.*]] = memref.collapse_shape %[[X]] {{\[}}[0], [1, 2]] : {{.*}} into memref<7x88xf32>
// CHECK-NOT:   memref.alloc
// CHECK:       scf.for %{{.*}} = %{{.*}} to %{{c3.*}} step {{.*}} iter_args
// CHECK:       scf.for %{{.*}} = %{{.*}} to %{{c24.*}} step {{.*}} iter_args
// CHECK:       memref.load %[[LINES]]
// CHECK-COUNT-20: vector.fma
// CHECK-NOT:   vector.fma
// CHECK-COUNT-20: vector.store
// CHECK-COUNT-10: vector.fma
// CHECK-NOT:   vector.fma
// CHECK-COUNT-10: vector.store
// CHECK-NOT:   buddy.conv
func.func @convolution(%x: memref<7x11x8xf32>, %w: memref<1x72x32x1xf32>, %out: memref<3x5x32xf32>) {
  "buddy.conv"(%x, %w, %out) {kernel = array<i64: 3, 3>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>}
      : (memref<7x11x8xf32>, memref<1x72x32x1xf32>, memref<3x5x32xf32>) -> ()
  return
}

// -----

// A mirrored kernel is read forwards, the input backwards: a run for each of the kernel's elements.
// CHECK-LABEL: func @mirrored
// CHECK:       scf.for %[[TERM:.*]] = %{{.*}} to %{{c9.*}} step {{.*}} iter_args
// CHECK:         scf.for %{{.*}} iter_args
// CHECK:           %[[TAP:.*]] = arith.subi %{{c8.*}}, %[[TERM]]
// CHECK:           arith.divui %[[TAP]], %{{c3.*}}
// CHECK-COUNT-20: vector.fma
// CHECK-COUNT-10: vector.fma
// CHECK-NOT:   vector.fma
func.func @mirrored(%x: memref<5x7x8xf32>, %w: memref<1x72x32x1xf32>, %out: memref<3x5x32xf32>) {
  "buddy.conv"(%x, %w, %out) {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, mirrored}
      : (memref<5x7x8xf32>, memref<1x72x32x1xf32>, memref<3x5x32xf32>) -> ()
  return
}

// -----

// Each group reads its own channels, with panels of its own: all 15 positions at once, a vector of
// sums each.
// CHECK-LABEL: func @groups
// CHECK:       scf.for %[[GROUP:.*]] = %{{.*}} to %{{c4.*}} step
// CHECK:         %[[FIRST:.*]] = arith.muli %[[GROUP]], %{{c8.*}}
// CHECK:         scf.for %{{.*}} = %{{.*}} to %{{c9.*}} step {{.*}} iter_args
// CHECK:           scf.for %[[K:.*]] = %{{.*}} to %{{c8.*}} step {{.*}} iter_args
// CHECK:             %[[CHANNEL:.*]] = arith.addi %[[FIRST]], %[[K]]
// CHECK:             memref.load %arg0[%{{.*}}, %{{.*}}, %[[CHANNEL]]]
// CHECK-COUNT-15: vector.fma {{.*}} : vector<16xf32>
// CHECK-NOT:   vector.fma
func.func @groups(%x: memref<5x7x32xf32>, %w: memref<4x72x16x1xf32>, %out: memref<3x5x64xf32>) {
  "buddy.conv"(%x, %w, %out) {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, group = array<i64: 8, 16>}
      : (memref<5x7x32xf32>, memref<4x72x16x1xf32>, memref<3x5x64xf32>) -> ()
  return
}

// -----

// Four groups share a vector: it reads their 16 channels, and each lane chooses that of its group.
// CHECK-LABEL: func @small_groups
// CHECK:       scf.for %{{.*}} = %{{.*}} to %{{c9.*}} step {{.*}} iter_args
// CHECK-NOT:   scf.for
// CHECK:       %[[ALL:.*]] = vector.load %arg0{{.*}} vector<16xf32>
// CHECK:       vector.shuffle %[[ALL]], %[[ALL]] [0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12]
// CHECK:       vector.shuffle {{.*}} [3, 3, 3, 3, 7, 7, 7, 7, 11, 11, 11, 11, 15, 15, 15, 15]
func.func @small_groups(%x: memref<5x7x32xf32>, %w: memref<2x36x16x1xf32>, %out: memref<3x5x32xf32>) {
  "buddy.conv"(%x, %w, %out) {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, group = array<i64: 4, 4>}
      : (memref<5x7x32xf32>, memref<2x36x16x1xf32>, memref<3x5x32xf32>) -> ()
  return
}

// -----

// Rows enough for several register tiles: the columns of a panel are packed into a scratch that
// all of them read, a part of the depth at a time; from the second on, sums start from the result.
// Rows that lie 8 KiB apart share a set of the L1 cache: a copy of them, which do not, is read.
// CHECK-LABEL: func @unpacked
// CHECK-DAG:   %[[S:.*]] = memref.alloca() {{.*}}: memref<4x256x32xf32>
// CHECK-DAG:   %[[ROWS:.*]] = memref.alloca() {{.*}}: memref<48x272xf32>
// CHECK:       vector.load %arg0
// CHECK:       vector.store %{{.*}}, %[[ROWS]]
// CHECK-COUNT-2: vector.load %arg1
// CHECK:       vector.store %{{.*}}, %[[S]]
// CHECK-NOT:   vector.load %arg1
// CHECK-NOT:   vector.load %arg2
// CHECK:       memref.load %[[ROWS]]
// CHECK:       vector.fma
// CHECK:       scf.for
// CHECK:       vector.store %{{.*}}, %[[S]]
// CHECK:       vector.load %arg2
// CHECK-NOT:   memref.alloc
func.func @unpacked(%a: memref<48x2048xf32>, %b: memref<2048x96xf32>, %c: memref<48x96xf32>) {
  "buddy.matmul"(%a, %b, %c) : (memref<48x2048xf32>, memref<2048x96xf32>, memref<48x96xf32>) -> ()
  return
}

// -----

// The same of packed weights: a block of the depth of each panel at a time.
// CHECK-LABEL: func @blocks
// CHECK:       %[[ROWS:.*]] = memref.alloca() {{.*}}: memref<96x272xf32>
// CHECK:       vector.store %{{.*}}, %[[ROWS]]
// CHECK-COUNT-24: vector.fma
// CHECK-NOT:   vector.fma
// CHECK:       %[[START:.*]] = {{.*}}scf.for
// CHECK:       vector.store %{{.*}}, %[[ROWS]]
// CHECK:       vector.load %arg2
// CHECK-COUNT-24: vector.fma
func.func @blocks(%a: memref<?x3072xf32>, %b: memref<24x3072x32x1xf32>, %c: memref<?x768xf32>) {
  "buddy.matmul"(%a, %b, %c) : (memref<?x3072xf32>, memref<24x3072x32x1xf32>, memref<?x768xf32>) -> ()
  return
}

// -----

// One row: the matrix is read once, where it lies, in runs of eight vectors.
// Into a narrow result: sums of the parts wait in f32 and are rounded once, after the last.
// CHECK-LABEL: func @waiting
// CHECK:       %[[SUMS:.*]] = memref.alloca() {{.*}}: memref<48x112xf32>
// CHECK-NOT:   %arg2[
// CHECK:       vector.load %[[SUMS]]
// CHECK-NOT:   %arg2[
// CHECK:       vector.store %{{.*}}, %[[SUMS]]
// CHECK-NOT:   %arg2[
// CHECK:       %[[SUM:.*]] = vector.load %[[SUMS]]
// CHECK:       vector.store %{{.*}}, %arg2{{.*}} vector<16xbf16>
func.func @waiting(%a: memref<48x2000xbf16>, %b: memref<2000x96xbf16>, %c: memref<48x96xbf16>) {
  "buddy.matmul"(%a, %b, %c) : (memref<48x2000xbf16>, memref<2000x96xbf16>, memref<48x96xbf16>) -> ()
  return
}
// CHECK-LABEL: func @unpacked_vector
// CHECK-NOT:   memref.alloca
// CHECK-COUNT-8: vector.load %arg1{{.*}} vector<16xf32>
// CHECK-NOT:   vector.load %arg1
func.func @unpacked_vector(%a: memref<1x64xf32>, %b: memref<64x128xf32>, %c: memref<1x128xf32>) {
  "buddy.matmul"(%a, %b, %c) : (memref<1x64xf32>, memref<64x128xf32>, memref<1x128xf32>) -> ()
  return
}

// -----

// Pairs of bf16 are interleaved on the way; of [N,K] they are neighbours, and words are transposed.
// CHECK-LABEL: func @unpacked_pairs
// CHECK:       vector.interleave
// CHECK:       dpbf16ps
// CHECK:       vector.shuffle {{.*}} vector<16xi32>, vector<16xi32>
// CHECK:       dpbf16ps
func.func @unpacked_pairs(%a: memref<3x48x64xbf16>, %b: memref<3x64x32xbf16>, %t: memref<3x32x64xbf16>, %c: memref<3x48x32xf32>) {
  "buddy.matmul"(%a, %b, %c) : (memref<3x48x64xbf16>, memref<3x64x32xbf16>, memref<3x48x32xf32>) -> ()
  "buddy.matmul"(%a, %t, %c) {transposed} : (memref<3x48x64xbf16>, memref<3x32x64xbf16>, memref<3x48x32xf32>) -> ()
  return
}

// -----

// CHECK-LABEL: func @unpacked_bytes
// CHECK-COUNT-3: vector.interleave {{.*}} : vector<{{16|32}}xi8>
// CHECK:       vpdpbusd
// CHECK:       vector.shuffle {{.*}} vector<16xi32>, vector<16xi32>
// CHECK:       vpdpbusd
func.func @unpacked_bytes(%a: memref<48x64xi8>, %b: memref<64x32xi8>, %t: memref<32x64xi8>, %c: memref<48x32xi32>) {
  "buddy.matmul"(%a, %b, %c) : (memref<48x64xi8>, memref<64x32xi8>, memref<48x32xi32>) -> ()
  "buddy.matmul"(%a, %t, %c) {transposed} : (memref<48x64xi8>, memref<32x64xi8>, memref<48x32xi32>) -> ()
  return
}

// -----

// One row by a matrix that no cache holds: eight of its rows side by side, and the next eight
// already asked for. The sums wait in the result meanwhile.
// CHECK-LABEL: func @streamed
// CHECK-NOT:   memref.alloca
// CHECK:       vector.store {{.*}} %arg2
// CHECK:       scf.for %[[K:[^ ]*]] =
// CHECK:         vector.load %arg2
// CHECK:         scf.for %[[STEP:[^ ]*]] =
// CHECK:           %[[ROW:.*]] = arith.addi %[[K]], %[[STEP]]
// CHECK:           %[[EIGHT:.*]] = arith.constant 8
// CHECK:           %[[AHEAD:.*]] = arith.addi %[[ROW]], %[[EIGHT]]
// CHECK:           memref.prefetch %arg1[%[[AHEAD]], {{.*}}], read, locality<2>, data
// CHECK:           vector.load %arg1
// CHECK:         vector.store {{.*}} %arg2
func.func @streamed(%a: memref<1x512xf32>, %b: memref<512x1024xf32>, %c: memref<1x1024xf32>) {
  "buddy.matmul"(%a, %b, %c) : (memref<1x512xf32>, memref<512x1024xf32>, memref<1x1024xf32>) -> ()
  return
}

// -----

// What the caches hold is read in one go.
// CHECK-LABEL: func @cached
// CHECK-NOT:   memref.prefetch
// CHECK:       return
func.func @cached(%a: memref<1x128xf32>, %b: memref<128x1024xf32>, %c: memref<1x1024xf32>) {
  "buddy.matmul"(%a, %b, %c) : (memref<1x128xf32>, memref<128x1024xf32>, memref<1x1024xf32>) -> ()
  return
}

// -----

// What no cache holds is packed a block at a time, and the next block is asked for meanwhile: the
// next columns, after the last ones the first of the next rows.
// CHECK-LABEL: func @packed_from_memory
// CHECK:       scf.for %[[COLUMN:[^ ]*]] =
// CHECK:         %[[LAST:.*]] = arith.cmpi sge
// CHECK:         %[[BACK:.*]] = arith.subi %{{.*}}, %[[COLUMN]]
// CHECK:         %[[ROWS:.*]] = arith.select %[[LAST]], %c256{{.*}}, %c0
// CHECK:         %[[COLUMNS:.*]] = arith.select %[[LAST]], %[[BACK]], %c128
// CHECK:         scf.for
// CHECK:           scf.for
// CHECK:             %[[NEXTK:.*]] = arith.addi %{{.*}}, %[[ROWS]]
// CHECK:             %[[NEXTCOLUMN:.*]] = arith.addi %{{.*}}, %[[COLUMNS]]
// CHECK:             memref.prefetch %arg1[%[[NEXTK]], %[[NEXTCOLUMN]]], read, locality<2>, data
// CHECK:             vector.maskedload %arg1
func.func @packed_from_memory(%a: memref<64x768xf32>, %b: memref<768x1024xf32>, %c: memref<64x1024xf32>) {
  "buddy.matmul"(%a, %b, %c) : (memref<64x768xf32>, memref<768x1024xf32>, memref<64x1024xf32>) -> ()
  return
}

// -----

// Of a padded image, line y skips the taps of the window that read less than %low or the last
// %high lines: 3 taps at most, from max(%low - y, 0) to max(5 - %high - y, 0).
// CHECK-LABEL: func @padded
// CHECK-SAME:    %[[LOW:[a-z0-9]+]]: index, %[[HIGH:[a-z0-9]+]]: index
// CHECK:       scf.for %[[Y:.*]] = %{{.*}} to %{{c3.*}} step
// CHECK-DAG:     %[[END:.*]] = arith.subi %{{c5.*}}, %[[HIGH]]
// CHECK-DAG:     %[[BEFORE:.*]] = arith.subi %[[LOW]], %[[Y]]
// CHECK-DAG:     %[[POSITIVE:.*]] = arith.maxsi %[[BEFORE]], %{{c0.*}}
// CHECK-DAG:     %[[FROM:.*]] = arith.minsi %[[POSITIVE]], %{{c3.*}}
// CHECK-DAG:     %[[LEFT:.*]] = arith.subi %[[END]], %[[Y]]
// CHECK-DAG:     %[[RIGHT:.*]] = arith.maxsi %[[LEFT]], %{{c0.*}}
// CHECK-DAG:     %[[TO:.*]] = arith.minsi %[[RIGHT]], %{{c3.*}}
// CHECK:         scf.for %{{.*}} = %[[FROM]] to %[[TO]] step {{.*}} iter_args
// CHECK:           scf.for %{{.*}} = %{{.*}} to %{{c24.*}} step {{.*}} iter_args
// CHECK:           vector.fma
func.func @padded(%x: memref<5x15x8xf32>, %w: memref<1x72x32x1xf32>, %low: index, %high: index, %out: memref<3x13x32xf32>) {
  "buddy.conv"(%x, %w, %low, %high, %out) {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>}
      : (memref<5x15x8xf32>, memref<1x72x32x1xf32>, index, index, memref<3x13x32xf32>) -> ()
  return
}

// -----

// Volumes skip along both outer dimensions; of two lines together, what neither reads. A mirrored
// kernel is counted from its end.
// CHECK-LABEL: func @padded_volume
// CHECK:       scf.for %[[I:.*]] = %{{.*}} to %{{.*}} step {{.*}} iter_args
// CHECK:         scf.for %[[J:.*]] = %{{.*}} to %{{.*}} step {{.*}} iter_args
// CHECK:           arith.muli %[[I]], %{{c3.*}}
// CHECK:           scf.for %{{.*}} = %{{c0.*}} to %{{c3.*}} step {{.*}} iter_args
// CHECK:             arith.subi %{{c26.*}}, %{{.*}}
// CHECK:             scf.for %{{.*}} = %{{c0.*}} to %{{c8.*}} step {{.*}} iter_args
// CHECK-COUNT-20: vector.fma
func.func @padded_volume(%x: memref<5x5x7x8xf32>, %w: memref<1x216x32x1xf32>, %low: index, %high: index, %out: memref<3x3x5x32xf32>) {
  "buddy.conv"(%x, %w, %low, %high, %low, %high, %out) {kernel = array<i64: 3, 3, 3>, strides = array<i64: 1, 1, 1>, dilations = array<i64: 1, 1, 1>, mirrored}
      : (memref<5x5x7x8xf32>, memref<1x216x32x1xf32>, index, index, index, index, memref<3x3x5x32xf32>) -> ()
  return
}

// -----

// Rows that come from memory are the larger operand: while a tile's are multiplied, the next ones
// are fetched, a line of one row after that of the other.
// CHECK-LABEL: func @streamed_rows
// CHECK:       scf.for
// CHECK:         scf.for {{.*}} iter_args
// CHECK:           memref.prefetch %{{.*}}[%{{.*}}, %{{.*}}], read, locality<2>, data : memref<8192x64xf32>
// CHECK-COUNT-24:  vector.fma
func.func @streamed_rows(%a: memref<8192x64xf32>, %b: memref<1x64x64x1xf32>, %c: memref<8192x64xf32>) {
  "buddy.matmul"(%a, %b, %c) : (memref<8192x64xf32>, memref<1x64x64x1xf32>, memref<8192x64xf32>) -> ()
  return
}

// -----

// Of a last panel of few columns the vectors without any are left out, and more rows take their
// registers: 5 of 64 columns are one vector of 12 rows, under a mask.
// CHECK-LABEL: func @narrow_panel
// CHECK:       scf.for {{.*}} iter_args
// CHECK-COUNT-24: vector.fma
// CHECK:       scf.for {{.*}} iter_args
// CHECK-COUNT-12: vector.fma
// CHECK-NOT:   vector.fma
// CHECK-COUNT-12: vector.maskedstore
// CHECK-NOT:   vector.maskedstore
func.func @narrow_panel(%a: memref<12x64xf32>, %b: memref<2x64x64x1xf32>, %c: memref<12x69xf32>) {
  "buddy.matmul"(%a, %b, %c) : (memref<12x64xf32>, memref<2x64x64x1xf32>, memref<12x69xf32>) -> ()
  return
}

// -----

// Few rows by [N,K]: vectors along the rows of both, four rows of rhs by all of lhs at once; then
// the lanes of four sums are added up together, and nothing is packed.
// CHECK-LABEL: func @alongRows
// CHECK-NOT:   memref.alloca
// CHECK:       scf.for {{.*}} iter_args
// CHECK-COUNT-4: vector.load %arg1{{.*}} : memref<64x96xf32>, vector<16xf32>
// CHECK-COUNT-12: vector.fma
// CHECK-NOT:   vector.fma
// CHECK:       scf.yield
// CHECK-COUNT-10: vector.shuffle
// CHECK:       vector.store {{.*}} : memref<3x64xf32>, vector<4xf32>
// AVX2-LABEL: func @alongRows
// AVX2:        vector.load %arg1{{.*}} : memref<64x96xf32>, vector<8xf32>
func.func @alongRows(%a: memref<3x96xf32>, %b: memref<64x96xf32>, %c: memref<3x64xf32>) {
  "buddy.matmul"(%a, %b, %c) {transposed} : (memref<3x96xf32>, memref<64x96xf32>, memref<3x64xf32>) -> ()
  return
}

// -----

// More rows go by blocks that fill the registers, and bf16 by dot products; what is left of a row is
// read under a mask.
// CHECK-LABEL: func @alongRowsInBlocks
// CHECK-COUNT-2: scf.for
// CHECK:         scf.for
// CHECK-COUNT-16: llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"
// CHECK-NOT:     llvm.call_intrinsic
// CHECK:         scf.yield
// CHECK:         vector.maskedload {{.*}} : memref<64x100xbf16>, vector<32xi1>, vector<32xbf16>
// CHECK:         vector.store {{.*}} : memref<8x64xbf16>, vector<4xbf16>
func.func @alongRowsInBlocks(%a: memref<8x100xbf16>, %b: memref<64x100xbf16>, %c: memref<8x64xbf16>) {
  "buddy.matmul"(%a, %b, %c) {transposed} : (memref<8x100xbf16>, memref<64x100xbf16>, memref<8x64xbf16>) -> ()
  return
}

// -----

// What is computed of the sums, while they are in registers: nothing is stored but its results.
// CHECK-LABEL: func @epilogue
// CHECK:       %[[UNUSED:.*]] = memref.alloca
// CHECK-NOT:   %[[UNUSED]]
// CHECK:       scf.for {{.*}} iter_args
// CHECK-COUNT-16: vector.fma
// CHECK:       scf.yield
// CHECK-COUNT-16: arith.maximumf {{.*}} : vector<16xf32>
// CHECK-NOT:   linalg
#id = affine_map<(i, j) -> (i, j)>
func.func @epilogue(%a: memref<8x64xf32>, %b: memref<2x64x32x1xf32>, %bias: memref<64xf32>, %c: memref<8x64xbf16>) {
  %zero = arith.constant 0.0 : f32
  %sums = memref.alloca() : memref<8x64xf32>
  "buddy.matmul"(%a, %b, %sums) : (memref<8x64xf32>, memref<2x64x32x1xf32>, memref<8x64xf32>) -> ()
  linalg.generic {indexing_maps = [#id, affine_map<(i, j) -> (j)>, #id], iterator_types = ["parallel", "parallel"]}
      ins(%sums, %bias : memref<8x64xf32>, memref<64xf32>) outs(%c : memref<8x64xbf16>) {
  ^bb0(%s: f32, %q: f32, %o: bf16):
    %t = arith.addf %s, %q : f32
    %r = arith.maximumf %t, %zero : f32
    %u = arith.truncf %r : f32 to bf16
    linalg.yield %u : bf16
  }
  return
}

// -----

// Between blocks of the depth sums wait in memory; it follows the last one, which is written out
// for that: two of 256, and then the third.
// CHECK-LABEL: func @epilogueOfBlocks
// CHECK:       %[[SUMS:.*]] = memref.alloca() : memref<200x64xf32>
// CHECK:       vector.store %{{.*}}, %[[SUMS]]
// CHECK-NOT:   math.exp
// CHECK:       vector.load %[[SUMS]]
// CHECK:       vector.store %{{.*}}, %[[SUMS]]
// CHECK-NOT:   math.exp
// CHECK:       vector.load %[[SUMS]]
// CHECK:       math.exp
// CHECK-NOT:   vector.store %{{.*}}, %[[SUMS]]
// CHECK-NOT:   linalg
#id = affine_map<(i, j) -> (i, j)>
func.func @epilogueOfBlocks(%a: memref<200x768xf32>, %b: memref<768x64xf32>, %c: memref<200x64xf32>) {
  %sums = memref.alloca() : memref<200x64xf32>
  "buddy.matmul"(%a, %b, %sums) : (memref<200x768xf32>, memref<768x64xf32>, memref<200x64xf32>) -> ()
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%sums : memref<200x64xf32>) outs(%c : memref<200x64xf32>) {
  ^bb0(%s: f32, %o: f32):
    %r = math.exp %s : f32
    linalg.yield %r : f32
  }
  return
}
