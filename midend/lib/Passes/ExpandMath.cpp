// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Transcendental functions of f32 vectors as polynomials, where libm would be called once
// for each lane. The accuracy of each is in the description of the pass.

#include "MathPieces.h"
#include "PolynomialBuilder.h"
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

#include <cmath>
#include <limits>

using namespace mlir;

namespace buddy {
#define GEN_PASS_DEF_EXPANDMATHPASS
#include "buddy/Passes.h.inc"
namespace {

/// The functions whose polynomials are as good as libm's for our purposes.
bool hasPolynomial(StringRef name) {
  return llvm::is_contained({math::ExpOp::getOperationName(), math::Exp2Op::getOperationName(),
                             math::ExpM1Op::getOperationName(), math::ErfOp::getOperationName(),
                             math::LogOp::getOperationName(), math::Log1pOp::getOperationName(),
                             math::Log2Op::getOperationName(), math::TanhOp::getOperationName()},
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

/// A number of `type`, in every lane of a vector.
Value splatOf(ImplicitLocOpBuilder &b, Type type, double value) {
  TypedAttr element = b.getFloatAttr(getElementTypeOrSelf(type), value);
  if (auto vector = dyn_cast<VectorType>(type))
    element = DenseElementsAttr::get(vector, element);
  return arith::ConstantOp::create(b, element);
}

/// The polynomial of a logarithm knows normal numbers only: smaller ones of f32 are scaled by 2^23
/// before, which takes `log(2^23)` off the result.
void scaleSubnormals(Operation *op) {
  if (!isa<math::LogOp, math::Log2Op>(op))
    return;
  Type type = op->getResult(0).getType();
  ImplicitLocOpBuilder b(op->getLoc(), op);
  Value x = op->getOperand(0);
  Value tiny = arith::CmpFOp::create(b, arith::CmpFPredicate::OLT, x,
                                     splatOf(b, type, std::numeric_limits<float>::min()));
  Value grown = arith::MulFOp::create(b, x, splatOf(b, type, 8388608.0));
  op->setOperand(0, arith::SelectOp::create(b, tiny, grown, x));
  double shift = isa<math::LogOp>(op) ? 23 * 0.69314718055994531 : 23;
  b.setInsertionPointAfter(op);
  Value lowered = arith::SubFOp::create(b, op->getResult(0), splatOf(b, type, shift));
  Value result = arith::SelectOp::create(b, tiny, lowered, op->getResult(0));
  op->getResult(0).replaceUsesWithIf(result, [&](OpOperand &use) {
    return use.getOwner() != lowered.getDefiningOp() && use.getOwner() != result.getDefiningOp();
  });
}

/// exp(x) - 1 and log(1 + x) where no polynomial stands for them. Taken literally, they lose the
/// digits of a small x. By Kahan, with u = exp(x) or 1 + x as rounded, log(u) / (u - 1) is right
/// to the last digits whatever u lost: the result is (u - 1) * x / log(u) or log(u) * x / (u - 1).
void keepSmallDigits(Operation *op) {
  bool isExp = isa<math::ExpM1Op>(op);
  Type type = op->getResult(0).getType();
  ImplicitLocOpBuilder b(op->getLoc(), op);
  Value x = op->getOperand(0), one = splatOf(b, type, 1);
  Value u =
      isExp ? math::ExpOp::create(b, x).getResult() : arith::AddFOp::create(b, x, one).getResult();
  Value rest = arith::SubFOp::create(b, u, one), log = math::LogOp::create(b, u);
  Value ratio = isExp ? arith::DivFOp::create(b, x, log) : arith::DivFOp::create(b, x, rest);
  Value result = arith::MulFOp::create(b, isExp ? rest : log, ratio);
  auto choose = [&](double value, Value where, Value instead) {
    Value equal =
        arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, where, splatOf(b, type, value));
    result = arith::SelectOp::create(b, equal, instead, result);
  };
  choose(1, u, x);
  choose(std::numeric_limits<double>::infinity(), u, u);
  if (isExp)
    choose(-1, rest, rest);
  op->getResult(0).replaceAllUsesWith(result);
  op->erase();
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

/// 2^n with n = round(x) times the rest: a polynomial, our own minimax fit, is as exact as f32
/// for |r| <= 1/2 (2^r) or ln(2)/2 (e^r).
Value emitExponential(PolynomialBuilder &b, Value n, ArrayRef<double> coefficients, Value r,
                      bool hasAVX512) {
  Value p = b.polynomial(coefficients, r);
  if (hasAVX512 && b.type.getShape() == ArrayRef<int64_t>{16})
    return scaleBySixteenPowers(b, p, n);
  Value exponent = arith::FPToSIOp::create(b, b.type.clone(b.getI32Type()), n);
  return scaleByPowerOf2(b, p, exponent);
}

/// e^x = 2^n e^r with n = round(x / ln 2). ln 2 is subtracted in two parts: the first has
/// trailing zeros, so that n times it is exact.
struct ExpandExp : OpRewritePattern<math::ExpOp> {
  ExpandExp(MLIRContext *context, bool hasAVX512)
      : OpRewritePattern(context, /*benefit=*/2), hasAVX512(hasAVX512) {}

  LogicalResult matchAndRewrite(math::ExpOp op, PatternRewriter &rewriter) const override {
    if (!isFloatVector(op))
      return rewriter.notifyMatchFailure(op, "not a vector of f32");
    PolynomialBuilder b(op, rewriter);
    // Beyond these the result is infinite or zero; within, n fits two exponents.
    Value x = b.atLeast(b.atMost(op.getOperand(), 89.0), -104.0);
    Value n = math::RoundEvenOp::create(b, b.mul(x, b.splat(1.44269504088896341)));
    Value r = b.fma(n, b.splat(-0.693359375), x);
    r = b.fma(n, b.splat(2.12194440054690583e-4), r);
    rewriter.replaceOp(
        op, emitExponential(b, n,
                            {1, 1, 0.4999999403953552, 0.16666431725025177, 0.04166800156235695,
                             0.00837415549904108, 0.0013843653723597527},
                            r, hasAVX512));
    return success();
  }

  bool hasAVX512;
};

/// 2^x, of which nothing is lost by taking n = round(x) off.
struct ExpandExp2 : OpRewritePattern<math::Exp2Op> {
  ExpandExp2(MLIRContext *context, bool hasAVX512)
      : OpRewritePattern(context, /*benefit=*/2), hasAVX512(hasAVX512) {}

  LogicalResult matchAndRewrite(math::Exp2Op op, PatternRewriter &rewriter) const override {
    if (!isFloatVector(op))
      return rewriter.notifyMatchFailure(op, "not a vector of f32");
    PolynomialBuilder b(op, rewriter);
    Value x = b.atLeast(b.atMost(op.getOperand(), 128.0), -150.0);
    Value n = math::RoundEvenOp::create(b, x), r = b.sub(x, n);
    rewriter.replaceOp(
        op, emitExponential(b, n,
                            {1, 0.6931471824645996, 0.24022647738456726, 0.055503323674201965,
                             0.00961843691766262, 0.0013398875016719103, 0.00015353361959569156},
                            r, hasAVX512));
    return success();
  }

  bool hasAVX512;
};

/// erf(x) = x + x P(x^2) for a small x, else +-(1 - exp(-Q(|x|))). Both are minimax polynomials
/// of our own fit: P of erf(x)/x - 1 on [0, 0.95], Q of -log(1 - erf(x)) on [0.95, 4], where erf
/// rounds to one.
struct ExpandErf : OpRewritePattern<math::ErfOp> {
  ExpandErf(MLIRContext *context) : OpRewritePattern(context, /*benefit=*/2) {}

  LogicalResult matchAndRewrite(math::ErfOp op, PatternRewriter &rewriter) const override {
    if (!isFloatVector(op))
      return rewriter.notifyMatchFailure(op, "not a vector of f32");
    PolynomialBuilder b(op, rewriter);
    Value x = op.getOperand(), size = math::AbsFOp::create(b, x);
    Value p = b.polynomial({0.12837916612625122, -0.37612631916999817, 0.11283671110868454,
                            -0.026858031749725342, 0.005197642371058464, -0.0008104441803880036,
                            8.20979694253765e-05},
                           b.mul(x, x));
    Value q = b.polynomial({-0.00023300941393245012, -1.1275254487991333, -0.6374280452728271,
                            -0.10372226685285568, 0.022129172459244728, -0.0030195144936442375,
                            0.00019360730948392302},
                           b.atMost(size, 4.0));
    Value small = b.fma(size, p, size), large = b.sub(b.splat(1), b.exp(q));
    Value result = b.select(b.less(size, b.splat(0.95)), small, large);
    rewriter.replaceOpWithNewOp<math::CopySignOp>(op, result, x);
    return success();
  }
};

/// tanh(x) = x + x^3 P(x^2) for a small x, with P our own minimax fit of (tanh(x)/x - 1)/x^2 on
/// [0, 0.6], else +-(1 - 2 / (exp(2 |x|) + 1)).
struct ExpandTanh : OpRewritePattern<math::TanhOp> {
  ExpandTanh(MLIRContext *context) : OpRewritePattern(context, /*benefit=*/2) {}

  LogicalResult matchAndRewrite(math::TanhOp op, PatternRewriter &rewriter) const override {
    if (!isFloatVector(op))
      return rewriter.notifyMatchFailure(op, "not a vector of f32");
    PolynomialBuilder b(op, rewriter);
    Value x = op.getOperand(), size = math::AbsFOp::create(b, x), square = b.mul(x, x);
    Value p = b.polynomial({-0.33333298563957214, 0.13331958651542664, -0.05378668010234833,
                            0.020805377513170242, -0.005905859638005495},
                           square);
    Value grown = b.add(b.exp(b.add(size, size)), b.splat(1));
    Value rest = arith::DivFOp::create(b, b.splat(2), grown);
    Value small = b.fma(size, b.mul(square, p), size), large = b.sub(b.splat(1), rest);
    Value result = b.select(b.less(size, b.splat(0.6)), small, large);
    rewriter.replaceOpWithNewOp<math::CopySignOp>(op, result, x);
    return success();
  }
};

struct ExpandMathPass : impl::ExpandMathPassBase<ExpandMathPass> {
  using Base::Base;
  void runOnOperation() override {
    SmallVector<Operation *> functions;
    getOperation()->walk([&](Operation *op) {
      if (isNarrowVectorFunction(op))
        functions.push_back(op);
    });
    for (Operation *function : functions) {
      widen(function);
      scaleSubnormals(function);
    }
    getOperation()->walk([&](Operation *op) {
      if (isa<math::ExpM1Op, math::Log1pOp>(op) && !isNarrowVectorFunction(op))
        keepSmallDigits(op);
    });
    RewritePatternSet patterns(&getContext());
    patterns.add<ExpandExp, ExpandExp2>(&getContext(), hasAVX512);
    patterns.add<ExpandErf, ExpandTanh>(&getContext());
    if (hasAVX512)
      populateMathInPieces(patterns);
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
