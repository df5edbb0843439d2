// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "GenericTransposition.h"
#include "GenericEmitter.h"

#include "mlir/Dialect/Affine/Utils.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace buddy;

using Values = LoopBuilder::Values;

/// `memref` with its last `count` dimensions, which are contiguous, as one.
static Value joinTrailing(LoopBuilder &b, Value memref, int64_t count) {
  int64_t rank = cast<MemRefType>(memref.getType()).getRank();
  if (count == 1)
    return memref;
  SmallVector<ReassociationIndices> groups;
  for (int64_t dim = 0; dim < rank; ++dim)
    if (dim <= rank - count)
      groups.push_back({dim});
    else
      groups.back().push_back(dim);
  return memref::CollapseShapeOp::create(b, memref, groups);
}

/// The mask of `some` lanes in the i-th row of those that are left; of none past the edge.
static Value maskOfRow(LoopBuilder &b, int64_t i, Value left, Value some, int64_t lanes) {
  Value exists = arith::CmpIOp::create(b, arith::CmpIPredicate::sgt, left, b.index(i));
  return b.firstLanes(arith::SelectOp::create(b, exists, some, b.index(0)), lanes);
}

void GenericEmitter::emitInterleaved() {
  int64_t loop = *schedule.interleaved, channels = *constantOf(extents[loop]);
  auto enter = [&](int64_t channel) { ivs[loop] = b.index(channel); };
  joinCrossing();
  chunks(1, {}, [&](int64_t, Value mask, ValueRange) {
    if (schedule.across.empty()) {
      interleave(mask, enter);
      return Values();
    }
    // Of each crossing operand: the rows of the first channel, those of the second one, ...
    SmallVector<std::pair<OpOperand *, Values>> squares;
    bool areJoined = schedule.across.front() == loop;
    int64_t rows = *constantOf(rowCount) / (areJoined ? channels : 1);
    for (OpOperand *input : op.getDpsInputOperands()) {
      if (!isCrossing(*input))
        continue;
      Values &all = squares.emplace_back(input, Values()).second;
      for (int64_t channel = 0; channel < (areJoined ? 1 : channels); ++channel) {
        enter(channel);
        llvm::append_range(all, loadRows(*input, ivs[dimension], mask != nullptr));
      }
    }
    for (int64_t row = 0; row < rows; ++row)
      interleave(mask, [&](int64_t channel) {
        int64_t place = channel * rows + row;
        enter(channel);
        enterRow(b.index(areJoined ? place : row));
        for (auto &[operand, values] : squares)
          crossed[operand] = values[place];
      });
    crossed.clear();
    return Values();
  });
}

/// A vector of each channel, whose elements take turns in what is stored.
void GenericEmitter::interleave(Value mask, function_ref<void(int64_t)> enterChannel) {
  int64_t count = *constantOf(extents[*schedule.interleaved]);
  SmallVector<Values> outputs(op.getNumDpsInits());
  for (int64_t channel = 0; channel < count; ++channel) {
    enterChannel(channel);
    for (auto [output, value] : llvm::zip(outputs, emitChunk(1, mask, outputsBefore(mask))))
      output.push_back(value);
  }
  for (auto [init, channels] : llvm::zip(op.getDpsInitsMutable(), outputs)) {
    Value memref = joinTrailing(b, init.get(), 2);
    Values indices = indicesOf(init);
    indices.pop_back();
    Value first = b.mul(indices.pop_back_val(), count);
    Value left = b.mul(b.sub(extents[dimension], ivs[dimension]), count);
    Values mixed = b.reorder(channels, [&](int64_t i) { return i % count * lanes + i / count; });
    for (auto [i, value] : llvm::enumerate(mixed)) {
      indices.push_back(b.add(first, i * lanes));
      Value stored = mask ? b.firstLanes(b.sub(left, b.index(i * lanes)), lanes) : Value();
      b.store(value, memref, indices, stored);
      indices.pop_back();
    }
  }
}

/// All rows of a crossing operand, which are few: vectors along `dimension` from `start` on.
Values GenericEmitter::loadRows(OpOperand &operand, Value start, bool masked) {
  int64_t count = *constantOf(rowCount);
  Value left = b.sub(extents[dimension], start);
  Values rows;
  for (int64_t first = 0; first < count; first += lanes) {
    int64_t some = std::min(lanes, count - first);
    Values square;
    for (int64_t i = 0; i < lanes; ++i) {
      ivs[dimension] = b.add(start, i);
      Value mask;
      if (masked)
        mask = maskOfRow(b, i, left, b.index(some), lanes);
      else if (some < lanes)
        mask = b.firstLanes(b.index(some), lanes);
      square.push_back(loadCrossing(operand, b.index(first), mask));
    }
    b.transpose(square);
    rows.append(square.begin(), square.begin() + some);
  }
  ivs[dimension] = start;
  return rows;
}

