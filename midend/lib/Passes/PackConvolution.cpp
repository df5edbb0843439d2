// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Convolution.h"
#include "Layout.h"
#include "buddy/IR/BuddyDialect.h"
#include "buddy/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace buddy {
#define GEN_PASS_DEF_PACKCONVOLUTIONPASS
#include "buddy/Passes.h.inc"
namespace {

using Groups = SmallVector<ReassociationIndices>;

/// 0, 1, ..., with those from `first` on rotated so that `middle` comes first of them.
SmallVector<int64_t> rotated(int64_t rank, int64_t first, int64_t middle) {
  SmallVector<int64_t> order = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  std::rotate(order.begin() + first, order.begin() + middle, order.end());
  return order;
}

/// [N, C, ...] to [N, ..., C].
SmallVector<int64_t> toChannelsLast(int64_t rank) { return rotated(rank, 1, 2); }

SmallVector<int64_t> fromChannelsLast(int64_t rank) { return rotated(rank, 1, rank - 1); }

/// A tensor with the sizes of `value`, [N, C, ...], channels last.
Value emptyChannelsLast(OpBuilder &b, Location loc, Value value) {
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, loc, value);
  return tensor::EmptyOp::create(b, loc, applyPermutation(sizes, toChannelsLast(sizes.size())),
                                 getElementTypeOrSelf(value));
}

/// Each dimension of `rank` on its own, but `dim` with the one after it.
Groups joining(int64_t dim, int64_t rank) {
  Groups groups;
  for (int64_t i = 0; i < rank; ++i)
    if (i == dim + 1)
      groups.back().push_back(i);
    else
      groups.push_back({i});
  return groups;
}

/// `value` with dimension `dim` and the one after it as one.
Value joined(OpBuilder &b, Value value, int64_t dim) {
  auto rank = cast<ShapedType>(value.getType()).getRank();
  return tensor::CollapseShapeOp::create(b, value.getLoc(), value, joining(dim, rank));
}

/// `value` with zeros after dimension `dim`, which becomes `extent` long.
Value padded(OpBuilder &b, Location loc, Value value, int64_t dim, int64_t extent) {
  auto type = cast<RankedTensorType>(value.getType());
  SmallVector<int64_t> shape(type.getShape());
  if (shape[dim] == extent)
    return value;
  SmallVector<OpFoldResult> low(shape.size(), b.getIndexAttr(0)), high(low);
  high[dim] = b.getIndexAttr(extent - shape[dim]);
  shape[dim] = extent;
  auto element = type.getElementType();
  Value zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(element));
  return tensor::PadOp::create(b, loc, type.clone(shape), value, low, high, zero);
}

