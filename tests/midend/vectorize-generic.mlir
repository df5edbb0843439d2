// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: buddy-opt %s -split-input-file -pass-pipeline='builtin.module(func.func(buddy-vectorize-generic))' | FileCheck %s
// RUN: buddy-opt %s -split-input-file -pass-pipeline='builtin.module(func.func(buddy-vectorize-generic{has-bf16-dot=true},canonicalize,cse))' | FileCheck %s --check-prefix=DOT

#rows = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (j)>

// A static multiple of the vector needs no mask; the broadcast row is loaded as a vector.
// CHECK-LABEL: func @elementwise
// CHECK-NOT:   vector.maskedload
// CHECK:       arith.addf {{.*}} : vector<16xf32>
// CHECK:       math.exp {{.*}} : vector<16xf32>
// CHECK-NOT:   vector.maskedstore
// CHECK-NOT:   linalg.generic
func.func @elementwise(%a: memref<?x64xf32>, %b: memref<64xf32>, %c: memref<?x64xf32>) {
  linalg.generic {indexing_maps = [#rows, #row, #rows], iterator_types = ["parallel", "parallel"]}
      ins(%a, %b : memref<?x64xf32>, memref<64xf32>) outs(%c : memref<?x64xf32>) {
  ^bb0(%x: f32, %y: f32, %z: f32):
    %sum = arith.addf %x, %y : f32
    %exp = math.exp %sum : f32
    linalg.yield %exp : f32
  }
  return
}

// -----

// A reduction along the rows keeps four partial results, in a loop that LLVM leaves as it is; the
// masked rest folds in nothing.
// CHECK:       #[[ROLLED:.*]] = #llvm.loop_unroll<disable = true>
// CHECK:       #[[LOOP:.*]] = #llvm.loop_annotation<unroll = #[[ROLLED]]>
// CHECK-LABEL: func @rowMaximum
// CHECK-COUNT-4: arith.maximumf {{.*}} : vector<16xf32>
// CHECK:       } {loop_annotation = #[[LOOP]]}
// CHECK:       vector.maskedload
// CHECK:       arith.select
// CHECK:       vector.reduction <maximumf>
func.func @rowMaximum(%a: memref<?x?xf32>, %c: memref<?xf32>) {
  linalg.reduce {arith.maximumf} ins(%a : memref<?x?xf32>) outs(%c : memref<?xf32>) dimensions = [1]
  return
}

// -----

// A long sum over rows is one of partial sums of 1024 rows, which are ones of 32: each starts anew
// and is added to what there is outside of its loop.
// CHECK-LABEL: func @longColumnSum
// CHECK:         scf.for {{.*}} step %c1024{{.*}} iter_args
// CHECK:           scf.for {{.*}} step %c32{{.*}} iter_args
// CHECK:             scf.for {{.*}} step %c1{{(_[0-9]+)?}} iter_args
// CHECK:               vector.load {{.*}} : memref<10000x64xf32>, vector<16xf32>
// CHECK:               scf.yield
// CHECK-COUNT-4:     arith.addf {{.*}} : vector<16xf32>
// CHECK-NEXT:        scf.yield
// CHECK:           scf.yield
func.func @longColumnSum(%a: memref<10000x64xf32>, %c: memref<64xf32>) {
  linalg.reduce {arith.addf} ins(%a : memref<10000x64xf32>) outs(%c : memref<64xf32>) dimensions = [0]
  return
}

// -----

// A maximum loses no digits: one loop.
// CHECK-LABEL: func @longColumnMaximum
// CHECK:         scf.for {{.*}} step %c1{{(_[0-9]+)?}} iter_args
// CHECK-NOT:     scf.for
func.func @longColumnMaximum(%a: memref<10000x64xf32>, %c: memref<64xf32>) {
  linalg.reduce {arith.maximumf} ins(%a : memref<10000x64xf32>) outs(%c : memref<64xf32>) dimensions = [0]
  return
}

// -----

// A reduction over the rows carries the columns in registers.
// CHECK-LABEL: func @columnSum
// CHECK:       scf.for {{.*}} iter_args({{.*}}) -> (vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>)
// CHECK-NOT:   vector.reduction
func.func @columnSum(%a: memref<?x64xf32>, %c: memref<64xf32>) {
  linalg.reduce {arith.addf} ins(%a : memref<?x64xf32>) outs(%c : memref<64xf32>) dimensions = [0]
  return
}

// -----

#id = affine_map<(i, j) -> (i)>
#out = affine_map<(i, j) -> (i, j)>

// A row of an embedding table is one contiguous read.
// CHECK-LABEL: func @embedding
// CHECK:       %[[ID:.*]] = arith.index_cast
// CHECK:       vector.load %{{.*}}[%[[ID]], %{{.*}}] : memref<100x64xf32>, vector<16xf32>
func.func @embedding(%ids: memref<?xi64>, %table: memref<100x64xf32>, %c: memref<?x64xf32>) {
  linalg.generic {indexing_maps = [#id, #out], iterator_types = ["parallel", "parallel"]}
      ins(%ids : memref<?xi64>) outs(%c : memref<?x64xf32>) {
  ^bb0(%x: i64, %z: f32):
    %i = arith.index_cast %x : i64 to index
    %j = linalg.index 1 : index
    %v = memref.load %table[%i, %j] : memref<100x64xf32>
    linalg.yield %v : f32
  }
  return
}

// -----

// Truth values are bytes in memory but bits in a vector.
// CHECK-LABEL: func @truth
// CHECK:       %[[IN:.*]] = builtin.unrealized_conversion_cast %arg0 : memref<64xi1> to memref<64xi8>
// CHECK:       %[[BYTES:.*]] = vector.load %[[IN]]{{.*}} vector<64xi8>
// CHECK:       %[[BITS:.*]] = arith.cmpi ne, %[[BYTES]]
// CHECK:       %[[WIDE:.*]] = arith.extui %[[BITS]] : vector<64xi1> to vector<64xi8>
// CHECK:       vector.store %[[WIDE]]
func.func @truth(%p: memref<64xi1>, %q: memref<64xi1>) {
  linalg.copy ins(%p : memref<64xi1>) outs(%q : memref<64xi1>)
  return
}

// -----

#row = affine_map<(i, j) -> (i)>
#all = affine_map<(i, j) -> (i, j)>

// One loop stores the elements and folds them.
// CHECK-LABEL: func @elements_and_sum
// CHECK:       scf.for
// CHECK:       scf.for {{.*}} iter_args
// CHECK:       %[[X:.*]] = vector.load %arg0
// CHECK:       %[[SQUARE:.*]] = arith.mulf %[[X]], %[[X]]
// CHECK:       arith.addf {{.*}}, %[[SQUARE]]
// CHECK:       vector.store %[[SQUARE]], %arg1
// CHECK:       vector.reduction <add>, {{.*}} fastmath<reassoc>
// CHECK-NOT:   linalg.generic
func.func @elements_and_sum(%x: memref<8x128xf32>, %squares: memref<8x128xf32>, %sums: memref<8xf32>) {
  linalg.generic {indexing_maps = [#all, #all, #row], iterator_types = ["parallel", "reduction"]}
      ins(%x : memref<8x128xf32>) outs(%squares, %sums : memref<8x128xf32>, memref<8xf32>) {
  ^bb0(%e: f32, %unused: f32, %sum: f32):
    %square = arith.mulf %e, %e : f32
    %next = arith.addf %sum, %square : f32
    linalg.yield %square, %next : f32, f32
  }
  return
}

// -----

#row = affine_map<(i, j) -> (i)>
#all = affine_map<(i, j) -> (i, j)>

// A running sum needs its own last result: no vectors.
// CHECK-LABEL: func @running_sum
// CHECK:       linalg.generic
func.func @running_sum(%x: memref<8x128xf32>, %sums: memref<8x128xf32>, %sum: memref<8xf32>) {
  linalg.generic {indexing_maps = [#all, #all, #row], iterator_types = ["parallel", "reduction"]}
      ins(%x : memref<8x128xf32>) outs(%sums, %sum : memref<8x128xf32>, memref<8xf32>) {
  ^bb0(%e: f32, %unused: f32, %before: f32):
    %next = arith.addf %before, %e : f32
    linalg.yield %next, %next : f32, f32
  }
  return
}

// -----

// A window shifts what is read; channels are the vectors. All four positions of a line stay in
// registers, and the nine that they read of a row of the window are loaded once for all of them.
// CHECK-LABEL: func @window
// CHECK:       scf.for %[[C:.*]] = %{{.*}} to %c128{{.*}} step %c16
// CHECK:         scf.for
// CHECK-COUNT-4: vector.load {{.*}} : memref<4x4x128xf32>, vector<16xf32>
// CHECK-NOT:     vector.load {{.*}} : memref<4x4x128xf32>
// CHECK:         scf.for {{.*}} iter_args({{.*}}) -> (vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>)
// CHECK:           vector.load %{{.*}}[%{{.*}}, %{{.*}}, %[[C]]] : memref<9x9x128xf32>, vector<16xf32>
// CHECK:           arith.maximumf {{.*}} : vector<16xf32>
// CHECK-COUNT-8:   vector.load {{.*}} : memref<9x9x128xf32>, vector<16xf32>
// CHECK-NOT:       vector.load {{.*}} : memref<9x9x128xf32>
// CHECK:           scf.yield
// CHECK-NOT:   linalg.generic
func.func @window(%x: memref<9x9x128xf32>, %shape: memref<3x3xf32>, %out: memref<4x4x128xf32>) {
  linalg.generic {indexing_maps = [affine_map<(y, x, c, i, j) -> (y * 2 + i, x * 2 + j, c)>, affine_map<(y, x, c, i, j) -> (i, j)>, affine_map<(y, x, c, i, j) -> (y, x, c)>],
                  iterator_types = ["parallel", "parallel", "parallel", "reduction", "reduction"]}
      ins(%x, %shape : memref<9x9x128xf32>, memref<3x3xf32>) outs(%out : memref<4x4x128xf32>) {
  ^bb0(%a: f32, %s: f32, %b: f32):
    %m = arith.maximumf %a, %b : f32
    linalg.yield %m : f32
  }
  return
}

// -----

// A convolution of single channels: its sums start from the constant that a fill would store, and
// what is computed of them is stored in their place. Two taps of bf16 are one dot product, the
// third has a zero beside it; neighbouring positions share what they read.
// CHECK-LABEL: func @depthwise
// CHECK:       %[[UNUSED:.*]] = memref.alloca
// CHECK-NOT:   %[[UNUSED]]
// CHECK:       %{{.*}}:8 = scf.for {{.*}} iter_args
// CHECK-COUNT-10: vector.load {{.*}} : memref<4x10x64xbf16>, vector<16xbf16>
// CHECK-NOT:     vector.load {{.*}} : memref<4x10x64xbf16>
// CHECK:         scf.yield
// CHECK-COUNT-8: arith.maximumf
// CHECK-NOT:   linalg
// DOT-LABEL: func @depthwise
// DOT-NOT:     memref.alloca
// DOT:         scf.for {{.*}} step %c32
// DOT:         %{{.*}}:16 = scf.for {{.*}} iter_args
// DOT-COUNT-32:  llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"
// DOT-NOT:       arith.extf
// DOT:           scf.yield
// DOT-COUNT-16: arith.maximumf {{.*}} : vector<16xf32>
#in = affine_map<(y, x, c, i, j) -> (y + i, x + j, c)>
#tap = affine_map<(y, x, c, i, j) -> (i, j, c)>
#sum = affine_map<(y, x, c, i, j) -> (y, x, c)>
#id = affine_map<(y, x, c) -> (y, x, c)>
func.func @depthwise(%x: memref<4x10x64xbf16>, %w: memref<3x3x64xbf16>, %out: memref<2x8x64xbf16>) {
  %zero = arith.constant 0.0 : f32
  %sums = memref.alloca() : memref<2x8x64xf32>
  linalg.fill ins(%zero : f32) outs(%sums : memref<2x8x64xf32>)
  linalg.generic {indexing_maps = [#in, #tap, #sum], iterator_types = ["parallel", "parallel", "parallel", "reduction", "reduction"]}
      ins(%x, %w : memref<4x10x64xbf16>, memref<3x3x64xbf16>) outs(%sums : memref<2x8x64xf32>) {
  ^bb0(%a: bf16, %b: bf16, %s: f32):
    %p = arith.extf %a : bf16 to f32
    %q = arith.extf %b : bf16 to f32
    %m = arith.mulf %p, %q fastmath<contract> : f32
    %n = arith.addf %s, %m fastmath<contract> : f32
    linalg.yield %n : f32
  }
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%sums : memref<2x8x64xf32>) outs(%out : memref<2x8x64xbf16>) {
  ^bb0(%s: f32, %o: bf16):
    %r = arith.maximumf %s, %zero : f32
    %t = arith.truncf %r : f32 to bf16
    linalg.yield %t : bf16
  }
  return
}

// -----

// Sums that somebody else reads too are stored.
// CHECK-LABEL: func @readTwice
// CHECK:       vector.store {{.*}} : memref<8x64xf32>, vector<16xf32>
func.func @readTwice(%x: memref<10x64xf32>, %w: memref<3x64xf32>, %out: memref<8x64xf32>, %other: memref<8x64xf32>) {
  %zero = arith.constant 0.0 : f32
  %sums = memref.alloca() : memref<8x64xf32>
  linalg.fill ins(%zero : f32) outs(%sums : memref<8x64xf32>)
  linalg.generic {indexing_maps = [affine_map<(x, c, j) -> (x + j, c)>, affine_map<(x, c, j) -> (j, c)>, affine_map<(x, c, j) -> (x, c)>], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : memref<10x64xf32>, memref<3x64xf32>) outs(%sums : memref<8x64xf32>) {
  ^bb0(%a: f32, %b: f32, %s: f32):
    %m = arith.mulf %a, %b : f32
    %n = arith.addf %s, %m : f32
    linalg.yield %n : f32
  }
  linalg.generic {indexing_maps = [affine_map<(x, c) -> (x, c)>, affine_map<(x, c) -> (x, c)>], iterator_types = ["parallel", "parallel"]}
      ins(%sums : memref<8x64xf32>) outs(%out : memref<8x64xf32>) {
  ^bb0(%s: f32, %o: f32):
    %r = arith.negf %s : f32
    linalg.yield %r : f32
  }
  memref.copy %sums, %other : memref<8x64xf32> to memref<8x64xf32>
  return
}

// -----

// A transposition goes by squares: 16 rows are read, and 16 columns written; the edges under masks.
// CHECK-LABEL: func @transposed
// CHECK-COUNT-16: vector.load %{{.*}} : memref<33x40xf32>, vector<16xf32>
// CHECK-COUNT-64: vector.shuffle
// CHECK:       math.absf {{.*}} : vector<16xf32>
// CHECK:       vector.store %{{.*}} : memref<40x33xf32>, vector<16xf32>
// CHECK:       vector.maskedload
// CHECK-NOT:   linalg.generic
func.func @transposed(%x: memref<33x40xf32>, %out: memref<40x33xf32>) {
  linalg.generic {indexing_maps = [affine_map<(i, j) -> (j, i)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%x : memref<33x40xf32>) outs(%out : memref<40x33xf32>) {
  ^bb0(%a: f32, %b: f32):
    %m = math.absf %a : f32
    linalg.yield %m : f32
  }
  return
}

// -----

// A kernel's three by three elements are one row of nine: with them, channels fill the squares.
// CHECK-LABEL: func @joined
// CHECK:       %[[ROWS:.*]] = memref.collapse_shape %arg0 {{\[}}[0], [1, 2, 3]] : memref<32x8x3x3xf32> into memref<32x72xf32>
// CHECK-COUNT-16: vector.load %[[ROWS]]{{.*}} : memref<32x72xf32>, vector<16xf32>
// CHECK-COUNT-64: vector.shuffle
// CHECK:       arith.remui
// CHECK:       vector.store %{{.*}}, %arg1{{.*}} : memref<3x3x8x32xf32>, vector<16xf32>
// CHECK-NOT:   linalg.generic
func.func @joined(%x: memref<32x8x3x3xf32>, %out: memref<3x3x8x32xf32>) {
  linalg.generic {indexing_maps = [affine_map<(i, j, c, f) -> (f, c, i, j)>, affine_map<(i, j, c, f) -> (i, j, c, f)>], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%x : memref<32x8x3x3xf32>) outs(%out : memref<3x3x8x32xf32>) {
  ^bb0(%a: f32, %b: f32):
    linalg.yield %a : f32
  }
  return
}

// -----

// Three channels that come last: three vectors along the row, whose elements take turns in what is
// stored. Of a row's end as many elements are stored as there are.
// CHECK-LABEL: func @interleaved
// CHECK:       scf.for
// CHECK-COUNT-3: vector.load %arg0{{.*}} : memref<3x40xf32>, vector<16xf32>
// CHECK:         %[[OUT:.*]] = memref.collapse_shape %arg2 {{\[}}[0, 1]] : memref<40x3xf32> into memref<120xf32>
// CHECK:         vector.shuffle %{{.*}}, %{{.*}} [0, 16, -1, 1, 17, -1, 2, 18, -1, 3, 19, -1, 4, 20, -1, 5]
// CHECK-NEXT:    vector.shuffle %{{.*}}, %{{.*}} [0, 1, 16, 3, 4, 17, 6, 7, 18, 9, 10, 19, 12, 13, 20, 15]
// CHECK-COUNT-4: vector.shuffle
// CHECK-NOT:     vector.shuffle
// CHECK-COUNT-3: vector.store %{{.*}}, %[[OUT]]{{.*}} : memref<120xf32>, vector<16xf32>
// CHECK-COUNT-3: vector.maskedload
// CHECK-COUNT-3: vector.maskedstore
// CHECK-NOT:   linalg.generic
func.func @interleaved(%x: memref<3x40xf32>, %mean: memref<3xf32>, %out: memref<40x3xf32>) {
  linalg.generic {indexing_maps = [affine_map<(i, c) -> (c, i)>, affine_map<(i, c) -> (c)>, affine_map<(i, c) -> (i, c)>], iterator_types = ["parallel", "parallel"]}
      ins(%x, %mean : memref<3x40xf32>, memref<3xf32>) outs(%out : memref<40x3xf32>) {
  ^bb0(%a: f32, %m: f32, %b: f32):
    %d = arith.subf %a, %m : f32
    linalg.yield %d : f32
  }
  return
}

// -----

// With a gap between the elements of neighbours it goes by squares.
// CHECK-LABEL: func @apart
// CHECK-COUNT-64: vector.shuffle
// CHECK-NOT:   linalg.generic
func.func @apart(%x: memref<3x40xf32>, %out: memref<40x3xf32, strided<[4, 1]>>) {
  linalg.generic {indexing_maps = [affine_map<(i, c) -> (c, i)>, affine_map<(i, c) -> (i, c)>], iterator_types = ["parallel", "parallel"]}
      ins(%x : memref<3x40xf32>) outs(%out : memref<40x3xf32, strided<[4, 1]>>) {
  ^bb0(%a: f32, %b: f32):
    linalg.yield %a : f32
  }
  return
}

// -----

// A running sum: the total stays in a register, and every step stores its own element.
// CHECK-LABEL: func @scan
// CHECK:       scf.for {{.*}} iter_args
// CHECK:         arith.addf {{.*}} : vector<16xf32>
// CHECK:         vector.store %{{.*}}, %arg2
// CHECK:         scf.yield
// CHECK:       vector.store %{{.*}}, %arg1
// CHECK-NOT:   linalg.generic
func.func @scan(%x: memref<9x64xf32>, %total: memref<64xf32>, %out: memref<9x64xf32>) {
  linalg.generic {indexing_maps = [affine_map<(c, i) -> (i, c)>, affine_map<(c, i) -> (c)>, affine_map<(c, i) -> (i, c)>],
                  iterator_types = ["parallel", "reduction"]}
      ins(%x : memref<9x64xf32>) outs(%total, %out : memref<64xf32>, memref<9x64xf32>) {
  ^bb0(%a: f32, %t: f32, %o: f32):
    %s = arith.addf %a, %t : f32
    linalg.yield %s, %s : f32, f32
  }
  return
}

// -----

// Along the scan itself there are no vectors.
// CHECK-LABEL: func @row
// CHECK:       linalg.generic
func.func @row(%x: memref<64xf32>, %total: memref<f32>, %out: memref<64xf32>) {
  linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> ()>, affine_map<(i) -> (i)>],
                  iterator_types = ["reduction"]}
      ins(%x : memref<64xf32>) outs(%total, %out : memref<f32>, memref<64xf32>) {
  ^bb0(%a: f32, %t: f32, %o: f32):
    %s = arith.addf %a, %t : f32
    linalg.yield %s, %s : f32, f32
  }
  return
}

// -----

// A named operator's multiply-add may round once. Two operators in one loop may not: the product
// could meet itself, rounded, elsewhere, or be infinite only when it is rounded.
// CHECK-LABEL: func @depthwise
// CHECK:       arith.mulf {{.*}} fastmath<contract> : vector<16xf32>
// CHECK:       arith.addf {{.*}} fastmath<contract> : vector<16xf32>
func.func @depthwise(%x: memref<1x10x16xf32>, %w: memref<3x16xf32>, %c: memref<1x8x16xf32>) {
  linalg.depthwise_conv_1d_nwc_wc ins(%x, %w : memref<1x10x16xf32>, memref<3x16xf32>)
      outs(%c : memref<1x8x16xf32>)
  return
}

// -----

#operands = affine_map<(c, k) -> (k, c)>
#sums = affine_map<(c, k) -> (c)>

// CHECK-LABEL: func @sumOfProducts
// CHECK:       arith.mulf %{{[^ ]*}}, %{{[^ ]*}} : vector<16xf32>
// CHECK:       arith.addf %{{[^ ]*}}, %{{[^ ]*}} : vector<16xf32>
func.func @sumOfProducts(%x: memref<3x16xf32>, %y: memref<3x16xf32>, %c: memref<16xf32>) {
  linalg.generic {indexing_maps = [#operands, #operands, #sums], iterator_types = ["parallel", "reduction"]}
      ins(%x, %y : memref<3x16xf32>, memref<3x16xf32>) outs(%c : memref<16xf32>) {
  ^bb0(%a: f32, %b: f32, %total: f32):
    %product = arith.mulf %a, %b : f32
    %sum = arith.addf %total, %product : f32
    linalg.yield %sum : f32
  }
  return
}

// -----

#pixels = affine_map<(i, c) -> (i, c)>

// CHECK-LABEL: func @scaledSum
// CHECK:       arith.mulf %{{[^ ]*}}, %{{[^ ]*}} : vector<16xf32>
// CHECK:       arith.addf %{{[^ ]*}}, %{{[^ ]*}} : vector<16xf32>
func.func @scaledSum(%x: memref<8x16xf32>, %y: memref<8x16xf32>, %c: memref<8x16xf32>) {
  linalg.generic {indexing_maps = [#pixels, #pixels, #pixels], iterator_types = ["parallel", "parallel"]}
      ins(%x, %y : memref<8x16xf32>, memref<8x16xf32>) outs(%c : memref<8x16xf32>) {
  ^bb0(%a: f32, %b: f32, %old: f32):
    %product = arith.mulf %a, %b : f32
    %sum = arith.addf %product, %a : f32
    linalg.yield %sum : f32
  }
  return
}

// -----

// A row of bytes that is longer than half a vector is one vector under a mask.
// CHECK-LABEL: func @bytes
// CHECK:       vector.maskedload {{.*}} : memref<4x33xi8>, vector<64xi1>, vector<64xi8> into vector<64xi8>
// CHECK:       vector.maskedstore
// CHECK-NOT:   vector<33xi8>
// CHECK:       return
func.func @bytes(%x: memref<4x33xi8>, %out: memref<4x33xi8>) {
  linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%x : memref<4x33xi8>) outs(%out : memref<4x33xi8>) {
  ^bb0(%a: i8, %b: i8):
    %0 = arith.addi %a, %a : i8
    linalg.yield %0 : i8
  }
  return
}

// -----

// Weights that are packed by pairs, f32 here: the two of a pair come from the 18 rows of two
// squares, of which the second has two; they take turns in nine times two vectors.
// CHECK-LABEL: func @pairs
// CHECK:       %[[ROWS:.*]] = memref.collapse_shape %arg0 {{\[}}[0], [1], [2, 3]] : memref<32x8x2x9xf32> into memref<32x8x18xf32>
// CHECK-COUNT-16: vector.load %[[ROWS]]{{.*}} : memref<32x8x18xf32>, vector<16xf32>
// CHECK-COUNT-64: vector.shuffle
// CHECK-COUNT-16: vector.maskedload %[[ROWS]]
// CHECK-COUNT-64: vector.shuffle
// CHECK:       vector.shuffle %{{.*}}, %{{.*}} [0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23]
// CHECK-NEXT:  vector.shuffle %{{.*}}, %{{.*}} [8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31]
// CHECK-COUNT-18: vector.store %{{.*}} : memref<9x8x64xf32>, vector<16xf32>
// CHECK-NOT:   vector.store
// CHECK-NOT:   linalg.generic
func.func @pairs(%x: memref<32x8x2x9xf32>, %out: memref<9x8x32x2xf32>) {
  linalg.generic {indexing_maps = [affine_map<(k, c, f, p) -> (f, c, p, k)>, affine_map<(k, c, f, p) -> (k, c, f, p)>], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%x : memref<32x8x2x9xf32>) outs(%out : memref<9x8x32x2xf32>) {
  ^bb0(%a: f32, %b: f32):
    linalg.yield %a : f32
  }
  return
}

// -----

// The two of a pair are far from each other: a square for each, of which nine rows are used.
// CHECK-LABEL: func @pairs_apart
// CHECK-COUNT-16: vector.maskedload %arg0{{.*}} : memref<2x32x9xf32>
// CHECK-COUNT-64: vector.shuffle
// CHECK-COUNT-16: vector.maskedload %arg0{{.*}} : memref<2x32x9xf32>
// CHECK-COUNT-64: vector.shuffle
// CHECK:       vector.shuffle %{{.*}}, %{{.*}} [0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23]
// CHECK-COUNT-18: vector.store %{{.*}} : memref<9x64xf32>, vector<16xf32>
// CHECK-NOT:   vector.store
// CHECK-NOT:   linalg.generic
func.func @pairs_apart(%x: memref<2x32x9xf32>, %out: memref<9x32x2xf32>) {
  linalg.generic {indexing_maps = [affine_map<(k, f, p) -> (p, f, k)>, affine_map<(k, f, p) -> (k, f, p)>], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%x : memref<2x32x9xf32>) outs(%out : memref<9x32x2xf32>) {
  ^bb0(%a: f32, %b: f32):
    linalg.yield %a : f32
  }
  return
}
