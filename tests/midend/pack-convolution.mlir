// RUN: buddy-opt %s -split-input-file -buddy-pack-convolution=vector-bits=256 | FileCheck %s
// RUN: buddy-opt %s -split-input-file -buddy-pack-convolution='vector-bits=256 has-bf16-dot=true' | FileCheck %s --check-prefix=DOT16
// RUN: buddy-opt %s -split-input-file -buddy-pack-convolution='vector-bits=256 has-bf16-dot=true has-bf16-tiles=true' | FileCheck %s --check-prefix=AMX
// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// A convolution works on channels last, its kernel packed as the right-hand side of a matmul.
// CHECK-LABEL: func @convolution
// CHECK-SAME:    %[[X:.*]]: tensor<1x8x9x9xf32>, %[[W:.*]]: tensor<32x8x3x3xf32>
// CHECK-DAG:   %[[IN:.*]] = linalg.transpose ins(%[[X]] {{.*}} permutation = [0, 2, 3, 1]
// CHECK-DAG:   %[[PARTS:.*]] = tensor.expand_shape %[[W]] {{.*}} into tensor<2x16x8x1x3x3xf32>
// CHECK-DAG:   %[[ORDERED:.*]] = linalg.transpose ins(%[[PARTS]] {{.*}} permutation = [0, 4, 5, 2, 1, 3]
// CHECK-DAG:   %[[PANELS:.*]] = tensor.collapse_shape %[[ORDERED]] {{.*}} into tensor<2x72x16x1xf32>
// CHECK:       %[[OUT:.*]] = "buddy.conv"(%[[IN]], %[[PANELS]]
// CHECK-SAME:    kernel = array<i64: 3, 3>, strides = array<i64: 2, 2>
// CHECK-SAME:    -> tensor<1x4x4x32xf32>
// CHECK:       linalg.transpose ins(%[[OUT]] {{.*}} permutation = [0, 3, 1, 2]
func.func @convolution(%x: tensor<1x8x9x9xf32>, %w: tensor<32x8x3x3xf32>) -> tensor<1x32x4x4xf32> {
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<1x32x4x4xf32>
  %init = linalg.fill ins(%zero : f32) outs(%empty : tensor<1x32x4x4xf32>) -> tensor<1x32x4x4xf32>
  %c = linalg.conv_2d_nchw_fchw {strides = dense<2> : tensor<2xi64>, dilations = dense<1> : tensor<2xi64>}
      ins(%x, %w : tensor<1x8x9x9xf32>, tensor<32x8x3x3xf32>) outs(%init : tensor<1x32x4x4xf32>) -> tensor<1x32x4x4xf32>
  return %c : tensor<1x32x4x4xf32>
}

// -----

// Panels that have to be filled up are packed as a matrix.
// CHECK-LABEL: func @partial_panel
// CHECK:       %[[PANELS:.*]] = linalg.pack {{.*}}inner_tiles = [16, 1]{{.*}} : tensor<40x72xf32> -> tensor<3x72x16x1xf32>
// CHECK:       "buddy.conv"(%{{.*}}, %[[PANELS]]
func.func @partial_panel(%x: tensor<1x8x9x9xf32>, %w: tensor<40x8x3x3xf32>) -> tensor<1x40x7x7xf32> {
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<1x40x7x7xf32>
  %init = linalg.fill ins(%zero : f32) outs(%empty : tensor<1x40x7x7xf32>) -> tensor<1x40x7x7xf32>
  %c = linalg.conv_2d_nchw_fchw {strides = dense<1> : tensor<2xi64>, dilations = dense<1> : tensor<2xi64>}
      ins(%x, %w : tensor<1x8x9x9xf32>, tensor<40x8x3x3xf32>) outs(%init : tensor<1x40x7x7xf32>) -> tensor<1x40x7x7xf32>
  return %c : tensor<1x40x7x7xf32>
}

// -----

