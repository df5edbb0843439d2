// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Products of few rows by a transposed matrix, [N,K], whose rows are read as they lie:
//
//   for columns n, some at once:
//     for rows i, some at once:
//       for k, a vector at once: sums[i, n] += lhs[i, k] * rhs[n, k]
//       out[i, n] = the lanes of sums[i, n], added up
//
// Each row of rhs comes from memory once, and nothing is packed.

#ifndef BUDDY_LIB_PASSES_ROWSUMS_H
#define BUDDY_LIB_PASSES_ROWSUMS_H

#include "LoopBuilder.h"
#include "MatmulBlocking.h"
#include "ProductTiling.h"

namespace buddy {

class RowSums {
public:
  /// For a product on memrefs that `blocking` says to go along rows.
  RowSums(LoopBuilder &b, MatmulOp op, MatmulBlocking blocking, ProductTiling::Machine machine);
  void emit();

private:
  using Value = mlir::Value;
  using Values = LoopBuilder::Values;

  /// Of the result, what is computed at once.
  struct Block {
    Value row, column;
    int64_t rows, columns;

    int64_t sums() const { return rows * columns; }
  };

  void emitMatrix();
  void emitColumns(Value column, int64_t count);
  void emitBlock(const Block &block);
  Values addStep(const Block &block, Value k, Value mask, mlir::ValueRange sums);
  Value add(Value sum, Value x, Value y);
  Value addLanes(mlir::ArrayRef<Value> sums);
  Values at(Value row, Value k) const;

  LoopBuilder &b;
  MatmulOp op;
  int64_t rows, rowsAtOnce, columnsAtOnce;
  bool dots; // of pairs of bf16, by one instruction
  bool comesFromMemory;
  int64_t lanes, step; // of a sum; elements of a row that go into one at once
  mlir::VectorType sumType;
  Value depth, columns;
  Values batch;
};

} // namespace buddy

#endif // BUDDY_LIB_PASSES_ROWSUMS_H
