// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// buddy.attention and buddy.matmul on tensors as plain linalg: their definition, written so
// that it can be read, and run where nothing faster exists.

#include "LoopBuilder.h"
#include "buddy/IR/BuddyDialect.h"
#include "buddy/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"

using namespace mlir;

namespace buddy {
#define GEN_PASS_DEF_DECOMPOSEPASS
#include "buddy/Passes.h.inc"
namespace {

using Body = function_ref<Value(LoopBuilder &, ValueRange)>;

/// One linalg.generic whose first `parallel` loops are parallel and whose others reduce.
Value generic(LoopBuilder &b, ValueRange inputs, Value init, ArrayRef<AffineMap> maps,
              unsigned parallel, Body body) {
  SmallVector<utils::IteratorType> iterators(maps[0].getNumDims(), utils::IteratorType::reduction);
  std::fill_n(iterators.begin(), parallel, utils::IteratorType::parallel);
  auto build = [&](OpBuilder &builder, Location loc, ValueRange arguments) {
    LoopBuilder inner(loc, builder);
    linalg::YieldOp::create(inner, body(inner, arguments));
  };
  return linalg::GenericOp::create(b, init.getType(), inputs, init, maps, iterators, build)
      .getResult(0);
}

Value filled(LoopBuilder &b, ArrayRef<OpFoldResult> sizes, Type type, double value) {
  Value scalar = isa<FloatType>(type)
                     ? arith::ConstantOp::create(b, b.getFloatAttr(type, value))
                     : arith::ConstantOp::create(b, b.getIntegerAttr(type, int64_t(value)));
  Value empty = tensor::EmptyOp::create(b, sizes, type);
  return linalg::FillOp::create(b, scalar, empty).getResult(0);
}

Type sumTypeOf(Value operand) {
  Builder b(operand.getContext());
  Type element = getElementTypeOrSelf(operand);
  if (isa<IntegerType>(element))
    return b.getI32Type();
  return element.isF64() ? Type(b.getF64Type()) : Type(b.getF32Type());
}

Value multiplyAdd(LoopBuilder &b, ValueRange arguments, Type type) {
  Value x = b.convert(arguments[0], type), y = b.convert(arguments[1], type);
  Value product =
      isa<FloatType>(type) ? Value(arith::MulFOp::create(b, x, y)) : arith::MulIOp::create(b, x, y);
  return b.sum(arguments[2], product);
}

/// init = narrow(value), elementwise: of all loops, where `map` says.
Value stored(LoopBuilder &b, Value value, Value init, AffineMap map) {
  Type element = getElementTypeOrSelf(init);
  unsigned rank = map.getNumDims();
  return generic(
      b, value, init, {b.getMultiDimIdentityMap(rank), map}, rank,
      [&](LoopBuilder &b, ValueRange arguments) { return b.convert(arguments[0], element); });
}

Value stored(LoopBuilder &b, Value value, Value init) {
  int64_t rank = cast<RankedTensorType>(init.getType()).getRank();
  return stored(b, value, init, b.getMultiDimIdentityMap(rank));
}

struct DecomposeMatmul : OpRewritePattern<MatmulOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MatmulOp op, PatternRewriter &rewriter) const override {
    if (op.getResult().empty())
      return rewriter.notifyMatchFailure(op, "operands are memrefs: decompose before bufferizing");
    LoopBuilder b(op.getLoc(), rewriter);
    Type type = sumTypeOf(op.getLhs());
    Value zeros = filled(b, tensor::getMixedSizes(b, op.getLoc(), op.getInit()), type, 0.0);
    int64_t parallel = cast<ShapedType>(op.getInit().getType()).getRank();
    Value sums = generic(
        b, {op.getLhs(), op.getRhs()}, zeros, mapsOf(op), parallel,
        [&](LoopBuilder &b, ValueRange arguments) { return multiplyAdd(b, arguments, type); });
    rewriter.replaceOp(op, stored(b, sums, op.getInit()));
    return success();
  }

