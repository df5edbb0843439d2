// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// buddy.matmul on memrefs to register-tiled vector loops.
//
//   for panel n of nr columns:                  rhs[n] streams through the cache once
//     for block of `rows` rows:                 rows x nr sums live in registers
//       for k: sums[i, :] += lhs[i, k] * rhs[n, k, :]
//       out[block, panel] = sums                 masked where the last panel ends early
//
// The packed right-hand side is read in exactly the order of its memory.

#include "LoopBuilder.h"
#include "buddy/IR/BuddyDialect.h"
#include "buddy/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"

using namespace mlir;

namespace buddy {
#define GEN_PASS_DEF_VECTORIZEMATMULPASS
#include "buddy/Passes.h.inc"
namespace {

using Values = LoopBuilder::Values;

/// Independent sums that keep the multiply-add units busy over their latency.
constexpr int64_t sumsInFlight = 8;

/// How one product is cut: all that depends on types, not on values.
struct Tiling {
  int64_t lanes;   // columns of one vector of sums
  int64_t vectors; // vectors across a panel
  int64_t rows;    // rows of a full register tile
  int64_t kr;      // depth of one packed step
  bool dot;        // the bf16 dot product adds both halves of a step at once
  FloatType sum;   // what products are added up in
};

/// Emits the loops of one product.
class MatmulEmitter {
public:
  MatmulEmitter(LoopBuilder &b, MatmulOp op, Tiling tiling)
      : b(b), tiling(tiling), lhs(op.getLhs()), out(op.getInit()),
        sumType(VectorType::get(tiling.lanes, tiling.sum)) {
    // [N/nr, K/kr, nr, kr] seen as [N/nr, K/kr, nr * kr]: one row is one step.
    SmallVector<ReassociationIndices> steps{{0}, {1}, {2, 3}};
    rhs = memref::CollapseShapeOp::create(b, op.getRhs(), steps);
    rhsElement = cast<MemRefType>(rhs.getType()).getElementType();
    lhsElement = cast<MemRefType>(lhs.getType()).getElementType();
  }

  void emit();

private:
  void emitRowBlock(Value row, int64_t rows);
  Values accumulate(Value row, int64_t rows);
  Values addStep(Value row, int64_t rows, Value step, ValueRange sums, bool half);
  Values addDot(Value row, int64_t rows, Value step, ValueRange sums, bool half);
  Values addProducts(Value row, int64_t rows, Value step, ValueRange sums, bool half);
  SmallVector<Values> loadPanelStep(Value step);
  Value loadPair(Value row, Value step, bool half);
  void storeSums(Value row, int64_t rows, ValueRange sums);

