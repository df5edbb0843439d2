// RUN: buddy-compile %s --emit=llvm -o %t.plain.ll
// RUN: buddy-compile %s --emit=llvm --profile -o %t.profile.ll
// RUN: FileCheck %s --check-prefix=PLAIN < %t.plain.ll
// RUN: FileCheck %s --check-prefix=PROFILE < %t.profile.ll
// RUN: sed -n '/^define .*@elementwise_0/,/^}/p;/^define .*@buddy_invoke_forward/,/^}/p' %t.plain.ll > %t.plain.code
// RUN: sed -n '/^define .*@elementwise_0/,/^}/p;/^define .*@buddy_invoke_forward/,/^}/p' %t.profile.ll > %t.profile.code
// RUN: FileCheck %s --check-prefix=CODE < %t.plain.code
// RUN: diff %t.plain.code %t.profile.code
// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Who does not ask for a profile gets code without a trace of it. Who does gets the same kernels
// and entry points, and a second body of the latter.
// PLAIN-NOT:     profile
// PROFILE:       @buddy_profile_hooks = {{.*}}global { ptr, ptr, ptr } zeroinitializer
// PROFILE:       @buddy_manifest = {{.*}}profile
// PROFILE-LABEL: define void @buddy_profile_forward
// PROFILE:       call i64
// PROFILE:       %[[START:.*]] = call i64
// PROFILE-NEXT:  call {{.*}}@elementwise_0
// PROFILE-NEXT:  call void {{.*}}i64 %[[START]]
// PROFILE-NOT:   @_mlir_ciface_buddy_profile
// CODE-LABEL:    @elementwise_0
// CODE-LABEL:    @buddy_invoke_forward

func.func @forward(%x: tensor<?x64xf32> {buddy.kind = "input", buddy.name = "x"}) -> tensor<?x64xf32> {
  %c0 = arith.constant 0 : index
  %rows = tensor.dim %x, %c0 : tensor<?x64xf32>
  %e = tensor.empty(%rows) : tensor<?x64xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<?x64xf32>) outs(%e : tensor<?x64xf32>) {
  ^bb0(%p: f32, %o: f32):
    %s = arith.addf %p, %p : f32
    linalg.yield %s : f32
  } -> tensor<?x64xf32>
  return %r : tensor<?x64xf32>
}
