// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "buddy/IR/BuddyDialect.h"
#include "buddy/Passes.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace buddy {
#define GEN_PASS_DEF_PACKMATMULPASS
#include "buddy/Passes.h.inc"
namespace {

bool isZeroFill(Value value) {
  auto fill = value.getDefiningOp<linalg::FillOp>();
  return fill && (matchPattern(fill.getInputs()[0], m_AnyZeroFloat()) ||
                  matchPattern(fill.getInputs()[0], m_PosZeroFloat()));
}

/// A matrix as it lies in memory, and whether it is to be read transposed.
struct Operand {
  Value matrix;
  bool transposed;
};

/// Looks through a transposition: packing reads either order.
Operand lookThroughTranspose(Value value) {
  if (auto transpose = value.getDefiningOp<linalg::TransposeOp>())
    if (transpose.getPermutation() == ArrayRef<int64_t>{1, 0})
      return {transpose.getInput(), true};
  return {value, false};
}

/// [N/nr, K/kr, nr, kr] from [K,N], or from [N,K] when transposed.
Value packRhs(PatternRewriter &rewriter, Location loc, Operand rhs, int64_t nr, int64_t kr) {
  SmallVector<int64_t> positions = rhs.transposed ? SmallVector<int64_t>{0, 1}
                                                  : SmallVector<int64_t>{1, 0};
  SmallVector<OpFoldResult> tiles{rewriter.getIndexAttr(nr), rewriter.getIndexAttr(kr)};
  Value empty = linalg::PackOp::createDestinationTensor(rewriter, loc, rhs.matrix, tiles,
                                                        positions, positions);
  auto element = cast<ShapedType>(rhs.matrix.getType()).getElementType();
  Value zero = arith::ConstantOp::create(rewriter, loc, rewriter.getZeroAttr(element));
  return linalg::PackOp::create(rewriter, loc, rhs.matrix, empty, positions, tiles, zero,
                                positions)
      .getResult();
}

struct PackMatmul : OpRewritePattern<linalg::MatmulOp> {
  PackMatmul(MLIRContext *context, const PackMatmulPassOptions &options)
      : OpRewritePattern(context), options(options) {}

  LogicalResult matchAndRewrite(linalg::MatmulOp op, PatternRewriter &rewriter) const override {
    if (!op.hasPureTensorSemantics())
      return rewriter.notifyMatchFailure(op, "operands are not tensors");
    if (op.hasUserDefinedMaps())
      return rewriter.notifyMatchFailure(op, "transposes or broadcasts in its own maps");
    Value lhs = op.getInputs()[0], rhs = op.getInputs()[1], init = op.getOutputs()[0];
    Type element = cast<ShapedType>(rhs.getType()).getElementType();
    if (!isa<Float32Type, BFloat16Type, Float16Type>(element) ||
        cast<ShapedType>(lhs.getType()).getElementType() != element)
      return rewriter.notifyMatchFailure(op, "operands are not both f32, bf16 or f16");
    if (!isZeroFill(init))
      return rewriter.notifyMatchFailure(op, "accumulates into a value");
    int64_t kr = element.isBF16() && options.hasBf16Dot ? 2 : 1;
    Value packed = packRhs(rewriter, op.getLoc(), lookThroughTranspose(rhs),
                           2 * options.vectorBits / 32, kr);
    Value empty = init.getDefiningOp<linalg::FillOp>().getOutputs()[0];
    rewriter.replaceOpWithNewOp<MatmulOp>(op, op.getResultTypes(), lhs, packed, empty);
    return success();
  }

  PackMatmulPassOptions options;
};

struct PackMatmulPass : impl::PackMatmulPassBase<PackMatmulPass> {
  using Base::Base;

  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<PackMatmul>(&getContext(), PackMatmulPassOptions{vectorBits, hasBf16Dot});
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
} // namespace buddy
