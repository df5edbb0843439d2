// RUN: buddy-compile %s --features=+avx512f,+avx512bw,+avx512vl --emit=llvm -o %t && FileCheck %s --input-file=%t
// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// 33 is four vectors of eight and one element. As a masked store of a narrowed vector that one
// would be stored with its eight bytes from before: over the next row, and past the end.
// CHECK-LABEL: define internal
// CHECK-NOT:   masked.store
// CHECK:       store i8
// CHECK:       ret void
func.func @forward(%x: tensor<33xi64> {buddy.kind = "input", buddy.name = "x"}) -> tensor<33xi8> {
  %empty = tensor.empty() : tensor<33xi8>
  %y = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>],
                       iterator_types = ["parallel"]}
      ins(%x : tensor<33xi64>) outs(%empty : tensor<33xi8>) {
    ^bb0(%a: i64, %b: i8):
      %c = arith.trunci %a : i64 to i8
      linalg.yield %c : i8
  } -> tensor<33xi8>
  return %y : tensor<33xi8>
}
