// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "buddy/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Tosa/IR/TosaOps.h"
#include "mlir/Dialect/Tosa/Utils/ConversionUtils.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"

using namespace mlir;

namespace buddy {
#define GEN_PASS_DEF_LOWERTOSAPASS
#include "buddy/Passes.h.inc"
namespace {

Value filled(OpBuilder &b, Location loc, RankedTensorType type, TypedAttr value) {
  Value empty = tensor::EmptyOp::create(b, loc, type.getShape(), type.getElementType());
  Value number = arith::ConstantOp::create(b, loc, value);
  return linalg::FillOp::create(b, loc, number, empty).getResult(0);
}

TypedAttr infinity(FloatType type, bool negative) {
  return FloatAttr::get(type, APFloat::getInf(type.getFloatSemantics(), negative));
}

Value reshaped(PatternRewriter &b, Location loc, Value value, ArrayRef<int64_t> shape) {
  auto sizes = tosa::getTosaConstShape(b, loc, shape);
  Type type = cast<RankedTensorType>(value.getType()).clone(shape);
  return tosa::ReshapeOp::create(b, loc, type, value, sizes);
}

Value transposed(PatternRewriter &b, Location loc, Value value, ArrayRef<int32_t> order) {
  auto type = cast<RankedTensorType>(value.getType());
  SmallVector<int64_t> shape;
  for (int32_t dim : order)
    shape.push_back(type.getDimSize(dim));
  return tosa::TransposeOp::create(b, loc, type.clone(shape), value, b.getDenseI32ArrayAttr(order));
}

/// `value` with a border around the two dimensions from `first` on: top, bottom, left, right.
Value bordered(PatternRewriter &b, Location loc, Value value, int64_t first, ArrayRef<int64_t> pad,
               TypedAttr border) {
  if (llvm::all_of(pad, [](int64_t size) { return size == 0; }))
    return value;
  auto type = cast<RankedTensorType>(value.getType());
  SmallVector<int64_t> shape(type.getShape()), sizes(2 * shape.size(), 0);
  for (auto [i, size] : llvm::enumerate(pad)) {
    sizes[2 * first + i] = size;
    shape[first + i / 2] += size;
  }
  auto number = RankedTensorType::get({1}, type.getElementType());
  Value fill = tosa::ConstOp::create(b, loc, number, DenseElementsAttr::get(number, border));
  return tosa::PadOp::create(b, loc, type.clone(shape), value,
                             tosa::getTosaConstShape(b, loc, sizes), fill);
}

bool areStatic(ValueRange values) {
  return llvm::all_of(values, [](Value value) {
    auto type = dyn_cast<RankedTensorType>(value.getType());
    return type && type.hasStaticShape();
  });
}

/// A batch of one as a plain product, which reads packed weights.
struct PlainMatmul : OpRewritePattern<tosa::MatMulOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(tosa::MatMulOp op, PatternRewriter &rewriter) const override {
    auto type = dyn_cast<RankedTensorType>(op.getType());
    auto lhs = dyn_cast<RankedTensorType>(op.getA().getType());
    auto rhs = dyn_cast<RankedTensorType>(op.getB().getType());
    for (RankedTensorType each : {type, lhs, rhs})
      if (!each || !each.hasStaticShape() || each.getDimSize(0) != 1)
        return rewriter.notifyMatchFailure(op, "sizes are dynamic, or there are several batches");
    if (!isa<FloatType>(lhs.getElementType()))
      return rewriter.notifyMatchFailure(op, "integers have zero points");
    Location loc = op.getLoc();
    auto plain = RankedTensorType::get(type.getShape().drop_front(), type.getElementType());
    Value sums = filled(rewriter, loc, plain, rewriter.getZeroAttr(type.getElementType()));
    SmallVector<Value> operands{reshaped(rewriter, loc, op.getA(), lhs.getShape().drop_front()),
                                reshaped(rewriter, loc, op.getB(), rhs.getShape().drop_front())};
    Value product = linalg::MatmulOp::create(rewriter, loc, plain, operands, sums).getResult(0);
    rewriter.replaceOp(op, reshaped(rewriter, loc, product, type.getShape()));
    return success();
  }
};

/// An extremum of floats that starts at an infinity: upstream's start at the largest finite
/// number is wrong where all elements are infinite.
template <typename Reduce, typename Combine> struct Extremum : OpRewritePattern<Reduce> {
  using OpRewritePattern<Reduce>::OpRewritePattern;
  LogicalResult matchAndRewrite(Reduce op, PatternRewriter &rewriter) const override {
    auto type = dyn_cast<RankedTensorType>(op.getType());
    auto element = dyn_cast<FloatType>(getElementTypeOrSelf(op.getType()));
    if (!type || !type.hasStaticShape() || !element)
      return rewriter.notifyMatchFailure(op, "sizes are dynamic, or elements are integers");
    if (op.getNanMode() != tosa::NanPropagationMode::PROPAGATE)
      return rewriter.notifyMatchFailure(op, "NaN is to be ignored");
    Location loc = op.getLoc();
    SmallVector<int64_t> shape(type.getShape());
    shape.erase(shape.begin() + op.getAxis());
    bool negative = std::is_same_v<Combine, arith::MaximumFOp>;
    Value start =
        filled(rewriter, loc, RankedTensorType::get(shape, element), infinity(element, negative));
    auto build = [](OpBuilder &b, Location at, ValueRange arguments) {
      Value result = Combine::create(b, at, arguments[0], arguments[1]);
      linalg::YieldOp::create(b, at, result);
    };
    int64_t axis = op.getAxis();
    auto reduce = linalg::ReduceOp::create(rewriter, loc, op.getInput(), start, axis, build);
    rewriter.replaceOp(op, reshaped(rewriter, loc, reduce.getResult(0), type.getShape()));
    return success();
  }
};

/// The same for windows, and for their border.
struct MaxPool : OpRewritePattern<tosa::MaxPool2dOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(tosa::MaxPool2dOp op, PatternRewriter &rewriter) const override {
    auto type = dyn_cast<RankedTensorType>(op.getType());
    auto element = dyn_cast<FloatType>(getElementTypeOrSelf(op.getType()));
    if (!areStatic({op.getInput(), op.getResult()}) || !element)
      return rewriter.notifyMatchFailure(op, "sizes are dynamic, or elements are integers");
    if (op.getNanMode() != tosa::NanPropagationMode::PROPAGATE)
      return rewriter.notifyMatchFailure(op, "NaN is to be ignored");
    Location loc = op.getLoc();
    TypedAttr least = infinity(element, /*negative=*/true);
    Value input = bordered(rewriter, loc, op.getInput(), 1, op.getPad(), least);
    Value window = tensor::EmptyOp::create(rewriter, loc, op.getKernel(), element);
    Value start = filled(rewriter, loc, type, least);
    rewriter.replaceOpWithNewOp<linalg::PoolingNhwcMaxOp>(
        op, type, ValueRange{input, window}, start, rewriter.getI64VectorAttr(op.getStride()),
        rewriter.getI64VectorAttr({1, 1}));
    return success();
  }
};

