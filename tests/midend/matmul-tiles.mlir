// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: buddy-opt %s -split-input-file -pass-pipeline='builtin.module(func.func(buddy-vectorize-matmul{has-bf16-dot=true has-bf16-tiles=true has-int8-dot=true has-int8-tiles=true}))' | FileCheck %s

// Four tiles of sums are carried through the loop over the depth, a step of 32; each is stored
// once, to be read as vectors.
// CHECK-LABEL: func @whole
// CHECK-COUNT-4: amx.tile_zero
// CHECK:       scf.for %{{.*}} = %{{.*}} iter_args({{.*}}) -> (!amx.tile<16x16xf32>, !amx.tile<16x16xf32>, !amx.tile<16x16xf32>, !amx.tile<16x16xf32>)
// CHECK-COUNT-2: amx.tile_load %{{.*}} : memref<2x64x64xbf16> into !amx.tile<16x32xbf16>
// CHECK:       amx.tile_load %{{.*}} : memref<64x128xbf16> into !amx.tile<16x32xbf16>
// CHECK-COUNT-2: amx.tile_mulf
// CHECK:       amx.tile_load %{{.*}} : memref<64x128xbf16> into !amx.tile<16x32xbf16>
// CHECK-COUNT-2: amx.tile_mulf
// CHECK-NEXT:  scf.yield
// CHECK-COUNT-4: amx.tile_store {{.*}} : memref<32x32xf32>
// CHECK-NOT:   amx.tile_
// CHECK:       vector.store {{.*}} : memref<64x64xf32>
// CHECK-NOT:   dpbf16ps
func.func @whole(%a: memref<64x128xbf16>, %b: memref<2x64x32x2xbf16>, %c: memref<64x64xf32>) {
  "buddy.matmul"(%a, %b, %c) : (memref<64x128xbf16>, memref<2x64x32x2xbf16>, memref<64x64xf32>) -> ()
  return
}

// -----

// Three tiles of 14 rows cover 41: the last one begins with row 27, which is not stored again. Of
// the depth the last 5 elements are padded before any tile is in use.
// CHECK-LABEL: func @part
// CHECK:       scf.for
// CHECK:         vector.maskedload %{{.*}} : memref<41x37xbf16>
// CHECK:         amx.tile_zero
// CHECK-COUNT-8: amx.tile_mulf
// CHECK-COUNT-4: amx.tile_store
// CHECK:       %[[FIRST:.*]] = arith.constant 27 : index
// CHECK-COUNT-2: amx.tile_zero : !amx.tile<14x16xf32>
// CHECK-COUNT-4: amx.tile_mulf
// CHECK-COUNT-2: amx.tile_store
// CHECK:       scf.for %{{.*}} = %c1{{.*}} to %c14
// CHECK-NOT:   dpbf16ps
func.func @part(%a: memref<41x37xbf16>, %b: memref<1x19x32x2xbf16>, %c: memref<41x32xf32>) {
  "buddy.matmul"(%a, %b, %c) : (memref<41x37xbf16>, memref<1x19x32x2xbf16>, memref<41x32xf32>) -> ()
  return
}

// -----

// Rows of an unknown number go by tiles if they fill one.
// CHECK-LABEL: func @dynamic
// CHECK:       %[[FILLS:.*]] = arith.cmpi uge
// CHECK:       scf.if %[[FILLS]]
// CHECK:       amx.tile_mulf
// CHECK:       %[[LESS:.*]] = arith.cmpi ult
// CHECK:       scf.if %[[LESS]]
// CHECK-NOT:   amx.tile_
// CHECK:       dpbf16ps
func.func @dynamic(%a: memref<?x64xbf16>, %b: memref<1x32x32x2xbf16>, %c: memref<?x32xf32>) {
  "buddy.matmul"(%a, %b, %c) : (memref<?x64xbf16>, memref<1x32x32x2xbf16>, memref<?x32xf32>) -> ()
  return
}

// -----

// Neither few rows, nor a short depth, nor other types.
// CHECK-LABEL: func @vectors
// CHECK-NOT:   amx.tile_
func.func @vectors(%few: memref<6x64xbf16>, %b: memref<1x32x32x2xbf16>, %c: memref<6x32xf32>,
                   %flat: memref<64x8xbf16>, %d: memref<1x4x32x2xbf16>, %e: memref<64x32xf32>,
                   %wide: memref<64x64xf32>, %f: memref<1x64x32x1xf32>) {
  "buddy.matmul"(%few, %b, %c) : (memref<6x64xbf16>, memref<1x32x32x2xbf16>, memref<6x32xf32>) -> ()
  "buddy.matmul"(%flat, %d, %e) : (memref<64x8xbf16>, memref<1x4x32x2xbf16>, memref<64x32xf32>) -> ()
  "buddy.matmul"(%wide, %f, %e) : (memref<64x64xf32>, memref<1x64x32x1xf32>, memref<64x32xf32>) -> ()
  return
}

