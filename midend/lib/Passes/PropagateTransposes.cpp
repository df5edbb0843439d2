// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Convolutions come between transpositions to channels last and back. Whatever lies
// between two convolutions is rewritten to work on channels last, so that the
// transpositions move down the graph until they meet and cancel.

#include "Layout.h"
#include "buddy/IR/BuddyDialect.h"
#include "buddy/Passes.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace buddy {
#define GEN_PASS_DEF_PROPAGATETRANSPOSESPASS
#include "buddy/Passes.h.inc"
namespace {

/// Whether this is the order of channels last made channels first.
bool isFromChannelsLast(ArrayRef<int64_t> order) {
  int64_t rank = order.size();
  for (int64_t i = 0; i < rank; ++i)
    if (order[i] != (i == 0 ? 0 : i == 1 ? rank - 1 : i - 1))
      return false;
  return rank > 2;
}

/// The transposition of channels last to channels first that `value` is, if it is one.
linalg::TransposeOp fromChannelsLast(Value value) {
  auto op = value.getDefiningOp<linalg::TransposeOp>();
  return op && isFromChannelsLast(op.getPermutation()) ? op : linalg::TransposeOp();
}

/// The map over the transposition's input that reads what `map` reads of its result.
AffineMap throughTranspose(AffineMap map, ArrayRef<int64_t> order) {
  SmallVector<AffineExpr> results(map.getNumResults());
  for (auto [i, expr] : llvm::enumerate(map.getResults()))
    results[order[i]] = expr;
  return AffineMap::get(map.getNumDims(), 0, results, map.getContext());
}

/// What an uninitialized or constant-filled init is made of, in another shape.
Value remakeInit(PatternRewriter &rewriter, Value init, ArrayRef<int64_t> order) {
  auto fill = init.getDefiningOp<linalg::FillOp>();
  Value empty = fill ? fill.getOutputs()[0] : init;
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(rewriter, init.getLoc(), empty);
  Value remade = tensor::EmptyOp::create(rewriter, init.getLoc(), applyPermutation(sizes, order),
                                         cast<ShapedType>(init.getType()).getElementType());
  if (!fill)
    return remade;
  return linalg::FillOp::create(rewriter, init.getLoc(), fill.getInputs()[0], remade).getResult(0);
}

bool canRemake(Value init) {
  if (auto fill = init.getDefiningOp<linalg::FillOp>())
    init = fill.getOutputs()[0];
  return init.getDefiningOp<tensor::EmptyOp>() != nullptr;
}

/// Loops in the order of the first result's dimensions, reductions last.
SmallVector<unsigned> loopOrder(linalg::GenericOp op) {
  SmallVector<unsigned> order;
  for (AffineExpr expr : op.getIndexingMapsArray().back().getResults())
    order.push_back(cast<AffineDimExpr>(expr).getPosition());
  for (unsigned loop = 0; loop < op.getNumLoops(); ++loop)
    if (!llvm::is_contained(order, loop))
      order.push_back(loop);
  return order;
}

/// generic(transpose(x)) becomes transpose(generic(x)) where every operand as large as the
/// result is transposed alike.
struct SinkThroughGeneric : OpRewritePattern<linalg::GenericOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(linalg::GenericOp op, PatternRewriter &rewriter) const override {
    if (!op.hasPureTensorSemantics())
      return failure();
    int64_t rank = cast<ShapedType>(op.getResult(0).getType()).getRank();
    for (OpOperand &init : op.getDpsInitsMutable())
      if (!canRemake(init.get()) || cast<ShapedType>(init.get().getType()).getRank() != rank ||
          !op.getMatchingIndexingMap(&init).isProjectedPermutation())
        return rewriter.notifyMatchFailure(op, "its results cannot take another layout");
    SmallVector<int64_t> order;
    for (OpOperand *input : op.getDpsInputOperands()) {
      if (op.getMatchingIndexingMap(input).getNumResults() != rank)
        continue;
      auto transposed = fromChannelsLast(input->get());
      if (!transposed)
        return rewriter.notifyMatchFailure(op, "an operand has another layout");
      order.assign(transposed.getPermutation().begin(), transposed.getPermutation().end());
    }
    if (order.empty())
      return rewriter.notifyMatchFailure(op, "no operand is transposed");
    rewrite(op, order, rewriter);
    return success();
  }