  /// Of lhs, rhs and result, over [batch,] m, n, k.
  static SmallVector<AffineMap> mapsOf(MatmulOp op) {
    bool batched = cast<ShapedType>(op.getInit().getType()).getRank() == 3;
    auto map = [&](ArrayRef<AffineExpr> exprs) {
      SmallVector<AffineExpr> all(exprs);
      if (batched)
        all.insert(all.begin(), getAffineDimExpr(0, op.getContext()));
      return AffineMap::get(3 + batched, 0, all, op.getContext());
    };
    AffineExpr m = getAffineDimExpr(batched, op.getContext());
    AffineExpr n = getAffineDimExpr(batched + 1, op.getContext());
    AffineExpr k = getAffineDimExpr(batched + 2, op.getContext());
    AffineMap rhs = op.getTransposed() ? map({n, k}) : map({k, n});
    if (op.isPacked()) {
      ArrayRef<int64_t> panel = cast<ShapedType>(op.getRhs().getType()).getShape().take_back(2);
      rhs = map({n.floorDiv(panel[0]), k.floorDiv(panel[1]), n % panel[0], k % panel[1]});
    }
    return {map({m, k}), rhs, map({m, n})};
  }
};

struct DecomposeConv : OpRewritePattern<ConvOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ConvOp op, PatternRewriter &rewriter) const override {
    if (op.getResult().empty())
      return rewriter.notifyMatchFailure(op, "operands are memrefs: decompose before bufferizing");
    LoopBuilder b(op.getLoc(), rewriter);
    int64_t parallel = cast<ShapedType>(op.getInit().getType()).getRank();
    Type type = sumTypeOf(op.getInput());
    Value zeros = filled(b, tensor::getMixedSizes(b, op.getLoc(), op.getInit()), type, 0.0);
    // Its shape alone is read: the extents of the loops over the kernel.
    SmallVector<int64_t> extents(op.getKernel());
    extents.push_back(op.channels());
    Value window = tensor::EmptyOp::create(b, extents, type);
    Value sums = generic(b, {op.getInput(), op.getRhs(), window}, zeros, mapsOf(op), parallel,
                         [&](LoopBuilder &b, ValueRange arguments) {
                           return multiplyAdd(b, {arguments[0], arguments[1], arguments[3]}, type);
                         });
    rewriter.replaceOp(op, stored(b, sums, op.getInit()));
    return success();
  }

  /// Of input, rhs, window and result, over [image,] positions, filter, elements of the window,
  /// channel.
  static SmallVector<AffineMap> mapsOf(ConvOp op) {
    int64_t parallel = cast<ShapedType>(op.getInit().getType()).getRank();
    int64_t spatial = op.spatialRank(), loops = parallel + spatial + 1;
    int64_t first = parallel - 1 - spatial; // of the positions
    SmallVector<AffineExpr> d;
    for (int64_t loop = 0; loop < loops; ++loop)
      d.push_back(getAffineDimExpr(loop, op.getContext()));
    ArrayRef<AffineExpr> all = d, result = all.take_front(parallel),
                         window = all.drop_front(parallel);
    AffineExpr filter = result.back(), channel = window.back();
    SmallVector<AffineExpr> input(result.take_front(first));
    AffineExpr tap = getAffineConstantExpr(0, op.getContext());
    for (int64_t i = 0; i < spatial; ++i) {
      input.push_back(result[first + i] * op.getStrides()[i] + window[i] * op.getDilations()[i]);
      tap = tap * op.getKernel()[i] + window[i];
    }
    if (op.getMirrored())
      tap = op.taps() - 1 - tap;
    AffineExpr column = filter;
    if (op.isGrouped()) {
      AffineExpr group = filter.floorDiv(op.getGroup()[1]);
      input.push_back(group * op.getGroup()[0] + channel);
      if (!op.sharesPanels())
        column = group * (op.panelsOfGroup() * op.panelWidth()) + filter % op.getGroup()[1];
    } else {
      input.push_back(channel);
    }
    // Of a run the packed depth is a whole number of steps.
    ArrayRef<int64_t> panel = cast<ShapedType>(op.getRhs().getType()).getShape().take_back(2);
    int64_t width = op.runWidth(), depth = llvm::alignTo(width * op.channels(), panel[1]);
    AffineExpr k = tap.floorDiv(width) * depth + tap % width * op.channels() + channel;
    auto map = [&](ArrayRef<AffineExpr> exprs) {
      return AffineMap::get(loops, 0, exprs, op.getContext());
    };
    return {map(input),
            map({column.floorDiv(panel[0]), k.floorDiv(panel[1]), column % panel[0], k % panel[1]}),
            map(window), map(result)};
  }
};

