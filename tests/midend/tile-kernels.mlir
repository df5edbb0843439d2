// RUN: buddy-opt %s -split-input-file -buddy-tile-kernels -canonicalize -cse | FileCheck %s
// RUN: buddy-opt %s -split-input-file -buddy-tile-kernels=amx-rows=16 | FileCheck %s --check-prefix=TILES
// RUN: buddy-opt %s -split-input-file -buddy-tile-kernels=cores=8 -canonicalize -cse | FileCheck %s --check-prefix=CORES
// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// One parallel loop over panels; product and epilogue are computed tile by tile.
// CHECK-LABEL: func private @matmul
// CHECK:       scf.forall
// CHECK:         "buddy.matmul"{{.*}} tensor<1x64x16x1xf32>
// CHECK:         linalg.generic
// CHECK:         tensor.parallel_insert_slice
// CHECK-NOT:   "buddy.matmul"
func.func private @matmul(%x: tensor<4x64xf32>, %w: tensor<8x64x16x1xf32>, %b: tensor<128xf32>,
                          %e: tensor<4x128xf32>) -> tensor<4x128xf32> attributes {buddy.kernel} {
  %m = "buddy.matmul"(%x, %w, %e) : (tensor<4x64xf32>, tensor<8x64x16x1xf32>, tensor<4x128xf32>) -> tensor<4x128xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%m, %b : tensor<4x128xf32>, tensor<128xf32>) outs(%e : tensor<4x128xf32>) attrs = {buddy.tile_dims = array<i64: 0, 1>} {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %s = arith.addf %p, %q : f32
    linalg.yield %s : f32
  } -> tensor<4x128xf32>
  return %r : tensor<4x128xf32>
}

// -----

// A convolution with its epilogue, tiled over panels and lines, in its place within a border.
// CHECK-LABEL: func private @convolution
// CHECK-SAME:    %[[IN:[a-z0-9]+]]: tensor<58x58x64xf32>
// CHECK:       scf.forall (%{{.*}}, %[[Y:.*]]) = (0, 0) to (128, 56) step (32, 1) shared_outs(%[[OUT:.*]] = %{{.*}}) -> (tensor<56x56x128xf32>)
// CHECK:         tensor.extract_slice %[[IN]][%[[Y]], 0, 0] [3, 58, 64]
// CHECK:         "buddy.conv"
// CHECK:         linalg.generic
// CHECK-NOT:   tensor.empty
func.func private @convolution(%x: tensor<58x58x64xf32>, %w: tensor<4x576x32x1xf32>, %dest: tensor<58x58x128xf32>) -> tensor<58x58x128xf32> attributes {buddy.kernel} {
  %e = tensor.empty() : tensor<56x56x128xf32>
  %c = "buddy.conv"(%x, %w, %e) {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>}
      : (tensor<58x58x64xf32>, tensor<4x576x32x1xf32>, tensor<56x56x128xf32>) -> tensor<56x56x128xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(i, j, k) -> (i, j, k)>, affine_map<(i, j, k) -> (i, j, k)>], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%c : tensor<56x56x128xf32>) outs(%e : tensor<56x56x128xf32>) attrs = {buddy.tile_dims = array<i64: 0, 1, 2>} {
  ^bb0(%p: f32, %o: f32):
    %s = math.absf %p : f32
    linalg.yield %s : f32
  } -> tensor<56x56x128xf32>
  %i = tensor.insert_slice %r into %dest[1, 1, 0] [56, 56, 128] [1, 1, 1] : tensor<56x56x128xf32> into tensor<58x58x128xf32>
  return %i : tensor<58x58x128xf32>
}

// -----

