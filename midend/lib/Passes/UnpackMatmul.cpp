// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Layout.h"
#include "buddy/IR/BuddyDialect.h"
#include "buddy/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"

using namespace mlir;

namespace buddy {
#define GEN_PASS_DEF_UNPACKMATMULPASS
#include "buddy/Passes.h.inc"
namespace {

/// `lhs . rhsT` as the transposition of `rhs . lhsT`: then it is lhs that is packed, into panels
/// like those that rhs would have had.
Value transposedProduct(PatternRewriter &rewriter, MatmulOp op, linalg::PackOp pack) {
  int64_t nr = pack.getStaticInnerTiles()[0], kr = pack.getStaticInnerTiles()[1];
  // Rows that come from memory side by side push each other out of the cache: as few as may be.
  // But AMX's tiles, and what is packed by pairs as they are, have two vectors across.
  int64_t width = kr == 1 ? 2 * nr : nr;
  Value panels = packRhs(rewriter, op.getLoc(), {op.getLhs(), /*transposed=*/true}, width, kr);
  auto type = cast<RankedTensorType>(op.getInit().getType());
  SmallVector<int64_t> shape{type.getDimSize(1), type.getDimSize(0)};
  Value init = tensor::EmptyOp::create(rewriter, op.getLoc(), shape, type.getElementType());
  auto product = MatmulOp::create(rewriter, op.getLoc(), init.getType(), pack.getSource(), panels,
                                  init, /*transposed=*/false);
  return transposed(rewriter, op.getLoc(), product->getResult(0), {1, 0});
}

/// A pack that is still here was not hoisted: its operand is an activation, or a weight that may
/// change.
struct UnpackRhs : OpRewritePattern<MatmulOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(MatmulOp op, PatternRewriter &rewriter) const override {
    auto pack = op.getRhs().getDefiningOp<linalg::PackOp>();
    if (!pack)
      return rewriter.notifyMatchFailure(op, "rhs is not packed here");
    if (isBestTransposed(op))
      rewriter.replaceOp(op, transposedProduct(rewriter, op, pack));
    else
      rewriter.replaceOpWithNewOp<MatmulOp>(op, op.getResultTypes(), op.getLhs(), pack.getSource(),
                                            op.getInit(), /*transposed=*/isTransposed(op));
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
