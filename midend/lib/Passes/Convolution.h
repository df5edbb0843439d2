// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Convolutions as linalg writes them: named ones, or generics with more dimensions.

#ifndef BUDDY_LIB_PASSES_CONVOLUTION_H
#define BUDDY_LIB_PASSES_CONVOLUTION_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace buddy {

/// A convolution of input [N, (G,) C, ...] by weight [(G,) F, C, ...] into [N, (G,) F, ...].
struct Convolution {
  mlir::Value input, weight, init;
  int64_t spatial;
  bool grouped;
  llvm::SmallVector<int64_t, 2> strides, dilations;

  /// What `op` computes, if that is a convolution from zeros.
  static mlir::FailureOr<Convolution> match(mlir::linalg::LinalgOp op);

  llvm::ArrayRef<int64_t> weightShape() const {
    return mlir::cast<mlir::ShapedType>(weight.getType()).getShape();
  }
  /// Of a group, if there are groups.
  int64_t filters() const { return weightShape()[grouped]; }
  int64_t channels() const { return weightShape()[1 + grouped]; }
  bool isDepthwise() const { return grouped && filters() == 1 && channels() == 1; }

private:
  llvm::SmallVector<mlir::AffineMap> maps(mlir::MLIRContext *context) const;
};

} // namespace buddy

#endif // BUDDY_LIB_PASSES_CONVOLUTION_H