// -----

// Positions of a convolution of stride two are 2 * 32 elements apart. With three channels the nine
// elements of a kernel's row are no whole step.
// CHECK-LABEL: func @convolution
// CHECK:       %[[STRIDE:.*]] = arith.constant 64 : index
// CHECK:       amx.tile_load %{{.*}}, %[[STRIDE]] : memref<9x1056xbf16> into !amx.tile<16x32xbf16>
// CHECK-LABEL: func @few_channels
// CHECK-NOT:   amx.tile_
func.func @convolution(%a: memref<9x33x32xbf16>, %b: memref<1x144x32x2xbf16>, %c: memref<4x16x32xf32>) {
  "buddy.conv"(%a, %b, %c) {kernel = array<i64: 3, 3>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>} : (memref<9x33x32xbf16>, memref<1x144x32x2xbf16>, memref<4x16x32xf32>) -> ()
  return
}
func.func @few_channels(%a: memref<9x34x2xbf16>, %b: memref<1x9x32x2xbf16>, %c: memref<7x32x32xf32>) {
  "buddy.conv"(%a, %b, %c) {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>} : (memref<9x34x2xbf16>, memref<1x9x32x2xbf16>, memref<7x32x32xf32>) -> ()
  return
}

// -----

// Two lines of 14 positions are two tiles of 14 rows, the third line one.
// CHECK-LABEL: func @short_lines
// CHECK-COUNT-4: amx.tile_zero : !amx.tile<14x16xf32>
// CHECK-COUNT-2: amx.tile_load %{{.*}} : memref<1x144x64xbf16> into !amx.tile<16x32xbf16>
// CHECK-COUNT-2: amx.tile_load %{{.*}} : memref<5x512xbf16> into !amx.tile<14x32xbf16>
// CHECK-COUNT-4: amx.tile_store
// CHECK-COUNT-2: amx.tile_zero : !amx.tile<14x16xf32>
// CHECK-COUNT-2: amx.tile_store
// CHECK-NOT:   dpbf16ps
func.func @short_lines(%a: memref<5x16x32xbf16>, %b: memref<1x144x32x2xbf16>, %c: memref<3x14x32xf32>) {
  "buddy.conv"(%a, %b, %c) {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>} : (memref<5x16x32xbf16>, memref<1x144x32x2xbf16>, memref<3x14x32xf32>) -> ()
  return
}

// -----

// A step of bytes is 64 deep, and their products need no shift.
// CHECK-LABEL: func @bytes
// CHECK-COUNT-4: amx.tile_zero
// CHECK:       amx.tile_load %{{.*}} : memref<64x128xi8> into !amx.tile<16x64xi8>
// CHECK-COUNT-4: amx.tile_muli {{.*}} : !amx.tile<16x64xi8>, !amx.tile<16x64xi8>, !amx.tile<16x16xi32>
// CHECK-COUNT-4: amx.tile_store {{.*}} : memref<32x32xi32>
// CHECK-NOT:   arith.xori
func.func @bytes(%a: memref<64x128xi8>, %b: memref<2x32x32x4xi8>, %c: memref<64x64xi32>) {
  "buddy.matmul"(%a, %b, %c) : (memref<64x128xi8>, memref<2x32x32x4xi8>, memref<64x64xi32>) -> ()
  return
}

// -----

// Of weights that come from memory the next panel is fetched meanwhile: of its 32 lines for a step
// each of four blocks of rows asks for eight. Rows that lie 4 KiB apart are read where they lie, and
// the whole depth at once.
// CHECK-LABEL: func @fetched(
// CHECK-SAME:  %[[LHS:[a-z0-9]*]]: memref<128x2048xbf16>
// CHECK-NOT:   memref.alloca{{.*}}memref<128x
// CHECK:       amx.tile_zero
// CHECK:       scf.for %{{.*}} = %c0{{.*}} to %c2048
// CHECK-COUNT-8: memref.prefetch %{{.*}} : memref<24x1024x64xbf16>
// CHECK-NOT:   memref.prefetch
// CHECK:       amx.tile_load %[[LHS]]
// CHECK:       scf.yield
// CHECK-NOT:   amx.tile_zero
func.func @fetched(%a: memref<128x2048xbf16>, %b: memref<24x1024x32x2xbf16>, %c: memref<128x768xbf16>) {
  "buddy.matmul"(%a, %b, %c) : (memref<128x2048xbf16>, memref<24x1024x32x2xbf16>, memref<128x768xbf16>) -> ()
  return
}