/// The steps of one attention over loops b, h, i (query), j (key) and d (within a head).
class AttentionDefinition {
public:
  AttentionDefinition(LoopBuilder &b, AttentionOp op)
      : b(b), op(op), type(sumTypeOf(op.getQuery())) {
    bindDims(op.getContext(), batch, head, query, key, depth);
    keyHead = head.floorDiv(op.extent(AttentionOp::Query, AttentionOp::Heads) /
                            op.extent(AttentionOp::Key, AttentionOp::Heads));
    sizes = sizesOf(AttentionOp::Query);
    sizes[3] = sizesOf(AttentionOp::Key)[2];
  }

  Value emit() {
    Value scores = maskedScores();
    ArrayRef<OpFoldResult> rows = ArrayRef<OpFoldResult>(sizes).drop_back();
    double infinity = -std::numeric_limits<double>::infinity();
    Value most =
        overKeys(scores, filled(b, rows, type, infinity), arith::MaximumFOp::getOperationName());
    Value weights = exponentials(scores, most);
    Value total = overKeys(weights, filled(b, rows, type, 0.0), arith::AddFOp::getOperationName());
    return stored(b, normalized(weightedValues(weights), total), op.getInit(),
                  mapOf(AttentionOp::Output, 4, {batch, head, query, key}));
  }

private:
  AffineMap map(unsigned loops, ArrayRef<AffineExpr> exprs) {
    return AffineMap::get(loops, 0, exprs, op.getContext());
  }
  /// Where a part is at [b,h,i,d], in its own layout.
  AffineMap mapOf(AttentionOp::Part part, unsigned loops, ArrayRef<AffineExpr> exprs) {
    return map(loops, applyPermutation(exprs, op.layout(part)));
  }
  /// [B,H,T,D]
  SmallVector<OpFoldResult> sizesOf(AttentionOp::Part part) {
    return applyPermutation(tensor::getMixedSizes(b, op.getLoc(), op.part(part)),
                            invertPermutationVector(op.layout(part)));
  }
  AffineMap grid(unsigned loops) { return map(loops, {batch, head, query, key}); }
  AffineMap row() { return map(4, {batch, head, query}); }

  Value maskedScores();
  Value visible(LoopBuilder &b, Value valid, Value queries);
  Value overKeys(Value scores, Value init, StringRef combiner);
  Value exponentials(Value scores, Value most);
  Value weightedValues(Value weights);
  Value normalized(Value sums, Value total);

  LoopBuilder &b;
  AttentionOp op;
  Type type;
  AffineExpr batch, head, query, key, depth, keyHead;
  SmallVector<OpFoldResult> sizes; // of the scores
};

/// Whether this query sees this key.
Value AttentionDefinition::visible(LoopBuilder &b, Value valid, Value queries) {
  Value j = linalg::IndexOp::create(b, 3), end = valid;
  if (op.getCausal()) {
    Value before = b.add(Value(linalg::IndexOp::create(b, 2)), b.sub(valid, queries));
    end = b.add(before, 1);
  }
  return arith::CmpIOp::create(b, arith::CmpIPredicate::slt, j, end);
}

Value AttentionDefinition::maskedScores() {
  Value products = generic(
      b, {op.getQuery(), op.getKey()}, filled(b, sizes, type, 0.0),
      {mapOf(AttentionOp::Query, 5, {batch, head, query, depth}),
       mapOf(AttentionOp::Key, 5, {batch, keyHead, key, depth}), grid(5)},
      4, [&](LoopBuilder &b, ValueRange arguments) { return multiplyAdd(b, arguments, type); });
  Value valid = op.getValid();
  if (!valid)
    valid = getValueOrCreateConstantIndexOp(b, op.getLoc(), sizes[3]);
  Value queries = getValueOrCreateConstantIndexOp(b, op.getLoc(), sizes[2]);
  SmallVector<Value> inputs{products};
  SmallVector<AffineMap> maps{grid(4)};
  if (Value mask = op.getMask()) {
    ArrayRef<int64_t> shape = cast<ShapedType>(mask.getType()).getShape();
    SmallVector<AffineExpr> all{batch, head, query, key};
    SmallVector<AffineExpr> exprs(ArrayRef<AffineExpr>(all).take_back(shape.size()));
    for (auto [expr, size] : llvm::zip(exprs, shape))
      if (size == 1)
        expr = b.getAffineConstantExpr(0);
    inputs.push_back(mask);
    maps.push_back(map(4, exprs));
  }
  maps.push_back(grid(4));
  Value empty = tensor::EmptyOp::create(b, sizes, type);
  return generic(b, inputs, empty, maps, 4, [&](LoopBuilder &b, ValueRange arguments) -> Value {
    auto constant = [&](double value) -> Value {
      return arith::ConstantOp::create(b, b.getFloatAttr(type, value));
    };
    Value score = arith::MulFOp::create(b, arguments[0], constant(op.getScale().convertToDouble()));
    Value seen = visible(b, valid, queries);
    if (op.getMask() && arguments[1].getType().isInteger(1))
      seen = arith::AndIOp::create(b, seen, arguments[1]);
    else if (op.getMask())
      score = arith::AddFOp::create(b, score, b.convert(arguments[1], type));
    return arith::SelectOp::create(b, seen, score,
                                   constant(-std::numeric_limits<double>::infinity()));
  });
}

