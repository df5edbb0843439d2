// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "GenericEmitter.h"
#include "GenericTransposition.h"

#include "mlir/Dialect/Affine/Utils.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Linalg/Utils/Utils.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace buddy;

using Values = LoopBuilder::Values;

/// Lanes for a row of few elements: as many, where LLVM 22 has vectors of that length. It cannot
/// move those of 16-bit floats whose length is no power of two, and does not come to an end with
/// shuffled ones of 33 to 63 bytes.
static int64_t lanesOfRow(linalg::LinalgOp op, int64_t elements) {
  bool needsPower = llvm::any_of(op->getOperands(), [&](Value operand) {
    Type type = getElementTypeOrSelf(operand.getType());
    return type.isF16() || type.isBF16() || (type.isInteger(8) && elements > 32);
  });
  return needsPower ? llvm::PowerOf2Ceil(elements) : elements;
}

int64_t buddy::numPrefetchedInputs(linalg::LinalgOp op) {
  auto count = op->getAttrOfType<IntegerAttr>(kPrefetchedInputs);
  return count ? count.getInt() : 0;
}

GenericEmitter::GenericEmitter(LoopBuilder &b, linalg::LinalgOp op, const VectorBody &body,
                               GenericSchedule schedule, int64_t bits, bool hasBF16Dot)
    : b(b), op(op), body(body), schedule(schedule), dimension(schedule.dimension),
      combiners(this->schedule.combiners), hasBF16Dot(hasBF16Dot), ivs(op.getNumLoops()) {
  sums = !combiners.empty() && llvm::all_of(combiners, [](Operation *combiner) {
    return isa_and_nonnull<arith::AddFOp>(combiner);
  });
  findExtents();
  lanes = std::max<int64_t>(1, bits / body.widestBits());
  std::optional<int64_t> known = constantOf(extents[dimension]);
  if (!schedule.across.empty())
    lanes = std::min(lanes, kSquareRows);
  else if (known)
    lanes = std::clamp<int64_t>(lanesOfRow(op, *known), 1, lanes);
}

/// Each loop's extent, from the first operand that has it.
void GenericEmitter::findExtents() {
  extents.resize(op.getNumLoops());
  for (OpOperand &operand : op->getOpOperands())
    for (auto [i, expr] : llvm::enumerate(op.getMatchingIndexingMap(&operand).getResults()))
      if (auto dim = dyn_cast<AffineDimExpr>(expr))
        if (Value &extent = extents[dim.getPosition()]; !extent || !constantOf(extent))
          extent = b.dim(operand.get(), i);
}

void GenericEmitter::emit() {
  SmallVector<int64_t> parallel, reductions;
  for (auto [d, iterator] : llvm::enumerate(op.getIteratorTypesArray()))
    if ((int64_t)d != dimension && !llvm::is_contained(schedule.across, d) &&
        (int64_t)d != schedule.interleaved)
      (iterator == utils::IteratorType::parallel ? parallel : reductions).push_back(d);
  if (schedule.across.empty() && !schedule.reduces && !reductions.empty()) {
    if (std::optional<SlidingWindow> window = findSlidingWindow(op, dimension))
      return emitWindows(*window, parallel, reductions);
    return emitFolds(parallel, reductions);
  }
  nest(parallel, {}, [&](ValueRange) {
    if (schedule.interleaved)
      emitInterleaved();
    else if (!schedule.across.empty())
      emitSquares();
    else if (!schedule.reduces)
      chunks(1, {}, [&](int64_t count, Value mask, ValueRange) { return fold(count, mask, {}); });
    else
      emitReduction(reductions);
    return Values();
  });
}

/// One loop for each of `dims`, the first outermost.
Values GenericEmitter::nest(ArrayRef<int64_t> dims, ValueRange carried, Body inner) {
  if (dims.empty())
    return inner(carried);
  return b.loop(b.index(0), extents[dims[0]], 1, carried, [&](Value iv, ValueRange state) {
    ivs[dims[0]] = iv;
    return nest(dims.drop_front(), state, inner);
  });
}