// A tile holds whole groups, and reads their channels and panels alone. Volumes are tiled alike.
// CHECK-LABEL: func private @groups
// CHECK:       scf.forall (%[[F:.*]], %[[Z:.*]], %[[Y:.*]]) = (0, 0, 0) to (192, 6, 56) step (96, 1, 1)
// CHECK:         %[[C:.*]] = affine.apply #{{.*}}(%[[F]])
// CHECK:         tensor.extract_slice %arg0[%[[Z]], %[[Y]], 0, %[[C]]] [3, 3, 58, 64]
// CHECK:         %[[P:.*]] = affine.apply #{{.*}}(%[[F]])
// CHECK:         tensor.extract_slice %arg1[%[[P]], 0, 0, 0] [4, 864, 32, 1]
// CHECK:         "buddy.conv"
func.func private @groups(%x: tensor<8x58x58x128xf32>, %w: tensor<8x864x32x1xf32>, %e: tensor<6x56x56x192xf32>) -> tensor<6x56x56x192xf32> attributes {buddy.kernel} {
  %c = "buddy.conv"(%x, %w, %e) {kernel = array<i64: 3, 3, 3>, strides = array<i64: 1, 1, 1>, dilations = array<i64: 1, 1, 1>, group = array<i64: 32, 48>, buddy.tile_dims = array<i64: 0, 1, 2, 3>}
      : (tensor<8x58x58x128xf32>, tensor<8x864x32x1xf32>, tensor<6x56x56x192xf32>) -> tensor<6x56x56x192xf32>
  return %c : tensor<6x56x56x192xf32>
}

// -----

// Panels outermost, and 128 rows as 64 + 64: two threads that share the loop get the same work.
// CHECK-LABEL: func private @even
// CHECK:       scf.forall (%{{.*}}, %{{.*}}) = (0, 0) to (256, 128) step (32, 64)
// CHECK:         "buddy.matmul"{{.*}} : (tensor<64x64xf32>, tensor<1x64x32x1xf32>
func.func private @even(%x: tensor<128x64xf32>, %w: tensor<8x64x32x1xf32>, %e: tensor<128x256xf32>) -> tensor<128x256xf32> attributes {buddy.kernel} {
  %m = "buddy.matmul"(%x, %w, %e) {buddy.tile_dims = array<i64: 0, 1>} : (tensor<128x64xf32>, tensor<8x64x32x1xf32>, tensor<128x256xf32>) -> tensor<128x256xf32>
  return %m : tensor<128x256xf32>
}

// -----

// What lies as it is is cut by columns; each matrix of a batch has its own.
// CHECK-LABEL: func private @unpacked
// CHECK:       scf.forall (%[[B:.*]], %{{.*}}) = (0, 0) to (3, 256) step (1, 128)
// CHECK:         "buddy.matmul"{{.*}} <{transposed}> {{.*}}: (tensor<1x128x40xf32>, tensor<1x128x40xf32>, tensor<1x128x128xf32>)
func.func private @unpacked(%x: tensor<3x128x40xf32>, %w: tensor<3x256x40xf32>, %e: tensor<3x128x256xf32>) -> tensor<3x128x256xf32> attributes {buddy.kernel} {
  %m = "buddy.matmul"(%x, %w, %e) {transposed, buddy.tile_dims = array<i64: 0, 1, 2>} : (tensor<3x128x40xf32>, tensor<3x256x40xf32>, tensor<3x128x256xf32>) -> tensor<3x128x256xf32>
  return %m : tensor<3x128x256xf32>
}

// -----

// Each tile transposes its columns, so it has all rows, and cores have the same number of columns.
// CHECK-LABEL: func private @transposing
// CHECK:       scf.forall (%{{.*}}) = (0) to (768) step (384)
// CHECK:         "buddy.matmul"{{.*}} <{transposed}> {{.*}}: (tensor<197x64xf32>, tensor<384x64xf32>, tensor<197x384xf32>)
// CORES-LABEL: func private @transposing
// CORES:       scf.forall (%{{.*}}) = (0) to (768) step (96)
func.func private @transposing(%x: tensor<197x64xf32>, %w: tensor<768x64xf32>, %e: tensor<197x768xf32>) -> tensor<197x768xf32> attributes {buddy.kernel} {
  %m = "buddy.matmul"(%x, %w, %e) {transposed, buddy.tile_dims = array<i64: 0, 1>} : (tensor<197x64xf32>, tensor<768x64xf32>, tensor<197x768xf32>) -> tensor<197x768xf32>
  return %m : tensor<197x768xf32>
}

