// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Elementwise ops and reductions on memrefs to vector loops. One dimension is cut into
// vectors: one along which every operand is contiguous or the same.
//
// If it is parallel, each vector of outputs stays in registers while the reductions run:
//   for parallel dims: for chunk: out[chunk] = reduce(out[chunk], in[..., chunk])
// If it is a reduction, independent partial results hide its latency, and meet at the end:
//   for parallel dims: partial = neutral; for chunk: partial = reduce(partial, in[chunk])
//                      out = reduce(out, partial)
// The rest of a row that fills no vector is read and written under a mask.

#include "VectorBody.h"
#include "buddy/Passes.h"

#include "mlir/Analysis/SliceAnalysis.h"
#include "mlir/Dialect/Affine/Utils.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"

using namespace mlir;

namespace buddy {
#define GEN_PASS_DEF_VECTORIZEGENERICPASS
#include "buddy/Passes.h.inc"
namespace {

using Values = LoopBuilder::Values;

/// Vectors that a reduction keeps in flight: the latency of an addition in vectors.
constexpr int64_t reductionUnroll = 4;

bool isMemRef(Value value) { return isa<MemRefType>(value.getType()); }

/// Whether the operand can be read and written in vectors along a dimension: contiguous in
/// it (a window may shift it), or the same for all of it.
bool allowsVectors(linalg::LinalgOp op, OpOperand &operand, int64_t dimension) {
  AffineMap map = op.getMatchingIndexingMap(&operand);
  if (!map.isFunctionOfDim(dimension))
    return true;
  AffineExpr last = map.getResults().back(), dim = getAffineDimExpr(dimension, op.getContext());
  AffineExpr shift = simplifyAffineExpr(last - dim, map.getNumDims(), 0);
  if (shift.isFunctionOfDim(dimension) ||
      llvm::any_of(map.getResults().drop_back(),
                   [&](AffineExpr expr) { return expr.isFunctionOfDim(dimension); }))
    return false;
  auto type = cast<MemRefType>(operand.get().getType());
  // An i1 takes a byte in memory, but a bit in a vector.
  return hasUnitInnerStride(operand.get()) && !type.getElementType().isInteger(1);
}

bool hasPlainMaps(linalg::LinalgOp op) {
  return llvm::all_of(op.getIndexingMapsArray(), [](AffineMap map) {
    return map.isProjectedPermutation(/*allowZeroInResults=*/true);
  });
}

/// Whether each loop runs over a dimension of some operand, which tells its extent.
bool hasKnownExtents(linalg::LinalgOp op) {
  llvm::SmallBitVector known(op.getNumLoops());
  for (AffineMap map : op.getIndexingMapsArray())
    for (AffineExpr expr : map.getResults())
      if (auto dim = dyn_cast<AffineDimExpr>(expr))
        known.set(dim.getPosition());
  return known.all();
}

/// The innermost dimension along which all operands allow vectors, parallel ones first.
std::optional<int64_t> chooseDimension(linalg::LinalgOp op) {
  SmallVector<utils::IteratorType> iterators = op.getIteratorTypesArray();
  SmallVector<int64_t> extents = op.getStaticLoopRanges();
  for (auto wanted : {utils::IteratorType::parallel, utils::IteratorType::reduction})
    for (int64_t d = iterators.size() - 1; d >= 0; --d) {
      bool outputsMove = llvm::all_of(op.getDpsInitsMutable(), [&](OpOperand &init) {
        return op.getMatchingIndexingMap(&init).isFunctionOfDim(d);
      });
      if (iterators[d] != wanted || extents[d] == 1 ||
          outputsMove != (wanted == utils::IteratorType::parallel))
        continue;
      if (llvm::all_of(op->getOpOperands(), [&](OpOperand &operand) {
            return !isMemRef(operand.get()) || allowsVectors(op, operand, d);
          }))
        return d;
    }
  return std::nullopt;
}

/// The single operation that folds each output, or nothing if one is not such a fold.
SmallVector<Operation *> findCombiners(linalg::LinalgOp op) {
  SmallVector<Operation *> combiners;
  for (int64_t i = 0; i < op.getNumDpsInits(); ++i) {
    SmallVector<Operation *> chain;
    if (!matchReduction(op.getRegionOutputArgs(), i, chain) || chain.size() != 1 ||
        !linalg::getCombinerOpKind(chain[0]) || !arith::getNeutralElement(chain[0]))
      return {};
    combiners.push_back(chain[0]);
  }
  return combiners;
}

class GenericEmitter {
public:
  GenericEmitter(LoopBuilder &b, linalg::LinalgOp op, const VectorBody &body, int64_t dimension,
                 int64_t bits, ArrayRef<Operation *> combiners)
      : b(b), op(op), body(body), dimension(dimension), combiners(combiners),
        ivs(op.getNumLoops()) {
    findExtents();
    lanes = std::max<int64_t>(1, bits / body.widestBits());
    if (std::optional<int64_t> known = constantOf(extents[dimension]))
      lanes = std::clamp<int64_t>(*known, 1, lanes);
  }

