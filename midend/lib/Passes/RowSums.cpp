// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "RowSums.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace buddy;

using Values = LoopBuilder::Values;

/// Sums that do not wait for each other: as many as keep the multiply-add units busy.
constexpr int64_t kSumsInFlight = 8;

/// Columns whose sums fill one vector of 128 bits, so that their lanes are added up together.
constexpr int64_t kMostColumns = 4;

RowSums::RowSums(LoopBuilder &b, MatmulOp op, MatmulBlocking blocking,
                 ProductTiling::Machine machine)
    : b(b), op(op), comesFromMemory(blocking.comesFromMemory) {
  auto out = cast<MemRefType>(op.getInit().getType());
  int64_t rank = out.getRank();
  rows = *constantOf(b.dim(op.getInit(), rank - 2));
  columns = b.dim(op.getInit(), rank - 1);
  depth = b.dim(op.getLhs(), rank - 1);
  Type lhs = getElementTypeOrSelf(op.getLhs()), rhs = getElementTypeOrSelf(op.getRhs());
  Type sum = lhs.isF64() || rhs.isF64() ? Type(b.getF64Type()) : Type(b.getF32Type());
  lanes = machine.vectorBits / sum.getIntOrFloatBitWidth();
  dots = machine.hasBF16Dot && lhs.isBF16() && rhs.isBF16();
  step = dots ? 2 * lanes : lanes;
  sumType = VectorType::get(lanes, sum);
  columnsAtOnce = lanes < kMostColumns ? 1 : kMostColumns;
  int64_t fitting = registersForSums(machine.vectorBits) / columnsAtOnce;
  int64_t blocks = std::max<int64_t>(1, llvm::divideCeil(rows, fitting));
  rowsAtOnce = std::max<int64_t>(1, llvm::divideCeil(rows, blocks));
}

void RowSums::emit() {
  if (cast<MemRefType>(op.getInit().getType()).getRank() == 2)
    return emitMatrix();
  b.loop(b.index(0), b.dim(op.getInit(), 0), 1, [&](Value n) {
    batch = {n};
    emitMatrix();
  });
}

void RowSums::emitMatrix() {
  Value whole = b.roundDown(columns, columnsAtOnce);
  b.loop(b.index(0), whole, columnsAtOnce, [&](Value n) { emitColumns(n, columnsAtOnce); });
  b.loop(whole, columns, 1, [&](Value n) { emitColumns(n, 1); });
}

/// The indices of an element of a matrix of the batch.
Values RowSums::at(Value row, Value k) const {
  Values indices(batch);
  indices.append({row, k});
  return indices;
}

/// Blocks of rows follow each other while the columns are at hand.
void RowSums::emitColumns(Value column, int64_t count) {
  int64_t whole = rows / rowsAtOnce * rowsAtOnce;
  b.loop(b.index(0), b.index(whole), rowsAtOnce,
         [&](Value row) { emitBlock({row, column, rowsAtOnce, count}); });
  if (whole != rows)
    emitBlock({b.index(whole), column, rows - whole, count});
}

void RowSums::emitBlock(const Block &block) {
  int64_t perStep = block.sums(), unroll = std::max<int64_t>(1, kSumsInFlight / perStep);
  Values sums(perStep * unroll, b.zero(sumType));
  Value unrolled = b.roundDown(depth, step * unroll), whole = b.roundDown(depth, step);
  sums = b.loop(b.index(0), unrolled, step * unroll, sums, [&](Value k, ValueRange carried) {
    Values next;
    for (int64_t u = 0; u < unroll; ++u)
      next.append(addStep(block, b.add(k, u * step), {}, carried.slice(u * perStep, perStep)));
    return next;
  });
  for (; unroll > 1; --unroll)
    for (int64_t i = 0; i < perStep; ++i)
      sums[i] = b.sum(sums[i], sums[(unroll - 1) * perStep + i]);
  sums.resize(perStep);
  sums = b.loop(unrolled, whole, step, sums,
                [&](Value k, ValueRange carried) { return addStep(block, k, {}, carried); });
  sums = b.loop(whole, depth, step, sums, [&](Value k, ValueRange carried) {
    return addStep(block, k, b.firstLanes(b.sub(depth, k), step), carried);
  });
  Type element = getElementTypeOrSelf(op.getInit());
  for (int64_t i = 0; i < block.rows; ++i) {
    Value totals = addLanes(ArrayRef<Value>(sums).slice(i * block.columns, block.columns));
    b.store(b.convert(totals, element), op.getInit(), at(b.add(block.row, i), block.column));
  }
}

