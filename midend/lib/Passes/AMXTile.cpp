// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "AMXTile.h"

#include "mlir/Dialect/AMX/AMXDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace buddy;

using Values = LoopBuilder::Values;

static Value allocate(LoopBuilder &b, int64_t rows, int64_t columns, Type element) {
  return memref::AllocaOp::create(b, MemRefType::get({rows, columns}, element),
                                  b.getI64IntegerAttr(64));
}

AMXTile::AMXTile(LoopBuilder &b, Type element)
    : b(b), element(element), kr(32 / element.getIntOrFloatBitWidth()) {
  sums = allocate(b, mostTiles * rows, mostTiles * columns, b.getF32Type());
  paddedLhs = allocate(b, mostTiles * rows, rows * kr, element);
  paddedRhs = allocate(b, rows, mostTiles * columns * kr, element);
}

Value AMXTile::loadSums(Value row, int64_t columnTile) {
  return b.load(VectorType::get(columns, b.getF32Type()), sums,
                {row, b.index(columnTile * columns)});
}

void AMXTile::compute(const Block &described) {
  block = &described;
  auto type = amx::TileType::get({rows, columns}, b.getF32Type());
  Values carried;
  // A zero for each: they are to be registers of their own.
  for (int64_t tile = 0; tile < block->rowTiles * block->columnTiles; ++tile)
    carried.push_back(amx::TileZeroOp::create(b, type));
  int64_t length = rows * kr;
  Value whole = b.roundDown(block->depth, length);
  carried = b.loop(b.index(0), b.index(block->runs), 1, carried, [&](Value run, ValueRange outer) {
    Values next = b.loop(b.index(0), whole, length, outer, [&](Value k, ValueRange inner) {
      return addStep(block->lhs, block->rhs, run, k, inner);
    });
    Value partial = b.createOrFold<arith::CmpIOp>(arith::CmpIPredicate::ne, whole, block->depth);
    return b.when(partial, next, [&] { return addPadded(run, whole, next); });
  });
  for (int64_t i = 0; i < block->rowTiles; ++i)
    for (int64_t j = 0; j < block->columnTiles; ++j)
      amx::TileStoreOp::create(b, sums, ValueRange{b.index(i * rows), b.index(j * columns)},
                               carried[i * block->columnTiles + j]);
}

/// The step of the depth that begins with element `k` of a run.
Values AMXTile::addStep(const Operand &lhs, const Operand &rhs, Value run, Value k,
                        ValueRange carried) {
  Values across, next;
  for (int64_t j = 0; j < block->columnTiles; ++j)
    across.push_back(loadTile(rhs, run, b.div(k, kr), b.index(j * columns)));
  for (int64_t i = 0; i < block->rowTiles; ++i) {
    Value left = loadTile(lhs, run, b.index(i * rows), k);
    for (Value right : across) {
      Value sum = carried[next.size()];
      next.push_back(amx::TileMulFOp::create(b, sum.getType(), left, right, sum));
    }
  }
  return next;
}

Value AMXTile::loadTile(const Operand &operand, Value run, Value i, Value j) {
  auto type = amx::TileType::get({rows, columns * kr}, element);
  return amx::TileLoadOp::create(b, type, operand.memref, operand.at(run, i, j), operand.stride);
}

/// The last step, of which only a part exists: both operands with zeros after their ends. What
/// lies there in memory may be anything, and zero times infinity is not zero.
Values AMXTile::addPadded(Value run, Value k, ValueRange carried) {
  Value left = b.sub(block->depth, k);
  padLhs(run, k, left);
  padRhs(run, b.div(k, kr), b.div(b.add(left, kr - 1), kr));
  auto inPadded = [&](Value, Value i, Value j) { return Values{i, j}; };
  auto packed = [&](Value, Value i, Value j) { return Values{i, b.mul(j, kr)}; };
  return addStep({paddedLhs, {}, inPadded}, {paddedRhs, {}, packed}, run, b.index(0), carried);
}

void AMXTile::padLhs(Value run, Value k, Value left) {
  auto type = VectorType::get(rows * kr, element);
  Value mask = b.firstLanes(left, rows * kr);
  // One row at a time: with a stride of its own the memref does not say where the next one lies.
  b.loop(b.index(0), b.index(block->rowTiles * rows), 1, [&](Value row) {
    b.store(b.load(type, block->lhs.memref, block->lhs.at(run, row, k), mask), paddedLhs,
            {row, b.index(0)});
  });
}

/// `count` steps from `first` on, and zeros.
void AMXTile::padRhs(Value run, Value first, Value count) {
  auto type = VectorType::get(columns * kr, element);
  auto storeStep = [&](Value step, llvm::function_ref<Value(Value column)> value) {
    for (int64_t j = 0; j < block->columnTiles; ++j)
      b.store(value(b.index(j * columns)), paddedRhs, {step, b.index(j * columns * kr)});
  };
  b.loop(b.index(0), count, 1, [&](Value step) {
    storeStep(step, [&](Value column) {
      return b.load(type, block->rhs.memref, block->rhs.at(run, b.add(first, step), column));
    });
  });
  b.loop(count, b.index(rows), 1,
         [&](Value step) { storeStep(step, [&](Value) { return b.zero(type); }); });
}