Value AttentionDefinition::overKeys(Value scores, Value init, StringRef combiner) {
  return generic(b, scores, init, {grid(4), row()}, 3, [&](LoopBuilder &b, ValueRange arguments) {
    OperationState state(b.getLoc(), combiner, arguments, type);
    return b.create(state)->getResult(0);
  });
}

/// exp(score - max). A row that sees nothing has the maximum -inf and the weights 0.
Value AttentionDefinition::exponentials(Value scores, Value most) {
  Value empty = tensor::EmptyOp::create(b, sizes, type);
  return generic(b, {scores, most}, empty, {grid(4), row(), grid(4)}, 4,
                 [&](LoopBuilder &b, ValueRange arguments) -> Value {
                   Value lowest = arith::ConstantOp::create(
                       b, b.getFloatAttr(type, std::numeric_limits<float>::lowest()));
                   Value base = arith::MaximumFOp::create(b, arguments[1], lowest);
                   Value change = arith::SubFOp::create(b, arguments[0], base);
                   return math::ExpOp::create(b, change);
                 });
}

/// weights . value. A key that nobody may see has the weight 0 and, if it lies past
/// `valid`, any value at all: it is not multiplied.
Value AttentionDefinition::weightedValues(Value weights) {
  SmallVector<OpFoldResult> outSizes = sizesOf(AttentionOp::Output);
  // Loops b, h, i, d in parallel, then j.
  AffineExpr column = key, position = depth;
  return generic(
      b, {weights, op.getValue()}, filled(b, outSizes, type, 0.0),
      {map(5, {batch, head, query, position}),
       mapOf(AttentionOp::Values, 5, {batch, keyHead, position, column}),
       map(5, {batch, head, query, column})},
      4, [&](LoopBuilder &b, ValueRange arguments) -> Value {
        Value hidden =
            arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, arguments[0], b.zero(type));
        return arith::SelectOp::create(b, hidden, arguments[2], multiplyAdd(b, arguments, type));
      });
}

Value AttentionDefinition::normalized(Value sums, Value total) {
  return generic(b, {sums, total}, sums, {grid(4), row(), grid(4)}, 4,
                 [&](LoopBuilder &b, ValueRange arguments) -> Value {
                   Value empty = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, arguments[1],
                                                       b.zero(type));
                   Value one = arith::ConstantOp::create(b, b.getFloatAttr(type, 1.0));
                   Value divisor = arith::SelectOp::create(b, empty, one, arguments[1]);
                   return arith::DivFOp::create(b, arguments[0], divisor);
                 });
}

struct DecomposeAttention : OpRewritePattern<AttentionOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(AttentionOp op, PatternRewriter &rewriter) const override {
    if (op.getResult().empty())
      return rewriter.notifyMatchFailure(op, "operands are memrefs: decompose before bufferizing");
    if (ShapedType::isDynamic(op.extent(AttentionOp::Query, AttentionOp::Heads)) ||
        ShapedType::isDynamic(op.extent(AttentionOp::Key, AttentionOp::Heads)))
      return rewriter.notifyMatchFailure(op, "the number of heads must be static");
    LoopBuilder b(op.getLoc(), rewriter);
    rewriter.replaceOp(op, AttentionDefinition(b, op).emit());
    return success();
  }
};

struct DecomposePass : impl::DecomposePassBase<DecomposePass> {
  using Base::Base;
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<DecomposeAttention, DecomposeMatmul, DecomposeConv>(&getContext());
    walkAndApplyPatterns(getOperation(), std::move(patterns));
  }
};

} // namespace
} // namespace buddy