/// The tensor that `value` reads backwards along all dimensions but its first two, if it does so
/// and nothing else. Extents of one count as read backwards.
Value mirroredSource(Value value) {
  auto op = value.getDefiningOp<linalg::GenericOp>();
  if (!op || op.getNumDpsInputs() != 0 || op.getNumReductionLoops() != 0 ||
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

/// How a kernel is packed: panels of `nr` filters, in steps of `kr` channels. A step begins after
/// each `run` elements of a row, a panel after each `group` filters.
struct Panels {
  int64_t nr, kr, run, group;
};

/// The kernel [F, C, ...] of a convolution, as `weight` holds it: with these two exchanged or not,
/// mirrored or not.
struct ConvolutionKernel {
  Value weight;
  int64_t filters = 0, channels = 1; // which dimensions of it they are
  bool mirrored = false;

  /// Looks through what packing and the loops do on their own.
  explicit ConvolutionKernel(Value value) : weight(value) {
    auto transpose = weight.getDefiningOp<linalg::TransposeOp>();
    if (transpose) {
      SmallVector<int64_t> order = rotated(type().getRank(), 0, 0);
      std::swap(order[0], order[1]);
      if (transpose.getPermutation() == ArrayRef<int64_t>(order)) {
        std::swap(filters, channels);
        weight = transpose.getInput();
      }
    }
    if (Value source = mirroredSource(weight)) {
      weight = source;
      mirrored = true;
    }
  }

  RankedTensorType type() const { return cast<RankedTensorType>(weight.getType()); }

  /// [F/nr, steps, nr, kr].
  Value pack(OpBuilder &b, Location loc, const Panels &panels) const {
    if (panels.group % panels.nr != 0 || type().getDimSize(channels) % panels.kr != 0)
      return packRhs(b, loc, {matrix(b, loc, panels), /*transposed=*/true}, panels.nr, panels.kr);
    // Nothing to fill up: one transposition.
    int64_t rank = type().getRank();
    SmallVector<int64_t> parts(type().getShape());
    parts[filters] /= panels.nr;
    parts[channels] /= panels.kr;
    parts.insert(parts.begin() + 1, filters == 0 ? panels.nr : panels.kr);
    parts.insert(parts.begin() + 3, filters == 0 ? panels.kr : panels.nr);
    Groups split{{0, 1}, {2, 3}}, steps{{0}, {}, {rank}, {rank + 1}};
    SmallVector<int64_t> order{2 * filters};
    for (int64_t dim = 4; dim < rank + 2; ++dim) {
      split.push_back({dim});
      order.push_back(dim);
    }
    order.append({2 * channels, 2 * filters + 1, 2 * channels + 1});
    steps[1] = llvm::to_vector<2>(llvm::seq<int64_t>(1, rank));
    Value in = tensor::ExpandShapeOp::create(b, loc, type().clone(parts), weight, split);
    return tensor::CollapseShapeOp::create(b, loc, transposed(b, loc, in, order), steps);
  }

private:
  /// [F, depth]: runs of whole steps, and of a group whole panels if it is not all filters.
  Value matrix(OpBuilder &b, Location loc, const Panels &panels) const {
    int64_t rank = type().getRank();
    SmallVector<int64_t> order{filters};
    order.append(llvm::to_vector(llvm::seq<int64_t>(2, rank)));
    order.push_back(channels);
    Value elements = transposed(b, loc, weight, order);
    bool ofRows = panels.run != type().getDimSize(channels);
    int64_t inRun = rank - (ofRows ? 2 : 1); // the first dimension of a run
    Groups runs{{0},
                llvm::to_vector<2>(llvm::seq<int64_t>(1, inRun)),
                llvm::to_vector<2>(llvm::seq<int64_t>(inRun, rank))};
    Value run = tensor::CollapseShapeOp::create(b, loc, elements, runs);
    run = padded(b, loc, run, 2, llvm::alignTo(panels.run, panels.kr));
    Value result = joined(b, run, 1);
    int64_t count = type().getDimSize(filters);
    if (panels.group == count || panels.group % panels.nr == 0)
      return result;
    auto whole = cast<RankedTensorType>(result.getType());
    auto split = whole.clone({count / panels.group, panels.group, whole.getDimSize(1)});
    Value groups = tensor::ExpandShapeOp::create(b, loc, split, result, Groups{{0, 1}, {2}});
    return joined(b, padded(b, loc, groups, 1, llvm::alignTo(panels.group, panels.nr)), 0);
  }
};

/// The lines of padding at either end of each spatial dimension of the input but the last, if it is
/// padded with zeros.
SmallVector<Value> zerosAround(OpBuilder &b, Location loc, const Convolution &conv) {
  Value input = conv.input;
  if (auto groups = input.getDefiningOp<tensor::ExpandShapeOp>(); groups && conv.grouped)
    input = groups.getSrc();
  auto pad = input.getDefiningOp<tensor::PadOp>();
  SmallVector<Value> zeros;
  if (!pad || pad.getType().getRank() != conv.spatial + 2 || !pad.getConstantPaddingValue() ||
      !matchPattern(pad.getConstantPaddingValue(), m_AnyZeroFloat()))
    return zeros;
  for (int64_t dim = 2; dim < conv.spatial + 1; ++dim)
    for (OpFoldResult lines : {pad.getMixedLowPad()[dim], pad.getMixedHighPad()[dim]})
      zeros.push_back(getValueOrCreateConstantIndexOp(b, loc, lines));
  return zeros;
}

/// A convolution between transpositions, which cancel with those of its neighbours.
struct PackConvolution : OpInterfaceRewritePattern<linalg::LinalgOp> {
  PackConvolution(MLIRContext *context, const PackConvolutionPassOptions &options)
      : OpInterfaceRewritePattern(context), options(options) {}

  LogicalResult matchAndRewrite(linalg::LinalgOp op, PatternRewriter &rewriter) const override {
    FailureOr<Convolution> matched = Convolution::match(op);
    if (failed(matched) || matched->isDepthwise())
      return rewriter.notifyMatchFailure(op, "not a convolution from zeros of several channels");
    Convolution &conv = *matched;
    Type element = getElementTypeOrSelf(conv.weight);
    if (!isa<Float32Type, BFloat16Type, Float16Type>(element) ||
        getElementTypeOrSelf(conv.input) != element)
      return rewriter.notifyMatchFailure(op, "operands are not both f32, bf16 or f16");
    if (ShapedType::isDynamicShape(conv.weightShape()))
      return rewriter.notifyMatchFailure(op, "has a dynamic kernel");
    if (conv.grouped && !sharesVector(conv) && conv.filters() < fewest)
      return rewriter.notifyMatchFailure(op, "few filters of a group would leave lanes empty");
    Location loc = op.getLoc();
    Value input = conv.input, weight = conv.weight;
    if (conv.grouped) {
      input = joined(rewriter, input, 1);
      weight = joined(rewriter, weight, 0);
    }
    Value result = multiplied(rewriter, loc, conv, input, weight);
    if (conv.grouped)
      result = tensor::ExpandShapeOp::create(rewriter, loc, conv.init.getType(), result,
                                             joining(1, conv.spatial + 3),
                                             tensor::getMixedSizes(rewriter, loc, conv.init));
    rewriter.replaceOp(op, result);
    return success();
  }

private:
  /// Columns of a panel at least: the shortest vector.
  static constexpr int64_t fewest = 4;
  int64_t lanes() const { return options.vectorBits / 32; }

  /// Whether several whole groups fill a vector, each lane of which chooses from what it reads.
  bool sharesVector(const Convolution &conv) const {
    constexpr int64_t mostRead = 4; // vectors, to choose one from
    return conv.grouped && conv.filters() < lanes() && lanes() % conv.filters() == 0 &&
           conv.channels() <= mostRead * conv.filters();
  }

  Panels panelsOf(const Convolution &conv, bool mirrored) const {
    bool ofPairs = options.hasBf16Dot && getElementTypeOrSelf(conv.weight).isBF16();
    int64_t width = conv.weightShape().back();
    bool readsRows = ConvOp::readsRows(width, conv.dilations.back(), mirrored, conv.grouped);
    Panels panels{panelWidth(conv.filters(), ofPairs), ofPairs ? 2 : 1,
                  conv.channels() * (readsRows ? width : 1), conv.filters()};
    if (sharesVector(conv)) {
      panels.nr = lanes();
      panels.group *= conv.weightShape()[0];
      if (conv.channels() % 2 != 0)
        panels.kr = 1;
    }
    return panels;
  }

  /// Two vectors, or what leaves fewer columns over. AMX, where the CPU has it, takes two at most.
  int64_t panelWidth(int64_t filters, bool ofPairs) const {
    bool mayFillTiles = ofPairs && options.hasBf16Tiles;
    if (filters <= lanes())
      return std::max<int64_t>(fewest, llvm::bit_ceil<uint64_t>(filters));
    int64_t vectors = llvm::divideCeil(filters, lanes());
    return lanes() * (vectors % 2 != 0 && vectors % 3 == 0 && !mayFillTiles ? 3 : 2);
  }

  /// The convolution of input [N, C, ...] by weight [F, C of a group, ...].
  Value multiplied(PatternRewriter &rewriter, Location loc, const Convolution &conv, Value input,
                   Value weight) const {
    ConvolutionKernel kernel(weight);
    int64_t rank = conv.spatial + 2;
    Value packed = kernel.pack(rewriter, loc, panelsOf(conv, kernel.mirrored));
    Value init = conv.grouped ? joined(rewriter, conv.init, 1) : conv.init;
    Value out = emptyChannelsLast(rewriter, loc, init);
    SmallVector<int64_t> group;
    if (conv.grouped)
      group = {conv.channels(), conv.filters()};
    auto made = ConvOp::create(
        rewriter, loc, out.getType(), transposed(rewriter, loc, input, toChannelsLast(rank)),
        packed, zerosAround(rewriter, loc, conv), out, conv.weightShape().take_back(conv.spatial),
        conv.strides, conv.dilations, group, kernel.mirrored);
    return transposed(rewriter, loc, made->getResult(0), fromChannelsLast(rank));
  }

  PackConvolutionPassOptions options;
};

/// A kernel for each channel: a reduction over windows, which runs along the channels. It stands
/// between transpositions, which cancel with those of its neighbours.
struct LowerDepthwise : OpInterfaceRewritePattern<linalg::LinalgOp> {
  using OpInterfaceRewritePattern::OpInterfaceRewritePattern;

  LogicalResult matchAndRewrite(linalg::LinalgOp op, PatternRewriter &rewriter) const override {
    FailureOr<Convolution> conv = Convolution::match(op);
    if (failed(conv) || !conv->isDepthwise())
      return rewriter.notifyMatchFailure(op, "not a depthwise convolution from zeros");
    Location loc = op.getLoc();
    int64_t rank = conv->spatial + 2;
    Value input = transposed(rewriter, loc, joined(rewriter, conv->input, 1), toChannelsLast(rank));
    // [G, 1, 1, ...] to [..., G].
    Value kernel = transposed(rewriter, loc, joined(rewriter, joined(rewriter, conv->weight, 0), 0),
                              rotated(rank - 1, 0, 1));
    Value zeros = zerosLike(rewriter, joined(rewriter, conv->init, 1));
    Value windows = sumWindows(*conv, loc, input, kernel, zeros, rewriter);
    rewriter.replaceOpWithNewOp<tensor::ExpandShapeOp>(
        op, conv->init.getType(), transposed(rewriter, loc, windows, fromChannelsLast(rank)),
        joining(1, rank + 1), tensor::getMixedSizes(rewriter, loc, conv->init));
    return success();
  }

  /// Zeros with the channels of `value` last.
  static Value zerosLike(PatternRewriter &rewriter, Value value) {
    Location loc = value.getLoc();
    Value empty = emptyChannelsLast(rewriter, loc, value);
    TypedAttr zero = rewriter.getZeroAttr(getElementTypeOrSelf(value));
    return linalg::FillOp::create(rewriter, loc,
                                  Value(arith::ConstantOp::create(rewriter, loc, zero)), empty)
        .getResult(0);
  }

  /// out[n, y, x, c] = sum over i, j of input[n, y * stride + i, x * stride + j, c] kernel[i, j, c]
  static Value sumWindows(const Convolution &conv, Location loc, Value input, Value kernel,
                          Value zeros, PatternRewriter &rewriter) {
    int64_t parallel = conv.spatial + 2, loops = parallel + conv.spatial;
    SmallVector<AffineExpr> d;
    for (int64_t loop = 0; loop < loops; ++loop)
      d.push_back(rewriter.getAffineDimExpr(loop));
    ArrayRef<AffineExpr> all = d, window = all.drop_front(parallel);
    SmallVector<AffineExpr> read{d[0]}, weight(window);
    for (int64_t i = 0; i < conv.spatial; ++i)
      read.push_back(d[1 + i] * conv.strides[i] + window[i] * conv.dilations[i]);
    read.push_back(d[parallel - 1]);
    weight.push_back(d[parallel - 1]);
    auto map = [&](ArrayRef<AffineExpr> exprs) {
      return AffineMap::get(loops, 0, exprs, rewriter.getContext());
    };
    SmallVector<utils::IteratorType> iterators(parallel, utils::IteratorType::parallel);
    iterators.append(conv.spatial, utils::IteratorType::reduction);
    return linalg::GenericOp::create(rewriter, loc, zeros.getType(), ValueRange{input, kernel},
                                     zeros, {map(read), map(weight), map(all.take_front(parallel))},
                                     iterators, addProduct)
        .getResult(0);
  }
};

struct PackConvolutionPass : impl::PackConvolutionPassBase<PackConvolutionPass> {
  using Base::Base;

  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<PackConvolution>(&getContext(),
                                  PackConvolutionPassOptions{vectorBits, hasBf16Dot, hasBf16Tiles});
    patterns.add<LowerDepthwise>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
} // namespace buddy
