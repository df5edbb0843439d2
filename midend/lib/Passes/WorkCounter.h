// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// How much a kernel computes and moves, as a function of its sizes.

#ifndef BUDDY_LIB_PASSES_WORKCOUNTER_H
#define BUDDY_LIB_PASSES_WORKCOUNTER_H

#include "buddy/IR/BuddyDialect.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/AffineMap.h"
#include "llvm/ADT/MapVector.h"

namespace buddy {

/// `work` gives (operations, bytes) from the values of its symbols. Symbol i is dimension
/// `sizes[2 * i + 1]` of argument `sizes[2 * i]`, or that argument itself where it is -1.
struct KernelWork {
  mlir::AffineMap work;
  llvm::SmallVector<int64_t> sizes;
};

/// Counts one kernel on tensors. Operations are arithmetic and math functions on floats (a
/// multiply-add is two; integers count in reductions alone); of an attention only its two
/// products. Bytes are what must cross the kernel's border: each argument once, as far as it is
/// read, and each result.
class WorkCounter {
public:
  explicit WorkCounter(mlir::func::FuncOp kernel) : kernel(kernel) {}

  /// Fails where a size depends on data.
  mlir::FailureOr<KernelWork> count();

private:
  mlir::AffineExpr constant(int64_t value);
  mlir::AffineExpr symbol(mlir::BlockArgument argument, int64_t dim);
  mlir::AffineExpr valueOf(mlir::Value index);
  mlir::AffineExpr extent(mlir::Value shaped, int64_t dim);
  mlir::AffineExpr bound(mlir::Value value, std::optional<int64_t> dim);
  mlir::AffineExpr elements(mlir::Value shaped);
  mlir::AffineExpr bytes(mlir::Value shaped);
  mlir::AffineExpr iterations(mlir::Operation *op);
  mlir::AffineExpr operations(mlir::Operation *op);
  mlir::AffineExpr tapsAlong(ConvOp conv, int64_t i);
  mlir::AffineExpr bytesRead(mlir::Value value);
  mlir::AffineExpr bytesWritten(mlir::Value result);

  mlir::func::FuncOp kernel;
  llvm::SmallMapVector<std::pair<unsigned, int64_t>, unsigned, 4> symbols;
  bool isKnown = true;
};

} // namespace buddy

#endif // BUDDY_LIB_PASSES_WORKCOUNTER_H
