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

/// Sums take three quarters of the registers; the rest holds the operands of a step.
static int64_t registersForSums(int64_t vectorBits) { return vectorBits >= 512 ? 24 : 12; }

ProductTiling::ProductTiling(Type lhs, MemRefType panels, Machine machine)
    : rows(machine.rows), kr(panels.getDimSize(3)) {
  setLanes(lhs, panels.getElementType(), panels.getDimSize(2), machine);
  if (rows == 0)
    rows = std::max<int64_t>(1, registersForSums(machine.vectorBits) / vectors);
}

ProductTiling::ProductTiling(Type lhs, Type rhs, std::optional<int64_t> knownRows, Machine machine)
    : rows(machine.rows) {
  int64_t sums = registersForSums(machine.vectorBits), widest = 8;
  bool few = knownRows && *knownRows <= sums / 2;
  int64_t across = few ? llvm::bit_floor<uint64_t>(sums / std::max<int64_t>(*knownRows, 1)) : 2;
  kr = machine.hasDot && !few && lhs.isBF16() && rhs.isBF16() ? 2 : 1;
  setLanes(lhs, rhs, std::min(across, widest) * machine.vectorBits / 32, machine);
  if (rows == 0)
    rows = std::max<int64_t>(1, sums / vectors);
}

void ProductTiling::setLanes(Type lhs, Type rhs, int64_t width, Machine machine) {
  Builder b(lhs.getContext());
  sum = lhs.isF64() || rhs.isF64() ? FloatType(b.getF64Type()) : FloatType(b.getF32Type());
  lanes = machine.vectorBits / sum.getWidth();
  while (width % lanes != 0)
    lanes /= 2;
  vectors = width / lanes;
  bool isDotWidth = llvm::is_contained({128, 256, 512}, lanes * 32);
  dot = machine.hasDot && isDotWidth && kr == 2 && lhs.isBF16() && rhs.isBF16();
  tiles = dot && machine.hasTiles && lanes == AMXTile::columns && vectors <= AMXTile::mostTiles;
}

StringRef buddy::refuseProduct(Value lhs, Value rhs, Value out) {
  for (Value operand : {lhs, rhs, out}) {
    if (!isa<MemRefType>(operand.getType()))
      return "operands are tensors: bufferize first";
    if (!isa<FloatType>(getElementTypeOrSelf(operand)))
      return "only floating-point products have a register tile";
  }
  if (!hasUnitInnerStride(lhs) || !hasUnitInnerStride(out))
    return "rows of lhs and init must be contiguous";
  auto type = cast<MemRefType>(rhs.getType());
  if (type.getRank() < 4)
    return hasUnitInnerStride(rhs) ? "" : "rows of rhs must be contiguous";
  if (!type.areTrailingDimsContiguous(2))
    return "the panels of rhs must be contiguous";
  int64_t kr = type.getDimSize(3);
  if (kr != 1 && !(kr == 2 && type.getElementType().isBF16()))
    return "panels are packed by single depths, or bf16 by pairs";
  return "";
}

