// RUN: buddy-opt %s -split-input-file -buddy-hoist-prepare -canonicalize | FileCheck %s
// RUN: buddy-opt %s -split-input-file -buddy-hoist-prepare=weights-stay -canonicalize | FileCheck %s --check-prefix=STAY
// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// What depends on weights alone is computed once, under one name for both entry points.
// CHECK-LABEL: func @prefill
// CHECK-SAME:    %[[P:[a-z0-9]+]]: tensor<8x64x16x1xf32> {buddy.kind = "prepared", buddy.name = "prepared.0"}
// CHECK-NOT:   linalg.pack
// CHECK:       "buddy.matmul"(%{{.*}}, %[[P]],
// CHECK-LABEL: func @decode
// CHECK-SAME:    buddy.name = "prepared.0"
// CHECK-NOT:   linalg.pack
// CHECK-LABEL: func @prepare
// CHECK-SAME:    buddy.name = "w"
// CHECK-SAME:    -> (tensor<8x64x16x1xf32> {buddy.kind = "prepared", buddy.name = "prepared.0"})
// CHECK:       linalg.pack
// CHECK-NOT:   linalg.pack
func.func @prefill(%x: tensor<?x64xf32> {buddy.kind = "input", buddy.name = "x"},
                   %w: tensor<128x64xf32> {buddy.kind = "parameter", buddy.name = "w"},
                   %out: tensor<?x128xf32> {buddy.kind = "input", buddy.name = "out"}) -> tensor<?x128xf32> {
  %empty = tensor.empty() : tensor<8x64x16x1xf32>
  %p = linalg.pack %w inner_dims_pos = [0, 1] inner_tiles = [16, 1] into %empty : tensor<128x64xf32> -> tensor<8x64x16x1xf32>
  %m = "buddy.matmul"(%x, %p, %out) : (tensor<?x64xf32>, tensor<8x64x16x1xf32>, tensor<?x128xf32>) -> tensor<?x128xf32>
  return %m : tensor<?x128xf32>
}
func.func @decode(%x: tensor<1x64xf32> {buddy.kind = "input", buddy.name = "x"},
                  %w: tensor<128x64xf32> {buddy.kind = "parameter", buddy.name = "w"}) -> tensor<1x128xf32> {
  %empty = tensor.empty() : tensor<8x64x16x1xf32>
  %out = tensor.empty() : tensor<1x128xf32>
  %p = linalg.pack %w inner_dims_pos = [0, 1] inner_tiles = [16, 1] into %empty : tensor<128x64xf32> -> tensor<8x64x16x1xf32>
  %m = "buddy.matmul"(%x, %p, %out) : (tensor<1x64xf32>, tensor<8x64x16x1xf32>, tensor<1x128xf32>) -> tensor<1x128xf32>
  return %m : tensor<1x128xf32>
}

// -----

// A view costs nothing: it stays where it is used.
// CHECK-LABEL: func @view
// CHECK-NOT:   prepared
// CHECK:       tensor.expand_shape
// CHECK-NOT:   func.func @prepare
func.func @view(%w: tensor<128xf32> {buddy.kind = "parameter", buddy.name = "w"}) -> tensor<8x16xf32> {
  %v = tensor.expand_shape %w [[0, 1]] output_shape [8, 16] : tensor<128xf32> into tensor<8x16xf32>
  return %v : tensor<8x16xf32>
}

// -----

