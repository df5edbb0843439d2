// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "WindowFolds.h"
#include "Epilogue.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <map>

using namespace mlir;
using namespace buddy;

using Values = LoopBuilder::Values;

/// Taps of a row that are written out.
constexpr int64_t kMostTaps = 16;

SmallVector<std::pair<int64_t, int64_t>> SlidingWindow::stepsOf(int64_t count, int64_t taps) const {
  SmallVector<std::pair<int64_t, int64_t>> steps;
  for (int64_t position = 0; position < count; ++position)
    for (int64_t tap = 0; tap < taps; ++tap)
      steps.emplace_back(position, tap);
  llvm::stable_sort(steps, [&](auto x, auto y) { return readBy(x) < readBy(y); });
  return steps;
}

/// The value of `expr` where the loops of a window have these values and all others are zero.
static int64_t offsetOf(AffineExpr expr, const SlidingWindow &window, int64_t position, int64_t tap,
                        int64_t numLoops) {
  MLIRContext *context = expr.getContext();
  SmallVector<AffineExpr> values(numLoops, getAffineConstantExpr(0, context));
  values[window.position] = getAffineConstantExpr(position, context);
  values[window.tap] = getAffineConstantExpr(tap, context);
  return cast<AffineConstantExpr>(expr.replaceDims(values)).getValue();
}

std::optional<SlidingWindow> buddy::findSlidingWindow(linalg::LinalgOp op, int64_t dimension) {
  SmallVector<utils::IteratorType> iterators = op.getIteratorTypesArray();
  SmallVector<int64_t> extents = op.getStaticLoopRanges();
  if (numPrefetchedInputs(op) != 0 ||
      llvm::any_of(op.getDpsInitsMutable(), [&](OpOperand &init) { return isScanned(op, init); }))
    return std::nullopt;
  for (OpOperand *input : op.getDpsInputOperands())
    for (AffineExpr expr : llvm::reverse(op.getMatchingIndexingMap(input).getResults())) {
      SlidingWindow window;
      int64_t loops = 0;
      for (int64_t loop = 0; loop < (int64_t)op.getNumLoops(); ++loop) {
        if (!expr.isFunctionOfDim(loop))
          continue;
        ++loops;
        (iterators[loop] == utils::IteratorType::parallel ? window.position : window.tap) = loop;
      }
      bool slides = loops == 2 && window.position >= 0 && window.tap >= 0;
      if (!slides || window.position == dimension)
        continue;
      int64_t taps = extents[window.tap];
      if (taps < 2 || taps > kMostTaps || extents[window.position] == 1)
        return std::nullopt;
      window.stride = offsetOf(expr, window, 1, 0, op.getNumLoops());
      window.dilation = offsetOf(expr, window, 0, 1, op.getNumLoops());
      return window;
    }
  return std::nullopt;
}

/// The input that windows slide over and the one with a weight for each tap, if `op` adds up their
/// products and both are bf16.
static std::optional<std::pair<OpOperand *, OpOperand *>> findDots(linalg::LinalgOp op,
                                                                   const SlidingWindow &window) {
  if (op.getNumDpsInputs() != 2 || op.getNumDpsInits() != 1)
    return std::nullopt;
  OpOperand *input = op.getDpsInputOperand(0), *weight = op.getDpsInputOperand(1);
  if (op.getMatchingIndexingMap(weight).isFunctionOfDim(window.position))
    std::swap(input, weight);
  auto sum = op.getBlock()->getTerminator()->getOperand(0).getDefiningOp<arith::AddFOp>();
  if (!sum || op.getMatchingIndexingMap(weight).isFunctionOfDim(window.position))
    return std::nullopt;
  Value out = op.getRegionOutputArgs()[0];
  auto product = (sum.getLhs() == out ? sum.getRhs() : sum.getLhs()).getDefiningOp<arith::MulFOp>();
  if (!product || !llvm::is_contained(sum->getOperands(), out) || !out.getType().isF32())
    return std::nullopt;
  auto factorOf = [&](OpOperand *operand) -> Value {
    BlockArgument argument = op.getMatchingBlockArgument(operand);
    auto wide = argument.hasOneUse() ? dyn_cast<arith::ExtFOp>(*argument.user_begin()) : nullptr;
    return wide && argument.getType().isBF16() ? wide.getResult() : Value();
  };
  Value x = factorOf(input), w = factorOf(weight);
  bool multiplies = x && w &&
                    ((product.getLhs() == x && product.getRhs() == w) ||
                     (product.getLhs() == w && product.getRhs() == x));
  if (!multiplies)
    return std::nullopt;
  return std::make_pair(input, weight);
}

