// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef BUDDY_LIB_PASSES_GENERICSCHEDULE_H
#define BUDDY_LIB_PASSES_GENERICSCHEDULE_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace buddy {

/// How the loops of one op become vectors.
struct GenericSchedule {
  int64_t dimension = 0; // along which vectors run
  // Along which the crossing operands are contiguous, if there are any; the outermost first.
  llvm::SmallVector<int64_t> across;
  // The outputs' last loop, if vectors run along the one before it and are interleaved. If it is
  // one of `across` it is the first.
  std::optional<int64_t> interleaved;
  bool reduces = false; // whether `dimension` is a reduction
  // For each output what folds it, null for one that is scanned; none where an output has no
  // single such operation, which it needs if the vectors reduce.
  llvm::SmallVector<mlir::Operation *> combiners;

  /// Whether vectors are read and written as they lie in memory.
  bool isStraight() const { return across.empty() && !interleaved; }
};

/// Whether each step of a reduction has an element of its own in `init`.
bool isScanned(mlir::linalg::LinalgOp op, mlir::OpOperand &init);

/// Sets how `op`, on memrefs, becomes vector loops; or returns why it cannot, else nothing.
llvm::StringRef chooseSchedule(mlir::linalg::LinalgOp op, GenericSchedule &schedule);

} // namespace buddy

#endif // BUDDY_LIB_PASSES_GENERICSCHEDULE_H
