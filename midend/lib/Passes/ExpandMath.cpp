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

/// Writes the arithmetic of one polynomial on vectors of f32.
struct PolynomialBuilder : ImplicitLocOpBuilder {
  PolynomialBuilder(Operation *op, PatternRewriter &rewriter)
      : ImplicitLocOpBuilder(op->getLoc(), rewriter),
        type(cast<VectorType>(op->getResult(0).getType())) {}

  Value splat(double value) {
    Attribute element = getF32FloatAttr(static_cast<float>(value));
    return arith::ConstantOp::create(*this, DenseElementsAttr::get(type, element));
  }
  Value add(Value x, Value y) { return arith::AddFOp::create(*this, x, y); }
  Value sub(Value x, Value y) { return arith::SubFOp::create(*this, x, y); }
  Value mul(Value x, Value y) { return arith::MulFOp::create(*this, x, y); }
  Value fma(Value x, Value y, Value z) { return math::FmaOp::create(*this, x, y, z); }
  Value exp(Value x) { return math::ExpOp::create(*this, x); }
  Value less(Value x, Value y) {
    return arith::CmpFOp::create(*this, arith::CmpFPredicate::OLT, x, y);
  }
  Value select(Value condition, Value x, Value y) {
    return arith::SelectOp::create(*this, condition, x, y);
  }

  /// The smaller or larger of a limit and `x`, where a NaN of x passes through. It is one
  /// instruction of x86; `arith.minimumf`, which orders zeros too, is three.
  Value atMost(Value x, double limit) { return select(less(splat(limit), x), splat(limit), x); }
  Value atLeast(Value x, double limit) { return select(less(x, splat(limit)), splat(limit), x); }

  /// c[0] + c[1] x + c[2] x^2 + ...
  Value polynomial(ArrayRef<double> c, Value x) {
    Value sum = splat(c.back());
    for (double coefficient : llvm::reverse(c.drop_back()))
      sum = fma(sum, x, splat(coefficient));
    return sum;
  }

  VectorType type;
};

