// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The body of a linalg op, looked at along one dimension: what of it is the same for all
// lanes, what counts up with them, and how the whole is written for vectors.

#ifndef BUDDY_LIB_PASSES_VECTORBODY_H
#define BUDDY_LIB_PASSES_VECTORBODY_H

#include "LoopBuilder.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/IRMapping.h"

namespace buddy {

class VectorBody {
public:
  using Value = mlir::Value;
  using Values = LoopBuilder::Values;
  enum class Kind {
    Uniform, // one scalar for all lanes
    Linear,  // base + lane: kept as its base
    Varying  // a vector
  };

  VectorBody(mlir::linalg::LinalgOp op, int64_t dimension);

  /// Why the body cannot be written for vectors; empty if it can.
  llvm::StringRef refusal() const { return why; }
  /// The bits of the widest element that the body computes with.
  int64_t widestBits() const { return widest; }
  /// One chunk of `lanes` elements: `arguments` are the block's (scalars where uniform),
  /// `ivs` the loop indices, `mask` the lanes that exist (none: all). Returns what the
  /// body yields, as vectors.
  Values emit(LoopBuilder &b, int64_t lanes, mlir::ValueRange arguments, mlir::ValueRange ivs,
              Value mask) const;

private:
  Kind kindOf(Value value) const { return kinds.lookup_or(value, Kind::Uniform); }
  Kind classify(mlir::Operation *op);
  Kind classifyLoad(mlir::Operation *op);
  Value asVector(LoopBuilder &b, Value original, Value mapped, int64_t lanes) const;
  void emitOp(LoopBuilder &b, mlir::Operation *op, int64_t lanes, mlir::ValueRange ivs, Value mask,
              mlir::IRMapping &map) const;

  mlir::Block *block;
  int64_t dimension, widest = 8;
  bool sumsProducts; // a named op's, which may round once; a generic op's say so themselves
  llvm::StringRef why;
  llvm::DenseMap<Value, Kind> kinds;
};

} // namespace buddy

#endif
