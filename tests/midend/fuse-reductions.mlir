// RUN: buddy-opt %s -split-input-file -buddy-fuse-reductions -canonicalize | FileCheck %s
// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#row = affine_map<(i, j) -> (i)>
#all = affine_map<(i, j) -> (i, j)>

// The exponentials are made where they are summed, and read once more.
// CHECK-LABEL: func @softmax_tail
// CHECK:       %[[BOTH:.*]]:2 = linalg.generic {{.*}}iterator_types = ["parallel", "reduction"]
// CHECK:         %[[E:.*]] = math.exp
// CHECK:         %[[S:.*]] = arith.addf %{{.*}}, %[[E]]
// CHECK:         linalg.yield %[[E]], %[[S]]
// CHECK-NOT:   math.exp
// CHECK:       linalg.generic {{.*}} ins(%[[BOTH]]#0, %[[BOTH]]#1
func.func @softmax_tail(%x: tensor<4x64xf32>, %e: tensor<4x64xf32>, %s: tensor<4xf32>) -> tensor<4x64xf32> {
  %exp = linalg.generic {indexing_maps = [#all, #all], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<4x64xf32>) outs(%e : tensor<4x64xf32>) {
  ^bb0(%a: f32, %o: f32):
    %r = math.exp %a : f32
    linalg.yield %r : f32
  } -> tensor<4x64xf32>
  %sum = linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "reduction"]}
      ins(%exp : tensor<4x64xf32>) outs(%s : tensor<4xf32>) {
  ^bb0(%a: f32, %o: f32):
    %r = arith.addf %o, %a : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %out = linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel"]}
      ins(%exp, %sum : tensor<4x64xf32>, tensor<4xf32>) outs(%e : tensor<4x64xf32>) {
  ^bb0(%a: f32, %t: f32, %o: f32):
    %r = arith.divf %a, %t : f32
    linalg.yield %r : f32
  } -> tensor<4x64xf32>
  return %out : tensor<4x64xf32>
}

// -----

#row = affine_map<(i, j) -> (i)>
#all = affine_map<(i, j) -> (i, j)>

// What a row has once is not computed for each of its elements.
// CHECK-LABEL: func @row_factor
// CHECK:       math.sqrt
// CHECK:       linalg.generic {{.*}}iterator_types = ["parallel", "reduction"]
// CHECK-NOT:   math.sqrt
func.func @row_factor(%x: tensor<4x64xf32>, %f: tensor<4xf32>, %s: tensor<4xf32>) -> tensor<4xf32> {
  %root = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%f : tensor<4xf32>) outs(%s : tensor<4xf32>) {
  ^bb0(%a: f32, %o: f32):
    %r = math.sqrt %a : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %sum = linalg.generic {indexing_maps = [#all, #row, #row], iterator_types = ["parallel", "reduction"]}
      ins(%x, %root : tensor<4x64xf32>, tensor<4xf32>) outs(%s : tensor<4xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %p = arith.mulf %a, %b : f32
    %r = arith.addf %o, %p : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  return %sum : tensor<4xf32>
}

// -----

#id = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (i)>

// The maximum is that of the elements as they are stored, which the next op reads.
// CHECK-LABEL: func @stored_elements
// CHECK:       linalg.generic
// CHECK:         %[[ROUNDED:.*]] = arith.truncf %{{.*}} : f32 to bf16
// CHECK:         %[[READ:.*]] = arith.extf %[[ROUNDED]]
// CHECK:         %[[MAX:.*]] = arith.maximumf %{{.*}}, %[[READ]]
// CHECK:         linalg.yield %[[ROUNDED]], %[[MAX]]
func.func @stored_elements(%x: tensor<4x64xbf16>, %m: tensor<4xf32>) -> (tensor<4x64xf32>) {
  %empty = tensor.empty() : tensor<4x64xbf16>
  %products = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<4x64xbf16>) outs(%empty : tensor<4x64xbf16>) {
  ^bb0(%a: bf16, %o: bf16):
    %0 = arith.extf %a fastmath<contract> : bf16 to f32
    %1 = arith.mulf %0, %0 : f32
    %2 = arith.truncf %1 fastmath<contract> : f32 to bf16
    linalg.yield %2 : bf16
  } -> tensor<4x64xbf16>
  %most = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}
      ins(%products : tensor<4x64xbf16>) outs(%m : tensor<4xf32>) {
  ^bb0(%a: bf16, %s: f32):
    %0 = arith.extf %a fastmath<contract> : bf16 to f32
    %1 = arith.maximumf %s, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<4xf32>
  %wide = tensor.empty() : tensor<4x64xf32>
  %distance = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]}
      ins(%products, %most : tensor<4x64xbf16>, tensor<4xf32>) outs(%wide : tensor<4x64xf32>) {
  ^bb0(%a: bf16, %s: f32, %o: f32):
    %0 = arith.extf %a fastmath<contract> : bf16 to f32
    %1 = arith.subf %0, %s : f32
    linalg.yield %1 : f32
  } -> tensor<4x64xf32>
  return %distance : tensor<4x64xf32>
}

