// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Layout.h"
#include "buddy/IR/BuddyDialect.h"
#include "buddy/Passes.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"

using namespace mlir;

namespace buddy {
#define GEN_PASS_DEF_UNPACKMATMULPASS
#include "buddy/Passes.h.inc"
namespace {

/// A pack that is still here was not hoisted: its operand is an activation.
struct UnpackRhs : OpRewritePattern<MatmulOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(MatmulOp op, PatternRewriter &rewriter) const override {
    auto pack = op.getRhs().getDefiningOp<linalg::PackOp>();
    if (!pack)
      return rewriter.notifyMatchFailure(op, "rhs is not packed here");
    bool transposed = pack.getInnerDimsPos() == ArrayRef<int64_t>{0, 1};
    rewriter.replaceOpWithNewOp<MatmulOp>(op, op.getResultTypes(), op.getLhs(), pack.getSource(),
                                          op.getInit(), transposed);
    return success();
  }
};

struct KeepBatchUnpacked : OpRewritePattern<linalg::BatchMatmulOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(linalg::BatchMatmulOp op,
                                PatternRewriter &rewriter) const override {
    if (!op.hasPureTensorSemantics() || op.hasUserDefinedMaps())
      return rewriter.notifyMatchFailure(op, "not on tensors, or with maps of its own");
    Value lhs = op.getInputs()[0], rhs = op.getInputs()[1], init = op.getOutputs()[0];
    Type element = getElementTypeOrSelf(rhs);
    if (!isa<Float32Type, BFloat16Type, Float16Type>(element) ||
        getElementTypeOrSelf(lhs) != element)
      return rewriter.notifyMatchFailure(op, "operands are not both f32, bf16 or f16");
    if (!isZeroFill(init))
      return rewriter.notifyMatchFailure(op, "accumulates into a value");
    auto transpose = rhs.getDefiningOp<linalg::TransposeOp>();
    bool transposed = transpose && transpose.getPermutation() == ArrayRef<int64_t>{0, 2, 1};
    rewriter.replaceOpWithNewOp<MatmulOp>(
        op, op.getResultTypes(), lhs, transposed ? transpose.getInput() : rhs,
        init.getDefiningOp<linalg::FillOp>().getOutputs()[0], transposed);
    return success();
  }
};

struct UnpackMatmulPass : impl::UnpackMatmulPassBase<UnpackMatmulPass> {
  using Base::Base;

  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<UnpackRhs, KeepBatchUnpacked>(&getContext());
    walkAndApplyPatterns(getOperation(), std::move(patterns));
  }
};
} // namespace
} // namespace buddy
