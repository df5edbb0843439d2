// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef BUDDY_LIB_PASSES_LAYOUT_H
#define BUDDY_LIB_PASSES_LAYOUT_H

#include "mlir/IR/Builders.h"

namespace buddy {

/// The tensor with its dimensions in another order: dimension i is `value`'s order[i].
mlir::Value transposed(mlir::OpBuilder &b, mlir::Location loc, mlir::Value value,
                       llvm::ArrayRef<int64_t> order);

/// Whether the tensor is all zeros: a product's init that it may overwrite.
bool isZeroFill(mlir::Value value);

/// The body of a generic op that adds up products of its two inputs, in the type of the sum.
void addProduct(mlir::OpBuilder &b, mlir::Location loc, mlir::ValueRange arguments);

/// A matrix as it lies in memory, and whether it is to be read transposed.
struct MatrixOperand {
  mlir::Value matrix;
  bool transposed;
};

/// The panels [N/nr, K/kr, nr, kr] of [K,N], or of [N,K] when transposed.
mlir::Value packRhs(mlir::OpBuilder &b, mlir::Location loc, MatrixOperand rhs, int64_t nr,
                    int64_t kr);

} // namespace buddy

#endif // BUDDY_LIB_PASSES_LAYOUT_H
