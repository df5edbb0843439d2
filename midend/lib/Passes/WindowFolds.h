// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Folds over windows, of GenericEmitter: convolutions of single channels and pooling, whose
// neighbouring positions read mostly the same.

#ifndef BUDDY_LIB_PASSES_WINDOWFOLDS_H
#define BUDDY_LIB_PASSES_WINDOWFOLDS_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace buddy {

/// Positions whose sums stay in registers together, beside a row of the window.
constexpr int64_t kWindowPositions = 8;

/// Two loops of an op, the second a reduction, that an input is read at the sum of:
/// position * stride + tap * dilation.
struct SlidingWindow {
  int64_t position = -1, tap = -1, stride = 1, dilation = 1;

  int64_t readBy(std::pair<int64_t, int64_t> positionAndTap) const {
    return positionAndTap.first * stride + positionAndTap.second * dilation;
  }

  /// Each of `count` positions with each tap, by where they read.
  llvm::SmallVector<std::pair<int64_t, int64_t>> stepsOf(int64_t count, int64_t taps) const;
};

/// What is folded at once: vectors of channels at some positions.
struct WindowBlock {
  mlir::Value first; // position
  int64_t count, vectors;
  mlir::Value mask;
  bool dots; // of pairs of taps, where there are two vectors
};

/// The innermost window that an input of `op` is read by, if vectors run along `dimension` and it
/// is short enough for its taps to be written out.
std::optional<SlidingWindow> findSlidingWindow(mlir::linalg::LinalgOp op, int64_t dimension);

} // namespace buddy

#endif // BUDDY_LIB_PASSES_WINDOWFOLDS_H
