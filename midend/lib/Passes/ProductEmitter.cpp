// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ProductEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace buddy;

using Values = LoopBuilder::Values;

/// Independent sums that keep the multiply-add units busy over their latency.
constexpr int64_t sumsInFlight = 8;

ProductEmitter::ProductEmitter(LoopBuilder &b, Value lhs, RightHandSide &rhs, Value out,
                               std::optional<int64_t> knownRows)
    : b(b), rhs(rhs), tiling(rhs.panelTiling()), lhs(lhs), source(lhs), out(out),
      lhsElement(getElementTypeOrSelf(lhs)), sumType(VectorType::get(tiling.lanes, tiling.sum)) {
  if (tiling.tiles && rhs.panels)
    tile.emplace(b, lhsElement, AMXTile::heightFor(knownRows));
}

void ProductEmitter::emitRows(const Rows &described) {
  rows = &described;
  if (fillsTiles())
    return emitTileRows();
  emitVectorRows();
}

void ProductEmitter::emitVectorRows() {
  std::optional<int64_t> known = constantOf(rows->count);
  int64_t height = known ? evenRows(*known, tiling.rows) : tiling.rows;
  Value whole = b.roundDown(rows->count, height);
  b.loop(b.index(0), whole, height, [&](Value row) { emitBlock(row, height); });
  if (known) {
    if (int64_t rest = *known % height)
      emitBlock(whole, rest);
    return;
  }
  // A remainder known only at run time goes as powers of two: 11 = 8 + 2 + 1.
  Value row = whole, rest = b.sub(rows->count, whole);
  for (int64_t count = llvm::bit_floor<uint64_t>(height - 1); count > 0; count /= 2) {
    Value taken = arith::AndIOp::create(b, rest, b.index(count));
    Value some = arith::CmpIOp::create(b, arith::CmpIPredicate::ne, taken, b.index(0));
    b.when(some, [&] { emitBlock(row, count); });
    row = b.add(row, taken);
  }
}

void ProductEmitter::emitBlock(Value row, int64_t count) {
  storeSums(row, count, accumulate(row, count));
}

/// Vectors of sums of a block, and those of what a shift adds to each of its rows.
int64_t ProductEmitter::sumsOf(int64_t count) const {
  return (count + tiling.shifts) * tiling.vectors;
}

/// The sums over all of K, row by row. Few rows leave the multiply-add units waiting
/// for their own results: then several steps go at once, each into its own sums.
Values ProductEmitter::accumulate(Value row, int64_t count) {
  int64_t perStep = sumsOf(count), ofRows = count * tiling.vectors;
  int64_t unroll = std::max<int64_t>(1, sumsInFlight / perStep);
  Values sums(perStep * unroll, b.zero(sumType));
  if (rows->adds)
    for (int64_t i = 0; i < ofRows; ++i)
      sums[i] = loadOut(b.add(row, i / tiling.vectors), i % tiling.vectors);
  sums = overRuns(sums, [&](Value iv, ValueRange carried) {
    return accumulateRun(row, count, iv, Values(carried));
  });
  for (; unroll > 1; --unroll)
    for (int64_t i = 0; i < perStep; ++i)
      sums[i] = b.sum(sums[i], sums[(unroll - 1) * perStep + i]);
  for (int64_t i = ofRows; i-- > 0 && tiling.shifts;)
    sums[i] = arith::SubIOp::create(b, sums[i], sums[ofRows + i % tiling.vectors]);
  sums.resize(ofRows);
  return sums;
}

Values ProductEmitter::overRuns(ValueRange carried, AMXTile::RunBody body) {
  if (rows->overRuns)
    return rows->overRuns(carried, body);
  return b.loop(b.index(0), b.index(rows->runs), 1, carried, body);
}

Values ProductEmitter::accumulateRun(Value row, int64_t count, Value iv, Values sums) {
  run = iv;
  int64_t perStep = sumsOf(count), unroll = sums.size() / perStep;
  if (group) {
    // The lanes are chosen when compiling.
    for (int64_t step = 0; step < group->depth / tiling.kr; ++step) {
      auto some = MutableArrayRef<Value>(sums).slice(step % unroll * perStep, perStep);
      llvm::copy(addStep(row, count, b.index(step), ValueRange(some), false), some.begin());
    }
    return sums;
  }
  Value steps = b.div(rows->depth, tiling.kr), unrolledSteps = b.roundDown(steps, unroll);
  sums = b.loop(b.index(0), unrolledSteps, unroll, sums, [&](Value step, ValueRange carried) {
    Values next;
    if (rows->nextAt)
      fetchNext(row, count, step);
    if (rhs.fetchesPanels)
      fetchNextPanel(row, count, step, unroll);
    for (int64_t u = 0; u < unroll; ++u)
      next.append(addStep(row, count, b.add(step, u), carried.slice(u * perStep, perStep), false));
    return next;
  });
  Values first(ArrayRef<Value>(sums).take_front(perStep));
  first = b.loop(unrolledSteps, steps, 1, first, [&](Value step, ValueRange carried) {
    return addStep(row, count, step, carried, false);
  });
  if (tiling.kr != 1) {
    Value rest = b.rem(rows->depth, tiling.kr);
    Value some = b.createOrFold<arith::CmpIOp>(arith::CmpIPredicate::ne, rest, b.index(0));
    first = b.when(some, first, [&] { return addStep(row, count, steps, first, true); });
  }
  llvm::copy(first, sums.begin());
  return sums;
}