  void emit();

private:
  using Body = function_ref<Values(ValueRange)>;

  void findExtents();
  Values nest(ArrayRef<int64_t> dims, ValueRange carried, Body body);
  Values chunks(int64_t unroll, ValueRange carried,
                function_ref<Values(int64_t, Value, ValueRange)> body);
  void emitParallel(ArrayRef<int64_t> reductions);
  void emitReduction(ArrayRef<int64_t> otherReductions);
  Values emitChunk(int64_t unroll, Value mask, ValueRange state);
  Values indicesOf(OpOperand &operand);
  Value readInput(OpOperand &operand, Value mask);
  Value combine(Operation *combiner, Value a, Value c);
  Value neutral(Operation *combiner);

  LoopBuilder &b;
  linalg::LinalgOp op;
  const VectorBody &body;
  int64_t dimension, lanes;
  ArrayRef<Operation *> combiners; // empty if the vectors run along a parallel dimension
  Values extents, ivs;
};

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
    if ((int64_t)d != dimension)
      (iterator == utils::IteratorType::parallel ? parallel : reductions).push_back(d);
  nest(parallel, {}, [&](ValueRange) {
    if (combiners.empty())
      emitParallel(reductions);
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
    state = b.loop(from, to, count * lanes, state, [&](Value iv, ValueRange values) {
      ivs[dimension] = iv;
      return inner(count, masked ? b.firstLanes(b.sub(extent, iv), lanes) : Value(), values);
    });
    from = to;
  };
  if (unroll > 1)
    loop(b.roundDown(extent, unroll * lanes), unroll, false);
  loop(b.roundDown(extent, lanes), 1, false);
  loop(extent, 1, true);
  return state;
}

void GenericEmitter::emitParallel(ArrayRef<int64_t> reductions) {
  int64_t unroll = reductions.empty() ? 1 : reductionUnroll;
  chunks(unroll, {}, [&](int64_t count, Value mask, ValueRange) {
    Value start = ivs[dimension];
    // A chunk of outputs: read if the body or a reduction looks at it, else never.
    Values state;
    for (int64_t u = 0; u < count; ++u) {
      ivs[dimension] = b.add(start, u * lanes);
      for (OpOperand &init : op.getDpsInitsMutable()) {
        auto type = VectorType::get(lanes, cast<MemRefType>(init.get().getType()).getElementType());
        bool used = !op.getMatchingBlockArgument(&init).use_empty();
        state.push_back(used ? b.load(type, init.get(), indicesOf(init), mask) : b.zero(type));
      }
    }
    state = nest(reductions, state, [&](ValueRange values) {
      ivs[dimension] = start;
      return emitChunk(count, mask, values);
    });
    for (int64_t u = 0; u < count; ++u) {
      ivs[dimension] = b.add(start, u * lanes);
      for (auto [i, init] : llvm::enumerate(op.getDpsInitsMutable()))
        b.store(state[u * op.getNumDpsInits() + i], init.get(), indicesOf(init), mask);
    }
    return Values();
  });
}

void GenericEmitter::emitReduction(ArrayRef<int64_t> otherReductions) {
  int64_t outputs = combiners.size();
  Values state;
  for (int64_t u = 0; u < reductionUnroll; ++u)
    for (Operation *combiner : combiners)
      state.push_back(neutral(combiner));
  state = nest(otherReductions, state, [&](ValueRange carried) {
    return chunks(reductionUnroll, carried, [&](int64_t count, Value mask, ValueRange values) {
      Values next = emitChunk(count, mask, values.take_front(count * outputs));
      for (auto [i, value] : llvm::enumerate(next))
        if (mask) // Lanes past the end have folded in zeros.
          value = arith::SelectOp::create(b, mask, value, values[i]);
      llvm::append_range(next, values.drop_front(count * outputs));
      return next;
    });
  });
  for (auto [i, init] : llvm::enumerate(op.getDpsInitsMutable())) {
    Value total = state[i];
    for (int64_t u = 1; u < reductionUnroll; ++u)
      total = combine(combiners[i], total, state[u * outputs + i]);
    Values indices = indicesOf(init);
    Value before = memref::LoadOp::create(b, init.get(), indices);
    Value after =
        vector::ReductionOp::create(b, *linalg::getCombinerOpKind(combiners[i]), total, before);
    memref::StoreOp::create(b, after, init.get(), indices);
  }
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
  Values indices = indicesOf(operand);
  if (!op.getMatchingIndexingMap(&operand).isFunctionOfDim(dimension))
    return memref::LoadOp::create(b, operand.get(), indices);
  auto element = cast<MemRefType>(operand.get().getType()).getElementType();
  return b.load(VectorType::get(lanes, element), operand.get(), indices, mask);
}

Value GenericEmitter::combine(Operation *combiner, Value a, Value c) {
  OperationState state(b.getLoc(), combiner->getName(), ValueRange{a, c}, a.getType(),
                       combiner->getAttrs());
  return b.create(state)->getResult(0);
}

Value GenericEmitter::neutral(Operation *combiner) {
  TypedAttr element = *arith::getNeutralElement(combiner);
  auto type = VectorType::get(lanes, element.getType());
  return arith::ConstantOp::create(b, DenseElementsAttr::get(type, element));
}

struct VectorizeGeneric : OpInterfaceRewritePattern<linalg::LinalgOp> {
  VectorizeGeneric(MLIRContext *context, int64_t bits)
      : OpInterfaceRewritePattern(context), bits(bits) {}

