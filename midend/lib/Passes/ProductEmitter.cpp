// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ProductEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace buddy;

using Values = LoopBuilder::Values;

/// Independent sums that keep the multiply-add units busy over their latency.
constexpr int64_t sumsInFlight = 8;

ProductTiling::ProductTiling(Type lhs, MemRefType rhs, int64_t vectorBits, int64_t rows,
                             bool hasDot)
    : rows(rows) {
  ArrayRef<int64_t> shape = rhs.getShape();
  Type element = rhs.getElementType();
  Builder b(rhs.getContext());
  sum = lhs.isF64() || element.isF64() ? FloatType(b.getF64Type()) : FloatType(b.getF32Type());
  kr = shape[3];
  lanes = vectorBits / sum.getWidth();
  while (shape[2] % lanes != 0)
    lanes /= 2;
  vectors = shape[2] / lanes;
  // Sums take three quarters of the registers; the rest holds the operands of a step.
  int64_t registers = vectorBits >= 512 ? 32 : 16;
  if (rows == 0)
    this->rows = std::max<int64_t>(1, registers * 3 / 4 / vectors);
  bool isDotWidth = llvm::is_contained({128, 256, 512}, lanes * 32);
  dot = hasDot && isDotWidth && kr == 2 && lhs.isBF16() && element.isBF16();
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
  auto panels = cast<MemRefType>(rhs.getType());
  if (!panels.areTrailingDimsContiguous(2))
    return "the panels of rhs must be contiguous";
  int64_t kr = panels.getDimSize(3);
  if (kr != 1 && !(kr == 2 && panels.getElementType().isBF16()))
    return "panels are packed by single depths, or bf16 by pairs";
  return "";
}

ProductEmitter::ProductEmitter(LoopBuilder &b, Value lhs, Value rhs, Value out,
                               ProductTiling tiling)
    : b(b), tiling(tiling), lhs(lhs), out(out), lhsElement(getElementTypeOrSelf(lhs)),
      rhsElement(getElementTypeOrSelf(rhs)), sumType(VectorType::get(tiling.lanes, tiling.sum)) {
  // [N/nr, K/kr, nr, kr] seen as [N/nr, K/kr, nr * kr]: one row is one step.
  SmallVector<ReassociationIndices> steps{{0}, {1}, {2, 3}};
  this->rhs = memref::CollapseShapeOp::create(b, rhs, steps);
}

void ProductEmitter::forEachPanel(Value columnCount, function_ref<void()> body) {
  std::optional<int64_t> known = constantOf(columnCount);
  int64_t width = tiling.lanes * tiling.vectors;
  b.loop(b.index(0), b.dim(rhs, 0), 1, [&](Value n) {
    panel = n;
    columns.clear();
    masks.clear();
    for (int64_t j = 0; j < tiling.vectors; ++j) {
      columns.push_back(b.add(b.mul(panel, width), j * tiling.lanes));
      if (!known || *known % width != 0)
        masks.push_back(b.firstLanes(b.sub(columnCount, columns.back()), tiling.lanes));
      else
        masks.push_back(nullptr);
    }
    body();
  });
}

/// Rows of the tiles that cover `rows` rows evenly: 13 rows go as 7 + 6, not 12 + 1.
int64_t evenTile(int64_t rows, int64_t most) {
  int64_t tiles = std::max<int64_t>(1, llvm::divideCeil(rows, most));
  return std::max<int64_t>(1, llvm::divideCeil(rows, tiles));
}

void ProductEmitter::emitRows(const Rows &described) {
  rows = &described;
  std::optional<int64_t> known = constantOf(rows->count);
  int64_t tile = known ? evenTile(*known, tiling.rows) : tiling.rows;
  Value whole = b.roundDown(rows->count, tile);
  b.loop(b.index(0), whole, tile, [&](Value row) { emitBlock(row, tile); });
  if (known) {
    if (int64_t rest = *known % tile)
      emitBlock(whole, rest);
    return;
  }
  // A remainder known only at run time goes as powers of two: 11 = 8 + 2 + 1.
  Value row = whole, rest = b.sub(rows->count, whole);
  for (int64_t count = llvm::bit_floor<uint64_t>(tile - 1); count > 0; count /= 2) {
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
  auto stepType = VectorType::get(2 * tiling.lanes, rhsElement);
  auto name = b.getStringAttr("llvm.x86.avx512bf16.dpbf16ps." + Twine(tiling.lanes * 32));
  Values columnPairs, next;
  for (int64_t j = 0; j < tiling.vectors; ++j)
    columnPairs.push_back(
        b.load(stepType, rhs, {panel, packedStep(step), b.index(j * 2 * tiling.lanes)}));
  for (int64_t i = 0; i < count; ++i) {
    Value pair = loadPair(b.add(row, i), step, half);
    for (Value columnPair : columnPairs) {
      Values operands{sums[next.size()], pair, columnPair};
      next.push_back(LLVM::CallIntrinsicOp::create(b, sumType, name, operands).getResult(0));
    }
  }
  return next;
}

/// rhs[panel, step] widened to the type of the sums: [depth within the step][vector].
SmallVector<Values> ProductEmitter::loadPanelStep(Value step) {
  SmallVector<Values> result(tiling.kr);
  for (int64_t j = 0; j < tiling.vectors; ++j) {
    auto type = VectorType::get(tiling.kr * tiling.lanes, rhsElement);
    Value loaded =
        b.load(type, rhs, {panel, packedStep(step), b.index(j * tiling.kr * tiling.lanes)});
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

void ProductEmitter::storeSums(Value row, int64_t count, ValueRange sums) {
  Type element = cast<MemRefType>(out.getType()).getElementType();
  for (int64_t i = 0; i < count; ++i)
    for (int64_t j = 0; j < tiling.vectors; ++j)
      b.store(b.convert(sums[i * tiling.vectors + j], element), out,
              rows->outAt(b.add(row, i), columns[j]), masks[j]);
}