// -----

// Shares are even where the number of panels is not: 1600 columns as 416 and 352, not as 512 and 64.
// CHECK-LABEL: func private @shares
// CHECK:       scf.forall {{.*}} to (1600, 1600) step (267, 416)
// CORES-LABEL: func private @shares
// CORES:       scf.forall {{.*}} to (1600, 1600) step (200, 416)
func.func private @shares(%x: tensor<1600x64xf32>, %w: tensor<64x1600xf32>, %e: tensor<1600x1600xf32>) -> tensor<1600x1600xf32> attributes {buddy.kernel} {
  %m = "buddy.matmul"(%x, %w, %e) {buddy.tile_dims = array<i64: 0, 1>} : (tensor<1600x64xf32>, tensor<64x1600xf32>, tensor<1600x1600xf32>) -> tensor<1600x1600xf32>
  return %m : tensor<1600x1600xf32>
}

// -----

// Four panels, the last of them of four columns: cores share the rows.
// CHECK-LABEL: func private @sharedRows
// CHECK:       scf.forall (%{{.*}}) = (0) to (100) step (50)
// CHECK:         "buddy.matmul"{{.*}} : (tensor<50x64xf32>, tensor<64x100xf32>, tensor<50x100xf32>)
func.func private @sharedRows(%x: tensor<100x64xf32>, %w: tensor<64x100xf32>, %e: tensor<100x100xf32>) -> tensor<100x100xf32> attributes {buddy.kernel} {
  %m = "buddy.matmul"(%x, %w, %e) {buddy.tile_dims = array<i64: 0, 1>} : (tensor<100x64xf32>, tensor<64x100xf32>, tensor<100x100xf32>) -> tensor<100x100xf32>
  return %m : tensor<100x100xf32>
}

// -----

// Panels that stay in L2 go over an image that does not, line by line, if the lines make even shares.
// CHECK-LABEL: func private @image
// CHECK:       scf.forall (%[[Y:.*]], %{{.*}}) = (0, 0) to (56, 64) step (1, 32)
// CHECK:         tensor.extract_slice %arg0[%[[Y]], 0, 0] [1, 56, 256]
// CORES-LABEL: func private @image
// CORES:       scf.forall {{.*}} to (64, 56) step (32, 1)
func.func private @image(%x: tensor<56x56x256xf32>, %w: tensor<2x256x32x1xf32>, %e: tensor<56x56x64xf32>) -> tensor<56x56x64xf32> attributes {buddy.kernel} {
  %c = "buddy.conv"(%x, %w, %e) {kernel = array<i64: 1, 1>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, buddy.tile_dims = array<i64: 0, 1, 2>}
      : (tensor<56x56x256xf32>, tensor<2x256x32x1xf32>, tensor<56x56x64xf32>) -> tensor<56x56x64xf32>
  return %c : tensor<56x56x64xf32>
}

// -----