/// A vector of each row of both operands.
Values RowSums::addStep(const Block &block, Value k, Value mask, ValueRange sums) {
  auto load = [&](Value memref, Value row) {
    auto type = VectorType::get(step, getElementTypeOrSelf(memref));
    Value loaded = b.load(type, memref, at(row, k), mask);
    return dots ? loaded : b.convert(loaded, sumType.getElementType());
  };
  Values ofColumns, next;
  for (int64_t j = 0; j < block.columns; ++j) {
    Value row = b.add(block.column, j);
    ofColumns.push_back(load(op.getRhs(), row));
    if (comesFromMemory)
      b.prefetch(op.getRhs(), at(b.add(row, block.columns), k));
  }
  for (int64_t i = 0; i < block.rows; ++i) {
    Value ofRow = load(op.getLhs(), b.add(block.row, i));
    for (int64_t j = 0; j < block.columns; ++j)
      next.push_back(add(sums[i * block.columns + j], ofRow, ofColumns[j]));
  }
  return next;
}

Value RowSums::add(Value sum, Value x, Value y) {
  return dots ? b.dot(sum, x, y) : vector::FMAOp::create(b, x, y, sum).getResult();
}

/// A vector with the total of each of one, two or four sums. Those exchange their lanes, so that an
/// addition halves what is left of all of them.
Value RowSums::addLanes(ArrayRef<Value> sums) {
  int64_t count = sums.size();
  if (count == 1) {
    Value total = vector::ReductionOp::create(b, vector::CombiningKind::ADD, sums[0],
                                              arith::FastMathFlags::reassoc);
    return b.splat(total, VectorType::get(1, sumType.getElementType()));
  }
  auto addShuffled = [&](Value x, Value y, ArrayRef<int64_t> low, ArrayRef<int64_t> high) {
    Value lows = vector::ShuffleOp::create(b, x, y, low);
    return b.sum(lows, vector::ShuffleOp::create(b, x, y, high));
  };
  // In each 128 bits; lanes 4 to 7 stand for those of the second vector.
  auto halve = [&](Value x, Value y, std::array<int64_t, 4> low, std::array<int64_t, 4> high) {
    SmallVector<int64_t> lows, highs;
    for (int64_t lane = 0; lane < lanes; lane += kMostColumns)
      for (int64_t i = 0; i < kMostColumns; ++i) {
        auto place = [&](int64_t from) { return lane + from % 4 + from / 4 * lanes; };
        lows.push_back(place(low[i]));
        highs.push_back(place(high[i]));
      }
    return addShuffled(x, y, lows, highs);
  };
  auto interleaved = [&](Value x, Value y) { return halve(x, y, {0, 4, 1, 5}, {2, 6, 3, 7}); };
  Value first = interleaved(sums[0], sums[1]);
  Value second = count == kMostColumns ? interleaved(sums[2], sums[3]) : first;
  Value total = halve(first, second, {0, 1, 4, 5}, {2, 3, 6, 7});
  for (int64_t length = lanes; length > kMostColumns; length /= 2) {
    auto low = llvm::to_vector(llvm::seq<int64_t>(0, length / 2));
    auto high = llvm::to_vector(llvm::seq<int64_t>(length / 2, length));
    total = addShuffled(total, total, low, high);
  }
  auto columnsOnly = llvm::to_vector(llvm::seq<int64_t>(0, count));
  return count == kMostColumns
             ? total
             : vector::ShuffleOp::create(b, total, total, columnsOnly).getResult();
}
