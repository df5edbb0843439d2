// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Extents.h"
#include "buddy/Passes.h"

#include "mlir/Analysis/SliceAnalysis.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Tensor/Utils/Utils.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace buddy {
#define GEN_PASS_DEF_SPLITREDUCTIONSPASS
#include "buddy/Passes.h.inc"
namespace {

/// Results of a reduction that threads can share without more ado.
constexpr int64_t kFewestResults = 16;

/// Elements for which it pays to wake a second thread.
constexpr int64_t kFewestElements = 1 << 15;

/// The operation that folds the elements of a reduction whose few results are many elements each.
Operation *findCombiner(linalg::GenericOp op) {
  if (op.getNumDpsInits() != 1 || !op.hasPureTensorSemantics())
    return nullptr;
  int64_t results = 1, elements = 1;
  for (auto [extent, type] : llvm::zip(op.getStaticLoopRanges(), op.getIteratorTypesArray())) {
    elements *= typicalIfDynamic(extent);
    if (type == utils::IteratorType::parallel)
      results *= typicalIfDynamic(extent);
  }
  SmallVector<Operation *> chain;
  if (results >= kFewestResults || elements < kFewestElements ||
      !op.getMatchingIndexingMap(op.getDpsInitOperand(0)).isProjectedPermutation() ||
      !matchReduction(op.getRegionOutputArgs(), 0, chain) || chain.size() != 1 ||
      !arith::getNeutralElement(chain[0]))
    return nullptr;
  return chain[0];
}

/// The outer dimensions of a reduction over several become dimensions of a result in between.
struct SplitDimensions : OpRewritePattern<linalg::GenericOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(linalg::GenericOp op, PatternRewriter &rewriter) const override {
    Operation *combiner = findCombiner(op);
    SmallVector<unsigned> outer = outerReductions(op);
    if (!combiner || outer.empty())
      return rewriter.notifyMatchFailure(op, "threads share it, or it has one dimension");
    Location loc = op.getLoc();
    OpOperand *init = op.getDpsInitOperand(0);
    AffineMap map = op.getMatchingIndexingMap(init);
    SmallVector<AffineExpr> exprs(map.getResults());
    SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(rewriter, loc, init->get());
    SmallVector<utils::IteratorType> iterators = op.getIteratorTypesArray();
    SmallVector<Range> ranges =
        cast<linalg::LinalgOp>(op.getOperation()).createLoopRanges(rewriter, loc);
    for (unsigned dim : outer) {
      exprs.push_back(rewriter.getAffineDimExpr(dim));
      sizes.push_back(ranges[dim].size);
      iterators[dim] = utils::IteratorType::parallel;
    }
    Type element = getElementTypeOrSelf(init->get());
    Value neutral = arith::ConstantOp::create(rewriter, loc, *arith::getNeutralElement(combiner));
    Value empty = tensor::EmptyOp::create(rewriter, loc, sizes, element);
    Value start = linalg::FillOp::create(rewriter, loc, neutral, empty).getResult(0);
    SmallVector<AffineMap> maps = op.getIndexingMapsArray();
    maps.back() = AffineMap::get(map.getNumDims(), 0, exprs, rewriter.getContext());
    auto parts = linalg::GenericOp::create(rewriter, loc, start.getType(), op.getInputs(), start,
                                           maps, iterators);
    rewriter.inlineRegionBefore(op.getRegion(), parts.getRegion(), parts.getRegion().begin());
    rewriter.replaceOp(op, foldParts(rewriter, loc, combiner, parts.getResult(0), init->get()));
    return success();
  }

  /// As many outer dimensions as threads can share, but never the last one.
  static SmallVector<unsigned> outerReductions(linalg::GenericOp op) {
    SmallVector<unsigned> dims, outer;
    op.getReductionDims(dims);
    int64_t parts = 1;
    for (unsigned dim : ArrayRef<unsigned>(dims).drop_back(dims.empty() ? 0 : 1)) {
      if (parts >= kFewestResults)
        break;
      outer.push_back(dim);
      parts *= typicalIfDynamic(op.getStaticLoopRanges()[dim]);
    }
    return outer;
  }

  /// The last dimensions of `parts` folded into `init`, which has the others.
  static Value foldParts(OpBuilder &b, Location loc, Operation *combiner, Value parts, Value init) {
    int64_t rank = cast<ShapedType>(parts.getType()).getRank();
    int64_t kept = cast<ShapedType>(init.getType()).getRank();
    AffineMap all = b.getMultiDimIdentityMap(rank);
    auto first = AffineMap::get(rank, 0, all.getResults().take_front(kept), b.getContext());
    SmallVector<utils::IteratorType> iterators(kept, utils::IteratorType::parallel);
    iterators.resize(rank, utils::IteratorType::reduction);
    return linalg::GenericOp::create(
               b, loc, init.getType(), parts, init, {all, first}, iterators,
               [&](OpBuilder &b, Location loc, ValueRange arguments) {
                 OperationState state(loc, combiner->getName(), {arguments[1], arguments[0]},
                                      arguments[0].getType(), combiner->getAttrs());
                 linalg::YieldOp::create(b, loc, b.create(state)->getResults());
               })
        .getResult(0);
  }
};

/// Parts of one long dimension: as many as divide it, and as threads can share.
linalg::SplitReductionOptions partsOf(linalg::LinalgOp op) {
  auto generic = dyn_cast<linalg::GenericOp>(op.getOperation());
  SmallVector<unsigned> dims;
  op.getReductionDims(dims);
  if (!generic || dims.size() != 1 || !findCombiner(generic))
    return {};
  int64_t extent = op.getStaticLoopRanges()[dims[0]];
  if (ShapedType::isDynamic(extent))
    return {};
  for (int64_t parts = kFewestResults; parts * parts <= extent; ++parts)
    if (extent % parts == 0)
      return {/*ratio=*/parts, /*index=*/0, /*innerParallel=*/false};
  return {};
}

struct SplitReductionsPass : impl::SplitReductionsPassBase<SplitReductionsPass> {
  using Base::Base;

  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<SplitDimensions>(&getContext());
    linalg::populateSplitReductionPattern(patterns, partsOf);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
} // namespace buddy