// What is read across is cut in both directions, so that both sides are runs of some cache lines.
// CHECK-LABEL: func private @transposed
// CHECK:       scf.forall {{.*}} = (0, 0) to (1024, 2048) step (64, 128)
func.func private @transposed(%x: tensor<2048x1024xf32>, %e: tensor<1024x2048xf32>) -> tensor<1024x2048xf32> attributes {buddy.kernel} {
  %t = linalg.generic {indexing_maps = [affine_map<(i, j) -> (j, i)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<2048x1024xf32>) outs(%e : tensor<1024x2048xf32>) attrs = {buddy.tile_dims = array<i64: 0, 1>} {
  ^bb0(%p: f32, %o: f32):
    linalg.yield %p : f32
  } -> tensor<1024x2048xf32>
  return %t : tensor<1024x2048xf32>
}

// -----

// Rows of bf16 are cut evenly, or so that they fill the CPU's tiles.
// CHECK-LABEL: func private @rows
// CHECK:       scf.forall {{.*}} step (32, 66)
// TILES-LABEL: func private @rows
// TILES:       scf.forall {{.*}} step (32, 80)
func.func private @rows(%x: tensor<197x64xbf16>, %w: tensor<2x32x32x2xbf16>, %e: tensor<197x64xf32>) -> tensor<197x64xf32> attributes {buddy.kernel} {
  %m = "buddy.matmul"(%x, %w, %e) {buddy.tile_dims = array<i64: 0, 1>} : (tensor<197x64xbf16>, tensor<2x32x32x2xbf16>, tensor<197x64xf32>) -> tensor<197x64xf32>
  return %m : tensor<197x64xf32>
}

// -----

// With AMX all rows that half of L2 holds, up to 288, where weights come from memory.
// CHECK-LABEL: func private @tall
// CHECK:       scf.forall {{.*}} step (32, 64)
// TILES-LABEL: func private @tall
// TILES:       scf.forall {{.*}} step (32, 288)
// CORES-LABEL: func private @tall
func.func private @tall(%x: tensor<128x768xbf16>, %w: tensor<24x384x32x2xbf16>, %e: tensor<128x768xf32>) -> tensor<128x768xf32> attributes {buddy.kernel} {
  %m = "buddy.matmul"(%x, %w, %e) {buddy.tile_dims = array<i64: 0, 1>} : (tensor<128x768xbf16>, tensor<24x384x32x2xbf16>, tensor<128x768xf32>) -> tensor<128x768xf32>
  return %m : tensor<128x768xf32>
}

// -----

// The same of a convolution: 14 lines, not six.
// CHECK-LABEL: func private @tall_image
// CHECK:       scf.forall {{.*}} step (32, 6)
// TILES-LABEL: func private @tall_image
// TILES:       scf.forall {{.*}} step (32, 20)
func.func private @tall_image(%x: tensor<16x16x256xbf16>, %w: tensor<8x1152x32x2xbf16>, %e: tensor<14x14x256xf32>) -> tensor<14x14x256xf32> attributes {buddy.kernel} {
  %c = "buddy.conv"(%x, %w, %e) {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, buddy.tile_dims = array<i64: 0, 1, 2>}
      : (tensor<16x16x256xbf16>, tensor<8x1152x32x2xbf16>, tensor<14x14x256xf32>) -> tensor<14x14x256xf32>
  return %c : tensor<14x14x256xf32>
}

// -----

// A kernel that was simplified to one of its arguments has nothing to tile.
// CHECK-LABEL: func private @identity
// CHECK-NEXT:  return
func.func private @identity(%x: tensor<1x1xf16>, %e: tensor<1x1xf16>) -> tensor<1x1xf16> attributes {buddy.kernel} {
  return %x : tensor<1x1xf16>
}

// -----

// However many rows a sum has, a tile reads some vectors of each, not one element.
// CHECK-LABEL: func private @columnSums
// CHECK:       scf.forall (%{{.*}}) = (0) to (768) step (64)
// CHECK:         tensor.extract_slice %{{.*}} [100000, 64] [1, 1]
func.func private @columnSums(%x: tensor<100000x768xf32>, %e: tensor<768xf32>) -> tensor<768xf32> attributes {buddy.kernel} {
  %r = linalg.generic {indexing_maps = [affine_map<(i, j) -> (j, i)>, affine_map<(i, j) -> (i)>], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<100000x768xf32>) outs(%e : tensor<768xf32>) attrs = {buddy.tile_dims = array<i64: 0>} {
  ^bb0(%p: f32, %o: f32):
    %s = arith.addf %p, %o : f32
    linalg.yield %s : f32
  } -> tensor<768xf32>
  return %r : tensor<768xf32>
}

// -----

// Long rows need no other rows beside them: each is a tile.
// CHECK-LABEL: func private @rowSums
// CHECK:       scf.forall (%{{.*}}) in (8)
func.func private @rowSums(%x: tensor<8x100000xf32>, %e: tensor<8xf32>) -> tensor<8xf32> attributes {buddy.kernel} {
  %r = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<8x100000xf32>) outs(%e : tensor<8xf32>) attrs = {buddy.tile_dims = array<i64: 0>} {
  ^bb0(%p: f32, %o: f32):
    %s = arith.addf %p, %o : f32
    linalg.yield %s : f32
  } -> tensor<8xf32>
  return %r : tensor<8xf32>
}