/// The vector dimension: `unroll` vectors at once, then single ones, then a masked one.
Values GenericEmitter::chunks(int64_t unroll, ValueRange carried,
                              function_ref<Values(int64_t, Value, ValueRange)> inner) {
  Value extent = extents[dimension], from = b.index(0);
  Values state(carried);
  auto loop = [&](Value to, int64_t count, bool masked) {
    bool reducesUnrolled = schedule.reduces && count > 1;
    auto step = [&](Value iv, ValueRange values) {
      // LLVM would unroll further and then go through memory once for each of the vectors.
      if (reducesUnrolled)
        b.keepRolled(iv);
      ivs[dimension] = iv;
      return inner(count, masked ? b.firstLanes(b.sub(extent, iv), lanes) : Value(), values);
    };
    state = reducesUnrolled ? reductionLoop(from, to, count * lanes, state, /*summands=*/1, step)
                            : b.loop(from, to, count * lanes, state, step);
    from = to;
  };
  if (unroll > 1)
    loop(b.roundDown(extent, unroll * lanes), unroll, false);
  loop(b.roundDown(extent, lanes), 1, false);
  loop(extent, 1, true);
  return state;
}

/// Vectors outermost: what all windows read of them, a kernel, stays in the closest cache.
void GenericEmitter::emitFolds(ArrayRef<int64_t> parallel, ArrayRef<int64_t> reductions) {
  chunks(kVectorsInFlight, {}, [&](int64_t count, Value mask, ValueRange) {
    nest(parallel, {}, [&](ValueRange) { return fold(count, mask, reductions); });
    return Values();
  });
}

/// `count` vectors of each output, folded over `reductions`.
Values GenericEmitter::fold(int64_t count, Value mask, ArrayRef<int64_t> reductions) {
  Value start = ivs[dimension];
  Values state;
  for (int64_t u = 0; u < count; ++u) {
    ivs[dimension] = b.add(start, u * lanes);
    llvm::append_range(state, outputsBefore(mask));
  }
  auto store = [&](ValueRange values, bool scanned) {
    for (int64_t u = 0; u < count; ++u) {
      ivs[dimension] = b.add(start, u * lanes);
      storeOutputs(values.slice(u * op.getNumDpsInits(), op.getNumDpsInits()), mask, scanned);
    }
  };
  state = reductionNest(reductions, state, /*summands=*/1, [&](ValueRange values) {
    ivs[dimension] = start;
    Values next = emitChunk(count, mask, values);
    store(next, /*scanned=*/true);
    return next;
  });
  store(state, /*scanned=*/false);
  ivs[dimension] = start;
  return {};
}

void GenericEmitter::emitAt(OpOperand &input, ValueRange indices, Value value, Value mask) {
  lanes = cast<VectorType>(value.getType()).getNumElements();
  for (auto [expr, index] : llvm::zip(op.getMatchingIndexingMap(&input).getResults(), indices))
    ivs[cast<AffineDimExpr>(expr).getPosition()] = index;
  crossed[&input] = value;
  storeOutputs(emitChunk(1, mask, outputsBefore(mask)), mask, /*scanned=*/false);
}

/// A vector of what each output holds, which is read if the body or a reduction looks at it.
Values GenericEmitter::outputsBefore(Value mask) {
  Values values;
  for (OpOperand &init : op.getDpsInitsMutable()) {
    auto type = VectorType::get(lanes, cast<MemRefType>(init.get().getType()).getElementType());
    bool used = !op.getMatchingBlockArgument(&init).use_empty();
    if (initial)
      values.push_back(b.splat(initial, type));
    else
      values.push_back(used ? b.load(type, init.get(), indicesOf(init), mask) : b.zero(type));
  }
  return values;
}

void GenericEmitter::storeOutputs(ValueRange values, Value mask, bool scanned) {
  for (auto [value, init] : llvm::zip(values, op.getDpsInitsMutable()))
    if (isScanned(op, init) == scanned)
      b.store(value, init.get(), indicesOf(init), mask);
}