/// Lines are innermost, so that of those that a window reads one is new:
///   for block of positions: for vector of channels: for outer positions:
///     sums[block] = out[block]
///     for rows of the window: for position p of the block and tap t, by where they read:
///       sums[p] += in[p + t] w[t]
///     out[block] = sums
void GenericEmitter::emitWindows(SlidingWindow window, ArrayRef<int64_t> parallel,
                                 ArrayRef<int64_t> reductions) {
  SmallVector<int64_t> outer, rows;
  llvm::copy_if(parallel, std::back_inserter(outer),
                [&](int64_t loop) { return loop != window.position; });
  llvm::copy_if(reductions, std::back_inserter(rows),
                [&](int64_t loop) { return loop != window.tap; });
  Value extent = extents[window.position];
  std::optional<int64_t> known = constantOf(extent);
  int64_t blocks = known ? llvm::divideCeil(*known, kWindowPositions) : 1;
  int64_t block = known ? llvm::divideCeil(*known, blocks) : kWindowPositions;
  bool dots = hasBF16Dot && findDots(op, window);
  auto emitBlock = [&](Value first, int64_t count) {
    // Two vectors make whole lines of bf16; of few positions, several hide the latency of a sum.
    int64_t most = dots ? 2 : llvm::divideCeil(kVectorsInFlight, count);
    chunks(most, {}, [&](int64_t vectors, Value mask, ValueRange) {
      return nest(outer, {}, [&](ValueRange) {
        foldPositions(window, {first, count, vectors, mask, dots && vectors == most}, rows);
        return Values();
      });
    });
  };
  Value whole = b.roundDown(extent, block);
  b.loop(b.index(0), whole, block, [&](Value first) { emitBlock(first, block); });
  if (known && *known % block != 0)
    emitBlock(whole, *known % block);
  else
    b.loop(whole, extent, 1, [&](Value first) { emitBlock(first, 1); });
}

/// The outputs at each position of a block, vector by vector.
void GenericEmitter::foldPositions(const SlidingWindow &window, const WindowBlock &block,
                                   ArrayRef<int64_t> rows) {
  int64_t outputs = op.getNumDpsInits();
  Value start = ivs[dimension];
  auto forEachVector = [&](function_ref<void(int64_t)> body) {
    for (int64_t p = 0; p < block.count; ++p)
      for (int64_t v = 0; v < block.vectors; ++v) {
        ivs[window.position] = b.add(block.first, p);
        ivs[dimension] = b.add(start, v * lanes);
        body((p * block.vectors + v) * outputs);
      }
    ivs[dimension] = start;
  };
  Values state;
  forEachVector([&](int64_t) { llvm::append_range(state, outputsBefore(block.mask)); });
  state = reductionNest(rows, state, *constantOf(extents[window.tap]), [&](ValueRange sums) {
    return block.dots ? addDots(window, block, sums) : addTaps(window, block, sums);
  });
  forEachVector([&](int64_t i) { finish(ValueRange(state).slice(i, outputs), block.mask); });
}