// -----

// What was simplified to a part of an argument is copied to where the result belongs.
// CHECK-LABEL: func private @onlyRows
// CHECK-SAME:    %[[X:.*]]: tensor<6x3xi8>, %[[E:.*]]: tensor<3x3xi8>
// CHECK:       %[[ROWS:.*]] = tensor.extract_slice %[[X]]
// CHECK:       %[[COPY:.*]] = linalg.copy {{.*}} ins(%[[ROWS]]{{.*}} outs(%[[E]]
// CHECK:       return %[[COPY]]
func.func private @onlyRows(%x: tensor<6x3xi8>, %e: tensor<3x3xi8>) -> tensor<3x3xi8> attributes {buddy.kernel} {
  %rows = tensor.extract_slice %x[0, 0] [3, 3] [2, 1] : tensor<6x3xi8> to tensor<3x3xi8>
  return %rows : tensor<3x3xi8>
}

// -----

// What is only copied into a destination is copied in tiles.
// CHECK-LABEL: func private @padding
// CHECK:       scf.forall (%{{.*}}) = (0) to (56) step (14)
// CHECK:         linalg.copy {{.*}} ins(%{{.*}} : tensor<14x56x32xf32>)
// CHECK:       tensor.insert_slice
func.func private @padding(%x: tensor<56x56x32xf32>, %dest: tensor<58x58x32xf32>) -> tensor<58x58x32xf32> attributes {buddy.kernel} {
  %r = tensor.insert_slice %x into %dest[1, 1, 0] [56, 56, 32] [1, 1, 1] {buddy.tile_dims = array<i64>} : tensor<56x56x32xf32> into tensor<58x58x32xf32>
  return %r : tensor<58x58x32xf32>
}

// -----

// But for what is small threads need not meet: a cache's new keys.
// CHECK-LABEL: func private @update
// CHECK-NOT:   scf.forall
// CHECK:       tensor.insert_slice %arg0 into %arg1
func.func private @update(%x: tensor<1x8x1x64xf32>, %dest: tensor<1x8x512x64xf32>, %at: index) -> tensor<1x8x512x64xf32> attributes {buddy.kernel} {
  %r = tensor.insert_slice %x into %dest[0, 0, %at, 0] [1, 8, 1, 64] [1, 1, 1, 1] {buddy.tile_dims = array<i64>} : tensor<1x8x1x64xf32> into tensor<1x8x512x64xf32>
  return %r : tensor<1x8x512x64xf32>
}

// -----

// A tile knows how many of its lines are padding, if any.
// CHECK-DAG:   #[[LOW:.*]] = affine_map<(d0) -> (d0 * -2 + 1, 0)>
// CHECK-DAG:   #[[HIGH:.*]] = affine_map<(d0, d1) -> (0, d0 * 2 + d1 * 2 - 54)>
// CHECK-LABEL: func private @padded
// CHECK:       scf.forall (%{{.*}}, %[[Y:.*]]) =
// CHECK-DAG:     %[[FIRST:.*]] = affine.max #[[LOW]](%[[Y]])
// CHECK-DAG:     %[[LINES:.*]] = affine.min #{{.*}}(%[[Y]])
// CHECK-DAG:     %[[LAST:.*]] = affine.max #[[HIGH]](%[[Y]], %[[LINES]])
// CHECK:         "buddy.conv"(%{{.*}}, %{{.*}}, %[[FIRST]], %[[LAST]], %{{.*}})
func.func private @padded(%x: tensor<57x57x64xf32>, %w: tensor<4x576x32x1xf32>, %dest: tensor<28x28x128xf32>) -> tensor<28x28x128xf32> attributes {buddy.kernel} {
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c = "buddy.conv"(%x, %w, %c1, %c2, %dest) {kernel = array<i64: 3, 3>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, buddy.tile_dims = array<i64: 0, 1, 2>}
      : (tensor<57x57x64xf32>, tensor<4x576x32x1xf32>, index, index, tensor<28x28x128xf32>) -> tensor<28x28x128xf32>
  return %c : tensor<28x28x128xf32>
}

