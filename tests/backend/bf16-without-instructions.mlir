// RUN: buddy-compile %s --features=+avx2,+fma --emit=asm -o %t && FileCheck %s --input-file=%t
// RUN: buddy-compile %s --features=+avx512f,+avx512bw,+avx512vl,+fma --emit=asm -o %t && FileCheck %s --input-file=%t
// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Rounding to bf16 is inline code where the CPU has no instruction for it: a call of the compiler's
// runtime would be a symbol that nothing provides.
// CHECK-NOT: __truncsfbf2
// CHECK:     buddy_invoke_forward
// CHECK-NOT: __truncsfbf2
func.func @forward(%x: tensor<37xf32> {buddy.kind = "input", buddy.name = "x"}) -> tensor<37xbf16> {
  %empty = tensor.empty() : tensor<37xbf16>
  %y = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>],
                       iterator_types = ["parallel"]}
      ins(%x : tensor<37xf32>) outs(%empty : tensor<37xbf16>) {
    ^bb0(%a: f32, %b: bf16):
      %c = arith.truncf %a : f32 to bf16
      linalg.yield %c : bf16
  } -> tensor<37xbf16>
  return %y : tensor<37xbf16>
}

// Masks at the ends of rows: of the product's operands, and of its narrow result.
func.func @ragged(%x: tensor<37x41xbf16> {buddy.kind = "input", buddy.name = "x"},
                  %w: tensor<41x50xbf16> {buddy.kind = "input", buddy.name = "w"}) -> tensor<37x50xbf16> {
  %zero = arith.constant 0.0 : bf16
  %empty = tensor.empty() : tensor<37x50xbf16>
  %init = linalg.fill ins(%zero : bf16) outs(%empty : tensor<37x50xbf16>) -> tensor<37x50xbf16>
  %y = linalg.matmul ins(%x, %w : tensor<37x41xbf16>, tensor<41x50xbf16>)
                     outs(%init : tensor<37x50xbf16>) -> tensor<37x50xbf16>
  return %y : tensor<37x50xbf16>
}
