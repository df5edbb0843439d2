// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: buddy-compile %s --features=sapphirerapids --emit=asm -o %t && FileCheck %s --input-file=%t
// RUN: buddy-compile %s --features=sapphirerapids,-amx-tile --emit=asm -o %t && FileCheck %s --input-file=%t --check-prefix=VECTORS
// RUN: not buddy-compile %s --features=warpdrive -o %t 2>&1 | FileCheck %s --check-prefix=UNKNOWN

// Tiles are set up once a thread, and sums stay in them over the depth: nothing but operands is
// loaded between the first zero and the only stores.
// CHECK-LABEL: {{^}}matmul_0.tiles:
// CHECK:       ldtilecfg
// CHECK-NOT:   ldtilecfg
// CHECK-COUNT-4: tilezero
// CHECK-NOT:   tilestored
// CHECK-NOT:   tileloadd {{.*}}(%rsp
// CHECK:       tdpbf16ps
// CHECK-NOT:   tileloadd {{.*}}(%rsp
// CHECK-COUNT-4: tilestored
// CHECK-NOT:   {{tilezero|ldtilecfg|tilestored|tileloadd}}
// CHECK:       {{^}}.Lfunc_end

// AMX-BF16 goes with the tiles that it needs; what is left of the CPU stays.
// VECTORS-NOT: tdpbf16ps
// VECTORS:     vdpbf16ps

// UNKNOWN: unknown CPU `warpdrive`; there are `host`,
func.func @forward(%x: tensor<128x512xbf16> {buddy.kind = "input", buddy.name = "x"},
                   %w: tensor<512x256xbf16> {buddy.kind = "parameter", buddy.name = "w"})
    -> tensor<128x256xf32> {
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<128x256xf32>
  %init = linalg.fill ins(%zero : f32) outs(%empty : tensor<128x256xf32>) -> tensor<128x256xf32>
  %y = linalg.matmul ins(%x, %w : tensor<128x512xbf16>, tensor<512x256xbf16>)
                     outs(%init : tensor<128x256xf32>) -> tensor<128x256xf32>
  return %y : tensor<128x256xf32>
}
