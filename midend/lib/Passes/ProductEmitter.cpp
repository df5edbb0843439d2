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

ProductEmitter::ProductEmitter(LoopBuilder &b, Value lhs, Value panels, Value out,
                               ProductTiling tiling)
    : b(b), tiling(tiling), lhs(lhs), out(out), lhsElement(getElementTypeOrSelf(lhs)),
      rhsElement(getElementTypeOrSelf(panels)), sumType(VectorType::get(tiling.lanes, tiling.sum)) {
  // [N/nr, K/kr, nr, kr] seen as [N/nr, K/kr, nr * kr]: one row is one step.
  SmallVector<ReassociationIndices> steps{{0}, {1}, {2, 3}};
  this->panels = memref::CollapseShapeOp::create(b, panels, steps);
  if (tiling.tiles)
    tile.emplace(b, lhsElement);
}

ProductEmitter::ProductEmitter(LoopBuilder &b, Value lhs, const UnpackedRhs &rhs, Value out,
                               int64_t depth, ProductTiling tiling)
    : b(b), tiling(tiling), lhs(lhs), out(out), source(rhs), lhsElement(getElementTypeOrSelf(lhs)),
      rhsElement(getElementTypeOrSelf(rhs.matrix)),
      sumType(VectorType::get(tiling.lanes, tiling.sum)) {
  if (depth == 0)
    return;
  // Whole squares of a transposed matrix are stored: there is room for the last one.
  int64_t steps = llvm::alignTo(llvm::divideCeil(depth, tiling.kr), tiling.lanes);
  int64_t count = std::max<int64_t>(1, packedColumns / tiling.width());
  auto type = MemRefType::get({count, steps, tiling.width() * tiling.kr}, rhsElement);
  panels = memref::AllocaOp::create(b, type, b.getI64IntegerAttr(64));
  if (tiling.tiles)
    tile.emplace(b, lhsElement);
}

void ProductEmitter::forEachPanel(Value first, Value end, function_ref<void()> body) {
  std::optional<int64_t> known = constantOf(end);
  int64_t width = tiling.width();
  b.loop(b.div(first, width), b.div(b.add(end, width - 1), width), 1, [&](Value n) {
    panel = n;
    columns.clear();
    masks.clear();
    for (int64_t j = 0; j < tiling.vectors; ++j) {
      columns.push_back(b.add(b.mul(panel, width), j * tiling.lanes));
      if (!known || *known % width != 0)
        masks.push_back(b.firstLanes(b.sub(end, columns.back()), tiling.lanes));
      else
        masks.push_back(nullptr);
    }
    body();
  });
}

/// Row by row, so that all columns of one are read while its page and lines are at hand.
void ProductEmitter::packPanels(Value from, Value depth, Value first, Value end) {
  firstPacked = b.div(first, tiling.width());
  if (source.transposed)
    return forEachPanel(first, end, [&] { packTransposed(from, depth); });
  b.loop(b.index(0), b.div(b.add(depth, tiling.kr - 1), tiling.kr), 1,
         [&](Value step) { forEachPanel(first, end, [&] { packStep(from, depth, step); }); });
}

/// One vector of a row of the right-hand side.
Value ProductEmitter::loadRow(Value k, int64_t vector) {
  Values indices(batch);
  indices.append({k, columns[vector]});
  fetchNext(indices);
  return b.load(VectorType::get(tiling.lanes, rhsElement), source.matrix, indices, masks[vector]);
}

/// Asks for what will be packed after the panels at hand, to come while those are multiplied.
void ProductEmitter::fetchNext(Values indices) {
  if (!nextColumns)
    return;
  Value &k = source.transposed ? indices.back() : indices[indices.size() - 2];
  Value &column = source.transposed ? indices[indices.size() - 2] : indices.back();
  k = b.add(k, nextDepth);
  column = b.add(column, nextColumns);
  b.prefetch(source.matrix, indices);
}

/// Vectors along the columns; the elements of a step's rows take turns. Past the end stand zeros.
void ProductEmitter::packStep(Value from, Value depth, Value step) {
  std::optional<int64_t> known = constantOf(depth);
  bool isWhole = known && *known % tiling.kr == 0;
  for (int64_t j = 0; j < tiling.vectors; ++j) {
    Values rows;
    for (int64_t part = 0; part < tiling.kr; ++part) {
      Value k = b.add(b.mul(step, tiling.kr), part);
      auto load = [&] { return loadRow(b.add(from, k), j); };
      if (part == 0 || isWhole) {
        rows.push_back(load());
        continue;
      }
      Value exists = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, k, depth);
      Values zero{b.zero(rows[0].getType())};
      rows.push_back(b.when(exists, zero, [&] { return Values{load()}; })[0]);
    }
    for (int64_t half = tiling.kr / 2; half > 0; half /= 2)
      for (int64_t i = 0; i < half; ++i)
        rows[i] = vector::InterleaveOp::create(b, rows[i], rows[i + half]);
    storeStep(step, j, rows[0]);
  }
}

