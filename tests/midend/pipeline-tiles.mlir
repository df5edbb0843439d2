// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: buddy-opt %s -split-input-file -pass-pipeline='builtin.module(func.func(buddy-prefetch-tiles, buddy-pipeline-tiles))' | FileCheck %s
// RUN: buddy-opt %s -split-input-file -pass-pipeline='builtin.module(func.func(buddy-prefetch-tiles, buddy-pipeline-tiles, buddy-vectorize-generic))' | FileCheck %s --check-prefix=VECTOR

#rows = affine_map<(i, j) -> (i, j)>
#sums = affine_map<(i, j) -> (i)>

// 512 rows, 32 runs of 16. The row before is scaled where exponentials are computed, and by a copy
// of its sum; where each element was, that of the next row comes. What is prefetched comes last.
// CHECK-LABEL: func @softmax
// CHECK-SAME:    %[[X:.*]]: memref<512x1000xf32>, %[[OUT:.*]]: memref<512x1000xf32>
// CHECK:       scf.forall (%[[FIRST:.*]]) = (0) to (512) step (16)
// CHECK:         %[[MAXIMUM:.*]] = memref.alloca() : memref<1xf32>
// CHECK:         %[[E:.*]] = memref.alloca() : memref<1x1000xf32>
// CHECK:         %[[SUM:.*]] = memref.alloca() : memref<1xf32>
// CHECK:         %[[BEFORE:.*]] = memref.alloca() : memref<1xf32>
// CHECK:         linalg.generic {{.*}} outs(%[[MAXIMUM]]
// CHECK:         linalg.generic {{.*}} outs(%[[E]], %[[SUM]]
// CHECK:         scf.for %[[I:.*]] =
// CHECK:           %[[LAST:.*]] = arith.subi %[[I]]
// CHECK:           linalg.copy ins(%[[SUM]] {{.*}} outs(%[[BEFORE]]
// CHECK:           linalg.fill {{.*}} outs(%[[SUM]]
// CHECK:           %[[TO:.*]] = memref.subview %[[OUT]][%[[LAST]], 0]
// CHECK:           linalg.generic {{.*}} ins(%{{.*}}, %[[MAXIMUM]], %[[E]], %[[BEFORE]], %{{.*}} : {{.*}}) outs(%[[E]], %[[SUM]], %[[TO]] : {{.*}}) attrs = {buddy.prefetched_inputs = 1 : i64}
// CHECK-NOT:       linalg.generic
// CHECK:         }
// CHECK:         %[[TO:.*]] = memref.subview %[[OUT]]
// CHECK:         linalg.generic {{.*}} ins(%[[E]], %[[SUM]] : {{.*}}) outs(%[[TO]]
// VECTOR-LABEL: func @softmax
// VECTOR:      scf.forall
// VECTOR:        scf.for
// VECTOR:        scf.for
// VECTOR:        scf.for
// VECTOR:          scf.for
// VECTOR:          scf.for
// VECTOR:            vector.load
// VECTOR:            math.exp {{.*}} : vector<16xf32>
// VECTOR:            vector.store
func.func @softmax(%x: memref<512x1000xf32>, %out: memref<512x1000xf32>) {
  %zero = arith.constant 0.0 : f32
  %low = arith.constant 0xFF800000 : f32
  scf.forall (%i) in (512) {
    %row = memref.subview %x[%i, 0] [1, 1000] [1, 1] : memref<512x1000xf32> to memref<1x1000xf32, strided<[1000, 1], offset: ?>>
    %to = memref.subview %out[%i, 0] [1, 1000] [1, 1] : memref<512x1000xf32> to memref<1x1000xf32, strided<[1000, 1], offset: ?>>
    %max = memref.alloca() : memref<1xf32>
    %e = memref.alloca() : memref<1x1000xf32>
    %sum = memref.alloca() : memref<1xf32>
    linalg.fill ins(%low : f32) outs(%max : memref<1xf32>)
    linalg.generic {indexing_maps = [#rows, #sums], iterator_types = ["parallel", "reduction"]}
        ins(%row : memref<1x1000xf32, strided<[1000, 1], offset: ?>>) outs(%max : memref<1xf32>) {
    ^bb0(%a: f32, %m: f32):
      %0 = arith.maximumf %m, %a : f32
      linalg.yield %0 : f32
    }
    linalg.fill ins(%zero : f32) outs(%sum : memref<1xf32>)
    linalg.generic {indexing_maps = [#rows, #sums, #rows, #sums], iterator_types = ["parallel", "reduction"]}
        ins(%row, %max : memref<1x1000xf32, strided<[1000, 1], offset: ?>>, memref<1xf32>)
        outs(%e, %sum : memref<1x1000xf32>, memref<1xf32>) {
    ^bb0(%a: f32, %m: f32, %o: f32, %s: f32):
      %0 = arith.subf %a, %m : f32
      %1 = math.exp %0 : f32
      %2 = arith.addf %s, %1 : f32
      linalg.yield %1, %2 : f32, f32
    }
    linalg.generic {indexing_maps = [#rows, #sums, #rows], iterator_types = ["parallel", "parallel"]}
        ins(%e, %sum : memref<1x1000xf32>, memref<1xf32>)
        outs(%to : memref<1x1000xf32, strided<[1000, 1], offset: ?>>) {
    ^bb0(%a: f32, %s: f32, %o: f32):
      %0 = arith.divf %a, %s : f32
      linalg.yield %0 : f32
    }
  }
  return
}

// -----

#rows = affine_map<(i, j) -> (i, j)>
#sums = affine_map<(i, j) -> (i)>

// What the last op reads of the caller's memory is the row before's too. A run may end early.
// CHECK-LABEL: func @normalize
// CHECK-SAME:    %[[X:.*]]: memref<520x128xf32>, %[[OUT:.*]]: memref<520x128xf32>
// CHECK:       scf.forall (%[[FIRST:.*]]) = (0) to (520) step (16)
// CHECK:         %[[END:.*]] = arith.minsi
// CHECK:         scf.for %[[I:.*]] = %{{.*}} to %[[END]]
// CHECK:           %[[LAST:.*]] = arith.subi %[[I]]
// CHECK:           %[[FROM:.*]] = memref.subview %[[X]][%[[LAST]], 0]
// CHECK:           %[[TO:.*]] = memref.subview %[[OUT]][%[[LAST]], 0]
// CHECK:           linalg.generic {{.*}} ins(%{{.*}}, %[[FROM]], %{{.*}} : {{.*}}) outs(%{{.*}}, %[[TO]]
// CHECK:         %[[LAST:.*]] = arith.subi %[[END]]
// CHECK:         memref.subview %[[X]][%[[LAST]], 0]
func.func @normalize(%x: memref<520x128xf32>, %out: memref<520x128xf32>) {
  %zero = arith.constant 0.0 : f32
  scf.forall (%i) in (520) {
    %row = memref.subview %x[%i, 0] [1, 128] [1, 1] : memref<520x128xf32> to memref<1x128xf32, strided<[128, 1], offset: ?>>
    %to = memref.subview %out[%i, 0] [1, 128] [1, 1] : memref<520x128xf32> to memref<1x128xf32, strided<[128, 1], offset: ?>>
    %sum = memref.alloca() : memref<1xf32>
    linalg.fill ins(%zero : f32) outs(%sum : memref<1xf32>)
    linalg.generic {indexing_maps = [#rows, #sums], iterator_types = ["parallel", "reduction"]}
        ins(%row : memref<1x128xf32, strided<[128, 1], offset: ?>>) outs(%sum : memref<1xf32>) {
    ^bb0(%a: f32, %s: f32):
      %0 = arith.addf %s, %a : f32
      linalg.yield %0 : f32
    }
    linalg.generic {indexing_maps = [#rows, #sums, #rows], iterator_types = ["parallel", "parallel"]}
        ins(%row, %sum : memref<1x128xf32, strided<[128, 1], offset: ?>>, memref<1xf32>)
        outs(%to : memref<1x128xf32, strided<[128, 1], offset: ?>>) {
    ^bb0(%a: f32, %s: f32, %o: f32):
      %0 = arith.divf %a, %s : f32
      linalg.yield %0 : f32
    }
  }
  return
}

// -----

#rows = affine_map<(i, j) -> (i, j)>
#crossed = affine_map<(i, j) -> (j, i)>

// The element that the last op reads is another one than the op before writes then.
// CHECK-LABEL: func @another_order
// CHECK:       scf.forall (%{{.*}}) in (512)
// CHECK-NOT:   scf.for
// CHECK:       return
func.func @another_order(%x: memref<512x8x8xf32>, %out: memref<512x8x8xf32>) {
  scf.forall (%i) in (512) {
    %row = memref.subview %x[%i, 0, 0] [1, 8, 8] [1, 1, 1] : memref<512x8x8xf32> to memref<8x8xf32, strided<[8, 1], offset: ?>>
    %to = memref.subview %out[%i, 0, 0] [1, 8, 8] [1, 1, 1] : memref<512x8x8xf32> to memref<8x8xf32, strided<[8, 1], offset: ?>>
    %e = memref.alloca() : memref<8x8xf32>
    linalg.generic {indexing_maps = [#rows, #crossed], iterator_types = ["parallel", "parallel"]}
        ins(%row : memref<8x8xf32, strided<[8, 1], offset: ?>>) outs(%e : memref<8x8xf32>) {
    ^bb0(%a: f32, %o: f32):
      %0 = math.exp %a : f32
      linalg.yield %0 : f32
    }
    linalg.generic {indexing_maps = [#rows, #rows], iterator_types = ["parallel", "parallel"]}
        ins(%e : memref<8x8xf32>) outs(%to : memref<8x8xf32, strided<[8, 1], offset: ?>>) {
    ^bb0(%a: f32, %o: f32):
      %0 = arith.addf %a, %a : f32
      linalg.yield %0 : f32
    }
  }
  return
}

// -----

#rows = affine_map<(i, j) -> (i, j)>
#sums = affine_map<(i, j) -> (i)>

// 32 runs of 3 rows would be too short.
// CHECK-LABEL: func @few_rows
// CHECK:       scf.forall (%{{.*}}) in (96)
// CHECK-NOT:   scf.for
// CHECK:       return
func.func @few_rows(%x: memref<96x128xf32>, %out: memref<96x128xf32>) {
  %zero = arith.constant 0.0 : f32
  scf.forall (%i) in (96) {
    %row = memref.subview %x[%i, 0] [1, 128] [1, 1] : memref<96x128xf32> to memref<1x128xf32, strided<[128, 1], offset: ?>>
    %to = memref.subview %out[%i, 0] [1, 128] [1, 1] : memref<96x128xf32> to memref<1x128xf32, strided<[128, 1], offset: ?>>
    %sum = memref.alloca() : memref<1xf32>
    linalg.fill ins(%zero : f32) outs(%sum : memref<1xf32>)
    linalg.generic {indexing_maps = [#rows, #sums], iterator_types = ["parallel", "reduction"]}
        ins(%row : memref<1x128xf32, strided<[128, 1], offset: ?>>) outs(%sum : memref<1xf32>) {
    ^bb0(%a: f32, %s: f32):
      %0 = arith.addf %s, %a : f32
      linalg.yield %0 : f32
    }
    linalg.generic {indexing_maps = [#rows, #sums, #rows], iterator_types = ["parallel", "parallel"]}
        ins(%row, %sum : memref<1x128xf32, strided<[128, 1], offset: ?>>, memref<1xf32>)
        outs(%to : memref<1x128xf32, strided<[128, 1], offset: ?>>) {
    ^bb0(%a: f32, %s: f32, %o: f32):
      %0 = arith.divf %a, %s : f32
      linalg.yield %0 : f32
    }
  }
  return
}

// -----

#rows = affine_map<(i, j) -> (i, j)>
#sums = affine_map<(i, j) -> (i)>

// Rows are replaced where they are.
// CHECK-LABEL: func @read_again
// CHECK:       scf.forall (%{{.*}}) in (512)
// CHECK-NOT:   scf.for
// CHECK:       return
func.func @read_again(%out: memref<512x128xf32>) {
  %zero = arith.constant 0.0 : f32
  scf.forall (%i) in (512) {
    %row = memref.subview %out[%i, 0] [1, 128] [1, 1] : memref<512x128xf32> to memref<1x128xf32, strided<[128, 1], offset: ?>>
    %to = memref.subview %out[%i, 0] [1, 128] [1, 1] : memref<512x128xf32> to memref<1x128xf32, strided<[128, 1], offset: ?>>
    %sum = memref.alloca() : memref<1xf32>
    linalg.fill ins(%zero : f32) outs(%sum : memref<1xf32>)
    linalg.generic {indexing_maps = [#rows, #sums], iterator_types = ["parallel", "reduction"]}
        ins(%row : memref<1x128xf32, strided<[128, 1], offset: ?>>) outs(%sum : memref<1xf32>) {
    ^bb0(%a: f32, %s: f32):
      %0 = arith.addf %s, %a : f32
      linalg.yield %0 : f32
    }
    linalg.generic {indexing_maps = [#rows, #sums, #rows], iterator_types = ["parallel", "parallel"]}
        ins(%row, %sum : memref<1x128xf32, strided<[128, 1], offset: ?>>, memref<1xf32>)
        outs(%to : memref<1x128xf32, strided<[128, 1], offset: ?>>) {
    ^bb0(%a: f32, %s: f32, %o: f32):
      %0 = arith.divf %a, %s : f32
      linalg.yield %0 : f32
    }
  }
  return
}