  LoopBuilder &b;
  Tiling tiling;
  Value lhs, rhs, out;
  Type lhsElement, rhsElement;
  VectorType sumType;
  // Of the panel being emitted.
  Value panel;
  Values columns, masks;
};

/// Rows of the tiles that cover `rows` rows evenly: 13 rows go as 7 + 6, not 12 + 1.
int64_t evenTile(int64_t rows, int64_t most) {
  int64_t tiles = std::max<int64_t>(1, llvm::divideCeil(rows, most));
  return std::max<int64_t>(1, llvm::divideCeil(rows, tiles));
}

void MatmulEmitter::emit() {
  Value rowCount = b.dim(out, 0), columnCount = b.dim(out, 1);
  std::optional<int64_t> knownRows = constantOf(rowCount), knownColumns = constantOf(columnCount);
  int64_t panelWidth = tiling.lanes * tiling.vectors;
  int64_t tile = knownRows ? evenTile(*knownRows, tiling.rows) : tiling.rows;
  Value fullRows = b.roundDown(rowCount, tile);

  b.loop(b.index(0), b.dim(rhs, 0), 1, [&](Value n) {
    panel = n;
    columns.clear();
    masks.clear();
    for (int64_t j = 0; j < tiling.vectors; ++j) {
      columns.push_back(b.add(b.mul(panel, panelWidth), j * tiling.lanes));
      if (!knownColumns || *knownColumns % panelWidth != 0)
        masks.push_back(b.firstLanes(b.sub(columnCount, columns.back()), tiling.lanes));
      else
        masks.push_back(nullptr);
    }
    b.loop(b.index(0), fullRows, tile, [&](Value row) { emitRowBlock(row, tile); });
    if (knownRows) {
      if (int64_t rest = *knownRows % tile)
        emitRowBlock(fullRows, rest);
      return;
    }
    // A remainder known only at run time goes as powers of two: 11 = 8 + 2 + 1.
    Value row = fullRows, rest = b.sub(rowCount, fullRows);
    for (int64_t rows = llvm::bit_floor<uint64_t>(tile - 1); rows > 0; rows /= 2) {
      Value taken = arith::AndIOp::create(b, rest, b.index(rows));
      Value some = arith::CmpIOp::create(b, arith::CmpIPredicate::ne, taken, b.index(0));
      b.when(some, [&] { emitRowBlock(row, rows); });
      row = b.add(row, taken);
    }
  });
}

void MatmulEmitter::emitRowBlock(Value row, int64_t rows) {
  storeSums(row, rows, accumulate(row, rows));
}

/// The sums over all of K, row by row. Few rows leave the multiply-add units waiting
/// for their own results: then several steps go at once, each into its own sums.
Values MatmulEmitter::accumulate(Value row, int64_t rows) {
  int64_t perStep = rows * tiling.vectors;
  int64_t unroll = std::max<int64_t>(1, sumsInFlight / perStep);
  Value depth = b.dim(lhs, 1), steps = b.div(depth, tiling.kr);
  Value unrolledSteps = b.roundDown(steps, unroll);

  Values sums(perStep * unroll, b.zero(sumType));
  sums = b.loop(b.index(0), unrolledSteps, unroll, sums, [&](Value step, ValueRange carried) {
    Values next;
    for (int64_t u = 0; u < unroll; ++u)
      next.append(addStep(row, rows, b.add(step, u), carried.slice(u * perStep, perStep), false));
    return next;
  });
  for (; unroll > 1; --unroll)
    for (int64_t i = 0; i < perStep; ++i)
      sums[i] = arith::AddFOp::create(b, sums[i], sums[(unroll - 1) * perStep + i]);
  sums.resize(perStep);

  sums = b.loop(unrolledSteps, steps, 1, sums, [&](Value step, ValueRange carried) {
    return addStep(row, rows, step, carried, false);
  });
  if (tiling.kr == 1)
    return sums;
  Value odd = b.createOrFold<arith::CmpIOp>(arith::CmpIPredicate::ne, b.rem(depth, 2), b.index(0));
  return b.when(odd, sums, [&] { return addStep(row, rows, steps, sums, true); });
}

/// One packed step; `half` when only the first of its two depths exists in lhs.
Values MatmulEmitter::addStep(Value row, int64_t rows, Value step, ValueRange sums, bool half) {
  return tiling.dot ? addDot(row, rows, step, sums, half)
                    : addProducts(row, rows, step, sums, half);
}

/// lhs[row, step*2 : step*2+2] in every 32-bit lane. Past the end of K stands a zero.
Value MatmulEmitter::loadPair(Value row, Value step, bool half) {
  auto pairType = VectorType::get(2, lhsElement);
  Value k = b.mul(step, 2), pair;
  if (half) {
    Value last = memref::LoadOp::create(b, lhs, ValueRange{row, k});
    pair = vector::InsertOp::create(b, last, b.zero(pairType), ArrayRef<int64_t>{0});
  } else {
    pair = b.load(pairType, lhs, {row, k});
  }
  Type word = b.getI32Type();
  Value bits = vector::BitCastOp::create(b, VectorType::get(1, word), pair);
  Value scalar = vector::ExtractOp::create(b, bits, ArrayRef<int64_t>{0});
  Value all = b.splat(scalar, VectorType::get(tiling.lanes, word));
  return vector::BitCastOp::create(b, VectorType::get(2 * tiling.lanes, lhsElement), all);
}

Values MatmulEmitter::addDot(Value row, int64_t rows, Value step, ValueRange sums, bool half) {
  auto stepType = VectorType::get(2 * tiling.lanes, rhsElement);
  auto name = b.getStringAttr("llvm.x86.avx512bf16.dpbf16ps." + Twine(tiling.lanes * 32));
  Values columnPairs, next;
  for (int64_t j = 0; j < tiling.vectors; ++j)
    columnPairs.push_back(b.load(stepType, rhs, {panel, step, b.index(j * 2 * tiling.lanes)}));
  for (int64_t i = 0; i < rows; ++i) {
    Value pair = loadPair(b.add(row, i), step, half);
    for (Value columnPair : columnPairs) {
      Values operands{sums[next.size()], pair, columnPair};
      next.push_back(LLVM::CallIntrinsicOp::create(b, sumType, name, operands).getResult(0));
    }
  }
  return next;
}

/// rhs[panel, step] widened to the type of the sums: [depth within the step][vector].
SmallVector<Values> MatmulEmitter::loadPanelStep(Value step) {
  SmallVector<Values> result(tiling.kr);
  for (int64_t j = 0; j < tiling.vectors; ++j) {
    auto type = VectorType::get(tiling.kr * tiling.lanes, rhsElement);
    Value loaded = b.load(type, rhs, {panel, step, b.index(j * tiling.kr * tiling.lanes)});
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

Values MatmulEmitter::addProducts(Value row, int64_t rows, Value step, ValueRange sums, bool half) {
  SmallVector<Values> panelStep = loadPanelStep(step);
  Values next(sums);
  for (int64_t part = 0; part < (half ? 1 : tiling.kr); ++part) {
    Value k = b.add(b.mul(step, tiling.kr), part);
    for (int64_t i = 0; i < rows; ++i) {
      Value scalar = memref::LoadOp::create(b, lhs, ValueRange{b.add(row, i), k});
      Value factor = b.splat(b.convert(scalar, tiling.sum), sumType);
      for (int64_t j = 0; j < tiling.vectors; ++j) {
        Value &sum = next[i * tiling.vectors + j];
        sum = vector::FMAOp::create(b, factor, panelStep[part][j], sum);
      }
    }
  }
  return next;
}

void MatmulEmitter::storeSums(Value row, int64_t rows, ValueRange sums) {
  Type element = cast<MemRefType>(out.getType()).getElementType();
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < tiling.vectors; ++j)
      b.store(b.convert(sums[i * tiling.vectors + j], element), out, {b.add(row, i), columns[j]},
              masks[j]);
}

/// Whether the packed operand is contiguous within one step (nr x kr).
bool hasContiguousSteps(MemRefType rhs) { return rhs.areTrailingDimsContiguous(2); }

struct VectorizeMatmul : OpRewritePattern<MatmulOp> {
  VectorizeMatmul(MLIRContext *context, int64_t bits, int64_t rows, bool hasDot)
      : OpRewritePattern(context), bits(bits), rows(rows), hasDot(hasDot) {}

  LogicalResult matchAndRewrite(MatmulOp op, PatternRewriter &rewriter) const override {
    auto refuse = [&](StringRef why) { return missed(rewriter, op, "vectorize-matmul", why); };
    if (!op.getResult().empty())
      return refuse("operands are tensors: bufferize first");
    for (Value operand : op->getOperands())
      if (!isa<FloatType>(getElementTypeOrSelf(operand)))
        return refuse("only floating-point products have a register tile");
    if (!hasUnitInnerStride(op.getLhs()) || !hasUnitInnerStride(op.getInit()))
      return refuse("rows of lhs and init must be contiguous");
    auto rhs = cast<MemRefType>(op.getRhs().getType());
    if (!hasContiguousSteps(rhs))
      return refuse("the panels of rhs must be contiguous");
    int64_t kr = rhs.getDimSize(3);
    if (kr != 1 && !(kr == 2 && rhs.getElementType().isBF16()))
      return refuse("panels are packed by single depths, or bf16 by pairs");

    LoopBuilder b(op.getLoc(), rewriter);
    MatmulEmitter(b, op, tilingOf(op)).emit();
    rewriter.eraseOp(op);
    return success();
  }

private:
  Tiling tilingOf(MatmulOp op) const {
    Type lhs = getElementTypeOrSelf(op.getLhs()), rhsElement = getElementTypeOrSelf(op.getRhs());
    ArrayRef<int64_t> shape = cast<MemRefType>(op.getRhs().getType()).getShape();
    bool isDouble = lhs.isF64() || rhsElement.isF64();
    Builder b(op.getContext());
    Tiling tiling;
    tiling.sum = isDouble ? b.getF64Type() : b.getF32Type();
    tiling.kr = shape[3];
    tiling.lanes = bits / tiling.sum.getWidth();
    while (shape[2] % tiling.lanes != 0)
      tiling.lanes /= 2;
    tiling.vectors = shape[2] / tiling.lanes;
    // Sums take three quarters of the registers; the rest holds the operands of a step.
    int64_t registers = bits >= 512 ? 32 : 16;
    int64_t fitting = std::max<int64_t>(1, registers * 3 / 4 / tiling.vectors);
    tiling.rows = rows > 0 ? rows : fitting;
    bool isDotWidth = llvm::is_contained({128, 256, 512}, tiling.lanes * 32);
    tiling.dot = hasDot && isDotWidth && tiling.kr == 2 && lhs.isBF16() && rhsElement.isBF16();
    return tiling;
  }

  int64_t bits, rows;
  bool hasDot;
};

struct VectorizeMatmulPass : impl::VectorizeMatmulPassBase<VectorizeMatmulPass> {
  using Base::Base;
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<VectorizeMatmul>(&getContext(), vectorBits, tileRows, hasBF16Dot);
    walkAndApplyPatterns(getOperation(), std::move(patterns));
  }
};

} // namespace
} // namespace buddy
