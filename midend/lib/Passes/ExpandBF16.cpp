// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Upstream's expansion ends in a select of bf16 values, which LLVM computes in f32 and rounds
// again, by the call that was to be avoided. Here every step is one of integers.

#include "buddy/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"

using namespace mlir;

namespace buddy {
#define GEN_PASS_DEF_EXPANDBF16PASS
#include "buddy/Passes.h.inc"
namespace {

/// The type of `type`'s shape with another element.
Type withElement(Type type, Type element) {
  auto shaped = dyn_cast<ShapedType>(type);
  return shaped ? Type(shaped.clone(element)) : element;
}

Value constant(ImplicitLocOpBuilder &b, Type type, int64_t value) {
  TypedAttr attribute = b.getIntegerAttr(getElementTypeOrSelf(type), value);
  if (auto shaped = dyn_cast<ShapedType>(type))
    attribute = SplatElementsAttr::get(shaped, cast<Attribute>(attribute));
  return arith::ConstantOp::create(b, attribute);
}

/// Rounds to nearest, ties to even: adds just less than half of the last kept bit's weight, and
/// that bit itself. Any NaN becomes the quiet one.
struct ExpandTruncation : OpRewritePattern<arith::TruncFOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(arith::TruncFOp op, PatternRewriter &rewriter) const override {
    if (!getElementTypeOrSelf(op.getType()).isBF16())
      return failure();
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    Value x = op.getIn();
    if (getElementTypeOrSelf(x).isF64())
      x = arith::TruncFOp::create(b, withElement(x.getType(), b.getF32Type()), x);
    if (!getElementTypeOrSelf(x).isF32())
      return failure();
    Type word = withElement(x.getType(), b.getI32Type());
    Type half = withElement(x.getType(), b.getI16Type());
    Value bits = arith::BitcastOp::create(b, word, x), sixteen = constant(b, word, 16);
    Value last = arith::AndIOp::create(b, arith::ShRUIOp::create(b, bits, sixteen).getResult(),
                                       constant(b, word, 1));
    Value bias = arith::AddIOp::create(b, last, constant(b, word, 0x7fff));
    Value rounded =
        arith::ShRUIOp::create(b, arith::AddIOp::create(b, bits, bias).getResult(), sixteen);
    Value isNaN = arith::CmpFOp::create(b, arith::CmpFPredicate::UNO, x, x);
    Value result = arith::SelectOp::create(b, isNaN, constant(b, half, 0x7fc0),
                                           arith::TruncIOp::create(b, half, rounded).getResult());
    rewriter.replaceOpWithNewOp<arith::BitcastOp>(op, op.getType(), result);
    return success();
  }
};

struct SelectBits : OpRewritePattern<arith::SelectOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(arith::SelectOp op, PatternRewriter &rewriter) const override {
    if (!getElementTypeOrSelf(op.getType()).isBF16())
      return failure();
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    Type half = withElement(op.getType(), b.getI16Type());
    auto bits = [&](Value value) -> Value { return arith::BitcastOp::create(b, half, value); };
    Value result = arith::SelectOp::create(b, op.getCondition(), bits(op.getTrueValue()),
                                           bits(op.getFalseValue()));
    rewriter.replaceOpWithNewOp<arith::BitcastOp>(op, op.getType(), result);
    return success();
  }
};

struct ExpandBF16Pass : impl::ExpandBF16PassBase<ExpandBF16Pass> {
  using Base::Base;

  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<ExpandTruncation, SelectBits>(&getContext());
    walkAndApplyPatterns(getOperation(), std::move(patterns));
  }
};
} // namespace
} // namespace buddy