/// The dimensions of crossing operands along `across` as one.
void GenericEmitter::joinCrossing() {
  joined.clear();
  for (OpOperand *input : op.getDpsInputOperands())
    if (isCrossing(*input))
      joined[input] = joinTrailing(b, input->get(), schedule.across.size());
  rowCount = b.index(1);
  for (int64_t loop : schedule.across)
    rowCount = b.mul(rowCount, extents[loop]);
}

/// Whole squares, then those that reach over an edge, under masks.
void GenericEmitter::emitSquares() {
  joinCrossing();
  Value rows = rowCount, columns = extents[dimension];
  Value wholeRows = b.roundDown(rows, lanes), wholeColumns = b.roundDown(columns, lanes);
  auto squares = [&](Value fromRow, Value toRow, Value fromColumn, Value toColumn, bool masked) {
    b.loop(fromRow, toRow, lanes, [&](Value row) {
      b.loop(fromColumn, toColumn, lanes, [&](Value column) { emitSquare(row, column, masked); });
    });
  };
  Value zero = b.index(0);
  squares(zero, wholeRows, zero, wholeColumns, false);
  squares(zero, wholeRows, wholeColumns, columns, true);
  squares(wholeRows, rows, zero, columns, true);
}

void GenericEmitter::emitSquare(Value across, Value start, bool masked) {
  Value rowsLeft = b.sub(rowCount, across);
  Value columnsLeft = b.sub(extents[dimension], start);
  auto maskOf = [&](int64_t i, Value left, Value some) {
    return masked ? maskOfRow(b, i, left, some, lanes) : Value();
  };
  SmallVector<std::pair<OpOperand *, Values>> squares;
  for (OpOperand *input : op.getDpsInputOperands()) {
    if (!isCrossing(*input))
      continue;
    Values rows;
    for (int64_t i = 0; i < lanes; ++i) {
      ivs[dimension] = b.add(start, i);
      rows.push_back(loadCrossing(*input, across, maskOf(i, columnsLeft, rowsLeft)));
    }
    b.transpose(rows);
    squares.emplace_back(input, rows);
  }
  ivs[dimension] = start;
  for (int64_t i = 0; i < lanes; ++i) {
    enterRow(b.add(across, i));
    for (auto &[operand, rows] : squares)
      crossed[operand] = rows[i];
    Value mask = maskOf(i, rowsLeft, columnsLeft);
    Values state;
    for (OpOperand &init : op.getDpsInitsMutable())
      state.push_back(
          b.zero(VectorType::get(lanes, cast<MemRefType>(init.get().getType()).getElementType())));
    storeOutputs(emitChunk(1, mask, state), mask, /*scanned=*/false);
  }
  crossed.clear();
}

/// Sets the loops of `across`, seen as one, to its element `across`.
void GenericEmitter::enterRow(Value across) {
  for (int64_t loop : llvm::reverse(ArrayRef<int64_t>(schedule.across).drop_front())) {
    ivs[loop] = b.rem(across, *constantOf(extents[loop]));
    across = b.div(across, *constantOf(extents[loop]));
  }
  ivs[schedule.across.front()] = across;
}

/// A vector of a crossing operand along `across`.
Value GenericEmitter::loadCrossing(OpOperand &operand, Value across, Value mask) {
  Values indices;
  ArrayRef<AffineExpr> exprs = op.getMatchingIndexingMap(&operand).getResults();
  for (AffineExpr expr : exprs.drop_back(schedule.across.size()))
    indices.push_back(affine::expandAffineExpr(b, b.getLoc(), expr, ivs, {}));
  indices.push_back(across);
  Value memref = joined[&operand];
  auto element = cast<MemRefType>(memref.getType()).getElementType();
  return b.load(VectorType::get(lanes, element), memref, indices, mask);
}

bool GenericEmitter::isCrossing(OpOperand &operand) {
  AffineMap map = op.getMatchingIndexingMap(&operand);
  return isMemRef(operand.get()) && !schedule.across.empty() && map.getNumResults() > 0 &&
         map.isFunctionOfDim(dimension) &&
         map.getResults().back() == getAffineDimExpr(schedule.across.back(), op.getContext());
}