  static void rewrite(linalg::GenericOp op, ArrayRef<int64_t> order, PatternRewriter &rewriter) {
    int64_t rank = order.size();
    SmallVector<int64_t> back = invertPermutationVector(order);
    SmallVector<Value> inputs, inits;
    SmallVector<AffineMap> maps;
    for (OpOperand *input : op.getDpsInputOperands()) {
      AffineMap map = op.getMatchingIndexingMap(input);
      bool sunk = map.getNumResults() == rank;
      inputs.push_back(sunk ? fromChannelsLast(input->get()).getInput() : input->get());
      maps.push_back(sunk ? throughTranspose(map, order) : map);
    }
    for (OpOperand &init : op.getDpsInitsMutable()) {
      inits.push_back(remakeInit(rewriter, init.get(), back));
      maps.push_back(throughTranspose(op.getMatchingIndexingMap(&init), order));
    }
    auto sunk = linalg::GenericOp::create(rewriter, op.getLoc(), ValueRange(inits).getTypes(),
                                          inputs, inits, maps, op.getIteratorTypesArray());
    rewriter.inlineRegionBefore(op.getRegion(), sunk.getRegion(), sunk.getRegion().end());
    auto ordered = linalg::interchangeGenericOp(rewriter, sunk, loopOrder(sunk));
    if (succeeded(ordered))
      sunk = *ordered;
    rewriter.setInsertionPointAfter(sunk);
    SmallVector<Value> results;
    for (Value result : sunk.getResults())
      results.push_back(transposed(rewriter, op.getLoc(), result, order));
    rewriter.replaceOp(op, results);
  }
};

/// A generic that reduces to another rank reads the untransposed operand itself.
struct AbsorbIntoReduction : OpRewritePattern<linalg::GenericOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(linalg::GenericOp op, PatternRewriter &rewriter) const override {
    if (!op.hasPureTensorSemantics() || op.getNumReductionLoops() == 0)
      return failure();
    SmallVector<AffineMap> maps = op.getIndexingMapsArray();
    bool changed = false;
    for (OpOperand *input : op.getDpsInputOperands()) {
      auto transposed = fromChannelsLast(input->get());
      if (!transposed)
        continue;
      AffineMap &map = maps[input->getOperandNumber()];
      map = throughTranspose(map, transposed.getPermutation());
      rewriter.modifyOpInPlace(op, [&] { input->set(transposed.getInput()); });
      changed = true;
    }
    if (!changed)
      return rewriter.notifyMatchFailure(op, "no operand is transposed");
    rewriter.modifyOpInPlace(op,
                             [&] { op.setIndexingMapsAttr(rewriter.getAffineMapArrayAttr(maps)); });
    return success();
  }
};

struct SinkThroughPad : OpRewritePattern<tensor::PadOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(tensor::PadOp op, PatternRewriter &rewriter) const override {
    auto source = fromChannelsLast(op.getSource());
    Value value = op.getConstantPaddingValue();
    if (!source || !value)
      return rewriter.notifyMatchFailure(op, "not a constant around a transposed value");
    ArrayRef<int64_t> order = source.getPermutation();
    SmallVector<int64_t> back = invertPermutationVector(order);
    auto low = applyPermutation(op.getMixedLowPad(), back);
    auto high = applyPermutation(op.getMixedHighPad(), back);
    auto type = cast<RankedTensorType>(op.getType());
    auto padded = tensor::PadOp::create(
        rewriter, op.getLoc(),
        RankedTensorType::get(applyPermutation(type.getShape(), back), type.getElementType()),
        source.getInput(), low, high, value, op.getNofold());
    rewriter.replaceOp(op, transposed(rewriter, op.getLoc(), padded, order));
    return success();
  }
};