bool isFloatVector(Operation *op) {
  auto type = dyn_cast<VectorType>(op->getResult(0).getType());
  return type && type.getElementType().isF32();
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

/// Column i is our own minimax fit of erf((i + r) / 8) on 0 <= r < 1, powers of r from the lowest;
/// the first column that of erf(r / 8) - r / 8.
constexpr float kErf[6][32] = {
    {0,         0.1403162, 0.2763264,  0.4041169,  0.5204999,  0.6232409,  0.71115565, 0.7840751,
     0.8427008, 0.8883882, 0.92290014, 0.94817007, 0.96610516, 0.97844374, 0.9866717,  0.99199003,
     0.9953223, 0.997346,  0.9985373,  0.99921703, 0.999593,   0.9997946,  0.9998994,  0.99995214,
     0.9999779, 0.9999901, 0.9999957,  0.9999982,  0.9999993,  0.9999997,  0.9999999,  0.99999994},
    {0.016047396,   0.13886066,    0.13250177,   0.122544095,   0.109847814, 0.09543744,
     0.08036638,    0.06559313,    0.05188844,   0.03978425,    0.029565142, 0.021294974,
     0.014866289,   0.0100590335,  0.0065968754, 0.0041932287,  0.002583373, 0.0015426022,
     0.00089278945, 0.00050080934, 0.0002722852, 0.00014348413, 7.328447e-5, 3.627841e-5,
     1.7406552e-5,  8.094788e-6,   3.6486013e-6, 1.5939529e-6,  6.749207e-7, 2.769862e-7,
     1.1017719e-7,  4.2476945e-8},
    {3.4876062e-9,   -0.0021696563,  -0.004140615,  -0.0057441797, -0.0068654185,  -0.0074559967,
     -0.0075343186,  -0.0071742437,  -0.0064860703, -0.0055946885, -0.0046195877,  -0.0036601063,
     -0.0027874557,  -0.0020432596,  -0.0014430768, -0.0009827915, -0.00064584217, -0.00040975,
     -0.00025109234, -0.00014867318, -8.5085216e-5, -4.707772e-5,  -2.518939e-5,   -1.30361195e-5,
     -6.5265526e-6,  -3.1614852e-6,  -1.4819359e-6, -6.722812e-7,  -2.9519055e-7,  -1.2546587e-7,
     -5.162469e-8,   -2.056513e-8},
    {-0.0007346475, -0.0007008154, -0.00060413516, -0.00045907046, -0.00028636865, -0.000108967964,
     5.219019e-5,   0.00018146621, 0.00027031646,  0.00031741257,  0.00032736556,  0.00030861387,
     0.00027111606, 0.00022437895, 0.000176134,    0.00013173714,  9.418122e-5,    6.4510234e-5,
     4.2410287e-5,  2.6797268e-5,  1.6291535e-5,   9.538279e-6,    5.381837e-6,    2.9282387e-6,
     1.5371609e-6,  7.78857e-7,    3.8105173e-7,   1.8006843e-7,   8.221306e-8,    3.62745e-8,
     1.5470723e-8,  6.378965e-9},
    {6.2884915e-8,  1.7133874e-5,  3.1559845e-5,  4.131183e-5,   4.5300294e-5, 4.3544776e-5,
     3.7054815e-5,  2.7499098e-5,  1.6773945e-5,  6.5960185e-6,  -1.787255e-6, -7.721775e-6,
     -1.1115427e-5, -1.2297947e-5, -1.1834772e-5, -1.0351148e-5, -8.40278e-6,  -6.4057754e-6,
     -4.6197156e-6, -3.1672591e-6, -2.0714888e-6, -1.2957504e-6, -7.766848e-7, -4.4679953e-7,
     -2.4697474e-7, -1.3130911e-7, -6.720421e-8,  -3.313226e-8,  -1.574386e-8, -7.2143207e-9,
     -3.1891354e-9, -1.3604886e-9},
    {3.3901695e-6,  2.867944e-6,   1.948634e-6,  8.1158424e-7,  -3.2521655e-7, -1.2661944e-6,
     -1.8800893e-6, -2.1201422e-6, -2.019999e-6, -1.6709026e-6, -1.1893849e-6, -6.866181e-7,
     -2.4672946e-7, 8.2625846e-8,  2.8857377e-7, 3.8407023e-7,  3.9628583e-7,  3.560771e-7,
     2.9067323e-7,  2.2003616e-7,  1.562656e-7,  1.0487886e-7,  6.6851854e-8,  4.061304e-8,
     2.357632e-8,   1.31044215e-8, 6.9852164e-9, 3.5751688e-9,  1.7588117e-9,  8.3239854e-10,
     3.792222e-10,  1.663932e-10},
};

/// Column i is our own minimax fit of tanh((i + r) / 3.5) on 0 <= r < 1, likewise.
constexpr float kTanh[7][32] = {
    {0,          0.2781855,  0.51640767, 0.6947827,  0.81537396, 0.89137346, 0.9371713,
     0.9640276,  0.97952545, 0.98838586, 0.99342465, 0.99628145, 0.9978984,  0.9988126,
     0.9993293,  0.9996212,  0.9997861,  0.9998792,  0.99993175, 0.9999615,  0.99997824,
     0.9999877,  0.9999931,  0.99999607, 0.9999978,  0.99999875, 0.9999993,  0.9999996,
     0.99999976, 0.9999999,  0.99999994, 0.99999994},
    {3.19457e-9,   0.26360363,    0.20952086,    0.14779344,    0.09576153,   0.05870096,
     0.034774296,  0.020185951,   0.011579983,   0.0065980987,  0.0037449743, 0.002120921,
     0.0011996634, 0.00067809183, 0.00038312873, 0.00021642292, 0.0001222381, 6.90365e-5,
     3.898821e-5,  2.2018005e-5,  1.2434175e-5,  7.0218703e-6,  3.9653987e-6, 2.239339e-6,
     1.2645976e-6, 7.1414206e-7,  4.0328902e-7,  2.2774485e-7,  1.2861159e-7, 7.262928e-8,
     4.1015152e-8, 2.3161961e-8},
    {-2.3443303e-7,  -0.02095116,    -0.030913081,   -0.029338285,  -0.022309123,  -0.014949951,
     -0.009311317,   -0.0055599553,  -0.0032408237,  -0.0018632733, -0.0010629545, -0.0006037223,
     -0.00034203954, -0.00019350984, -0.00010939156, -6.181149e-5,  -3.491758e-5,  -1.9722262e-5,
     -1.1138691e-5,  -6.290594e-6,   -3.5525316e-6,  -2.0062164e-6, -1.1329594e-6, -6.3980406e-7,
     -3.6131163e-7,  -2.0404103e-7,  -1.1522461e-7,  -6.507046e-8,  -3.6746062e-8, -2.0750795e-8,
     -1.1718762e-8,  -6.6175927e-9},
    {-0.0077717467, -0.005510461, -0.001144381, 0.0018017212,  0.0025922577,  0.002210715,
     0.001547224,   0.0009821901, 0.0005918829, 0.00034662278, 0.00019978512, 0.00011412827,
     6.486995e-5,   3.6767633e-5, 2.0806314e-5, 1.1763423e-5,  6.647396e-6,   3.755302e-6,
     2.1211329e-6,  1.1979841e-6, 6.7656913e-7, 3.8208307e-7,  2.1577586e-7,  1.2184444e-7,
     6.8813804e-8,  3.886439e-8,  2.1943874e-8, 1.2394828e-8,  6.9986097e-9,  3.950533e-9,
     2.2314195e-9,  1.2598463e-9},
    {-1.2211223e-5,  0.0010156555,   0.0010222116,  0.00044262607, 1.001066e-6,   -0.0001578786,
     -0.00016158509, -0.00011939436, -7.744565e-5,  -4.7134963e-5, -2.7740707e-5, -1.6030832e-5,
     -9.1706515e-6,  -5.2166192e-6,  -2.958013e-6,  -1.674308e-6,  -9.467444e-7,  -5.350376e-7,
     -3.0227108e-7,  -1.7073792e-7,  -9.6432395e-8, -5.4457363e-8, -3.0758212e-8, -1.7352937e-8,
     -9.809554e-9,   -5.5446314e-9,  -3.1259024e-9, -1.7687682e-9, -9.97846e-10,  -5.6013494e-10,
     -3.157762e-10,  -1.7850064e-10},
    {0.00027822796, 9.865496e-5,   -0.0001065323, -0.00011833994, -5.3755644e-5, -8.947671e-6,
     7.2585476e-6,  9.377094e-6,   7.268971e-6,   4.792045e-6,    2.936284e-6,   1.7336054e-6,
     1.0034311e-6,  5.745148e-7,   3.2695812e-7,  1.8544485e-7,   1.049802e-7,   5.936652e-8,
     3.3551576e-8,  1.8955472e-8,  1.0707932e-8,  6.0446443e-9,   3.417255e-9,   1.9153334e-9,
     1.0899373e-9,  6.1851135e-10, 3.4558192e-10, 1.9732332e-10,  1.1100665e-10, 5.970103e-11,
     3.2431283e-11, 1.885578e-11},
    {-2.2830962e-5,  -3.4164597e-5, -4.0571545e-6,  1.0114198e-5,   7.6131228e-6,   2.8917252e-6,
     4.4404504e-7,   -3.224936e-7,  -4.0792662e-7,  -3.110645e-7,   -2.0307091e-7,  -1.237296e-7,
     -7.281698e-8,   -4.2070326e-8, -2.406266e-8,   -1.3686177e-8,  -7.759631e-9,   -4.392017e-9,
     -2.4834255e-9,  -1.4034333e-9, -7.9313306e-10, -4.4699497e-10, -2.5363356e-10, -1.3857589e-10,
     -8.0894784e-11, -4.635506e-11, -2.5169e-11,    -1.4725256e-11, -8.272515e-12,  -3.6925662e-12,
     -1.492984e-12,  -1.1022708e-12},
};

/// The elements of two registers of numbers, which AVX-512 looks up in one instruction.
Value lookUp(PolynomialBuilder &b, ArrayRef<float> table, Value index) {
  auto half = [&](ArrayRef<float> part) -> Value {
    return arith::ConstantOp::create(b, DenseElementsAttr::get(b.type, part));
  };
  return LLVM::CallIntrinsicOp::create(
             b, b.type, b.getStringAttr("llvm.x86.avx512.vpermi2var.ps.512"),
             ValueRange{half(table.take_front(16)), index, half(table.drop_front(16))})
      .getResult(0);
}

/// An odd function that is one from the end of the last piece on: in 32 pieces, of polynomials that
/// are shorter than one for all of them, and without an exponential. The first piece adds to x.
template <typename Function, int64_t coefficients>
struct ExpandInPieces : OpRewritePattern<Function> {
  using Table = const float[coefficients][32];
  ExpandInPieces(MLIRContext *context, Table &table, float perUnit)
      : OpRewritePattern<Function>(context, /*benefit=*/3), table(table), perUnit(perUnit) {}

  LogicalResult matchAndRewrite(Function op, PatternRewriter &rewriter) const override {
    if (!isFloatVector(op) || cast<VectorType>(op.getType()).getShape() != ArrayRef<int64_t>{16})
      return rewriter.notifyMatchFailure(op, "not a vector of 16 f32");
    PolynomialBuilder b(op, rewriter);
    Value x = op.getOperand();
    Value size = b.atMost(math::AbsFOp::create(b, x), std::nextafter(32 / perUnit, 0.0f));
    Value scaled = b.mul(size, b.splat(perUnit)), whole = math::FloorOp::create(b, scaled);
    Value piece = arith::FPToSIOp::create(b, b.type.clone(b.getI32Type()), whole);
    Value r = b.sub(scaled, whole), sum = lookUp(b, table[coefficients - 1], piece);
    for (int64_t power = coefficients - 2; power > 0; --power)
      sum = b.fma(sum, r, lookUp(b, table[power], piece));
    Value first = b.select(b.less(scaled, b.splat(1)), size, lookUp(b, table[0], piece));
    rewriter.replaceOpWithNewOp<math::CopySignOp>(op, b.fma(sum, r, first), x);
    return success();
  }

  Table &table;
  float perUnit;
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
    if (hasAVX512) {
      patterns.add<ExpandInPieces<math::ErfOp, 6>>(&getContext(), kErf, 8.0f);
      patterns.add<ExpandInPieces<math::TanhOp, 7>>(&getContext(), kTanh, 3.5f);
    }
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
