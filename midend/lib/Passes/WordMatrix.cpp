// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "WordMatrix.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace buddy;

WordMatrix::WordMatrix(LoopBuilder &b, ArrayRef<int64_t> shape, Type word, bool hasElements) {
  if (!hasElements) {
    words = b.scratch(shape, word);
    return;
  }
  int64_t bytes = ShapedType::getNumElements(shape) * word.getIntOrFloatBitWidth() / 8;
  Value memory = b.scratch(bytes, b.getI8Type()), start = b.index(0);
  auto viewAs = [&](ArrayRef<int64_t> shape, Type element) {
    return memref::ViewOp::create(b, MemRefType::get(shape, element), memory, start, ValueRange{});
  };
  words = viewAs(shape, word);
  elements = viewAs({shape[0], 2 * shape[1]}, b.getBF16Type());
}

void WordMatrix::clear(LoopBuilder &b, Value row, int64_t lanes) const {
  Value zero = b.zero(VectorType::get(lanes, cast<MemRefType>(words.getType()).getElementType()));
  b.loop(row, b.dim(words, 0), 1, [&](Value i) {
    b.loop(b.index(0), b.dim(words, 1), lanes, [&](Value j) { b.store(zero, words, {i, j}); });
  });
}
