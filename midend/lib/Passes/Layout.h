// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef BUDDY_LIB_PASSES_LAYOUT_H
#define BUDDY_LIB_PASSES_LAYOUT_H

#include "buddy/IR/BuddyDialect.h"

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

/// Whether a product by [N,K] that was not packed ahead of the call is computed as the
/// transposition of [N,K] by lhsT, of which lhs is packed; else each tile reads or packs what it
/// needs of [N,K].
bool isBestTransposed(MatmulOp op);

/// Whether the right-hand side that is packed for the product lies as [N,K].
bool isTransposed(MatmulOp op);

} // namespace buddy

#endif // BUDDY_LIB_PASSES_LAYOUT_H