// -----

// A matrix that comes from memory does so once: its rows are outermost, all panels beside them. The
// root reads the product transposed.
// CHECK-LABEL: func private @transposedProduct
// CHECK:       scf.forall (%[[N:.*]]) = (0) to (1024) step (94) shared_outs(%{{.*}} = %{{.*}}) -> (tensor<128x1024xf32>)
// CHECK:         tensor.extract_slice %arg0[%[[N]], 0] [%{{.*}}, 512]
// CHECK:         "buddy.matmul"{{.*}} : (tensor<?x512xf32>, tensor<2x512x64x1xf32>, tensor<?x128xf32>)
// CHECK:         tensor.parallel_insert_slice %{{.*}} into %{{.*}}[0, %[[N]]] [128, %{{.*}}]
func.func private @transposedProduct(%w: tensor<1024x512xf32>, %x: tensor<2x512x64x1xf32>, %e: tensor<128x1024xf32>) -> tensor<128x1024xf32> attributes {buddy.kernel} {
  %t = tensor.empty() : tensor<1024x128xf32>
  %m = "buddy.matmul"(%w, %x, %t) : (tensor<1024x512xf32>, tensor<2x512x64x1xf32>, tensor<1024x128xf32>) -> tensor<1024x128xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(i, j) -> (j, i)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%m : tensor<1024x128xf32>) outs(%e : tensor<128x1024xf32>) attrs = {buddy.product_loops = array<i64: 1, 0>, buddy.tile_dims = array<i64: 0, 1>} {
  ^bb0(%p: f32, %o: f32):
    %s = math.absf %p : f32
    linalg.yield %s : f32
  } -> tensor<128x1024xf32>
  return %r : tensor<128x1024xf32>
}

// -----

// Windows: lines by positions, all channels of them; two ops pass their results on in registers.
// CHECK-LABEL: func private @windows
// CHECK:       scf.forall ({{.*}}) = (0, 0) to (56, 56) step (14, 14)
// Too few tiles for even shares: channels are shared too.
// CORES-LABEL: func private @windows
// CORES:       scf.forall ({{.*}}) = (0, 0, 0) to (56, 56, 144) step (14, 14, 64)
#in = affine_map<(y, x, c, i, j) -> (y + i, x + j, c)>
#tap = affine_map<(y, x, c, i, j) -> (i, j, c)>
#sum = affine_map<(y, x, c, i, j) -> (y, x, c)>
#id = affine_map<(y, x, c) -> (y, x, c)>
func.func private @windows(%x: tensor<58x58x144xf32>, %w: tensor<3x3x144xf32>, %out: tensor<56x56x144xf32>)
    -> tensor<56x56x144xf32> attributes {buddy.kernel} {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<56x56x144xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%e : tensor<56x56x144xf32>) -> tensor<56x56x144xf32>
  %sums = linalg.generic {indexing_maps = [#in, #tap, #sum], iterator_types = ["parallel", "parallel", "parallel", "reduction", "reduction"]}
      ins(%x, %w : tensor<58x58x144xf32>, tensor<3x3x144xf32>) outs(%zeros : tensor<56x56x144xf32>) {
  ^bb0(%a: f32, %b: f32, %s: f32):
    %m = arith.mulf %a, %b : f32
    %n = arith.addf %s, %m : f32
    linalg.yield %n : f32
  } -> tensor<56x56x144xf32>
  %r = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%sums : tensor<56x56x144xf32>) outs(%out : tensor<56x56x144xf32>) attrs = {buddy.tile_dims = array<i64: 0, 1, 2>} {
  ^bb0(%s: f32, %o: f32):
    %m = arith.maximumf %s, %zero : f32
    linalg.yield %m : f32
  } -> tensor<56x56x144xf32>
  return %r : tensor<56x56x144xf32>
}