// A gather reads its table and its scale inside the region: they go along, and an input there
// keeps the gather where it is.
// CHECK-LABEL: func @gather
// CHECK:       tensor.extract
// CHECK-NOT:   tensor.extract
// CHECK:       return
// CHECK-LABEL: func @prepare
// CHECK:       tensor.extract
#row = affine_map<(d0, d1) -> (d0)>
#all = affine_map<(d0, d1) -> (d0, d1)>
func.func @gather(%table: tensor<512x64xf32> {buddy.kind = "parameter", buddy.name = "table"},
                  %ids: tensor<7xi64> {buddy.kind = "parameter", buddy.name = "ids"},
                  %x: tensor<512x64xf32> {buddy.kind = "input", buddy.name = "x"}) -> (tensor<7x64xf32>, tensor<7x64xf32>) {
  %empty = tensor.empty() : tensor<7x64xf32>
  %two = arith.constant 2.0 : f32
  %weights = linalg.generic {indexing_maps = [#row, #all], iterator_types = ["parallel", "parallel"]}
      ins(%ids : tensor<7xi64>) outs(%empty : tensor<7x64xf32>) {
  ^bb0(%id: i64, %out: f32):
    %i = arith.index_cast %id : i64 to index
    %j = linalg.index 1 : index
    %e = tensor.extract %table[%i, %j] : tensor<512x64xf32>
    %s = arith.mulf %e, %two : f32
    linalg.yield %s : f32
  } -> tensor<7x64xf32>
  %inputs = linalg.generic {indexing_maps = [#row, #all], iterator_types = ["parallel", "parallel"]}
      ins(%ids : tensor<7xi64>) outs(%empty : tensor<7x64xf32>) {
  ^bb0(%id: i64, %out: f32):
    %i = arith.index_cast %id : i64 to index
    %j = linalg.index 1 : index
    %e = tensor.extract %x[%i, %j] : tensor<512x64xf32>
    linalg.yield %e : f32
  } -> tensor<7x64xf32>
  return %weights, %inputs : tensor<7x64xf32>, tensor<7x64xf32>
}

// -----

// A function that is called is passed what it computes from weights; what is a weight at one call
// only stays inside.
// CHECK-LABEL: func @layers
// CHECK-SAME:    buddy.name = "prepared.0"
// CHECK-SAME:    buddy.name = "prepared.1"
// CHECK-NOT:   linalg.pack
// CHECK:       call @layer(%{{.*}}) : (tensor<128x64xf32>, tensor<128x64xf32>, tensor<8x64x16x1xf32>)
// CHECK:       call @layer(%{{.*}}) : (tensor<128x64xf32>, tensor<128x64xf32>, tensor<8x64x16x1xf32>)
// CHECK-LABEL: func private @layer
// CHECK-SAME:    %[[X:.*]]: tensor<128x64xf32>, %{{.*}}: tensor<128x64xf32>, %[[P:.*]]: tensor<8x64x16x1xf32>)
// CHECK:       %[[Q:.*]] = linalg.pack %[[X]]
// CHECK-NOT:   linalg.pack
// CHECK:       return %[[P]], %[[Q]]
// CHECK-LABEL: func @prepare
// CHECK-COUNT-2: linalg.pack
// CHECK-NOT:   linalg.pack
!packed = tensor<8x64x16x1xf32>
func.func @layers(%x: tensor<128x64xf32> {buddy.kind = "input", buddy.name = "x"},
                  %v: tensor<128x64xf32> {buddy.kind = "parameter", buddy.name = "v"},
                  %w: tensor<128x64xf32> {buddy.kind = "parameter", buddy.name = "w"}) -> (!packed, !packed, !packed, !packed) {
  %a:2 = call @layer(%x, %v) : (tensor<128x64xf32>, tensor<128x64xf32>) -> (!packed, !packed)
  %b:2 = call @layer(%v, %w) : (tensor<128x64xf32>, tensor<128x64xf32>) -> (!packed, !packed)
  return %a#0, %a#1, %b#0, %b#1 : !packed, !packed, !packed, !packed
}
func.func private @layer(%x: tensor<128x64xf32>, %w: tensor<128x64xf32>) -> (!packed, !packed) {
  %empty = tensor.empty() : !packed
  %p = linalg.pack %w inner_dims_pos = [0, 1] inner_tiles = [16, 1] into %empty : tensor<128x64xf32> -> !packed
  %q = linalg.pack %x inner_dims_pos = [0, 1] inner_tiles = [16, 1] into %empty : tensor<128x64xf32> -> !packed
  return %p, %q : !packed, !packed
}

// -----

// Where the weights stay in memory, of large ones of f32 no second copy is made if the product reads
// them well as they lie: by the rows of [N,K], or [K,N] in tiles of many rows. Of very large ones
// none is made either if each call has to transpose them.
// CHECK-LABEL: func @prepare
// STAY-LABEL: func @few_rows
// STAY:       linalg.pack
// STAY-LABEL: func @rows
// STAY:       linalg.pack
// STAY-LABEL: func @columns
// STAY:       linalg.pack
// STAY-LABEL: func @very_large
// STAY:       linalg.pack
// STAY-NOT:   func.func @prepare
func.func @few_rows(%x: tensor<1x512xf32> {buddy.kind = "input", buddy.name = "x"},
                  %w: tensor<1024x512xf32> {buddy.kind = "parameter", buddy.name = "few_rows"},
                  %out: tensor<1x1024xf32> {buddy.kind = "input", buddy.name = "out"}) -> tensor<1x1024xf32> {
  %empty = tensor.empty() : tensor<32x512x32x1xf32>
  %p = linalg.pack %w inner_dims_pos = [0, 1] inner_tiles = [32, 1] into %empty : tensor<1024x512xf32> -> tensor<32x512x32x1xf32>
  %m = "buddy.matmul"(%x, %p, %out) : (tensor<1x512xf32>, tensor<32x512x32x1xf32>, tensor<1x1024xf32>) -> tensor<1x1024xf32>
  return %m : tensor<1x1024xf32>
}
func.func @rows(%x: tensor<128x512xf32> {buddy.kind = "input", buddy.name = "x"},
                  %w: tensor<1024x512xf32> {buddy.kind = "parameter", buddy.name = "rows"},
                  %out: tensor<128x1024xf32> {buddy.kind = "input", buddy.name = "out"}) -> tensor<128x1024xf32> {
  %empty = tensor.empty() : tensor<32x512x32x1xf32>
  %p = linalg.pack %w inner_dims_pos = [0, 1] inner_tiles = [32, 1] into %empty : tensor<1024x512xf32> -> tensor<32x512x32x1xf32>
  %m = "buddy.matmul"(%x, %p, %out) : (tensor<128x512xf32>, tensor<32x512x32x1xf32>, tensor<128x1024xf32>) -> tensor<128x1024xf32>
  return %m : tensor<128x1024xf32>
}
func.func @columns(%x: tensor<128x512xf32> {buddy.kind = "input", buddy.name = "x"},
                  %w: tensor<512x1024xf32> {buddy.kind = "parameter", buddy.name = "columns"},
                  %out: tensor<128x1024xf32> {buddy.kind = "input", buddy.name = "out"}) -> tensor<128x1024xf32> {
  %empty = tensor.empty() : tensor<32x512x32x1xf32>
  %p = linalg.pack %w outer_dims_perm = [1, 0] inner_dims_pos = [1, 0] inner_tiles = [32, 1] into %empty : tensor<512x1024xf32> -> tensor<32x512x32x1xf32>
  %m = "buddy.matmul"(%x, %p, %out) : (tensor<128x512xf32>, tensor<32x512x32x1xf32>, tensor<128x1024xf32>) -> tensor<128x1024xf32>
  return %m : tensor<128x1024xf32>
}
func.func @very_large(%x: tensor<197x1024xf32> {buddy.kind = "input", buddy.name = "x"},
                  %w: tensor<3072x1024xf32> {buddy.kind = "parameter", buddy.name = "very_large"},
                  %out: tensor<197x3072xf32> {buddy.kind = "input", buddy.name = "out"}) -> tensor<197x3072xf32> {
  %empty = tensor.empty() : tensor<96x1024x32x1xf32>
  %p = linalg.pack %w inner_dims_pos = [0, 1] inner_tiles = [32, 1] into %empty : tensor<3072x1024xf32> -> tensor<96x1024x32x1xf32>
  %m = "buddy.matmul"(%x, %p, %out) : (tensor<197x1024xf32>, tensor<96x1024x32x1xf32>, tensor<197x3072xf32>) -> tensor<197x3072xf32>
  return %m : tensor<197x3072xf32>
}

// -----

// Prepared all the same: pairs of bf16, rows that would leave much of a vector empty, an unknown
// number of rows, and what is small.
// STAY-COUNT-5: buddy.kind = "prepared"
// STAY-LABEL: func @prepare
// STAY-COUNT-5: linalg.pack
func.func @pairs(%x: tensor<128x1024xbf16> {buddy.kind = "input", buddy.name = "x"},
                  %w: tensor<1024x1024xbf16> {buddy.kind = "parameter", buddy.name = "pairs"},
                  %out: tensor<128x1024xbf16> {buddy.kind = "input", buddy.name = "out"}) -> tensor<128x1024xbf16> {
  %empty = tensor.empty() : tensor<32x512x32x2xbf16>
  %p = linalg.pack %w inner_dims_pos = [0, 1] inner_tiles = [32, 2] into %empty : tensor<1024x1024xbf16> -> tensor<32x512x32x2xbf16>
  %m = "buddy.matmul"(%x, %p, %out) : (tensor<128x1024xbf16>, tensor<32x512x32x2xbf16>, tensor<128x1024xbf16>) -> tensor<128x1024xbf16>
  return %m : tensor<128x1024xbf16>
}
func.func @odd_rows(%x: tensor<197x512xf32> {buddy.kind = "input", buddy.name = "x"},
                  %w: tensor<1024x512xf32> {buddy.kind = "parameter", buddy.name = "odd_rows"},
                  %out: tensor<197x1024xf32> {buddy.kind = "input", buddy.name = "out"}) -> tensor<197x1024xf32> {
  %empty = tensor.empty() : tensor<32x512x32x1xf32>
  %p = linalg.pack %w inner_dims_pos = [0, 1] inner_tiles = [32, 1] into %empty : tensor<1024x512xf32> -> tensor<32x512x32x1xf32>
  %m = "buddy.matmul"(%x, %p, %out) : (tensor<197x512xf32>, tensor<32x512x32x1xf32>, tensor<197x1024xf32>) -> tensor<197x1024xf32>
  return %m : tensor<197x1024xf32>
}
func.func @unknown_rows(%x: tensor<?x512xf32> {buddy.kind = "input", buddy.name = "x"},
                  %w: tensor<1024x512xf32> {buddy.kind = "parameter", buddy.name = "unknown_rows"},
                  %out: tensor<?x1024xf32> {buddy.kind = "input", buddy.name = "out"}) -> tensor<?x1024xf32> {
  %empty = tensor.empty() : tensor<32x512x32x1xf32>
  %p = linalg.pack %w inner_dims_pos = [0, 1] inner_tiles = [32, 1] into %empty : tensor<1024x512xf32> -> tensor<32x512x32x1xf32>
  %m = "buddy.matmul"(%x, %p, %out) : (tensor<?x512xf32>, tensor<32x512x32x1xf32>, tensor<?x1024xf32>) -> tensor<?x1024xf32>
  return %m : tensor<?x1024xf32>
}
func.func @in_tiles(%x: tensor<12x512xf32> {buddy.kind = "input", buddy.name = "x"},
                  %w: tensor<512x1024xf32> {buddy.kind = "parameter", buddy.name = "in_tiles"},
                  %out: tensor<12x1024xf32> {buddy.kind = "input", buddy.name = "out"}) -> tensor<12x1024xf32> {
  %empty = tensor.empty() : tensor<32x512x32x1xf32>
  %p = linalg.pack %w outer_dims_perm = [1, 0] inner_dims_pos = [1, 0] inner_tiles = [32, 1] into %empty : tensor<512x1024xf32> -> tensor<32x512x32x1xf32>
  %m = "buddy.matmul"(%x, %p, %out) : (tensor<12x512xf32>, tensor<32x512x32x1xf32>, tensor<12x1024xf32>) -> tensor<12x1024xf32>
  return %m : tensor<12x1024xf32>
}
func.func @small(%x: tensor<128x512xf32> {buddy.kind = "input", buddy.name = "x"},
                  %w: tensor<512x512xf32> {buddy.kind = "parameter", buddy.name = "small"},
                  %out: tensor<128x512xf32> {buddy.kind = "input", buddy.name = "out"}) -> tensor<128x512xf32> {
  %empty = tensor.empty() : tensor<16x512x32x1xf32>
  %p = linalg.pack %w inner_dims_pos = [0, 1] inner_tiles = [32, 1] into %empty : tensor<512x512xf32> -> tensor<16x512x32x1xf32>
  %m = "buddy.matmul"(%x, %p, %out) : (tensor<128x512xf32>, tensor<16x512x32x1xf32>, tensor<128x512xf32>) -> tensor<128x512xf32>
  return %m : tensor<128x512xf32>
}