  LogicalResult matchAndRewrite(linalg::LinalgOp op, PatternRewriter &rewriter) const override {
    auto refuse = [&](StringRef why) { return missed(rewriter, op, "vectorize-generic", why); };
    if (!op.hasPureBufferSemantics())
      return refuse("operands are tensors: bufferize first");
    if (!hasKnownExtents(op))
      return refuse("a loop runs over no dimension of an operand");
    std::optional<int64_t> dimension = chooseDimension(op);
    if (!dimension)
      return refuse("no dimension is contiguous in all operands");
    VectorBody body(op, *dimension);
    if (!body.refusal().empty())
      return refuse(body.refusal());
    SmallVector<Operation *> combiners;
    if (op.getIteratorTypesArray()[*dimension] == utils::IteratorType::reduction) {
      if (!hasPlainMaps(op))
        return refuse("vectors along a window would be short");
      combiners = findCombiners(op);
      if (combiners.empty())
        return refuse("the reduction is not a fold by one known operation");
    }
    LoopBuilder b(op.getLoc(), rewriter);
    GenericEmitter(b, op, body, *dimension, bits, combiners).emit();
    rewriter.eraseOp(op);
    return success();
  }

  int64_t bits;
};

struct VectorizeGenericPass : impl::VectorizeGenericPassBase<VectorizeGenericPass> {
  using Base::Base;
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<VectorizeGeneric>(&getContext(), vectorBits);
    walkAndApplyPatterns(getOperation(), std::move(patterns));
  }
};

} // namespace
} // namespace buddy
