// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A product leaves the heads of a position side by side, [B,T,H,D], or even query, key and value;
// models split and transpose them around each attention. Attention reads and writes any layout, so
// that what reshapes, transpositions and slices make of a product is found to be a strided view of
// it, and read in place.

#include "StridedView.h"
#include "buddy/IR/BuddyDialect.h"
#include "buddy/Passes.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;

namespace buddy {
#define GEN_PASS_DEF_READHEADSINPLACEPASS
#include "buddy/Passes.h.inc"
namespace {

struct ReadHeadsInPlacePass : impl::ReadHeadsInPlacePassBase<ReadHeadsInPlacePass> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<AttentionOp> ops;
    getOperation().walk([&](AttentionOp op) { ops.push_back(op); });
    for (AttentionOp op : ops) {
      for (auto part : {AttentionOp::Query, AttentionOp::Key, AttentionOp::Values})
        read(op, part);
      write(op);
    }
  }

  void read(AttentionOp op, AttentionOp::Part part) {
    OpBuilder b(op);
    auto view = StridedView::of(b, op.part(part));
    if (view.base == op.part(part) || !view.isPlain())
      return;
    SmallVector<int64_t> order = view.order();
    bool isApart = order[2] != AttentionOp::Positions;
    if (part != AttentionOp::Query && isApart && !fitApart(op))
      return;
    Value tensor = view.inOrder(b);
    if (!tensor)
      return;
    op->setOperand(part, tensor);
    if (!llvm::is_sorted(order) || !op.getLayouts().empty())
      op.setLayout(part, order);
  }

  /// Keys and values are read once for each tile of queries, and are to stay in L2 meanwhile.
  /// Heads whose positions lie far apart may have an eighth of its sets alone, if all heads are as
  /// long as a large power of two.
  bool fitApart(AttentionOp op) {
    int64_t bits = 0;
    for (auto part : {AttentionOp::Key, AttentionOp::Values}) {
      int64_t positions = op.extent(part, AttentionOp::Positions);
      int64_t depth = op.extent(part, AttentionOp::Depth);
      if (ShapedType::isDynamic(positions) || ShapedType::isDynamic(depth))
        return false;
      bits += positions * depth * getElementTypeOrSelf(op.part(part)).getIntOrFloatBitWidth();
    }
    return bits / 8 <= l2Bytes / 8;
  }

  /// A transposition that alone takes the result is a layout of it.
  void write(AttentionOp op) {
    if (!op->hasOneUse())
      return;
    auto transpose = dyn_cast<linalg::TransposeOp>(*op->user_begin());
    if (!transpose || transpose.getPermutation().back() != AttentionOp::Depth)
      return;
    op->moveBefore(transpose);
    op.setLayout(AttentionOp::Output,
                 applyPermutation(op.layout(AttentionOp::Output), transpose.getPermutation()));
    op.getInitMutable().assign(transpose.getInit());
    Value result = op.getResult().front();
    result.setType(transpose.getInit().getType());
    transpose->replaceAllUsesWith(ValueRange(result));
    transpose->erase();
  }
};
} // namespace
} // namespace buddy
