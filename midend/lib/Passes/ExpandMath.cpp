// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Transcendental functions of f32 vectors as polynomials, where libm would be called once
// for each lane. The accuracy of each is in the description of the pass.

#include "buddy/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace buddy {
#define GEN_PASS_DEF_EXPANDMATHPASS
#include "buddy/Passes.h.inc"
namespace {

/// The functions whose polynomials are as good as libm's for our purposes.
bool hasPolynomial(StringRef name) {
  return llvm::is_contained({math::ExpOp::getOperationName(), math::ExpM1Op::getOperationName(),
                             math::ErfOp::getOperationName(), math::LogOp::getOperationName(),
                             math::Log1pOp::getOperationName(), math::Log2Op::getOperationName(),
                             math::TanhOp::getOperationName()},
                            name);
}

/// Whether `op` is such a function of a vector of at most 32-bit floats.
bool isNarrowVectorFunction(Operation *op) {
  if (op->getNumResults() != 1 || !hasPolynomial(op->getName().getStringRef()))
    return false;
  auto type = dyn_cast<VectorType>(op->getResult(0).getType());
  return type && type.getElementType().getIntOrFloatBitWidth() <= 32;
}

/// f(x) for f16 or bf16 as the rounded f(x) of f32.
void widen(Operation *op) {
  auto type = cast<VectorType>(op->getResult(0).getType());
  if (type.getElementType().isF32())
    return;
  ImplicitLocOpBuilder b(op->getLoc(), op);
  Type wide = type.clone(b.getF32Type());
  for (OpOperand &operand : op->getOpOperands())
    operand.set(arith::ExtFOp::create(b, wide, operand.get()));
  op->getResult(0).setType(wide);
  b.setInsertionPointAfter(op);
  auto narrow = arith::TruncFOp::create(b, type, op->getResult(0));
  op->getResult(0).replaceAllUsesExcept(narrow, narrow);
}

/// x * 2^n for n in [-252, 254], by two steps that each stay within the exponent's range.
Value scaleByPowerOf2(ImplicitLocOpBuilder &b, Value x, Value n) {
  auto floats = cast<VectorType>(x.getType());
  auto ints = cast<VectorType>(n.getType());
  auto splat = [&](int32_t value) -> Value {
    return arith::ConstantOp::create(b, DenseElementsAttr::get(ints, b.getI32IntegerAttr(value)));
  };
  Value half = arith::ShRSIOp::create(b, n, splat(1)), rest = arith::SubIOp::create(b, n, half);
  for (Value exponent : {half, rest}) {
    Value biased = arith::AddIOp::create(b, exponent, splat(127));
    Value bits = arith::ShLIOp::create(b, biased, splat(23));
    x = arith::MulFOp::create(b, x, arith::BitcastOp::create(b, floats, bits).getResult());
  }
  return x;
}

/// The same for any n that is a whole number, by one instruction.
Value scaleBySixteenPowers(ImplicitLocOpBuilder &b, Value x, Value n) {
  auto all = arith::ConstantOp::create(b, b.getI16IntegerAttr(-1));
  auto currentRounding = arith::ConstantOp::create(b, b.getI32IntegerAttr(4));
  return LLVM::CallIntrinsicOp::create(b, x.getType(),
                                       b.getStringAttr("llvm.x86.avx512.mask.scalef.ps.512"),
                                       ValueRange{x, n, x, all, currentRounding})
      .getResult(0);
}

/// exp(x) = 2^n exp(r) with n = round(x / ln 2), so that |r| <= ln(2)/2, where the Taylor
/// polynomial of degree 7 is exact to a unit in the last place. ln 2 is subtracted in two
/// parts: the first has trailing zeros, so that n times it is exact.
struct ExpandExp : OpRewritePattern<math::ExpOp> {
  ExpandExp(MLIRContext *context, bool hasScalef)
      : OpRewritePattern(context, /*benefit=*/2), hasScalef(hasScalef) {}

  LogicalResult matchAndRewrite(math::ExpOp op, PatternRewriter &rewriter) const override {
    auto type = dyn_cast<VectorType>(op.getType());
    if (!type || !type.getElementType().isF32())
      return rewriter.notifyMatchFailure(op, "not a vector of f32");
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    auto splat = [&](double value) -> Value {
      return arith::ConstantOp::create(
          b, DenseElementsAttr::get(type, b.getF32FloatAttr(static_cast<float>(value))));
    };
    auto fma = [&](Value x, Value y, Value z) -> Value { return math::FmaOp::create(b, x, y, z); };
    // Beyond these the result is infinite or zero; within, n fits two exponents. The operand
    // stands second, so that a NaN passes through.
    Value x = arith::MinimumFOp::create(b, splat(89.0), op.getOperand());
    x = arith::MaximumFOp::create(b, splat(-104.0), x);
    Value n = math::RoundEvenOp::create(
        b, arith::MulFOp::create(b, x, splat(1.44269504088896341)).getResult());
    Value r = fma(n, splat(-0.693359375), x);
    r = fma(n, splat(2.12194440054690583e-4), r);
    Value p = splat(1.0 / 5040);
    for (double coefficient : {1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5, 1.0, 1.0})
      p = fma(p, r, splat(coefficient));
    if (hasScalef && type.getShape() == ArrayRef<int64_t>{16}) {
      rewriter.replaceOp(op, scaleBySixteenPowers(b, p, n));
      return success();
    }
    auto ints = type.clone(b.getI32Type());
    Value exponent = arith::FPToSIOp::create(b, ints, n);
    rewriter.replaceOp(op, scaleByPowerOf2(b, p, exponent));
    return success();
  }

  bool hasScalef;
};

struct ExpandMathPass : impl::ExpandMathPassBase<ExpandMathPass> {
  using Base::Base;
  void runOnOperation() override {
    SmallVector<Operation *> functions;
    getOperation()->walk([&](Operation *op) {
      if (isNarrowVectorFunction(op))
        functions.push_back(op);
    });
    for (Operation *function : functions)
      widen(function);
    RewritePatternSet patterns(&getContext());
    patterns.add<ExpandExp>(&getContext(), hasScalef);
    populateMathPolynomialApproximationPatterns(patterns, hasPolynomial);
    GreedyRewriteConfig config;
    // Only these ops: a function of one scalar is better left to libm.
    config.setStrictness(GreedyRewriteStrictness::ExistingAndNewOps);
    if (failed(applyOpPatternsGreedily(functions, std::move(patterns), config)))
      signalPassFailure();
  }
};

} // namespace
} // namespace buddy