/// Lines that are joined, those of a convolution along one dimension, are so before the
/// transposition.
struct SinkThroughCollapse : OpRewritePattern<tensor::CollapseShapeOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(tensor::CollapseShapeOp op,
                                PatternRewriter &rewriter) const override {
    auto source = fromChannelsLast(op.getSrc());
    if (!source)
      return rewriter.notifyMatchFailure(op, "not of a transposed value");
    SmallVector<ReassociationIndices> groups; // of the untransposed dimensions
    for (ReassociationIndices group : op.getReassociationIndices()) {
      for (int64_t &dim : group)
        dim = source.getPermutation()[dim];
      if (group.back() - group.front() != (int64_t)group.size() - 1 || !llvm::is_sorted(group))
        return rewriter.notifyMatchFailure(op, "joins what the transposition brings together");
      groups.push_back(group);
    }
    SmallVector<ReassociationIndices> sorted(groups);
    llvm::sort(sorted);
    SmallVector<int64_t> order;
    for (const ReassociationIndices &group : groups)
      order.push_back(llvm::find(sorted, group) - sorted.begin());
    if (!isFromChannelsLast(order))
      return rewriter.notifyMatchFailure(op, "joins channels");
    Value joined =
        tensor::CollapseShapeOp::create(rewriter, op.getLoc(), source.getInput(), sorted);
    rewriter.replaceOp(op, transposed(rewriter, op.getLoc(), joined, order));
    return success();
  }
};

/// And lines that are cut after it.
struct SinkThroughExpand : OpRewritePattern<tensor::ExpandShapeOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(tensor::ExpandShapeOp op,
                                PatternRewriter &rewriter) const override {
    auto source = fromChannelsLast(op.getSrc());
    if (!source)
      return rewriter.notifyMatchFailure(op, "not of a transposed value");
    SmallVector<ReassociationIndices> groups = op.getReassociationIndices();
    SmallVector<int64_t> order(op.getResultType().getRank());
    SmallVector<ReassociationIndices> expanded; // of the untransposed dimensions
    SmallVector<OpFoldResult> sizes, resultSizes = op.getMixedOutputShape();
    for (int64_t dim : invertPermutationVector(source.getPermutation())) {
      expanded.emplace_back();
      for (int64_t result : groups[dim]) {
        order[result] = sizes.size();
        expanded.back().push_back(sizes.size());
        sizes.push_back(resultSizes[result]);
      }
    }
    if (!isFromChannelsLast(order))
      return rewriter.notifyMatchFailure(op, "cuts channels");
    auto type = RankedTensorType::get(
        applyPermutation(op.getResultType().getShape(), invertPermutationVector(order)),
        op.getResultType().getElementType());
    Value cut = tensor::ExpandShapeOp::create(rewriter, op.getLoc(), type, source.getInput(),
                                              expanded, sizes);
    rewriter.replaceOp(op, transposed(rewriter, op.getLoc(), cut, order));
    return success();
  }
};

/// What is about to become channels last is so before it is padded: rows of channels are copied
/// faster than rows of positions, and the transposition is of fewer elements.
struct RaiseAbovePad : OpRewritePattern<linalg::TransposeOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(linalg::TransposeOp op, PatternRewriter &rewriter) const override {
    ArrayRef<int64_t> order = op.getPermutation();
    auto pad = op.getInput().getDefiningOp<tensor::PadOp>();
    if (!pad || !pad->hasOneUse() || !pad.getConstantPaddingValue() || !isToChannelsLast(order))
      return rewriter.notifyMatchFailure(op, "does not make a padded value channels last");
    auto type = cast<RankedTensorType>(op->getResult(0).getType());
    rewriter.replaceOpWithNewOp<tensor::PadOp>(
        op, type, transposed(rewriter, op.getLoc(), pad.getSource(), order),
        applyPermutation(pad.getMixedLowPad(), order),
        applyPermutation(pad.getMixedHighPad(), order), pad.getConstantPaddingValue(),
        pad.getNofold());
    return success();
  }

  static bool isToChannelsLast(ArrayRef<int64_t> order) {
    int64_t rank = order.size();
    for (int64_t i = 0; i < rank; ++i)
      if (order[i] != (i == 0 ? 0 : i == rank - 1 ? 1 : i + 1))
        return false;
    // Of three dimensions it is its own inverse, which sinks below the pad instead.
    return rank > 3;
  }
};