/// A convolution as the one that packed weights serve, between transpositions that cancel with
/// those around it; the bias is added afterwards, before the sums are rounded.
template <typename Convolution> struct Convolve : OpRewritePattern<Convolution> {
  using OpRewritePattern<Convolution>::OpRewritePattern;
  LogicalResult matchAndRewrite(Convolution op, PatternRewriter &rewriter) const override {
    if (!areStatic(op->getOperands()) || !areStatic(op->getResults()))
      return rewriter.notifyMatchFailure(op, "sizes are dynamic");
    Type element = getElementTypeOrSelf(op.getInput());
    if (!isa<FloatType>(element))
      return rewriter.notifyMatchFailure(op, "integers have zero points");
    Location loc = op.getLoc();
    Value input = transposed(rewriter, loc, op.getInput(), {0, 3, 1, 2});
    input = bordered(rewriter, loc, input, 2, op.getPad(), rewriter.getZeroAttr(element));
    ArrayRef<int64_t> last = op.getType().getShape();
    SmallVector<int64_t> first{last[0], last[3], last[1], last[2]};
    Value sums = reshaped(rewriter, loc, sumsOf(op, input, first, rewriter), first);
    sums = transposed(rewriter, loc, sums, {0, 2, 3, 1});
    rewriter.replaceOpWithNewOp<tosa::CastOp>(op, op.getType(), biased(op, sums, rewriter));
    return success();
  }

  /// [N, F, H, W]
  static Value sumsOf(tosa::Conv2DOp op, Value input, ArrayRef<int64_t> shape,
                      PatternRewriter &rewriter) {
    Location loc = op.getLoc();
    Value kernel = transposed(rewriter, loc, op.getWeight(), {0, 3, 1, 2});
    return convolved<linalg::Conv2DNchwFchwOp>(op, input, kernel, shape, rewriter);
  }

  /// [N, C, M, H, W]: a group for each channel.
  static Value sumsOf(tosa::DepthwiseConv2DOp op, Value input, ArrayRef<int64_t> shape,
                      PatternRewriter &rewriter) {
    Location loc = op.getLoc();
    auto split = [](ArrayRef<int64_t> shape, int64_t dim, int64_t groups) {
      SmallVector<int64_t> parts(shape);
      parts[dim] /= groups;
      parts.insert(parts.begin() + dim, groups);
      return parts;
    };
    auto sizes = [](Value value) { return cast<RankedTensorType>(value.getType()).getShape(); };
    Value kernel = transposed(rewriter, loc, op.getWeight(), {2, 3, 0, 1});
    int64_t channels = sizes(kernel)[0];
    kernel = reshaped(rewriter, loc, kernel, split(sizes(kernel), 1, sizes(kernel)[1]));
    input = reshaped(rewriter, loc, input, split(sizes(input), 1, channels));
    return convolved<linalg::Conv2DNgchwGfchwOp>(op, input, kernel, split(shape, 1, channels),
                                                 rewriter);
  }

  template <typename Named>
  static Value convolved(Convolution op, Value input, Value kernel, ArrayRef<int64_t> shape,
                         PatternRewriter &rewriter) {
    Type sum = op.getAccType();
    Value start =
        filled(rewriter, op.getLoc(), RankedTensorType::get(shape, sum), rewriter.getZeroAttr(sum));
    return Named::create(rewriter, op.getLoc(), start.getType(), ValueRange{input, kernel}, start,
                         rewriter.getI64VectorAttr(op.getStride()),
                         rewriter.getI64VectorAttr(op.getDilation()))
        .getResult(0);
  }

  static Value biased(Convolution op, Value sums, PatternRewriter &rewriter) {
    if (matchPattern(op.getBias(), m_AnyZeroFloat()))
      return sums;
    Location loc = op.getLoc();
    int64_t count = cast<RankedTensorType>(op.getBias().getType()).getDimSize(0);
    Value bias = reshaped(rewriter, loc, op.getBias(), {1, 1, 1, count});
    Type wide = cast<RankedTensorType>(bias.getType()).clone(op.getAccType());
    bias = tosa::CastOp::create(rewriter, loc, wide, bias);
    return tosa::AddOp::create(rewriter, loc, sums.getType(), sums, bias);
  }
};

struct LowerTosaPass : impl::LowerTosaPassBase<LowerTosaPass> {
  using Base::Base;

  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<PlainMatmul, Extremum<tosa::ReduceMaxOp, arith::MaximumFOp>,
                 Extremum<tosa::ReduceMinOp, arith::MinimumFOp>, MaxPool, Convolve<tosa::Conv2DOp>,
                 Convolve<tosa::DepthwiseConv2DOp>>(&getContext());
    walkAndApplyPatterns(getOperation(), std::move(patterns));
  }
};
} // namespace
} // namespace buddy
