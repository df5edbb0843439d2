// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "LoopBuilder.h"
#include "buddy/IR/BuddyDialect.h"
#include "buddy/Passes.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

using namespace mlir;

namespace buddy {
#define GEN_PASS_DEF_LOWERSORTPASS
#include "buddy/Passes.h.inc"
namespace {

/// Sorts one row: positions wander between the two planes of the init.
class RowSort {
public:
  RowSort(LoopBuilder &b, SortOp op, Value row)
      : b(b), keys(op.getKeys()), order(op.getInit()), descending(op.getDescending()), row(row),
        length(b.dim(keys, 1)) {}

  void run() {
    Value zero = b.index(0), one = b.index(1), passes = countPasses();
    // The plane to begin with is the one from which so many moves end in the first.
    Value first = b.rem(passes, 2);
    b.loop(zero, length, 1, [&](Value i) { store(i, first, i); });
    b.loop(zero, passes, 1, [&](Value pass) {
      Value width = arith::ShLIOp::create(b, one, pass);
      Value from = b.rem(b.sub(passes, pass), 2), to = b.sub(one, from);
      Value both = b.mul(width, 2);
      Value pairs = arith::CeilDivUIOp::create(b, length, both);
      b.loop(zero, pairs, 1, [&](Value pair) {
        Value start = b.mul(pair, both);
        Value middle = b.min(b.add(start, width), length);
        merge(start, middle, b.min(b.add(middle, width), length), from, to);
      });
    });
  }

private:
  /// How often runs double until one has all: log2 of the length, rounded up.
  Value countPasses() {
    Value last = b.max(b.sub(length, b.index(1)), b.index(0));
    Value wide = arith::IndexCastOp::create(b, b.getI64Type(), last);
    Value zeros = math::CountLeadingZerosOp::create(b, wide);
    return b.sub(b.index(64), arith::IndexCastOp::create(b, b.getIndexType(), zeros));
  }

  /// The runs from `start` and from `middle` as one from `start` to `end`.
  void merge(Value start, Value middle, Value end, Value from, Value to) {
    Value lastLeft = b.sub(middle, b.index(1)), lastRight = b.sub(end, b.index(1));
    b.loop(start, end, 1, ValueRange{start, middle}, [&](Value i, ValueRange next) {
      // Where a run is used up its last element is read once more, and not taken.
      Value left = load(b.min(next[0], lastLeft), from);
      Value right = load(b.min(next[1], lastRight), from);
      Value noLeft = compare(arith::CmpIPredicate::sge, next[0], middle);
      Value hasRight = compare(arith::CmpIPredicate::slt, next[1], end);
      Value leftKey = key(left), rightKey = key(right);
      Value sooner = arith::OrIOp::create(b, noLeft, comesBefore(rightKey, leftKey));
      Value takesRight = arith::AndIOp::create(b, hasRight, sooner);
      store(arith::SelectOp::create(b, takesRight, right, left), to, i);
      Value step = arith::IndexCastUIOp::create(b, b.getIndexType(), takesRight);
      return LoopBuilder::Values{b.add(next[0], b.sub(b.index(1), step)), b.add(next[1], step)};
    });
  }

  /// Whether x sorts strictly before y.
  Value comesBefore(Value x, Value y) {
    if (descending)
      std::swap(x, y);
    if (!isa<FloatType>(x.getType()))
      return compare(arith::CmpIPredicate::slt, x, y);
    // Less, or beside a NaN; but a NaN itself comes before nothing.
    Value less = arith::CmpFOp::create(b, arith::CmpFPredicate::ULT, x, y);
    Value number = arith::CmpFOp::create(b, arith::CmpFPredicate::ORD, x, x);
    return arith::AndIOp::create(b, less, number);
  }

  Value compare(arith::CmpIPredicate predicate, Value x, Value y) {
    return arith::CmpIOp::create(b, predicate, x, y);
  }

  Value load(Value i, Value plane) {
    Value position = memref::LoadOp::create(b, order, ValueRange{plane, row, i});
    return arith::IndexCastOp::create(b, b.getIndexType(), position);
  }

  void store(Value position, Value plane, Value i) {
    Value wide = arith::IndexCastOp::create(b, b.getI64Type(), position);
    memref::StoreOp::create(b, wide, order, ValueRange{plane, row, i});
  }

  Value key(Value position) { return memref::LoadOp::create(b, keys, ValueRange{row, position}); }

  LoopBuilder &b;
  Value keys, order;
  bool descending;
  Value row, length;
};

void lower(SortOp op) {
  LoopBuilder b(op.getLoc(), OpBuilder(op));
  auto sortRow = [&](OpBuilder &builder, Location loc, ValueRange row) {
    LoopBuilder inner(loc, builder);
    RowSort(inner, op, row[0]).run();
    scf::InParallelOp::create(inner);
  };
  scf::ForallOp::create(b, {b.getIndexAttr(0)}, {b.dim(op.getKeys(), 0)}, {b.getIndexAttr(1)},
                        ValueRange(), std::nullopt, sortRow);
}

struct LowerSortPass : impl::LowerSortPassBase<LowerSortPass> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<SortOp> ops;
    getOperation()->walk([&](SortOp op) { ops.push_back(op); });
    for (SortOp op : ops) {
      lower(op);
      op.erase();
    }
  }
};
} // namespace
} // namespace buddy