void GenericEmitter::emitReduction(ArrayRef<int64_t> otherReductions) {
  int64_t outputs = combiners.size();
  // A row whose length is not known counts as a long one.
  int64_t row = constantOf(extents[dimension]).value_or(int64_t(1) << 20);
  int64_t summands = llvm::divideCeil(row, kVectorsInFlight * lanes);
  Values state = neutrals(kVectorsInFlight * outputs);
  state = reductionNest(otherReductions, state, summands, [&](ValueRange carried) {
    return chunks(kVectorsInFlight, carried, [&](int64_t count, Value mask, ValueRange values) {
      return foldChunk(count, mask, values);
    });
  });
  for (auto [i, init] : llvm::enumerate(op.getDpsInitsMutable())) {
    if (!combiners[i])
      continue;
    // By pairs, as the lanes below: the sum of few equal numbers is exact if they are 2^k.
    for (int64_t apart = kVectorsInFlight / 2; apart > 0; apart /= 2)
      for (int64_t u = 0; u < apart; ++u)
        state[u * outputs + i] =
            combine(combiners[i], state[u * outputs + i], state[(u + apart) * outputs + i]);
    Value total = state[i];
    Values indices = indicesOf(init);
    Value before = memref::LoadOp::create(b, init.get(), indices);
    Value after = vector::ReductionOp::create(b, *linalg::getCombinerOpKind(combiners[i]), total,
                                              before, arith::FastMathFlags::reassoc);
    memref::StoreOp::create(b, after, init.get(), indices);
  }
}

/// The state after `unroll` vectors. Of a scanned output there is none: it is stored.
Values GenericEmitter::foldChunk(int64_t unroll, Value mask, ValueRange before) {
  int64_t outputs = combiners.size();
  Value start = ivs[dimension];
  Values after = emitChunk(unroll, mask, before.take_front(unroll * outputs));
  for (int64_t u = 0; u < unroll; ++u) {
    ivs[dimension] = b.add(start, u * lanes);
    storeOutputs(ValueRange(after).slice(u * outputs, outputs), mask, /*scanned=*/true);
  }
  ivs[dimension] = start;
  for (auto [i, value] : llvm::enumerate(after))
    if (!combiners[i % outputs])
      value = before[i];
    else if (mask) // Lanes past the end have folded in zeros.
      value = arith::SelectOp::create(b, mask, value, before[i]);
  llvm::append_range(after, before.drop_front(unroll * outputs));
  return after;
}

/// The body for `unroll` vectors, each with its own part of the state.
Values GenericEmitter::emitChunk(int64_t unroll, Value mask, ValueRange state) {
  Value start = ivs[dimension];
  int64_t outputs = op.getNumDpsInits();
  Values next;
  for (int64_t u = 0; u < unroll; ++u) {
    ivs[dimension] = b.add(start, u * lanes);
    Values arguments;
    for (OpOperand *input : op.getDpsInputOperands())
      arguments.push_back(readInput(*input, mask));
    llvm::append_range(arguments, state.slice(u * outputs, outputs));
    llvm::append_range(next, body.emit(b, lanes, arguments, ivs, mask));
  }
  ivs[dimension] = start;
  return next;
}

Values GenericEmitter::indicesOf(OpOperand &operand) {
  Values indices;
  for (AffineExpr expr : op.getMatchingIndexingMap(&operand).getResults())
    indices.push_back(affine::expandAffineExpr(b, b.getLoc(), expr, ivs, {}));
  return indices;
}

/// A vector, or a scalar where the operand is the same for all lanes.
Value GenericEmitter::readInput(OpOperand &operand, Value mask) {
  if (!isMemRef(operand.get()))
    return operand.get();
  if (Value vector = crossed.lookup(&operand))
    return vector;
  Values indices = indicesOf(operand);
  if (!op.getMatchingIndexingMap(&operand).isFunctionOfDim(dimension))
    return memref::LoadOp::create(b, operand.get(), indices);
  auto type = VectorType::get(lanes, cast<MemRefType>(operand.get().getType()).getElementType());
  if (isPrefetched(operand)) {
    b.prefetch(operand.get(), indices);
    return b.zero(type);
  }
  return b.load(type, operand.get(), indices, mask);
}

bool GenericEmitter::isPrefetched(OpOperand &operand) {
  int64_t place = operand.getOperandNumber(), inputs = op.getNumDpsInputs();
  return place < inputs && place >= inputs - numPrefetchedInputs(op);
}

Value GenericEmitter::combine(Operation *combiner, Value a, Value c) {
  OperationState state(b.getLoc(), combiner->getName(), ValueRange{a, c}, a.getType(),
                       combiner->getAttrs());
  return b.create(state)->getResult(0);
}

/// What an output's partial results start from.
Value GenericEmitter::neutral(int64_t output) {
  if (!combiners[output])
    return b.zero(VectorType::get(lanes, getElementTypeOrSelf(op.getDpsInits()[output])));
  TypedAttr element = *arith::getNeutralElement(combiners[output]);
  auto type = VectorType::get(lanes, element.getType());
  return arith::ConstantOp::create(b, DenseElementsAttr::get(type, element));
}