/// Squares of words, an element or a pair of them, transposed in registers.
void ProductEmitter::packTransposed(Value from, Value depth) {
  auto type = VectorType::get(tiling.lanes * tiling.kr, rhsElement);
  auto words = VectorType::get(tiling.lanes,
                               b.getIntegerType(rhsElement.getIntOrFloatBitWidth() * tiling.kr));
  Value zero = b.index(0);
  b.loop(zero, depth, tiling.lanes * tiling.kr, [&](Value k) {
    Value left = b.sub(depth, k), step = b.div(k, tiling.kr);
    for (int64_t j = 0; j < tiling.vectors; ++j) {
      Values rows;
      for (int64_t i = 0; i < tiling.lanes; ++i) {
        Values indices(batch);
        indices.append({b.add(columns[j], i), b.add(from, k)});
        fetchNext(indices);
        Value some = left;
        if (masks[j]) {
          Value exists = vector::ExtractOp::create(b, masks[j], ArrayRef<int64_t>{i});
          some = arith::SelectOp::create(b, exists, left, zero);
        }
        Value row = b.load(type, source.matrix, indices, b.firstLanes(some, type.getDimSize(0)));
        rows.push_back(vector::BitCastOp::create(b, words, row));
      }
      b.transpose(rows);
      for (int64_t i = 0; i < tiling.lanes; ++i)
        storeStep(b.add(step, i), j, vector::BitCastOp::create(b, type, rows[i]));
    }
  });
}

/// Where the panel at hand lies among `panels`.
Value ProductEmitter::place() { return source.matrix ? b.sub(panel, firstPacked) : panel; }

/// One vector of a step of the scratch.
void ProductEmitter::storeStep(Value step, int64_t vector, Value value) {
  b.store(value, panels, {place(), step, b.index(vector * tiling.kr * tiling.lanes)});
}

/// Where a vector of rhs[panel, step] lies: in all panels, in the scratch, or in the matrix.
Values ProductEmitter::placeOf(Value step, int64_t vector) {
  if (panels)
    return {place(), packedStep(step), b.index(vector * tiling.kr * tiling.lanes)};
  Values indices(batch);
  indices.append({rows->from ? b.add(rows->from, step) : step, columns[vector]});
  return indices;
}

/// One vector of rhs[panel, step].
Value ProductEmitter::loadStep(Value step, int64_t vector) {
  Value memref = panels ? panels : source.matrix;
  auto type = VectorType::get(tiling.kr * tiling.lanes, rhsElement);
  // Of the last rows or panels that is past the end, where a fetch does nothing.
  if (ahead != 0)
    b.prefetch(memref, placeOf(b.add(step, ahead), vector));
  return b.load(type, memref, placeOf(step, vector), panels ? Value() : masks[vector]);
}

/// Rows of the tiles that cover `rows` rows evenly: 13 rows go as 7 + 6, not 12 + 1.
int64_t evenTile(int64_t rows, int64_t most) {
  int64_t tiles = std::max<int64_t>(1, llvm::divideCeil(rows, most));
  return std::max<int64_t>(1, llvm::divideCeil(rows, tiles));
}

void ProductEmitter::emitRows(const Rows &described) {
  rows = &described;
  if (fillsTiles())
    return emitTileRows();
  emitVectorRows();
}

void ProductEmitter::emitVectorRows() {
  std::optional<int64_t> known = constantOf(rows->count);
  int64_t height = known ? evenTile(*known, tiling.rows) : tiling.rows;
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
  sums = b.loop(b.index(0), b.index(rows->runs), 1, sums, [&](Value iv, ValueRange carried) {
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

Values ProductEmitter::accumulateRun(Value row, int64_t count, Value iv, Values sums) {
  run = iv;
  int64_t perStep = sumsOf(count), unroll = sums.size() / perStep;
  Value steps = b.div(rows->depth, tiling.kr), unrolledSteps = b.roundDown(steps, unroll);
  sums = b.loop(b.index(0), unrolledSteps, unroll, sums, [&](Value step, ValueRange carried) {
    Values next;
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

Values ProductEmitter::addDot(Value row, int64_t count, Value step, ValueRange sums, bool partial) {
  Values columnWords, next;
  for (int64_t j = 0; j < tiling.vectors; ++j)
    columnWords.push_back(loadStep(step, j));
  auto add = [&](Value word) {
    for (Value columnWord : columnWords)
      next.push_back(b.dot(sums[next.size()], word, columnWord));
  };
  for (int64_t i = 0; i < count; ++i)
    add(loadWord(b.add(row, i), step, partial));
  if (tiling.shifts)
    add(spread(shift()));
  return next;
}

/// rhs[panel, step] widened to the type of the sums: [depth within the step][vector].
SmallVector<Values> ProductEmitter::loadPanelStep(Value step) {
  SmallVector<Values> result(tiling.kr);
  for (int64_t j = 0; j < tiling.vectors; ++j) {
    Value loaded = loadStep(step, j);
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

Values ProductEmitter::addProducts(Value row, int64_t count, Value step, ValueRange sums,
                                   bool partial) {
  SmallVector<Values> panelStep = loadPanelStep(step);
  Values next(sums);
  for (int64_t part = 0; part < (partial ? 1 : tiling.kr); ++part) {
    Value k = b.add(b.mul(step, tiling.kr), part);
    for (int64_t i = 0; i < count; ++i) {
      Value scalar = memref::LoadOp::create(b, lhs, rows->lhsAt(b.add(row, i), run, k));
      Value factor = b.splat(b.convert(scalar, tiling.sum), sumType);
      for (int64_t j = 0; j < tiling.vectors; ++j) {
        Value &sum = next[i * tiling.vectors + j];
        sum = vector::FMAOp::create(b, factor, panelStep[part][j], sum);
      }
    }
  }
  return next;
}

/// One vector of sums that wait in out.
Value ProductEmitter::loadOut(Value row, int64_t vector) {
  return b.load(sumType, out, rows->outAt(row, columns[vector]), masks[vector]);
}

void ProductEmitter::storeSums(Value row, int64_t count, ValueRange sums) {
  Type element = cast<MemRefType>(out.getType()).getElementType();
  for (int64_t i = 0; i < count; ++i)
    for (int64_t j = 0; j < tiling.vectors; ++j)
      b.store(b.convert(sums[i * tiling.vectors + j], element), out,
              rows->outAt(b.add(row, i), columns[j]), masks[j]);
}
