// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Layout.h"
#include "buddy/IR/BuddyDialect.h"
#include "buddy/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace buddy {
#define GEN_PASS_DEF_PACKMATMULPASS
#include "buddy/Passes.h.inc"
namespace {

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
  SmallVector<int64_t> positions =
      rhs.transposed ? SmallVector<int64_t>{0, 1} : SmallVector<int64_t>{1, 0};
  SmallVector<OpFoldResult> tiles{rewriter.getIndexAttr(nr), rewriter.getIndexAttr(kr)};
  Value empty = linalg::PackOp::createDestinationTensor(rewriter, loc, rhs.matrix, tiles, positions,
                                                        positions);
  auto element = cast<ShapedType>(rhs.matrix.getType()).getElementType();
  Value zero = arith::ConstantOp::create(rewriter, loc, rewriter.getZeroAttr(element));
  return linalg::PackOp::create(rewriter, loc, rhs.matrix, empty, positions, tiles, zero, positions)
      .getResult();
}

/// `value` with zeros after its last dimension, which becomes `extent` long.
Value padded(PatternRewriter &rewriter, Location loc, Value value, int64_t extent) {
  auto type = cast<RankedTensorType>(value.getType());
  SmallVector<int64_t> shape(type.getShape());
  if (shape.back() == extent)
    return value;
  SmallVector<OpFoldResult> low(shape.size(), rewriter.getIndexAttr(0)), high(low);
  high.back() = rewriter.getIndexAttr(extent - shape.back());
  shape.back() = extent;
  auto element = type.getElementType();
  Value zero = arith::ConstantOp::create(rewriter, loc, rewriter.getZeroAttr(element));
  return tensor::PadOp::create(rewriter, loc, type.clone(shape), value, low, high, zero);
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

SmallVector<int64_t> pairOf(DenseIntElementsAttr attribute) {
  return llvm::to_vector(attribute.getValues<int64_t>());
}

constexpr std::array<int64_t, 4> toChannelsLast{0, 2, 3, 1}, fromChannelsLast{0, 3, 1, 2};

/// The tensor that `value` reads backwards along both of its last two dimensions, if it does so and
/// nothing else. Extents of one count as read backwards.
Value mirroredSource(Value value) {
  auto op = value.getDefiningOp<linalg::GenericOp>();
  if (!op || op.getNumDpsInputs() != 0 || op.getNumReductionLoops() != 0 || op.getNumLoops() != 4 ||
      !op.getMatchingIndexingMap(op.getDpsInitOperand(0)).isIdentity())
    return {};
  auto extract = op.getBody()->getTerminator()->getOperand(0).getDefiningOp<tensor::ExtractOp>();
  if (!extract || extract->getBlock() != op.getBody() ||
      extract.getTensor().getType() != value.getType())
    return {};
  for (auto [dim, index] : llvm::enumerate(extract.getIndices())) {
    int64_t extent = cast<ShapedType>(value.getType()).getDimSize(dim);
    if (dim >= 2 && extent != 1) {
      auto difference = index.getDefiningOp<arith::SubIOp>();
      if (!difference || getConstantIntValue(difference.getLhs()) != extent - 1)
        return {};
      index = difference.getRhs();
    }
    auto loop = index.getDefiningOp<linalg::IndexOp>();
    if (!loop || loop.getDim() != dim)
      return {};
  }
  return extract.getTensor();
}

/// The kernel [F, C, H, W] of a convolution: dimensions `order` of `weight`, mirrored or not.
struct ConvolutionKernel {
  Value weight;
  SmallVector<int64_t, 4> order{0, 1, 2, 3};
  bool mirrored = false;

  /// Looks through what packing and the loops do on their own.
  explicit ConvolutionKernel(Value value) : weight(value) {
    auto transpose = weight.getDefiningOp<linalg::TransposeOp>();
    if (transpose && transpose.getPermutation() == ArrayRef<int64_t>{1, 0, 2, 3}) {
      order = {1, 0, 2, 3};
      weight = transpose.getInput();
    }
    if (Value source = mirroredSource(weight)) {
      weight = source;
      mirrored = true;
    }
  }

  /// [F/nr, steps, nr, kr], where a step begins after each `run` elements of a row.
  Value pack(PatternRewriter &rewriter, Location loc, int64_t nr, int64_t kr, int64_t run) const {
    auto type = cast<RankedTensorType>(weight.getType());
    if (type.getDimSize(order[0]) % nr != 0 || type.getDimSize(order[1]) % kr != 0) {
      std::array<int64_t, 4> last{order[0], order[2], order[3], order[1]};
      Value elements = transposed(rewriter, loc, weight, last);
      bool ofRows = run != type.getDimSize(order[1]);
      using Groups = SmallVector<ReassociationIndices>;
      Value runs = tensor::CollapseShapeOp::create(
          rewriter, loc, elements, ofRows ? Groups{{0}, {1}, {2, 3}} : Groups{{0}, {1, 2}, {3}});
      Value matrix = tensor::CollapseShapeOp::create(
          rewriter, loc, padded(rewriter, loc, runs, llvm::alignTo(run, kr)), Groups{{0}, {1, 2}});
      return packRhs(rewriter, loc, {matrix, /*transposed=*/true}, nr, kr);
    }
    // Nothing to fill up: one transposition.
    SmallVector<int64_t> parts(type.getShape());
    parts[order[0]] /= nr;
    parts[order[1]] /= kr;
    parts.insert(parts.begin() + 1, order[0] == 0 ? nr : kr);
    parts.insert(parts.begin() + 3, order[0] == 0 ? kr : nr);
    SmallVector<ReassociationIndices> groups{{0, 1}, {2, 3}, {4}, {5}};
    Value split = tensor::ExpandShapeOp::create(rewriter, loc, type.clone(parts), weight, groups);
    int64_t filters = 2 * order[0], channels = 2 * order[1];
    Value panels =
        transposed(rewriter, loc, split, {filters, 4, 5, channels, filters + 1, channels + 1});
    return tensor::CollapseShapeOp::create(
        rewriter, loc, panels, SmallVector<ReassociationIndices>{{0}, {1, 2, 3}, {4}, {5}});
  }
};

/// A convolution between transpositions, which cancel with those of its neighbours.
struct PackConvolution : OpRewritePattern<linalg::Conv2DNchwFchwOp> {
  PackConvolution(MLIRContext *context, const PackMatmulPassOptions &options)
      : OpRewritePattern(context), options(options) {}

  LogicalResult matchAndRewrite(linalg::Conv2DNchwFchwOp op,
                                PatternRewriter &rewriter) const override {
    if (!op.hasPureTensorSemantics())
      return rewriter.notifyMatchFailure(op, "operands are not tensors");
    Value input = op.getInputs()[0], weight = op.getInputs()[1], init = op.getOutputs()[0];
    auto shape = cast<RankedTensorType>(weight.getType());
    Type element = shape.getElementType();
    if (!isa<Float32Type, BFloat16Type, Float16Type>(element) ||
        cast<ShapedType>(input.getType()).getElementType() != element)
      return rewriter.notifyMatchFailure(op, "operands are not both f32, bf16 or f16");
    if (!isZeroFill(init) || ShapedType::isDynamicShape(shape.getShape().drop_front()))
      return rewriter.notifyMatchFailure(op, "accumulates into a value, or has a dynamic kernel");
    Location loc = op.getLoc();
    SmallVector<int64_t> kernel(shape.getShape().take_back(2)),
        dilations = pairOf(op.getDilations());
    ConvolutionKernel source(weight);
    bool readsRows = Conv2DOp::readsRows(kernel[1], dilations[1], source.mirrored);
    int64_t run = shape.getDimSize(1) * (readsRows ? kernel[1] : 1);
    int64_t kr = element.isBF16() && options.hasBf16Dot ? 2 : 1;
    Value packed = source.pack(rewriter, loc, 2 * options.vectorBits / 32, kr, run);
    Value empty = init.getDefiningOp<linalg::FillOp>().getOutputs()[0];
    SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(rewriter, loc, empty), last;
    for (int64_t dim : toChannelsLast)
      last.push_back(sizes[dim]);
    auto outElement = cast<ShapedType>(init.getType()).getElementType();
    Value out = tensor::EmptyOp::create(rewriter, loc, last, outElement);
    auto convolution = Conv2DOp::create(
        rewriter, loc, out.getType(), transposed(rewriter, loc, input, toChannelsLast), packed, out,
        kernel, pairOf(op.getStrides()), dilations, source.mirrored);
    rewriter.replaceOp(op, transposed(rewriter, loc, convolution->getResult(0), fromChannelsLast));
    return success();
  }

  PackMatmulPassOptions options;
};

/// `value` without its dimension `dim`, whose extent is one.
Value dropDim(PatternRewriter &rewriter, Value value, int64_t dim) {
  auto rank = cast<ShapedType>(value.getType()).getRank();
  SmallVector<ReassociationIndices> groups;
  for (int64_t i = 0; i < rank; ++i)
    if (i == dim)
      groups.back().push_back(i);
    else
      groups.push_back({i});
  return tensor::CollapseShapeOp::create(rewriter, value.getLoc(), value, groups);
}

/// A kernel for each channel: a reduction over windows, which runs along the channels. It stands
/// between transpositions, which cancel with those of its neighbours.
struct LowerDepthwise : OpRewritePattern<linalg::Conv2DNgchwGfchwOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(linalg::Conv2DNgchwGfchwOp op,
                                PatternRewriter &rewriter) const override {
    Value weight = op.getInputs()[1], init = op.getOutputs()[0];
    auto shape = cast<RankedTensorType>(weight.getType());
    if (!op.hasPureTensorSemantics() || shape.getDimSize(1) != 1 || shape.getDimSize(2) != 1)
      return rewriter.notifyMatchFailure(op, "groups of several channels");
    if (!isZeroFill(init))
      return rewriter.notifyMatchFailure(op, "accumulates into a value");
    Location loc = op.getLoc();
    Value input =
        transposed(rewriter, loc, dropDim(rewriter, op.getInputs()[0], 2), toChannelsLast);
    Value kernel =
        transposed(rewriter, loc, dropDim(rewriter, dropDim(rewriter, weight, 1), 1), {1, 2, 0});
    Value zeros = zerosLike(rewriter, dropDim(rewriter, init, 2));
    Value windows = sumWindows(op, input, kernel, zeros, rewriter);
    SmallVector<ReassociationIndices> groups{{0}, {1, 2}, {3}, {4}};
    rewriter.replaceOpWithNewOp<tensor::ExpandShapeOp>(
        op, init.getType(), transposed(rewriter, loc, windows, fromChannelsLast), groups,
        tensor::getMixedSizes(rewriter, loc, init));
    return success();
  }

  /// Zeros with the channels of `value` last.
  static Value zerosLike(PatternRewriter &rewriter, Value value) {
    Location loc = value.getLoc();
    Type element = cast<ShapedType>(value.getType()).getElementType();
    SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(rewriter, loc, value), last;
    for (int64_t dim : toChannelsLast)
      last.push_back(sizes[dim]);
    Value empty = tensor::EmptyOp::create(rewriter, loc, last, element);
    Value zero = arith::ConstantOp::create(rewriter, loc, rewriter.getZeroAttr(element));
    return linalg::FillOp::create(rewriter, loc, zero, empty).getResult(0);
  }

  /// out[n, y, x, c] = sum over i, j of input[n, y * stride + i, x * stride + j, c] kernel[i, j, c]
  static Value sumWindows(linalg::Conv2DNgchwGfchwOp op, Value input, Value kernel, Value zeros,
                          PatternRewriter &rewriter) {
    AffineExpr n, y, x, c, i, j;
    bindDims(op.getContext(), n, y, x, c, i, j);
    SmallVector<int64_t> strides = pairOf(op.getStrides()), dilations = pairOf(op.getDilations());
    auto map = [&](ArrayRef<AffineExpr> exprs) {
      return AffineMap::get(6, 0, exprs, op.getContext());
    };
    SmallVector<utils::IteratorType> iterators(6, utils::IteratorType::parallel);
    iterators[4] = iterators[5] = utils::IteratorType::reduction;
    Type element = cast<ShapedType>(zeros.getType()).getElementType();
    auto body = [&](OpBuilder &b, Location loc, ValueRange arguments) {
      auto wide = [&](Value value) -> Value {
        if (value.getType() == element)
          return value;
        return arith::ExtFOp::create(b, loc, element, value);
      };
      constexpr auto contract = arith::FastMathFlags::contract;
      Value product =
          arith::MulFOp::create(b, loc, wide(arguments[0]), wide(arguments[1]), contract);
      Value sum = arith::AddFOp::create(b, loc, arguments[2], product, contract);
      linalg::YieldOp::create(b, loc, sum);
    };
    return linalg::GenericOp::create(
               rewriter, op.getLoc(), zeros.getType(), ValueRange{input, kernel}, zeros,
               {map({n, y * strides[0] + i * dilations[0], x * strides[1] + j * dilations[1], c}),
                map({i, j, c}), map({n, y, x, c})},
               iterators, body)
        .getResult(0);
  }
};

struct PackMatmulPass : impl::PackMatmulPassBase<PackMatmulPass> {
  using Base::Base;

  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<PackMatmul, PackConvolution>(
        &getContext(), PackMatmulPassOptions{vectorBits, hasBf16Dot, hasInt8Dot});
    patterns.add<LowerDepthwise>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
} // namespace buddy