/// Each position's state after one row of the window. Where two of them read the same, one load
/// serves both.
Values GenericEmitter::addTaps(const SlidingWindow &window, const WindowBlock &block,
                               ValueRange sums) {
  int64_t outputs = op.getNumDpsInits();
  Value start = ivs[dimension];
  Values next(sums);
  for (int64_t v = 0; v < block.vectors; ++v) {
    ivs[dimension] = b.add(start, v * lanes);
    std::map<std::pair<OpOperand *, SmallVector<int64_t>>, Value> loaded;
    for (auto [p, t] : window.stepsOf(block.count, *constantOf(extents[window.tap]))) {
      ivs[window.position] = b.add(block.first, p);
      ivs[window.tap] = b.index(t);
      Values arguments;
      for (OpOperand *input : op.getDpsInputOperands()) {
        SmallVector<int64_t> place;
        for (AffineExpr expr : op.getMatchingIndexingMap(input).getResults())
          place.push_back(offsetOf(expr, window, p, t, op.getNumLoops()));
        Value &vector = loaded[{input, place}];
        if (!vector)
          vector = readInput(*input, block.mask);
        arguments.push_back(vector);
      }
      auto own = MutableArrayRef<Value>(next).slice((p * block.vectors + v) * outputs, outputs);
      llvm::append_range(arguments, own);
      llvm::copy(body.emit(b, lanes, arguments, ivs, block.mask), own.begin());
    }
  }
  ivs[dimension] = start;
  return next;
}

/// The same by dot products of two taps each: channels of two positions take turns in a vector.
Values GenericEmitter::addDots(const SlidingWindow &window, const WindowBlock &block,
                               ValueRange sums) {
  auto [input, weight] = *findDots(op, window);
  int64_t taps = *constantOf(extents[window.tap]);
  auto type = VectorType::get(2 * lanes, b.getBF16Type());
  Value start = ivs[dimension];
  std::map<std::pair<OpOperand *, int64_t>, Value> loaded;
  std::map<std::tuple<OpOperand *, int64_t, bool>, std::array<Value, 2>> paired;
  auto read = [&](OpOperand *operand, int64_t p, int64_t t) {
    Value &vector = loaded[{operand, operand == input ? window.readBy({p, t}) : t}];
    if (!vector) {
      ivs[window.position] = b.add(block.first, p);
      ivs[window.tap] = b.index(t);
      vector = b.load(type, operand->get(), indicesOf(*operand));
    }
    return vector;
  };
  // The taps t and t + 1, or only t and zeros.
  auto pair = [&](OpOperand *operand, int64_t p, int64_t t) {
    bool alone = t + 1 == taps;
    auto &pair = paired[{operand, operand == input ? window.readBy({p, t}) : t, alone}];
    if (!pair[0]) {
      Value x = read(operand, p, t);
      Value y = alone ? b.zero(type) : read(operand, p, t + 1);
      for (int64_t half : {0, 1}) {
        SmallVector<int64_t> turns;
        for (int64_t lane = half * lanes; lane < (half + 1) * lanes; ++lane)
          turns.append({lane, 2 * lanes + lane});
        pair[half] = vector::ShuffleOp::create(b, x, y, turns);
      }
    }
    return pair;
  };
  Values next(sums);
  for (auto [p, t] : window.stepsOf(block.count, taps))
    if (t % 2 == 0)
      for (int64_t half : {0, 1}) {
        Value &sum = next[2 * p + half];
        sum = b.dot(sum, pair(input, p, t)[half], pair(weight, p, t)[half]);
      }
  ivs[dimension] = start;
  return next;
}

void GenericEmitter::finishWith(EpilogueEmitter &taker) { epilogue = &taker; }

/// Stores results, or hands them on.
void GenericEmitter::finish(ValueRange results, Value mask) {
  if (!epilogue)
    return storeOutputs(results, mask, /*scanned=*/false);
  epilogue->emit(indicesOf(*op.getDpsInitOperand(0)), results.front(), mask);
}
