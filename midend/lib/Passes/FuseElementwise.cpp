// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "buddy/Passes.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace buddy {
#define GEN_PASS_DEF_FUSEELEMENTWISEPASS
#include "buddy/Passes.h.inc"
namespace {

/// An op so cheap that computing it again costs less than reading its result.
bool isCheap(linalg::LinalgOp op) {
  return isa<linalg::FillOp, linalg::BroadcastOp>(op) ||
         (op->hasOneUse() || llvm::hasSingleElement(op.getBlock()->without_terminator()));
}

bool shouldFuse(OpOperand *operand) {
  auto producer = operand->get().getDefiningOp<linalg::LinalgOp>();
  return producer && isCheap(producer);
}

/// Named elementwise ops as linalg.generic, the one form that the patterns know.
/// Contractions and convolutions keep their names.
struct GeneralizeElementwise : OpInterfaceRewritePattern<linalg::LinalgOp> {
  using OpInterfaceRewritePattern::OpInterfaceRewritePattern;
  LogicalResult matchAndRewrite(linalg::LinalgOp op, PatternRewriter &rewriter) const override {
    if (isa<linalg::GenericOp, linalg::FillOp>(op) || !op.hasPureTensorSemantics())
      return rewriter.notifyMatchFailure(op, "is generic already");
    bool isReduce = isa<linalg::ReduceOp>(op);
    if (!isReduce && op.getNumLoops() != op.getNumParallelLoops())
      return rewriter.notifyMatchFailure(op, "is a named reduction");
    return linalg::generalizeNamedOp(rewriter, op);
  }
};

struct FuseElementwisePass : impl::FuseElementwisePassBase<FuseElementwisePass> {
  using Base::Base;

  void runOnOperation() override {
    MLIRContext *context = &getContext();
    RewritePatternSet patterns(context);
    patterns.add<GeneralizeElementwise>(context);
    linalg::populateElementwiseOpsFusionPatterns(patterns, shouldFuse);
    // By collapsing and not by expanding: [1,T,H] beside a matmul's [T,H] should
    // become [T,H], so that they meet in one kernel.
    linalg::populateFoldReshapeOpsByCollapsingPatterns(
        patterns, [](OpOperand *operand) { return operand->get().hasOneUse(); });
    linalg::GenericOp::getCanonicalizationPatterns(patterns, context);
    tensor::ExpandShapeOp::getCanonicalizationPatterns(patterns, context);
    tensor::CollapseShapeOp::getCanonicalizationPatterns(patterns, context);
    tensor::EmptyOp::getCanonicalizationPatterns(patterns, context);
    context->getLoadedDialect<linalg::LinalgDialect>()->getCanonicalizationPatterns(patterns);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
} // namespace buddy
