// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "AMXTile.h"

#include "AttentionEmitter.h"
#include "ProductEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace buddy;

using Values = LoopBuilder::Values;

int64_t AMXTile::heightFor(std::optional<int64_t> count) {
  return count ? evenRows(*count, mostRows) : mostRows;
}

AMXTile::AMXTile(LoopBuilder &b, Type element, int64_t height)
    : height(height), b(b), element(element),
      sum(isa<FloatType>(element) ? Type(b.getF32Type()) : b.getI32Type()),
      depth(stepDepth(element)), kr(depth / mostRows) {
  sums = b.scratch({mostTiles * height, mostTiles * columns}, sum);
  paddedLhs = b.scratch({mostTiles * height, depth}, element);
  paddedRhs = b.scratch({depth / kr, mostTiles * columns * kr}, element);
}

Value AMXTile::loadSums(Value row, int64_t columnTile) {
  return b.load(VectorType::get(columns, sum), sums, {row, b.index(columnTile * columns)});
}

void AMXTile::compute(const Block &described) {
  block = &described;
  Value whole = b.roundDown(block->depth, depth), left = b.sub(block->depth, whole);
  Value partial = b.createOrFold<arith::CmpIOp>(arith::CmpIPredicate::ne, left, b.index(0));
  // Before the tiles: a call (of memset) would take their registers.
  b.when(partial, [&] {
    padLhs(whole, left);
    padRhs(b.div(whole, kr), b.div(b.add(left, kr - 1), kr));
  });
  auto type = amx::TileType::get({height, columns}, sum);
  auto scratchAt = [](Value, Value i, Value j) { return Values{i, j}; };
  Operand out = block->sums.value_or(Operand{sums, {}, scratchAt});
  Value zero = b.index(0);
  Values carried;
  forEachTile([&](Value i, Value j) {
    // A zero for each: they are to be registers of their own.
    carried.push_back(block->adds ? loadTile(type, out, zero, i, j)
                                  : Value(amx::TileZeroOp::create(b, type)));
  });
  carried = block->overRuns(carried, [&](Value run, ValueRange outer) {
    return b.loop(b.index(0), whole, depth, outer, [&](Value k, ValueRange inner) {
      if (block->fetchNext)
        block->fetchNext(run, k);
      return addStep(block->lhs, block->rhs, run, k, inner);
    });
  });
  carried = b.when(partial, carried, [&] { return addPadded(carried); });
  auto next = carried.begin();
  forEachTile([&](Value i, Value j) {
    amx::TileStoreOp::create(b, out.memref, out.at(zero, i, j), *next++);
  });
}

/// Of the sums, row by row.
void AMXTile::forEachTile(llvm::function_ref<void(Value i, Value j)> body) {
  for (int64_t i = 0; i < block->rowTiles; ++i)
    for (int64_t j = 0; j < block->columnTiles; ++j)
      body(b.index(i * height), b.index(j * columns));
}

/// The step of the depth that begins with element `k` of a run.
Values AMXTile::addStep(const Operand &lhs, const Operand &rhs, Value run, Value k,
                        ValueRange carried) {
  auto leftType = amx::TileType::get({height, depth}, element);
  auto rightType = amx::TileType::get({mostRows, depth}, element);
  Values across, next;
  for (int64_t j = 0; j < block->columnTiles; ++j)
    across.push_back(loadTile(rightType, rhs, run, b.div(k, kr), b.index(j * columns)));
  for (int64_t i = 0; i < block->rowTiles; ++i) {
    Value left = loadTile(leftType, lhs, run, b.index(i * height), k);
    for (Value right : across)
      next.push_back(multiply(left, right, carried[next.size()]));
  }
  return next;
}

Value AMXTile::multiply(Value left, Value right, Value sum) {
  if (isa<FloatType>(element))
    return amx::TileMulFOp::create(b, sum.getType(), left, right, sum);
  return amx::TileMulIOp::create(b, sum.getType(), left, right, sum);
}

Value AMXTile::loadTile(amx::TileType type, const Operand &operand, Value run, Value i, Value j) {
  return amx::TileLoadOp::create(b, type, operand.memref, operand.at(run, i, j), operand.stride);
}

/// The last step, with zeros after the ends of both operands. What lies there in memory may be
/// anything, and zero times infinity is not zero.
Values AMXTile::addPadded(ValueRange carried) {
  auto lhsAt = [&](Value, Value i, Value k) { return Values{i, k}; };
  auto rhsAt = [&](Value, Value step, Value column) { return Values{step, b.mul(column, kr)}; };
  Value zero = b.index(0);
  return addStep({paddedLhs, {}, lhsAt}, {paddedRhs, {}, rhsAt}, zero, zero, carried);
}

/// The `left` elements from `k` on, and zeros.
void AMXTile::padLhs(Value k, Value left) {
  auto type = VectorType::get(depth, element);
  Value mask = b.firstLanes(left, depth);
  b.loop(b.index(0), b.index(block->rowTiles * height), 1, [&](Value row) {
    Values from = block->lhs.at(b.index(0), row, k);
    b.store(b.load(type, block->lhs.memref, from, mask), paddedLhs, {row, b.index(0)});
  });
}

/// `count` steps from `first` on, and zeros.
void AMXTile::padRhs(Value first, Value count) {
  auto type = VectorType::get(columns * kr, element);
  auto storeStep = [&](Value step, llvm::function_ref<Value(Value column)> value) {
    for (int64_t j = 0; j < block->columnTiles; ++j)
      b.store(value(b.index(j * columns)), paddedRhs, {step, b.index(j * columns * kr)});
  };
  b.loop(b.index(0), count, 1, [&](Value step) {
    storeStep(step, [&](Value column) {
      Values from = block->rhs.at(b.index(0), b.add(first, step), column);
      return b.load(type, block->rhs.memref, from);
    });
  });
  b.loop(count, b.index(depth / kr), 1,
         [&](Value step) { storeStep(step, [&](Value) { return b.zero(type); }); });
}

