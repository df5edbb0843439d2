// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "buddy/Passes.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Tensor/Transforms/Transforms.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace buddy {
#define GEN_PASS_DEF_FUSEELEMENTWISEPASS
#include "buddy/Passes.h.inc"
namespace {

/// Computing it again costs less than reading its result: one user, or an op that only
/// spreads fewer elements over more.
bool isCheap(linalg::LinalgOp op) {
  if (op->hasOneUse() || isa<linalg::FillOp>(op))
    return true;
  size_t operations = op.getBlock()->getOperations().size();
  if (operations == 1) // a transposition or broadcast: another way to index
    return true;
  return operations == 2 && llvm::all_of(op.getDpsInputOperands(), [&](OpOperand *input) {
           return op.getMatchingIndexingMap(input).getNumResults() < op.getNumLoops();
         });
}

/// Whether it folds elements into what its results start from: a sum over no dimensions has only
/// parallel loops, but in more loops than its own it would add its element again and again.
bool accumulates(linalg::LinalgOp op) {
  return llvm::any_of(op.getDpsInitsMutable(),
                      [&](OpOperand &init) { return op.payloadUsesValueFromOperand(&init); });
}

/// Whether a reduction reads the operand again for each of its results, as a product of a matrix
/// does the vector.
bool isReadForEachResult(OpOperand *operand) {
  auto consumer = cast<linalg::LinalgOp>(operand->getOwner());
  SmallVector<unsigned> parallel;
  consumer.getParallelDims(parallel);
  AffineMap map = consumer.getMatchingIndexingMap(operand);
  return consumer.getNumReductionLoops() != 0 &&
         llvm::any_of(parallel, [&](unsigned loop) { return !map.isFunctionOfDim(loop); });
}

bool shouldFuse(OpOperand *operand) {
  auto producer = operand->get().getDefiningOp<linalg::LinalgOp>();
  if (!producer || !isCheap(producer) || accumulates(producer))
    return false;
  return producer.getBlock()->getOperations().size() == 1 || !isReadForEachResult(operand);
}

/// `[N]` computed from a matmul's `[1,N]`.
bool readsMatmulRow(OpOperand *operand) {
  auto reshape = operand->get().getDefiningOp<tensor::CollapseShapeOp>();
  return reshape && reshape.getSrc().getDefiningOp<MatmulOp>() && reshape->hasOneUse();
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
      return signalPassFailure();

    // The one place where the higher rank is the better one: an epilogue has its
    // matmul's shape. Afterwards, or the two sets would undo each other's work.
    RewritePatternSet epilogues(context);
    linalg::populateFoldReshapeOpsByExpansionPatterns(epilogues, readsMatmulRow);
    // A slice that only lost unit extents which its reader needs, as attention does, has them.
    tensor::populateReassociativeReshapeFoldingPatterns(epilogues);
    tensor::ExpandShapeOp::getCanonicalizationPatterns(epilogues, context);
    tensor::CollapseShapeOp::getCanonicalizationPatterns(epilogues, context);
    if (failed(applyPatternsGreedily(getOperation(), std::move(epilogues))))
      signalPassFailure();
  }
};
} // namespace
} // namespace buddy