// The gradient of a convolution reads the kernel backwards, and filters as channels: the loops and
// the packing do so, nothing is copied for it.
// CHECK-LABEL: func @mirrored
// CHECK-SAME:    %[[X:.*]]: tensor<1x32x9x9xf32>, %[[W:.*]]: tensor<32x16x3x3xf32>
// CHECK-NOT:   tensor.extract %
// CHECK-DAG:   %[[PARTS:.*]] = tensor.expand_shape %[[W]] {{.*}} into tensor<32x1x1x16x3x3xf32>
// CHECK-DAG:   %[[ORDERED:.*]] = linalg.transpose ins(%[[PARTS]] {{.*}} permutation = [2, 4, 5, 0, 3, 1]
// CHECK:       "buddy.conv"
// CHECK-SAME:    mirrored
func.func @mirrored(%x: tensor<1x32x9x9xf32>, %w: tensor<32x16x3x3xf32>) -> tensor<1x16x7x7xf32> {
  %zero = arith.constant 0.0 : f32
  %c2 = arith.constant 2 : index
  %same = tensor.empty() : tensor<32x16x3x3xf32>
  %backwards = linalg.generic {indexing_maps = [affine_map<(f, c, i, j) -> (f, c, i, j)>], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      outs(%same : tensor<32x16x3x3xf32>) {
  ^bb0(%o: f32):
    %f = linalg.index 0 : index
    %c = linalg.index 1 : index
    %i = linalg.index 2 : index
    %j = linalg.index 3 : index
    %y = arith.subi %c2, %i : index
    %x0 = arith.subi %c2, %j : index
    %e = tensor.extract %w[%f, %c, %y, %x0] : tensor<32x16x3x3xf32>
    linalg.yield %e : f32
  } -> tensor<32x16x3x3xf32>
  %exchanged = tensor.empty() : tensor<16x32x3x3xf32>
  %kernel = linalg.transpose ins(%backwards : tensor<32x16x3x3xf32>) outs(%exchanged : tensor<16x32x3x3xf32>) permutation = [1, 0, 2, 3]
  %empty = tensor.empty() : tensor<1x16x7x7xf32>
  %init = linalg.fill ins(%zero : f32) outs(%empty : tensor<1x16x7x7xf32>) -> tensor<1x16x7x7xf32>
  %r = linalg.conv_2d_nchw_fchw {strides = dense<1> : tensor<2xi64>, dilations = dense<1> : tensor<2xi64>}
      ins(%x, %kernel : tensor<1x32x9x9xf32>, tensor<16x32x3x3xf32>) outs(%init : tensor<1x16x7x7xf32>) -> tensor<1x16x7x7xf32>
  return %r : tensor<1x16x7x7xf32>
}

// -----

// Of runs of an odd number of bf16, rows of the window, each is filled up to whole pairs.
// DOT16-LABEL: func @oddRuns
// DOT16:       tensor.pad {{.*}} low[0, 0, 0] high[0, 0, 1]
// DOT16:       : tensor<64x3x9xbf16> to tensor<64x3x10xbf16>
// DOT16:       %[[PANELS:.*]] = linalg.pack {{.*}}inner_tiles = [16, 2]{{.*}} -> tensor<4x15x16x2xbf16>
// DOT16:       "buddy.conv"(%{{.*}}, %[[PANELS]]
func.func @oddRuns(%x: tensor<1x3x9x9xbf16>, %w: tensor<64x3x3x3xbf16>) -> tensor<1x64x7x7xf32> {
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<1x64x7x7xf32>
  %init = linalg.fill ins(%zero : f32) outs(%empty : tensor<1x64x7x7xf32>) -> tensor<1x64x7x7xf32>
  %c = linalg.conv_2d_nchw_fchw {strides = dense<1> : tensor<2xi64>, dilations = dense<1> : tensor<2xi64>}
      ins(%x, %w : tensor<1x3x9x9xbf16>, tensor<64x3x3x3xbf16>) outs(%init : tensor<1x64x7x7xf32>) -> tensor<1x64x7x7xf32>
  return %c : tensor<1x64x7x7xf32>
}

// -----

// Three vectors of 8 lanes hold 24 filters, of pairs too; AMX's tiles are two wide.
// DOT16-LABEL: func @threeVectors
// DOT16:       "buddy.conv"({{.*}} tensor<1x36x24x2xbf16>
// AMX-LABEL: func @threeVectors
// AMX:         "buddy.conv"({{.*}} tensor<2x36x16x2xbf16>
func.func @threeVectors(%x: tensor<1x8x9x9xbf16>, %w: tensor<24x8x3x3xbf16>) -> tensor<1x24x7x7xf32> {
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<1x24x7x7xf32>
  %init = linalg.fill ins(%zero : f32) outs(%empty : tensor<1x24x7x7xf32>) -> tensor<1x24x7x7xf32>
  %c = linalg.conv_2d_nchw_fchw {strides = dense<1> : tensor<2xi64>, dilations = dense<1> : tensor<2xi64>}
      ins(%x, %w : tensor<1x8x9x9xbf16>, tensor<24x8x3x3xbf16>) outs(%init : tensor<1x24x7x7xf32>) -> tensor<1x24x7x7xf32>
  return %c : tensor<1x24x7x7xf32>
}

// -----

// A kernel of its own for each channel: nothing to multiply, a reduction over windows that runs
// along the channels, between transpositions that meet those of the neighbours.
// CHECK-LABEL: func @depthwise
// CHECK-NOT:   linalg.conv
// CHECK:       %[[IN:.*]] = linalg.transpose {{.*}} permutation = [0, 2, 3, 1]
// CHECK:       %[[OUT:.*]] = linalg.generic
// CHECK-SAME:    iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction"]
// CHECK-SAME:    ins(%[[IN]], %{{.*}} : tensor<1x9x9x8xf32>, tensor<3x3x8xf32>)
// CHECK:         arith.mulf {{.*}} fastmath<contract> : f32
// CHECK:         arith.addf {{.*}} fastmath<contract> : f32
// CHECK:       linalg.transpose ins(%[[OUT]] {{.*}} permutation = [0, 3, 1, 2]
func.func @depthwise(%x: tensor<1x8x1x9x9xf32>, %w: tensor<8x1x1x3x3xf32>) -> tensor<1x8x1x7x7xf32> {
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<1x8x1x7x7xf32>
  %init = linalg.fill ins(%zero : f32) outs(%empty : tensor<1x8x1x7x7xf32>) -> tensor<1x8x1x7x7xf32>
  %c = linalg.conv_2d_ngchw_gfchw {strides = dense<1> : tensor<2xi64>, dilations = dense<1> : tensor<2xi64>}
      ins(%x, %w : tensor<1x8x1x9x9xf32>, tensor<8x1x1x3x3xf32>) outs(%init : tensor<1x8x1x7x7xf32>) -> tensor<1x8x1x7x7xf32>
  return %c : tensor<1x8x1x7x7xf32>
}

// -----

// Groups with filters enough for vectors of their own have panels of their own, filled up; 24
// filters of 8 lanes are three vectors.
// CHECK-LABEL: func @groups
// CHECK:       %[[IN:.*]] = linalg.transpose ins(%{{.*}} : tensor<1x40x9x9xf32>) {{.*}} permutation = [0, 2, 3, 1]
// CHECK:       "buddy.conv"(%[[IN]], %{{.*}}) <{{{.*}}group = array<i64: 20, 24>{{.*}} : (tensor<1x9x9x40xf32>, tensor<2x180x24x1xf32>, tensor<1x7x7x48xf32>)
// CHECK-LABEL: func @filled_up
// CHECK:       tensor.pad
// CHECK:       tensor<2x7x180xf32> to tensor<2x8x180xf32>
// CHECK:       "buddy.conv"{{.*}}group = array<i64: 20, 7>{{.*}} tensor<2x180x8x1xf32>
func.func @groups(%x: tensor<1x2x20x9x9xf32>, %w: tensor<2x24x20x3x3xf32>) -> tensor<1x2x24x7x7xf32> {
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<1x2x24x7x7xf32>
  %init = linalg.fill ins(%zero : f32) outs(%empty : tensor<1x2x24x7x7xf32>) -> tensor<1x2x24x7x7xf32>
  %c = linalg.conv_2d_ngchw_gfchw {strides = dense<1> : tensor<2xi64>, dilations = dense<1> : tensor<2xi64>}
      ins(%x, %w : tensor<1x2x20x9x9xf32>, tensor<2x24x20x3x3xf32>) outs(%init : tensor<1x2x24x7x7xf32>) -> tensor<1x2x24x7x7xf32>
  return %c : tensor<1x2x24x7x7xf32>
}
func.func @filled_up(%x: tensor<1x2x20x9x9xf32>, %w: tensor<2x7x20x3x3xf32>) -> tensor<1x2x7x7x7xf32> {
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<1x2x7x7x7xf32>
  %init = linalg.fill ins(%zero : f32) outs(%empty : tensor<1x2x7x7x7xf32>) -> tensor<1x2x7x7x7xf32>
  %c = linalg.conv_2d_ngchw_gfchw {strides = dense<1> : tensor<2xi64>, dilations = dense<1> : tensor<2xi64>}
      ins(%x, %w : tensor<1x2x20x9x9xf32>, tensor<2x7x20x3x3xf32>) outs(%init : tensor<1x2x7x7x7xf32>) -> tensor<1x2x7x7x7xf32>
  return %c : tensor<1x2x7x7x7xf32>
}

// -----

// Small groups share a vector: nothing is filled up. Too few filters to fill lanes with are left.
// CHECK-LABEL: func @small_groups
// CHECK:       "buddy.conv"{{.*}}group = array<i64: 4, 4>{{.*}} tensor<4x36x8x1xf32>
// CHECK-LABEL: func @few_filters
// CHECK:       linalg.conv_2d_ngchw_gfchw
func.func @small_groups(%x: tensor<1x8x4x9x9xf32>, %w: tensor<8x4x4x3x3xf32>) -> tensor<1x8x4x7x7xf32> {
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<1x8x4x7x7xf32>
  %init = linalg.fill ins(%zero : f32) outs(%empty : tensor<1x8x4x7x7xf32>) -> tensor<1x8x4x7x7xf32>
  %c = linalg.conv_2d_ngchw_gfchw {strides = dense<1> : tensor<2xi64>, dilations = dense<1> : tensor<2xi64>}
      ins(%x, %w : tensor<1x8x4x9x9xf32>, tensor<8x4x4x3x3xf32>) outs(%init : tensor<1x8x4x7x7xf32>) -> tensor<1x8x4x7x7xf32>
  return %c : tensor<1x8x4x7x7xf32>
}
func.func @few_filters(%x: tensor<1x8x4x9x9xf32>, %w: tensor<8x3x4x3x3xf32>) -> tensor<1x8x3x7x7xf32> {
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<1x8x3x7x7xf32>
  %init = linalg.fill ins(%zero : f32) outs(%empty : tensor<1x8x3x7x7xf32>) -> tensor<1x8x3x7x7xf32>
  %c = linalg.conv_2d_ngchw_gfchw {strides = dense<1> : tensor<2xi64>, dilations = dense<1> : tensor<2xi64>}
      ins(%x, %w : tensor<1x8x4x9x9xf32>, tensor<8x3x4x3x3xf32>) outs(%init : tensor<1x8x3x7x7xf32>) -> tensor<1x8x3x7x7xf32>
  return %c : tensor<1x8x3x7x7xf32>
}

// -----

// Volumes come as generics.
// CHECK-LABEL: func @volumes
// CHECK:       linalg.transpose ins(%arg0 {{.*}} permutation = [0, 2, 3, 4, 1]
// CHECK:       "buddy.conv"{{.*}}kernel = array<i64: 2, 3, 3>, strides = array<i64: 2, 1, 1>{{.*}} tensor<1x144x16x1xf32>, tensor<1x2x7x7x16xf32>)
#in = affine_map<(n, f, z, y, x, c, i, j, k) -> (n, c, z * 2 + i, y + j, x + k)>
#kernel = affine_map<(n, f, z, y, x, c, i, j, k) -> (f, c, i, j, k)>
#out = affine_map<(n, f, z, y, x, c, i, j, k) -> (n, f, z, y, x)>
func.func @volumes(%x: tensor<1x8x4x9x9xf32>, %w: tensor<16x8x2x3x3xf32>) -> tensor<1x16x2x7x7xf32> {
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<1x16x2x7x7xf32>
  %init = linalg.fill ins(%zero : f32) outs(%empty : tensor<1x16x2x7x7xf32>) -> tensor<1x16x2x7x7xf32>
  %c = linalg.generic {indexing_maps = [#in, #kernel, #out],
      iterator_types = ["parallel", "parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction", "reduction"]}
      ins(%x, %w : tensor<1x8x4x9x9xf32>, tensor<16x8x2x3x3xf32>) outs(%init : tensor<1x16x2x7x7xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %o, %p : f32
    linalg.yield %s : f32
  } -> tensor<1x16x2x7x7xf32>
  return %c : tensor<1x16x2x7x7xf32>
}

// -----

// Lines of zeros are known as such, also of groups; columns, or a border of ones, are not.
// CHECK-LABEL: func @padded
// CHECK-DAG:   %[[C1:.*]] = arith.constant 1 : index
// CHECK-DAG:   %[[C2:.*]] = arith.constant 2 : index
// CHECK:       "buddy.conv"(%{{.*}}, %{{.*}}, %[[C1]], %[[C2]], %{{.*}})
// CHECK:       "buddy.conv"(%{{.*}}, %{{.*}}, %[[C1]], %[[C2]], %{{.*}}) {{.*}}group = array<i64: 8, 16>
// CHECK:       "buddy.conv"(%{{[^,]*}}, %{{[^,]*}}, %{{[^,]*}}) <
func.func @padded(%x: tensor<1x8x6x5xf32>, %w: tensor<32x8x3x3xf32>,
                  %gx: tensor<1x16x6x5xf32>, %gw: tensor<2x16x8x3x3xf32>)
    -> (tensor<1x32x7x7xf32>, tensor<1x2x16x7x7xf32>, tensor<1x32x7x7xf32>) {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %zeros = tensor.pad %x low[0, 0, 1, 2] high[0, 0, 2, 2] {
  ^bb0(%n: index, %c: index, %i: index, %j: index):
    tensor.yield %zero : f32
  } : tensor<1x8x6x5xf32> to tensor<1x8x9x9xf32>
  %ofGroups = tensor.pad %gx low[0, 0, 1, 2] high[0, 0, 2, 2] {
  ^bb0(%n: index, %c: index, %i: index, %j: index):
    tensor.yield %zero : f32
  } : tensor<1x16x6x5xf32> to tensor<1x16x9x9xf32>
  %groups = tensor.expand_shape %ofGroups [[0], [1, 2], [3], [4]] output_shape [1, 2, 8, 9, 9]
      : tensor<1x16x9x9xf32> into tensor<1x2x8x9x9xf32>
  %ones = tensor.pad %x low[0, 0, 1, 2] high[0, 0, 2, 2] {
  ^bb0(%n: index, %c: index, %i: index, %j: index):
    tensor.yield %one : f32
  } : tensor<1x8x6x5xf32> to tensor<1x8x9x9xf32>
  %empty = tensor.empty() : tensor<1x32x7x7xf32>
  %init = linalg.fill ins(%zero : f32) outs(%empty : tensor<1x32x7x7xf32>) -> tensor<1x32x7x7xf32>
  %gempty = tensor.empty() : tensor<1x2x16x7x7xf32>
  %ginit = linalg.fill ins(%zero : f32) outs(%gempty : tensor<1x2x16x7x7xf32>) -> tensor<1x2x16x7x7xf32>
  %a = linalg.conv_2d_nchw_fchw {strides = dense<1> : tensor<2xi64>, dilations = dense<1> : tensor<2xi64>}
      ins(%zeros, %w : tensor<1x8x9x9xf32>, tensor<32x8x3x3xf32>) outs(%init : tensor<1x32x7x7xf32>) -> tensor<1x32x7x7xf32>
  %b = linalg.conv_2d_ngchw_gfchw {strides = dense<1> : tensor<2xi64>, dilations = dense<1> : tensor<2xi64>}
      ins(%groups, %gw : tensor<1x2x8x9x9xf32>, tensor<2x16x8x3x3xf32>) outs(%ginit : tensor<1x2x16x7x7xf32>) -> tensor<1x2x16x7x7xf32>
  %d = linalg.conv_2d_nchw_fchw {strides = dense<1> : tensor<2xi64>, dilations = dense<1> : tensor<2xi64>}
      ins(%ones, %w : tensor<1x8x9x9xf32>, tensor<32x8x3x3xf32>) outs(%init : tensor<1x32x7x7xf32>) -> tensor<1x32x7x7xf32>
  return %a, %b, %d : tensor<1x32x7x7xf32>, tensor<1x2x16x7x7xf32>, tensor<1x32x7x7xf32>
}