/// Dimensions that stay side by side are moved as one: [2,256,7,7] to channels last is
/// [2,256,49] to [2,49,256].
struct JoinTransposedDims : OpRewritePattern<linalg::TransposeOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(linalg::TransposeOp op, PatternRewriter &rewriter) const override {
    ArrayRef<int64_t> order = op.getPermutation();
    SmallVector<ReassociationIndices> results, sources; // in the order of the result
    for (auto [to, from] : llvm::enumerate(order)) {
      if (to == 0 || from != order[to - 1] + 1) {
        results.emplace_back();
        sources.emplace_back();
      }
      results.back().push_back(to);
      sources.back().push_back(from);
    }
    if (results.size() == order.size() || !op.hasPureTensorSemantics())
      return rewriter.notifyMatchFailure(op, "no dimensions stay side by side");
    SmallVector<ReassociationIndices> groups(sources);
    llvm::sort(groups);
    SmallVector<int64_t> joinedOrder;
    for (const ReassociationIndices &source : sources)
      joinedOrder.push_back(llvm::find(groups, source) - groups.begin());
    Location loc = op.getLoc();
    Value joined = tensor::CollapseShapeOp::create(rewriter, loc, op.getInput(), groups);
    if (!llvm::is_sorted(joinedOrder))
      joined = transposed(rewriter, loc, joined, joinedOrder);
    auto type = cast<RankedTensorType>(op->getResult(0).getType());
    rewriter.replaceOpWithNewOp<tensor::ExpandShapeOp>(
        op, type, joined, results, tensor::getMixedSizes(rewriter, loc, op.getInit()));
    return success();
  }
};

/// A batch of one image is no batch: what surrounds it loses its unit dimensions too.
struct DropUnitBatch : OpRewritePattern<ConvOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(ConvOp op, PatternRewriter &rewriter) const override {
    auto out = dyn_cast<RankedTensorType>(op.getInit().getType());
    if (!out || out.getRank() != op.spatialRank() + 2 || out.getDimSize(0) != 1 ||
        cast<ShapedType>(op.getInput().getType()).getDimSize(0) != 1)
      return rewriter.notifyMatchFailure(op, "not one image on tensors");
    SmallVector<ReassociationIndices> groups{{0, 1}};
    for (int64_t dim = 2; dim < out.getRank(); ++dim)
      groups.push_back({dim});
    auto drop = [&](Value value) {
      return tensor::CollapseShapeOp::create(rewriter, op.getLoc(), value, groups);
    };
    Value init = drop(op.getInit());
    auto image = ConvOp::create(rewriter, op.getLoc(), init.getType(), drop(op.getInput()),
                                op.getRhs(), op.getZeros(), init, op.getKernel(), op.getStrides(),
                                op.getDilations(), op.getGroup(), op.getMirrored());
    rewriter.replaceOpWithNewOp<tensor::ExpandShapeOp>(
        op, out, image->getResult(0), groups,
        tensor::getMixedSizes(rewriter, op.getLoc(), op.getInit()));
    return success();
  }
};

struct PropagateTransposesPass : impl::PropagateTransposesPassBase<PropagateTransposesPass> {
  using Base::Base;

  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    // The generic that can take the layout on does; one that reduces to another rank ends it.
    patterns.add<SinkThroughGeneric, SinkThroughPad, SinkThroughCollapse, SinkThroughExpand,
                 RaiseAbovePad>(&getContext(), /*benefit=*/2);
    patterns.add<AbsorbIntoReduction>(&getContext());
    linalg::TransposeOp::getCanonicalizationPatterns(patterns, &getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    // Only now: a reshape would hide one transposition from the other.
    RewritePatternSet images(&getContext());
    images.add<DropUnitBatch, JoinTransposedDims>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(images))))
      signalPassFailure();
  }
};
} // namespace
} // namespace buddy
