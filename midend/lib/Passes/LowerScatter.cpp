// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "LoopBuilder.h"
#include "buddy/IR/BuddyDialect.h"
#include "buddy/Passes.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

using namespace mlir;

namespace buddy {
#define GEN_PASS_DEF_LOWERSCATTERPASS
#include "buddy/Passes.h.inc"
namespace {

/// Columns that a thread takes at once: below, sharing costs more than it saves.
constexpr int64_t kSharedColumns = 256;

/// Columns `from` to `from + count` of a row, as a buffer of rank 1.
Value rowPart(LoopBuilder &b, Value rows, Value row, Value from, OpFoldResult count) {
  SmallVector<OpFoldResult> offsets{row, from}, sizes{b.getIndexAttr(1), count};
  SmallVector<OpFoldResult> strides(2, b.getIndexAttr(1));
  auto type = cast<MemRefType>(memref::SubViewOp::inferRankReducedResultType(
      {getConstantIntValue(count).value_or(ShapedType::kDynamic)}, cast<MemRefType>(rows.getType()),
      offsets, sizes, strides));
  return memref::SubViewOp::create(b, type, rows, offsets, sizes, strides);
}

Value fold(OpBuilder &b, Location loc, arith::AtomicRMWKind kind, Value before, Value value) {
  if (kind == arith::AtomicRMWKind::assign)
    return value;
  return arith::getReductionOp(kind, b, loc, before, value);
}

/// `out[row, from:from+count] = kind(out[row, ...], source[i, ...])`
void foldRow(LoopBuilder &b, ScatterOp op, Value i, Value row, Value from, OpFoldResult count) {
  Value source = rowPart(b, op.getSource(), i, from, count);
  Value target = rowPart(b, op.getInit(), row, from, count);
  AffineMap identity = b.getMultiDimIdentityMap(1);
  linalg::GenericOp::create(
      b, ValueRange(source), ValueRange(target), ArrayRef<AffineMap>{identity, identity},
      ArrayRef<utils::IteratorType>{utils::IteratorType::parallel},
      [&](OpBuilder &body, Location loc, ValueRange elements) {
        linalg::YieldOp::create(body, loc, fold(body, loc, op.getKind(), elements[1], elements[0]));
      });
}

void foldElement(LoopBuilder &b, ScatterOp op, Value i, Value row) {
  Value zero = b.index(0);
  Value value = memref::LoadOp::create(b, op.getSource(), ValueRange{i, zero});
  if (op.getKind() != arith::AtomicRMWKind::assign) {
    Value before = memref::LoadOp::create(b, op.getInit(), ValueRange{row, zero});
    value = fold(b, op.getLoc(), op.getKind(), before, value);
  }
  memref::StoreOp::create(b, value, op.getInit(), ValueRange{row, zero});
}

/// All positions in their order; `body` gets the number and the row of each that exists.
void forEachPosition(LoopBuilder &b, ScatterOp op, function_ref<void(Value, Value)> body) {
  b.loop(b.index(0), b.dim(op.getPositions(), 0), 1, [&](Value i) {
    Value position = memref::LoadOp::create(b, op.getPositions(), i);
    Value row = arith::IndexCastOp::create(b, b.getIndexType(), position);
    // Unsigned: a negative position is beyond the end as well.
    Value exists = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, row, b.dim(op.getInit(), 0));
    b.when(exists, [&] { body(i, row); });
  });
}

void lower(ScatterOp op) {
  LoopBuilder b(op.getLoc(), OpBuilder(op));
  int64_t columns = cast<MemRefType>(op.getInit().getType()).getDimSize(1);
  if (columns == 1)
    return forEachPosition(b, op, [&](Value i, Value row) { foldElement(b, op, i, row); });
  if (columns <= kSharedColumns && !ShapedType::isDynamic(columns))
    return forEachPosition(b, op, [&](Value i, Value row) {
      foldRow(b, op, i, row, b.index(0), b.getIndexAttr(columns));
    });
  Value extent = b.dim(op.getInit(), 1);
  auto shared = [&](OpBuilder &builder, Location loc, ValueRange part) {
    LoopBuilder inner(loc, builder);
    Value count = inner.min(inner.index(kSharedColumns), inner.sub(extent, part[0]));
    forEachPosition(inner, op,
                    [&](Value i, Value row) { foldRow(inner, op, i, row, part[0], count); });
    scf::InParallelOp::create(inner);
  };
  scf::ForallOp::create(b, {b.getIndexAttr(0)}, {extent}, {b.getIndexAttr(kSharedColumns)},
                        ValueRange(), std::nullopt, shared);
}

struct LowerScatterPass : impl::LowerScatterPassBase<LowerScatterPass> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<ScatterOp> ops;
    getOperation()->walk([&](ScatterOp op) { ops.push_back(op); });
    for (ScatterOp op : ops) {
      lower(op);
      op.erase();
    }
  }
};
} // namespace
} // namespace buddy