ProductEmitter::ProductEmitter(LoopBuilder &b, Value lhs, Value panels, Value out,
                               ProductTiling tiling)
    : b(b), tiling(tiling), lhs(lhs), out(out), lhsElement(getElementTypeOrSelf(lhs)),
      rhsElement(getElementTypeOrSelf(panels)), sumType(VectorType::get(tiling.lanes, tiling.sum)) {
  // [N/nr, K/kr, nr, kr] seen as [N/nr, K/kr, nr * kr]: one row is one step.
  SmallVector<ReassociationIndices> steps{{0}, {1}, {2, 3}};
  this->panels = memref::CollapseShapeOp::create(b, panels, steps);
  if (tiling.tiles)
    tile.emplace(b);
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
    tile.emplace(b);
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

/// Vectors along the columns; of two rows the elements alternate. Past an odd end stand zeros.
void ProductEmitter::packStep(Value from, Value depth, Value step) {
  Value k = b.add(from, b.mul(step, tiling.kr));
  std::optional<int64_t> known = constantOf(depth);
  bool maybeOdd = tiling.kr == 2 && (!known || *known % 2 != 0);
  for (int64_t j = 0; j < tiling.vectors; ++j) {
    Value row = loadRow(k, j);
    if (tiling.kr == 2) {
      Value second = b.zero(row.getType());
      if (maybeOdd) {
        Value exists =
            arith::CmpIOp::create(b, arith::CmpIPredicate::ult, b.add(b.mul(step, 2), 1), depth);
        second = b.when(exists, Values{second}, [&] { return Values{loadRow(b.add(k, 1), j)}; })[0];
      } else {
        second = loadRow(b.add(k, 1), j);
      }
      row = vector::InterleaveOp::create(b, row, second);
    }
    storeStep(step, j, row);
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

/// The sums over all of K, row by row. Few rows leave the multiply-add units waiting
/// for their own results: then several steps go at once, each into its own sums.
Values ProductEmitter::accumulate(Value row, int64_t count) {
  int64_t perStep = count * tiling.vectors;
  int64_t unroll = std::max<int64_t>(1, sumsInFlight / perStep);
  Values sums(perStep * unroll, b.zero(sumType));
  if (rows->adds)
    for (int64_t i = 0; i < perStep; ++i)
      sums[i] = loadOut(b.add(row, i / tiling.vectors), i % tiling.vectors);
  sums = b.loop(b.index(0), b.index(rows->runs), 1, sums, [&](Value iv, ValueRange carried) {
    return accumulateRun(row, count, iv, Values(carried));
  });
  for (; unroll > 1; --unroll)
    for (int64_t i = 0; i < perStep; ++i)
      sums[i] = arith::AddFOp::create(b, sums[i], sums[(unroll - 1) * perStep + i]);
  sums.resize(perStep);
  return sums;
}

Values ProductEmitter::accumulateRun(Value row, int64_t count, Value iv, Values sums) {
  run = iv;
  int64_t perStep = count * tiling.vectors, unroll = sums.size() / perStep;
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
    Value rest = b.rem(rows->depth, 2);
    Value odd = b.createOrFold<arith::CmpIOp>(arith::CmpIPredicate::ne, rest, b.index(0));
    first = b.when(odd, first, [&] { return addStep(row, count, steps, first, true); });
  }
  llvm::copy(first, sums.begin());
  return sums;
}

/// The number of a run's step in the packed operand.
Value ProductEmitter::packedStep(Value step) {
  if (rows->from)
    step = b.add(b.div(rows->from, tiling.kr), step);
  return rows->runs == 1 ? step : b.add(b.mul(run, b.div(rows->depth, tiling.kr)), step);
}

/// One packed step; `half` when only the first of its two depths exists in lhs.
Values ProductEmitter::addStep(Value row, int64_t count, Value step, ValueRange sums, bool half) {
  return tiling.dot ? addDot(row, count, step, sums, half)
                    : addProducts(row, count, step, sums, half);
}

/// lhs[row, step*2 : step*2+2] in every 32-bit lane. Past the end of K stands a zero.
Value ProductEmitter::loadPair(Value row, Value step, bool half) {
  auto pairType = VectorType::get(2, lhsElement);
  Value k = b.mul(step, 2), pair;
  if (half) {
    Value last = memref::LoadOp::create(b, lhs, rows->lhsAt(row, run, k));
    pair = vector::InsertOp::create(b, last, b.zero(pairType), ArrayRef<int64_t>{0});
  } else {
    pair = b.load(pairType, lhs, rows->lhsAt(row, run, k));
  }
  Type word = b.getI32Type();
  Value bits = vector::BitCastOp::create(b, VectorType::get(1, word), pair);
  Value scalar = vector::ExtractOp::create(b, bits, ArrayRef<int64_t>{0});
  Value all = b.splat(scalar, VectorType::get(tiling.lanes, word));
  return vector::BitCastOp::create(b, VectorType::get(2 * tiling.lanes, lhsElement), all);
}

Values ProductEmitter::addDot(Value row, int64_t count, Value step, ValueRange sums, bool half) {
  Values columnPairs, next;
  for (int64_t j = 0; j < tiling.vectors; ++j)
    columnPairs.push_back(loadStep(step, j));
  for (int64_t i = 0; i < count; ++i) {
    Value pair = loadPair(b.add(row, i), step, half);
    for (Value columnPair : columnPairs)
      next.push_back(b.dot(sums[next.size()], pair, columnPair));
  }
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
                                   bool half) {
  SmallVector<Values> panelStep = loadPanelStep(step);
  Values next(sums);
  for (int64_t part = 0; part < (half ? 1 : tiling.kr); ++part) {
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
