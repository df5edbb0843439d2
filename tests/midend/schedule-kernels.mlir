// RUN: buddy-opt %s -buddy-schedule-kernels=schedules=low,second=wide | FileCheck %s
// RUN: buddy-opt %s -buddy-schedule-kernels=schedules=low -buddy-tile-kernels | FileCheck %s --check-prefix=LOW
// RUN: buddy-opt %s -buddy-schedule-kernels=schedules=high -buddy-tile-kernels | FileCheck %s --check-prefix=HIGH
// RUN: buddy-opt %s -buddy-schedule-kernels=schedules=narrow -buddy-tile-kernels | FileCheck %s --check-prefix=NARROW
// RUN: buddy-opt %s -buddy-schedule-kernels=schedules=rows-outermost -buddy-tile-kernels | FileCheck %s --check-prefix=ROWS
// RUN: not buddy-opt %s -buddy-schedule-kernels=schedules=deep 2>&1 | FileCheck %s --check-prefix=NO-SCHEDULE
// RUN: not buddy-opt %s -buddy-schedule-kernels=schedules=third=low 2>&1 | FileCheck %s --check-prefix=NO-KERNEL
// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// The last choice counts. A function that is no kernel has none.
// CHECK-LABEL: func private @first
// CHECK-SAME:    buddy.schedule = "low"
// CHECK-LABEL: func private @second
// CHECK-SAME:    buddy.schedule = "wide"
// CHECK-LABEL: func @forward
// CHECK-NOT:     buddy.schedule

// NO-SCHEDULE: there is no schedule `deep`; there are: model, low, high, narrow, wide, rows-outermost
// NO-KERNEL: there is no kernel `third`

// 384 rows are four tiles of the model's, 1024 columns are 16 of two panels.
// LOW-LABEL:    func private @first
// LOW:            scf.forall {{.*}} = (0, 0) to (1024, 384) step (64, 48)
// HIGH-LABEL:   func private @first
// HIGH:           scf.forall {{.*}} = (0, 0) to (1024, 384) step (64, 192)
// NARROW-LABEL: func private @first
// NARROW:         scf.forall {{.*}} = (0, 0) to (1024, 384) step (32, 96)
// ROWS-LABEL:   func private @first
// ROWS:           scf.forall {{.*}} = (0, 0) to (384, 1024) step (96, 64)
func.func private @first(%x: tensor<384x64xf32>, %w: tensor<32x64x32x1xf32>, %e: tensor<384x1024xf32>) -> tensor<384x1024xf32> attributes {buddy.kernel} {
  %m = "buddy.matmul"(%x, %w, %e) {buddy.tile_dims = array<i64: 0, 1>} : (tensor<384x64xf32>, tensor<32x64x32x1xf32>, tensor<384x1024xf32>) -> tensor<384x1024xf32>
  return %m : tensor<384x1024xf32>
}

// Elements of a tile of one op: half of them, or twice as many.
// LOW-LABEL:    func private @second
// LOW:            scf.forall {{.*}} = (0, 0) to (384, 1024) step (4, 1024)
// HIGH-LABEL:   func private @second
// HIGH:           scf.forall {{.*}} = (0, 0) to (384, 1024) step (16, 1024)
func.func private @second(%x: tensor<384x1024xf32>, %e: tensor<384x1024xf32>) -> tensor<384x1024xf32> attributes {buddy.kernel} {
  %r = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<384x1024xf32>) outs(%e : tensor<384x1024xf32>) attrs = {buddy.tile_dims = array<i64: 0, 1>} {
  ^bb0(%p: f32, %o: f32):
    %s = math.absf %p : f32
    linalg.yield %s : f32
  } -> tensor<384x1024xf32>
  return %r : tensor<384x1024xf32>
}

func.func @forward(%x: tensor<384x64xf32>, %w: tensor<32x64x32x1xf32>, %e: tensor<384x1024xf32>) -> tensor<384x1024xf32> {
  %m = call @first(%x, %w, %e) : (tensor<384x64xf32>, tensor<32x64x32x1xf32>, tensor<384x1024xf32>) -> tensor<384x1024xf32>
  %r = call @second(%m, %e) : (tensor<384x1024xf32>, tensor<384x1024xf32>) -> tensor<384x1024xf32>
  return %r : tensor<384x1024xf32>
}