// The rows of a product that go by tiles.

/// Depth up to which storing the sums takes longer than vectors take to compute them.
constexpr int64_t kShallow = 8;

/// Whether tiles can take the rows, and are worth it.
bool ProductEmitter::fillsTiles() {
  if (!tile || !rows->byTiles)
    return false;
  std::optional<int64_t> count = constantOf(rows->count), depth = constantOf(rows->depth);
  bool isDeep = !depth || rows->runs * *depth > kShallow;
  // What ends early is padded once, not run by run.
  bool isWhole = rows->runs == 1 || (depth && *depth % AMXTile::stepDepth(lhsElement) == 0);
  return isDeep && isWhole && (!count || *count >= AMXTile::fewestRows);
}

void ProductEmitter::emitTileRows() {
  Value height = b.index(tile->height);
  Value fills = b.createOrFold<arith::CmpIOp>(arith::CmpIPredicate::uge, rows->count, height);
  b.when(fills, [&] { emitTileBlocks(); });
  // Of fewer rows the memory sets the pace.
  Value isLess = b.createOrFold<arith::CmpIOp>(arith::CmpIPredicate::ult, rows->count, height);
  b.when(isLess, [&] { emitVectorRows(); });
}

void ProductEmitter::emitTileBlocks() {
  int64_t height = tile->height, blockRows = AMXTile::mostTiles * height;
  Value whole = b.roundDown(rows->count, blockRows);
  b.loop(b.index(0), whole, blockRows,
         [&](Value row) { emitTiles(row, AMXTile::mostTiles, b.index(0)); });
  // The last tile ends where the rows end, and computes some of them again.
  b.loop(whole, rows->count, height, [&](Value row) {
    Value first = b.min(row, b.sub(rows->count, b.index(height)));
    emitTiles(first, 1, b.sub(row, first));
  });
}

/// Blocks of rows among which the next panel is shared out if their number is not known.
constexpr int64_t kFetchingBlocks = 8;

/// Asks for the part of the next panel's tiles that is this block of rows' own: memory takes as
/// long for a panel as the tiles for a few blocks, and is to be busy all the time.
void ProductEmitter::fetchTiles(Value row, Value iv, Value k) {
  if (!rhs.fetchesPanels)
    return;
  int64_t blockRows = AMXTile::mostTiles * tile->height, steps = AMXTile::mostRows;
  int64_t blocks = rows->total ? llvm::divideCeil(*rows->total, blockRows) : kFetchingBlocks;
  int64_t share = llvm::divideCeil(steps, blocks);
  Value block = b.min(blockOf(row, blockRows), b.index(llvm::divideCeil(steps, share) - 1));
  run = iv;
  Value first = b.add(packedStep(b.div(k, tiling.kr)), b.mul(block, share));
  for (int64_t i = 0; i < share * tiling.vectors; ++i)
    rhs.fetchNextPanel(b.add(first, i / tiling.vectors), b.index(i % tiling.vectors));
}

/// Rows from `row` on, of which the first `before` are known already.
void ProductEmitter::emitTiles(Value row, int64_t rowTiles, Value before) {
  auto lhsAt = [&](Value run, Value i, Value k) { return rows->lhsAt(b.add(row, i), run, k); };
  auto rhsAt = [&](Value iv, Value step, Value column) {
    run = iv;
    return Values{rhs.place(), packedStep(step), b.mul(column, tiling.kr)};
  };
  tile->compute({rowTiles,
                 tiling.vectors,
                 [&](ValueRange carried, AMXTile::RunBody body) { return overRuns(carried, body); },
                 rows->depth,
                 {lhs, rows->lhsStride, lhsAt},
                 {rhs.panels, {}, rhsAt},
                 [&](Value iv, Value k) { fetchTiles(row, iv, k); }});
  b.loop(before, b.index(rowTiles * tile->height), 1, [&](Value i) {
    Values sums;
    for (int64_t j = 0; j < tiling.vectors; ++j) {
      sums.push_back(tile->loadSums(i, j));
      if (rows->adds)
        sums[j] = b.sum(sums[j], loadOut(b.add(row, i), j));
    }
    storeSums(b.add(row, i), 1, sums);
  });
}

// The products of an attention.

/// out[outRow + i, :] = or += lhs[lhsRow + i, :] . rhs for the rows of a block.
void AttentionEmitter::multiplyTiles(const WordMatrix &lhs, Value lhsRow, const WordMatrix &rhs,
                                     Value out, Value outRow, bool adds) {
  auto once = [&](ValueRange sums, AMXTile::RunBody body) { return body(b.index(0), sums); };
  int64_t columns = cast<MemRefType>(out.getType()).getDimSize(1);
  b.forEachChunk(columns, AMXTile::mostTiles, lanes, [&](Chunk chunk) {
    auto lhsAt = [&](Value, Value i, Value k) { return Values{b.add(lhsRow, i), k}; };
    auto rhsAt = [&](Value, Value word, Value column) {
      return Values{word, b.mul(b.add(chunk.offset, column), perWord)};
    };
    auto outAt = [&](Value, Value i, Value column) {
      return Values{b.add(outRow, i), b.add(chunk.offset, column)};
    };
    AMXTile::Block block{blockRows / tile->height,
                         chunk.vectors,
                         once,
                         b.dim(lhs.elements, 1),
                         {lhs.elements, {}, lhsAt},
                         {rhs.elements, {}, rhsAt}};
    block.sums = AMXTile::Operand{out, {}, outAt};
    block.adds = adds;
    tile->compute(block);
  });
}
