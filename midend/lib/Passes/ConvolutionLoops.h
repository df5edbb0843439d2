// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef BUDDY_LIB_PASSES_CONVOLUTIONLOOPS_H
#define BUDDY_LIB_PASSES_CONVOLUTIONLOOPS_H

#include "ProductEmitter.h"
#include "buddy/IR/BuddyDialect.h"

namespace buddy {

/// The loops of a convolution, as a product. A row is one output position along x, or, where lines
/// are short, along several lines. Its depth is one run for each row of the window, or one for each
/// of its elements (`ConvOp::readsRows`).
class ConvolutionLoops {
public:
  /// Results go to `epilogue`, if there is one, in place of memory.
  ConvolutionLoops(LoopBuilder &b, ConvOp op, ProductTiling::Machine machine,
                   EpilogueEmitter *epilogue);
  void emit();

private:
  using Value = mlir::Value;
  using Values = LoopBuilder::Values;

  void emitDims(const Values &outer);
  void emitLines(const Values &outer, int64_t count);
  using Window = llvm::SmallVector<std::pair<Value, Value>>;
  Value rowsBefore(const Values &outer, Value length);
  std::optional<int64_t> positions();
  Window windowOf(const Values &outer, int64_t count);
  Values overRuns(mlir::ArrayRef<std::pair<Value, Value>> window, Value tap,
                  mlir::ValueRange carried, AMXTile::RunBody body);
  Values inputAt(const Values &outer, Value row, Value run, Value k);
  std::pair<Values, Value> positionOf(const Values &outer, Value row);
  int64_t linesAtOnce();
  bool cutsLines();
  Value rowStride();

  LoopBuilder &b;
  ConvOp op;
  Value out;
  int64_t rank, first; // dimension of space
  Value input;
  ProductTiling tiling;
  RightHandSide rhs;
  ProductEmitter product;
  Value firstChannel; // of the group
  int64_t width = 0;  // of a line, if there are several
};

} // namespace buddy

#endif // BUDDY_LIB_PASSES_CONVOLUTIONLOOPS_H
