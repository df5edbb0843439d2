// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Products of bf16 in tiles: whole blocks; ragged ones and an epilogue; a number of rows that is
// known at run time alone; sums of several blocks of the depth.
#id = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (j)>
func.func @whole(%x: tensor<128x512xbf16> {buddy.kind = "input", buddy.name = "x"},
                %w: tensor<512x256xbf16> {buddy.kind = "input", buddy.name = "w"},
                %b: tensor<256xf32> {buddy.kind = "input", buddy.name = "b"}) -> tensor<128x256xf32> {
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<128x256xf32>
  %init = linalg.fill ins(%zero : f32) outs(%empty : tensor<128x256xf32>) -> tensor<128x256xf32>
  %y = linalg.matmul ins(%x, %w : tensor<128x512xbf16>, tensor<512x256xbf16>)
                     outs(%init : tensor<128x256xf32>) -> tensor<128x256xf32>
  return %y : tensor<128x256xf32>
}

func.func @ragged(%x: tensor<37x129xbf16> {buddy.kind = "input", buddy.name = "x"},
                %w: tensor<129x50xbf16> {buddy.kind = "input", buddy.name = "w"},
                %b: tensor<50xf32> {buddy.kind = "input", buddy.name = "b"}) -> tensor<37x50xf32> {
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<37x50xf32>
  %init = linalg.fill ins(%zero : f32) outs(%empty : tensor<37x50xf32>) -> tensor<37x50xf32>
  %y = linalg.matmul ins(%x, %w : tensor<37x129xbf16>, tensor<129x50xbf16>)
                     outs(%init : tensor<37x50xf32>) -> tensor<37x50xf32>
  %z = linalg.generic {indexing_maps = [#id, #row, #id],
                       iterator_types = ["parallel", "parallel"]}
      ins(%y, %b : tensor<37x50xf32>, tensor<50xf32>) outs(%empty : tensor<37x50xf32>) {
    ^bb0(%a: f32, %c: f32, %o: f32):
      %s = arith.addf %a, %c : f32
      %r = arith.maximumf %s, %zero : f32
      linalg.yield %r : f32
  } -> tensor<37x50xf32>
  return %z : tensor<37x50xf32>
}

func.func @dynamic(%x: tensor<?x96xbf16> {buddy.kind = "input", buddy.name = "x"},
                %w: tensor<96x70xbf16> {buddy.kind = "input", buddy.name = "w"},
                %b: tensor<70xf32> {buddy.kind = "input", buddy.name = "b"}) -> tensor<?x70xf32> {
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %m = tensor.dim %x, %c0 : tensor<?x96xbf16>
  %empty = tensor.empty(%m) : tensor<?x70xf32>
  %init = linalg.fill ins(%zero : f32) outs(%empty : tensor<?x70xf32>) -> tensor<?x70xf32>
  %y = linalg.matmul ins(%x, %w : tensor<?x96xbf16>, tensor<96x70xbf16>)
                     outs(%init : tensor<?x70xf32>) -> tensor<?x70xf32>
  %z = linalg.generic {indexing_maps = [#id, #row, #id],
                       iterator_types = ["parallel", "parallel"]}
      ins(%y, %b : tensor<?x70xf32>, tensor<70xf32>) outs(%empty : tensor<?x70xf32>) {
    ^bb0(%a: f32, %c: f32, %o: f32):
      %s = arith.addf %a, %c : f32
      %r = arith.maximumf %s, %zero : f32
      linalg.yield %r : f32
  } -> tensor<?x70xf32>
  return %z : tensor<?x70xf32>
}

func.func @deep(%x: tensor<48x1300xbf16> {buddy.kind = "input", buddy.name = "x"},
                %w: tensor<1300x40xbf16> {buddy.kind = "input", buddy.name = "w"},
                %b: tensor<40xf32> {buddy.kind = "input", buddy.name = "b"}) -> tensor<48x40xf32> {
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<48x40xf32>
  %init = linalg.fill ins(%zero : f32) outs(%empty : tensor<48x40xf32>) -> tensor<48x40xf32>
  %y = linalg.matmul ins(%x, %w : tensor<48x1300xbf16>, tensor<1300x40xbf16>)
                     outs(%init : tensor<48x40xf32>) -> tensor<48x40xf32>
  return %y : tensor<48x40xf32>
}
