// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a chain of reshapes, transpositions and slices makes of a tensor, as strides over its
// memory.

#ifndef BUDDY_LIB_PASSES_STRIDEDVIEW_H
#define BUDDY_LIB_PASSES_STRIDEDVIEW_H

#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/Builders.h"

namespace buddy {

/// A tensor as a part of another one, which is row-major.
struct StridedView {
  static constexpr int64_t unknown = mlir::ShapedType::kDynamic;

  /// Elements that lie `stride` apart.
  struct Run {
    mlir::OpFoldResult extent;
    int64_t stride; // unknown outside of a run whose extent is

    std::optional<int64_t> known() const { return mlir::getConstantIntValue(extent); }
    /// How far apart the runs outside of it are where it is whole.
    int64_t length() const { return known() && stride != unknown ? *known() * stride : unknown; }
  };

  /// One dimension: runs within runs, none where the extent is one.
  using Runs = llvm::SmallVector<Run>;

  mlir::Value base;
  Run outermost; // of the base
  int64_t offset = 0;
  llvm::SmallVector<Runs> dims;

  /// `value` as a view of what the longest chain that can be followed begins with: at worst itself.
  static StridedView of(mlir::OpBuilder &b, mlir::Value value);

  /// Whether each dimension is one run, and the elements of the last one lie side by side. Makes
  /// one of those that follow each other.
  bool isPlain();

  /// The order in which the dimensions of a plain view lie in memory; those of one element come
  /// first, but for the last one.
  llvm::SmallVector<int64_t> order() const;

  /// A plain view with its dimensions in that order, as a slice of a reshape of the base; null if
  /// no reshape has them.
  mlir::Value inOrder(mlir::OpBuilder &b) const;
};

} // namespace buddy

#endif // BUDDY_LIB_PASSES_STRIDEDVIEW_H