/// Asks for what the rows that come next have where these have `step`: while a line of these is
/// gone through, step by step, the rows take turns.
void ProductEmitter::fetchNext(Value row, int64_t count, Value step) {
  int64_t stepsOfLine = 512 / (lhsElement.getIntOrFloatBitWidth() * tiling.kr);
  Value turn = b.rem(step, stepsOfLine), k = b.mul(b.sub(step, turn), tiling.kr);
  b.prefetch(source, rows->nextAt(b.add(row, b.min(turn, b.index(count - 1))), k));
}

/// Which block, of `count` rows each, of those that read the panel at hand begins with `row`.
Value ProductEmitter::blockOf(Value row, int64_t count) {
  return b.div(rows->before ? b.add(rows->before, row) : row, count);
}

/// Asks for `steps` steps of the next panel: each of the first blocks of rows for one vector.
void ProductEmitter::fetchNextPanel(Value row, int64_t count, Value step, int64_t steps) {
  Value vector = b.min(blockOf(row, count), b.index(tiling.vectors - 1));
  for (int64_t i = 0; i < steps; ++i)
    rhs.fetchNextPanel(packedStep(b.add(step, i)), vector);
}

/// The number of a run's step in the packed operand.
Value ProductEmitter::packedStep(Value step) {
  if (rows->from)
    step = b.add(b.div(rows->from, tiling.kr), step);
  if (rows->runs == 1)
    return step;
  return b.add(b.mul(run, b.div(b.add(rows->depth, tiling.kr - 1), tiling.kr)), step);
}

/// One packed step; `partial` when lhs ends within it.
Values ProductEmitter::addStep(Value row, int64_t count, Value step, ValueRange sums,
                               bool partial) {
  return tiling.dot ? addDot(row, count, step, sums, partial)
                    : addProducts(row, count, step, sums, partial);
}

/// lhs[row, step*kr : step*kr+kr] in every 32-bit lane, bytes with 128 added. Past the end of K
/// stands what the zeros there in rhs make nothing of.
Value ProductEmitter::loadWord(Value row, Value step, bool partial) {
  auto type = VectorType::get(tiling.kr, lhsElement);
  Value k = b.mul(step, tiling.kr);
  Value mask = partial ? b.firstLanes(b.sub(rows->depth, k), tiling.kr) : Value();
  Value elements = b.load(type, lhs, rows->lhsAt(row, run, k), mask);
  Type word = b.getI32Type();
  Value bits = vector::BitCastOp::create(b, VectorType::get(1, word), elements);
  Value scalar = vector::ExtractOp::create(b, bits, ArrayRef<int64_t>{0});
  return spread(tiling.shifts ? arith::XOrIOp::create(b, scalar, shift()) : scalar);
}

/// 128 in each byte of a word: as unsigned numbers, signed bytes with their sign bits turned over
/// are larger by that.
Value ProductEmitter::shift() {
  return arith::ConstantOp::create(b, b.getI32IntegerAttr(int32_t(0x80808080)));
}

/// A word's elements in every lane.
Value ProductEmitter::spread(Value word) {
  Value all = b.splat(word, VectorType::get(tiling.lanes, word.getType()));
  return vector::BitCastOp::create(b, VectorType::get(tiling.kr * tiling.lanes, lhsElement), all);
}

/// What the lanes of a vector multiply by, where several groups share it: `count` elements of each
/// group, from `element` on, for each of the group's lanes.
Value ProductEmitter::loadGroups(Value row, int64_t vector, int64_t element, int64_t count) {
  int64_t groups = tiling.lanes / group->columns, words = group->depth / count;
  Value first = b.mul(b.div(rhs.columns[vector], group->columns), group->depth);
  auto type = VectorType::get(groups * group->depth, lhsElement);
  int64_t last = cast<MemRefType>(lhs.getType()).getRank() - 1;
  Value mask;
  if (rhs.masks[vector])
    mask = b.firstLanes(b.sub(b.dim(lhs, last), first), type.getDimSize(0));
  Value loaded = b.load(type, lhs, rows->lhsAt(row, run, first), mask);
  if (count != 1) {
    Type word = b.getIntegerType(lhsElement.getIntOrFloatBitWidth() * count);
    loaded = vector::BitCastOp::create(b, VectorType::get(groups * words, word), loaded);
  }
  SmallVector<int64_t> chosen;
  for (int64_t lane = 0; lane < tiling.lanes; ++lane)
    chosen.push_back(lane / group->columns * words + element / count);
  Value spread = vector::ShuffleOp::create(b, loaded, loaded, chosen);
  return vector::BitCastOp::create(b, VectorType::get(tiling.lanes * count, lhsElement), spread);
}