// -----

#all = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (i)>

// A difference takes less than a store: each of its readers computes it.
// CHECK-LABEL: func @distance
// CHECK-SAME:    %[[X:[a-z0-9]+]]: tensor<4x64xf32>, %[[MEAN:[a-z0-9]+]]: tensor<4xf32>
// CHECK:       %[[SQUARES:.*]] = linalg.generic {{.*}}iterator_types = ["parallel", "reduction"]} ins(%[[X]], %[[MEAN]] :
// CHECK:         %[[D:.*]] = arith.subf
// CHECK:         %[[P:.*]] = arith.mulf %[[D]], %[[D]]
// CHECK:         %[[S:.*]] = arith.addf %{{.*}}, %[[P]]
// CHECK:         linalg.yield %[[S]] : f32
// CHECK:       linalg.generic {{.*}} ins(%[[X]], %[[MEAN]], %[[SQUARES]] :
// CHECK:         arith.subf
func.func @distance(%x: tensor<4x64xf32>, %mean: tensor<4xf32>, %d: tensor<4x64xf32>, %s: tensor<4xf32>) -> tensor<4x64xf32> {
  %distance = linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel"]}
      ins(%x, %mean : tensor<4x64xf32>, tensor<4xf32>) outs(%d : tensor<4x64xf32>) {
  ^bb0(%a: f32, %m: f32, %o: f32):
    %r = arith.subf %a, %m : f32
    linalg.yield %r : f32
  } -> tensor<4x64xf32>
  %squares = linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "reduction"]}
      ins(%distance : tensor<4x64xf32>) outs(%s : tensor<4xf32>) {
  ^bb0(%a: f32, %o: f32):
    %p = arith.mulf %a, %a : f32
    %r = arith.addf %o, %p : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %out = linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel"]}
      ins(%distance, %squares : tensor<4x64xf32>, tensor<4xf32>) outs(%d : tensor<4x64xf32>) {
  ^bb0(%a: f32, %t: f32, %o: f32):
    %r = arith.divf %a, %t : f32
    linalg.yield %r : f32
  } -> tensor<4x64xf32>
  return %out : tensor<4x64xf32>
}

// -----

#all = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (i)>

// What is read from two tensors is stored once.
// CHECK-LABEL: func @sum_of_two
// CHECK:       %[[BOTH:.*]]:2 = linalg.generic {{.*}}iterator_types = ["parallel", "reduction"]
// CHECK:       linalg.generic {{.*}} ins(%[[BOTH]]#0, %[[BOTH]]#1
func.func @sum_of_two(%x: tensor<4x64xf32>, %y: tensor<4x64xf32>, %d: tensor<4x64xf32>, %s: tensor<4xf32>) -> tensor<4x64xf32> {
  %both = linalg.generic {indexing_maps = [#all, #all, #all], iterator_types = ["parallel", "parallel"]}
      ins(%x, %y : tensor<4x64xf32>, tensor<4x64xf32>) outs(%d : tensor<4x64xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %r = arith.addf %a, %c : f32
    linalg.yield %r : f32
  } -> tensor<4x64xf32>
  %sum = linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "reduction"]}
      ins(%both : tensor<4x64xf32>) outs(%s : tensor<4xf32>) {
  ^bb0(%a: f32, %o: f32):
    %r = arith.addf %o, %a : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %out = linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel"]}
      ins(%both, %sum : tensor<4x64xf32>, tensor<4xf32>) outs(%d : tensor<4x64xf32>) {
  ^bb0(%a: f32, %t: f32, %o: f32):
    %r = arith.subf %a, %t : f32
    linalg.yield %r : f32
  } -> tensor<4x64xf32>
  return %out : tensor<4x64xf32>
}
