// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// An operand of a product, on the stack, as lanes multiply it: in words.

#ifndef BUDDY_LIB_PASSES_WORDMATRIX_H
#define BUDDY_LIB_PASSES_WORDMATRIX_H

#include "LoopBuilder.h"

namespace buddy {

/// A word is a number, or a pair of bf16.
class WordMatrix {
public:
  using Value = mlir::Value;

  WordMatrix() = default;
  /// A matrix that is there.
  explicit WordMatrix(Value words) : words(words) {}
  /// Allocates one, with `elements` if AMX's tiles are to read the pairs.
  WordMatrix(LoopBuilder &b, llvm::ArrayRef<int64_t> shape, mlir::Type word, bool hasElements);

  /// Zeros, vectors of `lanes`, from `row` on.
  void clear(LoopBuilder &b, Value row, int64_t lanes) const;

  Value words;
  Value elements; // the same memory, twice as many in a row
};

} // namespace buddy

#endif // BUDDY_LIB_PASSES_WORDMATRIX_H
