// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "buddy/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#include <numeric>

using namespace mlir;

namespace buddy {
#define GEN_PASS_DEF_EXPANDEXTREMAPASS
#include "buddy/Passes.h.inc"
namespace {

bool isSingleOrDouble(Type type) {
  Type element = getElementTypeOrSelf(type);
  return element.isF32() || element.isF64();
}

/// `right` is better than `left` ? `right` : `left`, which is one instruction of x86 and gives
/// `left` where either is a NaN; then the NaN of `right`. A reduction's state, on the left, waits
/// for two short instructions only.
template <typename Extremum, arith::CmpFPredicate isBetter>
struct ExpandExtremum : OpRewritePattern<Extremum> {
  using OpRewritePattern<Extremum>::OpRewritePattern;

  LogicalResult matchAndRewrite(Extremum op, PatternRewriter &rewriter) const override {
    if (!isSingleOrDouble(op.getType()))
      return rewriter.notifyMatchFailure(op, "a half precision");
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    Value left = op.getLhs(), right = op.getRhs();
    Value better = arith::CmpFOp::create(b, isBetter, right, left);
    Value number = arith::SelectOp::create(b, better, right, left);
    // The flag goes no further: to LLVM the NaN, which is there, would be undefined.
    if (bitEnumContainsAny(op.getFastmath(), arith::FastMathFlags::nnan)) {
      rewriter.replaceOp(op, number);
      return success();
    }
    Value isNaN = arith::CmpFOp::create(b, arith::CmpFPredicate::UNO, right, right);
    rewriter.replaceOpWithNewOp<arith::SelectOp>(op, isNaN, right, number);
    return success();
  }
};

/// The lanes by halves. LLVM's own order of them minds signed zeros, in four times as many
/// instructions, each of which waits for the one before.
struct ExpandReduction : OpRewritePattern<vector::ReductionOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(vector::ReductionOp op, PatternRewriter &rewriter) const override {
    bool isMaximum = op.getKind() == vector::CombiningKind::MAXIMUMF;
    int64_t lanes = op.getSourceVectorType().getNumElements();
    if ((!isMaximum && op.getKind() != vector::CombiningKind::MINIMUMF) ||
        !isSingleOrDouble(op.getType()) || !llvm::isPowerOf2_64(lanes))
      return rewriter.notifyMatchFailure(op, "no extremum of single or double precision");
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    auto combine = [&](Value left, Value right) -> Value {
      return isMaximum ? arith::MaximumFOp::create(b, left, right).getResult()
                       : arith::MinimumFOp::create(b, left, right);
    };
    Value rest = op.getVector();
    while (lanes > 1) {
      SmallVector<int64_t> low(lanes / 2), high(lanes / 2);
      std::iota(low.begin(), low.end(), 0);
      std::iota(high.begin(), high.end(), lanes / 2);
      rest = combine(vector::ShuffleOp::create(b, rest, rest, low),
                     vector::ShuffleOp::create(b, rest, rest, high));
      lanes /= 2;
    }
    Value result = vector::ExtractOp::create(b, rest, ArrayRef<int64_t>{0});
    if (Value before = op.getAcc())
      result = combine(before, result);
    rewriter.replaceOp(op, result);
    return success();
  }
};

struct ExpandExtremaPass : impl::ExpandExtremaPassBase<ExpandExtremaPass> {
  using Base::Base;
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<ExpandExtremum<arith::MaximumFOp, arith::CmpFPredicate::OGT>,
                 ExpandExtremum<arith::MinimumFOp, arith::CmpFPredicate::OLT>, ExpandReduction>(
        &getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
} // namespace buddy
