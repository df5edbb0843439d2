// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "buddy/Passes.h"

#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Tensor/Transforms/Transforms.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace buddy {
#define GEN_PASS_DEF_LOWERSTRUCTURALOPSPASS
#include "buddy/Passes.h.inc"
namespace {

/// Upstream's lowering of a pack, which it offers as a function only.
struct LowerPack : OpRewritePattern<linalg::PackOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(linalg::PackOp op, PatternRewriter &rewriter) const override {
    if (failed(linalg::lowerPack(rewriter, op)))
      return rewriter.notifyMatchFailure(op, "upstream cannot lower this pack");
    return success();
  }
};

/// An elementwise op whose single element is cheap to compute where it is needed.
linalg::GenericOp inlinableProducer(Value value) {
  auto generic = value.getDefiningOp<linalg::GenericOp>();
  if (!generic || !generic->hasOneUse() || generic.getNumResults() != 1 ||
      generic.getNumParallelLoops() != generic.getNumLoops() || generic.hasIndexSemantics() ||
      generic.payloadUsesValueFromOperand(generic.getDpsInitOperand(0)) ||
      !generic.getMatchingIndexingMap(generic.getDpsInitOperand(0)).isIdentity())
    return {};
  for (OpOperand *input : generic.getDpsInputOperands())
    if (!generic.getMatchingIndexingMap(input).isProjectedPermutation())
      return {};
  return generic;
}

/// A slice that keeps its rank and has unit strides: an offset of the indices.
tensor::ExtractSliceOp plainSlice(Value value) {
  auto slice = value.getDefiningOp<tensor::ExtractSliceOp>();
  if (slice && slice.hasUnitStride() &&
      slice.getSourceType().getRank() == slice.getType().getRank())
    return slice;
  return {};
}

/// The extents of `value`, without a use of it where it is about to be inlined.
SmallVector<OpFoldResult> sizesOf(OpBuilder &b, Location loc, Value value) {
  if (auto slice = value.getDefiningOp<tensor::ExtractSliceOp>(); slice && plainSlice(value))
    return slice.getMixedSizes();
  if (linalg::GenericOp producer = inlinableProducer(value))
    value = producer.getDpsInits()[0];
  return tensor::getMixedSizes(b, loc, value);
}

/// The element of `value` at `indices`, through slices and elementwise producers.
Value emitElement(OpBuilder &b, Location loc, Value value, SmallVector<Value> indices) {
  if (tensor::ExtractSliceOp slice = plainSlice(value)) {
    for (auto [index, offset] : llvm::zip(indices, slice.getMixedOffsets()))
      index = arith::AddIOp::create(b, loc, index, getValueOrCreateConstantIndexOp(b, loc, offset));
    return emitElement(b, loc, slice.getSource(), indices);
  }
  if (auto transpose = value.getDefiningOp<linalg::TransposeOp>()) {
    SmallVector<Value> source(indices.size());
    for (auto [to, from] : llvm::enumerate(transpose.getPermutation()))
      source[from] = indices[to];
    return emitElement(b, loc, transpose.getInput(), source);
  }
  linalg::GenericOp producer = inlinableProducer(value);
  if (!producer)
    return tensor::ExtractOp::create(b, loc, value, indices);
  IRMapping mapping;
  for (OpOperand *input : producer.getDpsInputOperands()) {
    SmallVector<Value> of;
    for (AffineExpr expr : producer.getMatchingIndexingMap(input).getResults())
      of.push_back(indices[cast<AffineDimExpr>(expr).getPosition()]);
    mapping.map(producer.getMatchingBlockArgument(input), emitElement(b, loc, input->get(), of));
  }
  for (Operation &op : producer.getBody()->without_terminator())
    b.clone(op, mapping);
  // What it yields may be of outside: a constant.
  return mapping.lookupOrDefault(producer.getBody()->getTerminator()->getOperand(0));
}

/// Picks the part that `indices` falls into: one branch per part, the last without a test.
Value emitParts(OpBuilder &b, Location loc, ValueRange parts, SmallVector<Value> indices,
                int64_t dim) {
  if (parts.size() == 1)
    return emitElement(b, loc, parts[0], indices);
  Value extent = arith::ConstantIndexOp::create(
      b, loc, cast<RankedTensorType>(parts[0].getType()).getDimSize(dim));
  Value here = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, indices[dim], extent);
  auto branch = scf::IfOp::create(
      b, loc, here,
      [&](OpBuilder &then, Location at) {
        scf::YieldOp::create(then, at, emitElement(then, at, parts[0], indices));
      },
      [&](OpBuilder &otherwise, Location at) {
        SmallVector<Value> rest = indices;
        rest[dim] = arith::SubIOp::create(otherwise, at, indices[dim], extent);
        scf::YieldOp::create(otherwise, at,
                             emitParts(otherwise, at, parts.drop_front(), rest, dim));
      });
  return branch.getResult(0);
}

/// A concatenation of slices or elementwise results (rotary embedding's halves) as one
/// elementwise op, which fuses with what follows; copies of whole tensors stay copies.
struct FuseConcat : OpRewritePattern<tensor::ConcatOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(tensor::ConcatOp op, PatternRewriter &rewriter) const override {
    int64_t dim = op.getDim();
    ValueRange parts = op.getInputs();
    for (Value part : parts)
      if (cast<RankedTensorType>(part.getType()).isDynamicDim(dim))
        return rewriter.notifyMatchFailure(op, "a part has a dynamic extent");
    bool repeated = parts.size() > 1 && llvm::all_equal(parts);
    if (!repeated && llvm::none_of(parts, [](Value part) {
          return inlinableProducer(part) || plainSlice(part);
        }))
      return rewriter.notifyMatchFailure(op, "copies whole tensors");
    Location loc = op.getLoc();
    RankedTensorType type = op.getResultType();
    SmallVector<OpFoldResult> sizes = sizesOf(rewriter, loc, parts[0]);
    sizes[dim] = rewriter.getIndexAttr(type.getDimSize(dim));
    if (type.isDynamicDim(dim))
      return rewriter.notifyMatchFailure(op, "the result has a dynamic extent");
    Value empty = tensor::EmptyOp::create(rewriter, loc, sizes, type.getElementType());
    rewriter.replaceOpWithNewOp<linalg::GenericOp>(
        op, type, ValueRange(), ValueRange(empty),
        ArrayRef<AffineMap>{rewriter.getMultiDimIdentityMap(type.getRank())},
        SmallVector<utils::IteratorType>(type.getRank(), utils::IteratorType::parallel),
        [&](OpBuilder &b, Location at, ValueRange) {
          SmallVector<Value> indices;
          for (int64_t loop = 0; loop < type.getRank(); ++loop)
            indices.push_back(linalg::IndexOp::create(b, at, loop));
          linalg::YieldOp::create(b, at, emitParts(b, at, parts, indices, dim));
        });
    return success();
  }
};

struct LowerStructuralOpsPass : impl::LowerStructuralOpsPassBase<LowerStructuralOpsPass> {
  using Base::Base;

  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<FuseConcat>(&getContext(), /*benefit=*/2);
    patterns.add<LowerPack>(&getContext());
    tensor::populateDecomposeTensorConcatPatterns(patterns);
    linalg::populateDecomposePadPatterns(patterns);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
} // namespace buddy
