// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: buddy-opt %s -split-input-file -pass-pipeline='builtin.module(func.func(buddy-prefetch-tiles))' | FileCheck %s
// RUN: buddy-opt %s -split-input-file -pass-pipeline='builtin.module(func.func(buddy-prefetch-tiles, buddy-vectorize-generic))' | FileCheck %s --check-prefix=VECTOR

#rows = affine_map<(i, j) -> (i, j)>
#sums = affine_map<(i, j) -> (i)>

// While the second op computes on a row, the first one's next row comes. The last row has itself
// for the next one. What is only written is not read ahead of that.
// CHECK-LABEL: func @normalize
// CHECK-SAME:    %[[X:.*]]: memref<64x512xf32>, %[[OUT:.*]]: memref<64x512xf32>
// CHECK:       scf.forall (%[[I:.*]]) in (64)
// CHECK:         %[[NEXT:.*]] = arith.minsi
// CHECK-NOT:     memref.subview %[[OUT]][%[[NEXT]], 0]
// CHECK:         %[[XNEXT:.*]] = memref.subview %[[X]][%[[NEXT]], 0]
// CHECK:         linalg.generic {{.*}} ins(%{{.*}}, %{{.*}}, %[[XNEXT]] {{.*}} attrs = {buddy.prefetched_inputs = 1 : i64}
// VECTOR-LABEL: func @normalize
// VECTOR:      memref.prefetch {{.*}}, read, locality<2>, data
// VECTOR-NOT:  memref.prefetch
// VECTOR:      return
func.func @normalize(%x: memref<64x512xf32>, %out: memref<64x512xf32>) {
  %zero = arith.constant 0.0 : f32
  scf.forall (%i) in (64) {
    %row = memref.subview %x[%i, 0] [1, 512] [1, 1] : memref<64x512xf32> to memref<1x512xf32, strided<[512, 1], offset: ?>>
    %to = memref.subview %out[%i, 0] [1, 512] [1, 1] : memref<64x512xf32> to memref<1x512xf32, strided<[512, 1], offset: ?>>
    %sum = memref.alloca() : memref<1xf32>
    linalg.fill ins(%zero : f32) outs(%sum : memref<1xf32>)
    linalg.generic {indexing_maps = [#rows, #sums], iterator_types = ["parallel", "reduction"]}
        ins(%row : memref<1x512xf32, strided<[512, 1], offset: ?>>) outs(%sum : memref<1xf32>) {
    ^bb0(%a: f32, %s: f32):
      %0 = arith.addf %s, %a : f32
      linalg.yield %0 : f32
    }
    linalg.generic {indexing_maps = [#rows, #sums, #rows], iterator_types = ["parallel", "parallel"]}
        ins(%row, %sum : memref<1x512xf32, strided<[512, 1], offset: ?>>, memref<1xf32>)
        outs(%to : memref<1x512xf32, strided<[512, 1], offset: ?>>) {
    ^bb0(%a: f32, %s: f32, %o: f32):
      %0 = arith.divf %a, %s : f32
      linalg.yield %0 : f32
    }
  }
  return
}

// -----

#rows = affine_map<(b, i, j) -> (b, i, j)>
#sums = affine_map<(b, i, j) -> (b, i)>

// The next row of the same matrix, of those that several have.
// CHECK-LABEL: func @batched
// CHECK-SAME:    %[[X:[a-z0-9]+]]: memref<6x64x512xf32>
// CHECK:       scf.forall (%[[B:.*]], %[[I:.*]]) in (6, 64)
// CHECK:         %[[NEXT:.*]] = arith.minsi
// CHECK:         %[[XNEXT:.*]] = memref.subview %[[X]][%[[B]], %[[NEXT]], 0]
// CHECK:         linalg.generic {{.*}} ins(%{{.*}}, %{{.*}}, %[[XNEXT]] {{.*}} attrs = {buddy.prefetched_inputs = 1 : i64}
func.func @batched(%x: memref<6x64x512xf32>, %out: memref<6x64x512xf32>) {
  %zero = arith.constant 0.0 : f32
  scf.forall (%b, %i) in (6, 64) {
    %row = memref.subview %x[%b, %i, 0] [1, 1, 512] [1, 1, 1] : memref<6x64x512xf32> to memref<1x1x512xf32, strided<[32768, 512, 1], offset: ?>>
    %to = memref.subview %out[%b, %i, 0] [1, 1, 512] [1, 1, 1] : memref<6x64x512xf32> to memref<1x1x512xf32, strided<[32768, 512, 1], offset: ?>>
    %sum = memref.alloca() : memref<1x1xf32>
    linalg.fill ins(%zero : f32) outs(%sum : memref<1x1xf32>)
    linalg.generic {indexing_maps = [#rows, #sums], iterator_types = ["parallel", "parallel", "reduction"]}
        ins(%row : memref<1x1x512xf32, strided<[32768, 512, 1], offset: ?>>) outs(%sum : memref<1x1xf32>) {
    ^bb0(%a: f32, %s: f32):
      %0 = arith.addf %s, %a : f32
      linalg.yield %0 : f32
    }
    linalg.generic {indexing_maps = [#rows, #sums, #rows], iterator_types = ["parallel", "parallel", "parallel"]}
        ins(%row, %sum : memref<1x1x512xf32, strided<[32768, 512, 1], offset: ?>>, memref<1x1xf32>)
        outs(%to : memref<1x1x512xf32, strided<[32768, 512, 1], offset: ?>>) {
    ^bb0(%a: f32, %s: f32, %o: f32):
      %0 = arith.divf %a, %s : f32
      linalg.yield %0 : f32
    }
  }
  return
}

// -----

#rows = affine_map<(i, j) -> (i, j)>

// One op alone streams through memory, and short rows are no sooner asked for than there.
// CHECK-LABEL: func @alone
// CHECK-NOT:   buddy.prefetched_inputs
// CHECK:       return
func.func @alone(%x: memref<64x512xf32>, %out: memref<64x512xf32>) {
  scf.forall (%i) in (64) {
    %row = memref.subview %x[%i, 0] [1, 512] [1, 1] : memref<64x512xf32> to memref<1x512xf32, strided<[512, 1], offset: ?>>
    %to = memref.subview %out[%i, 0] [1, 512] [1, 1] : memref<64x512xf32> to memref<1x512xf32, strided<[512, 1], offset: ?>>
    linalg.generic {indexing_maps = [#rows, #rows], iterator_types = ["parallel", "parallel"]}
        ins(%row : memref<1x512xf32, strided<[512, 1], offset: ?>>)
        outs(%to : memref<1x512xf32, strided<[512, 1], offset: ?>>) {
    ^bb0(%a: f32, %o: f32):
      %0 = math.exp %a : f32
      linalg.yield %0 : f32
    }
  }
  return
}

// -----

#rows = affine_map<(i, j) -> (i, j)>
#sums = affine_map<(i, j) -> (i)>

// CHECK-LABEL: func @short
// CHECK-NOT:   buddy.prefetched_inputs
// CHECK:       return
func.func @short(%x: memref<64x16xf32>, %out: memref<64x16xf32>) {
  scf.forall (%i) in (64) {
    %row = memref.subview %x[%i, 0] [1, 16] [1, 1] : memref<64x16xf32> to memref<1x16xf32, strided<[16, 1], offset: ?>>
    %to = memref.subview %out[%i, 0] [1, 16] [1, 1] : memref<64x16xf32> to memref<1x16xf32, strided<[16, 1], offset: ?>>
    %buffer = memref.alloca() : memref<1x16xf32>
    linalg.generic {indexing_maps = [#rows, #rows], iterator_types = ["parallel", "parallel"]}
        ins(%row : memref<1x16xf32, strided<[16, 1], offset: ?>>) outs(%buffer : memref<1x16xf32>) {
    ^bb0(%a: f32, %o: f32):
      %0 = math.exp %a : f32
      linalg.yield %0 : f32
    }
    linalg.generic {indexing_maps = [#rows, #rows], iterator_types = ["parallel", "parallel"]}
        ins(%buffer : memref<1x16xf32>) outs(%to : memref<1x16xf32, strided<[16, 1], offset: ?>>) {
    ^bb0(%a: f32, %o: f32):
      %0 = arith.negf %a : f32
      linalg.yield %0 : f32
    }
  }
  return
}