Values ProductEmitter::addDot(Value row, int64_t count, Value step, ValueRange sums, bool partial) {
  Values columnWords, next;
  for (int64_t j = 0; j < tiling.vectors; ++j)
    columnWords.push_back(rhs.loadStep(packedStep(step), j));
  auto add = [&](llvm::function_ref<Value(int64_t vector)> word) {
    for (auto [j, columnWord] : llvm::enumerate(columnWords))
      next.push_back(b.dot(sums[next.size()], word(j), columnWord));
  };
  for (int64_t i = 0; i < count; ++i) {
    Value at = b.add(row, i);
    Value word = group ? Value() : loadWord(at, step, partial);
    add([&](int64_t vector) {
      return group ? loadGroups(at, vector, *constantOf(step) * tiling.kr, tiling.kr) : word;
    });
  }
  if (tiling.shifts)
    add([&](int64_t) { return spread(shift()); });
  return next;
}

/// rhs[panel, step] widened to the type of the sums: [depth within the step][vector].
SmallVector<Values> ProductEmitter::loadPanelStep(Value step) {
  SmallVector<Values> result(tiling.kr);
  for (int64_t j = 0; j < tiling.vectors; ++j) {
    Value loaded = rhs.loadStep(packedStep(step), j);
    if (tiling.kr == 1) {
      result[0].push_back(b.convert(loaded, tiling.sum));
      continue;
    }
    // Two bf16 in a 32-bit word: each is the upper half of its f32.
    auto words = VectorType::get(tiling.lanes, b.getI32Type());
    Value pairs = vector::BitCastOp::create(b, words, loaded);
    Value low =
        arith::ConstantOp::create(b, DenseElementsAttr::get(words, b.getI32IntegerAttr(16)));
    Value high = arith::ConstantOp::create(
        b, DenseElementsAttr::get(words, b.getI32IntegerAttr(int32_t(0xffff0000))));
    Value even = arith::ShLIOp::create(b, pairs, low), odd = arith::AndIOp::create(b, pairs, high);
    result[0].push_back(vector::BitCastOp::create(b, sumType, even));
    result[1].push_back(vector::BitCastOp::create(b, sumType, odd));
  }
  return result;
}

/// lhs[row, k] in every lane.
Value ProductEmitter::loadFactor(Value row, Value k) {
  Value scalar = memref::LoadOp::create(b, lhs, rows->lhsAt(row, run, k));
  return b.splat(b.convert(scalar, tiling.sum), sumType);
}

Values ProductEmitter::addProducts(Value row, int64_t count, Value step, ValueRange sums,
                                   bool partial) {
  SmallVector<Values> panelStep = loadPanelStep(step);
  Values next(sums);
  for (int64_t part = 0; part < (partial ? 1 : tiling.kr); ++part) {
    Value k = b.add(b.mul(step, tiling.kr), part);
    for (int64_t i = 0; i < count; ++i) {
      Value at = b.add(row, i), same = group ? Value() : loadFactor(at, k);
      for (int64_t j = 0; j < tiling.vectors; ++j) {
        Value factor = group ? b.convert(loadGroups(at, j, *constantOf(k), 1), tiling.sum) : same;
        Value &sum = next[i * tiling.vectors + j];
        sum = vector::FMAOp::create(b, factor, panelStep[part][j], sum);
      }
    }
  }
  return next;
}

/// One vector of sums that wait in out.
Value ProductEmitter::loadOut(Value row, int64_t vector) {
  return b.load(sumType, out, rows->outAt(row, rhs.columns[vector]), rhs.masks[vector]);
}

void ProductEmitter::storeSums(Value row, int64_t count, ValueRange sums) {
  Type element = cast<MemRefType>(out.getType()).getElementType();
  for (int64_t i = 0; i < count; ++i)
    for (int64_t j = 0; j < tiling.vectors; ++j) {
      Value sum = b.convert(sums[i * tiling.vectors + j], element), mask = rhs.masks[j];
      Values indices = rows->outAt(b.add(row, i), rhs.columns[j]);
      if (epilogue && rows->isLast)
        epilogue->emit(indices, sum, mask);
      else
        b.store(sum, out, indices, mask);
    }
}
