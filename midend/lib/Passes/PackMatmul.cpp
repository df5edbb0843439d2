// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Layout.h"
#include "buddy/IR/BuddyDialect.h"
#include "buddy/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace buddy {
#define GEN_PASS_DEF_PACKMATMULPASS
#include "buddy/Passes.h.inc"
namespace {

/// Looks through a transposition: packing reads either order.
MatrixOperand lookThroughTranspose(Value value) {
  if (auto transpose = value.getDefiningOp<linalg::TransposeOp>())
    if (transpose.getPermutation() == ArrayRef<int64_t>{1, 0})
      return {transpose.getInput(), true};
  return {value, false};
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
    Type element = getElementTypeOrSelf(rhs);
    bool ofBytes = options.hasInt8Dot && element.isInteger(8) &&
                   getElementTypeOrSelf(init).isInteger(32) &&
                   op.getCast() == linalg::TypeFn::cast_signed;
    if (!(ofBytes || isa<Float32Type, BFloat16Type, Float16Type>(element)) ||
        getElementTypeOrSelf(lhs) != element)
      return rewriter.notifyMatchFailure(
          op, "operands are not both f32, bf16, f16 or bytes that the CPU adds up");
    if (!isZeroFill(init))
      return rewriter.notifyMatchFailure(op, "accumulates into a value");
    int64_t kr = ofBytes ? 4 : element.isBF16() && options.hasBf16Dot ? 2 : 1;
    Value packed =
        packRhs(rewriter, op.getLoc(), lookThroughTranspose(rhs), 2 * options.vectorBits / 32, kr);
    Value empty = init.getDefiningOp<linalg::FillOp>().getOutputs()[0];
    rewriter.replaceOpWithNewOp<MatmulOp>(op, op.getResultTypes(), lhs, packed, empty,
                                          /*transposed=*/false);
    return success();
  }

  PackMatmulPassOptions options;
};

struct PackMatmulPass : impl::PackMatmulPassBase<PackMatmulPass> {
  using Base::Base;

  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<PackMatmul>(&getContext(),
                             PackMatmulPassOptions{vectorBits, hasBf16Dot, hasInt8Dot});
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
} // namespace buddy
