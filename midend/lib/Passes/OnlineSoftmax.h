// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A softmax over rows whose scores come block by block (Milakov and Gimelshein, 2018).

#ifndef BUDDY_LIB_PASSES_ONLINESOFTMAX_H
#define BUDDY_LIB_PASSES_ONLINESOFTMAX_H

#include "LoopBuilder.h"

namespace buddy {

/// Keeps for each row the largest score seen and the sum of exp(score - largest), one for each
/// lane. Weights are relative to the largest score so far: when it grows, so must what was summed
/// with them shrink.
class OnlineSoftmax {
public:
  using Value = mlir::Value;
  using Values = LoopBuilder::Values;

  /// `isBase2`: scores are in units of ln 2.
  OnlineSoftmax(LoopBuilder &b, mlir::VectorType type, bool isBase2)
      : b(b), type(type), isBase2(isBase2) {}

  /// Allocates the state of `rows` rows.
  void allocate(int64_t rows);
  /// The row has seen nothing.
  void reset(Value row);
  /// The weights of a block of scores of a row. Where the largest score grows, `rescale` is called
  /// with the factor for what was summed before.
  Values update(Value row, mlir::ValueRange scores, llvm::function_ref<void(Value)> rescale);
  /// What turns a sum of weighted vectors into their mean: 1 / sum of weights, 0 if there is none.
  Value normalizer(Value row);

  /// The score of what is not seen, -inf, in all lanes.
  Value hidden();

private:
  Value infinity();
  Value exponential(Value x);
  Value larger(Value x, Value y);

  LoopBuilder &b;
  mlir::VectorType type;
  bool isBase2;
  Value sums, maxima; // [rows, lanes], [rows]
};

} // namespace buddy

#endif
