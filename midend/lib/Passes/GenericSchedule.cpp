// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "GenericSchedule.h"
#include "GenericTransposition.h"
#include "LoopBuilder.h"

#include "mlir/Analysis/SliceAnalysis.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace buddy;

bool buddy::isScanned(linalg::LinalgOp op, OpOperand &init) {
  AffineMap map = op.getMatchingIndexingMap(&init);
  for (auto [loop, iterator] : llvm::enumerate(op.getIteratorTypesArray()))
    if (iterator == utils::IteratorType::reduction && map.isFunctionOfDim(loop))
      return true;
  return false;
}

namespace {

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
  return hasUnitInnerStride(operand.get());
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

/// The loops that run over the last dimensions of a crossing operand, the outermost first: as few
/// as make up the rows of a square, and that are contiguous.
SmallVector<int64_t> loopsAcross(linalg::LinalgOp op, OpOperand &operand, int64_t dimension) {
  auto type = cast<MemRefType>(operand.get().getType());
  ArrayRef<AffineExpr> exprs = op.getMatchingIndexingMap(&operand).getResults();
  SmallVector<int64_t> loops;
  int64_t rows = 1;
  for (int64_t dim = type.getRank() - 1; dim >= 0; --dim) {
    int64_t loop = cast<AffineDimExpr>(exprs[dim]).getPosition();
    if (rows >= kSquareRows || loop == dimension ||
        !type.areTrailingDimsContiguous(type.getRank() - dim))
      break;
    loops.insert(loops.begin(), loop);
    if (type.isDynamicDim(dim))
      break;
    rows *= type.getDimSize(dim);
  }
  return loops;
}

/// Whether each element of the outputs is made of inputs alone.
bool mapsInputs(linalg::LinalgOp op) {
  return op.getNumReductionLoops() == 0 && op.getNumDpsInits() != 0 &&
         llvm::all_of(op.getRegionOutputArgs(), [](Value init) { return init.use_empty(); });
}

/// The loops along which the inputs are contiguous that allow no vectors along `dimension`, none if
/// there is no such input; nothing if these loops are not the same for all.
std::optional<SmallVector<int64_t>> commonLoopsAcross(linalg::LinalgOp op, int64_t dimension) {
  SmallVector<int64_t> across;
  for (OpOperand *input : op.getDpsInputOperands()) {
    if (!isMemRef(input->get()) || allowsVectors(op, *input, dimension))
      continue;
    AffineMap map = op.getMatchingIndexingMap(input);
    auto along = dyn_cast<AffineDimExpr>(map.getResults().back());
    // Squares of bits would be taken apart and put together again bit by bit.
    bool isTruth = getElementTypeOrSelf(input->get()).isInteger(1);
    if (isTruth || !along || !map.isProjectedPermutation() ||
        !allowsVectors(op, *input, along.getPosition()))
      return std::nullopt;
    SmallVector<int64_t> loops = loopsAcross(op, *input, dimension);
    if (!across.empty() && across != loops)
      return std::nullopt;
    across = loops;
  }
  return across;
}

/// Whether `loops` and the interleaved one, which may be the first of them, have so few elements
/// together that a vector of each stays in registers.
bool areFewRows(linalg::LinalgOp op, ArrayRef<int64_t> loops, int64_t interleaved) {
  SmallVector<int64_t> extents = op.getStaticLoopRanges();
  if (loops.front() == interleaved)
    loops = loops.drop_front();
  int64_t rows = extents[interleaved];
  for (int64_t loop : loops) {
    if (ShapedType::isDynamic(extents[loop]) || loop == interleaved)
      return false;
    rows *= extents[loop];
  }
  return rows <= kMostRows;
}

/// Vectors along the outputs' last dimension but one, where the last one is short and both are
/// contiguous together: an image of three channels that come last, weights that are packed by
/// pairs.
std::optional<GenericSchedule> chooseInterleaving(linalg::LinalgOp op) {
  if (!mapsInputs(op))
    return std::nullopt;
  AffineMap out = op.getMatchingIndexingMap(op.getDpsInitOperand(0));
  int64_t rank = out.getNumResults();
  if (rank < 2 || !out.isProjectedPermutation())
    return std::nullopt;
  GenericSchedule schedule{out.getDimPosition(rank - 2), {}, out.getDimPosition(rank - 1)};
  int64_t extent = op.getStaticLoopRanges()[*schedule.interleaved];
  bool isShort = extent > 1 && extent <= kMostInterleaved; // a dynamic one is negative
  bool fits = llvm::all_of(op.getDpsInitsMutable(), [&](OpOperand &init) {
    auto type = cast<MemRefType>(init.get().getType());
    return op.getMatchingIndexingMap(&init) == out && type.areTrailingDimsContiguous(2) &&
           !type.getElementType().isInteger(1);
  });
  std::optional<SmallVector<int64_t>> across = commonLoopsAcross(op, schedule.dimension);
  if (!isShort || !fits || !across ||
      (!across->empty() && !areFewRows(op, *across, *schedule.interleaved)))
    return std::nullopt;
  schedule.across = *across;
  return schedule;
}

/// Vectors along the outputs' last dimension, where each operand that is not contiguous in
/// it is contiguous in one and the same other dimension.
std::optional<GenericSchedule> chooseSquares(linalg::LinalgOp op) {
  if (!mapsInputs(op))
    return std::nullopt;
  AffineMap out = op.getMatchingIndexingMap(op.getDpsInitOperand(0));
  if (out.getNumResults() == 0 || !isa<AffineDimExpr>(out.getResults().back()))
    return std::nullopt;
  auto last = cast<AffineDimExpr>(out.getResults().back());
  GenericSchedule schedule{last.getPosition()};
  std::optional<SmallVector<int64_t>> across = commonLoopsAcross(op, schedule.dimension);
  if (!across || !llvm::all_of(op.getDpsInitsMutable(), [&](OpOperand &init) {
        return allowsVectors(op, init, schedule.dimension);
      }))
    return std::nullopt;
  schedule.across = *across;
  return schedule;
}

/// The single operation that folds each output (null if it has an element for each step),
/// or nothing if one is not such a fold.
SmallVector<Operation *> findCombiners(linalg::LinalgOp op) {
  SmallVector<Operation *> combiners;
  for (auto [i, init] : llvm::enumerate(op.getDpsInitsMutable())) {
    SmallVector<Operation *> chain;
    if (isScanned(op, init)) {
      combiners.push_back(nullptr);
      continue;
    }
    if (!matchReduction(op.getRegionOutputArgs(), i, chain) || chain.size() != 1 ||
        !linalg::getCombinerOpKind(chain[0]) || !arith::getNeutralElement(chain[0]))
      return {};
    combiners.push_back(chain[0]);
  }
  return combiners;
}

/// Whether a value of the body comes from what an output held before.
bool readsOutputs(linalg::LinalgOp op, Value value) {
  if (auto argument = dyn_cast<BlockArgument>(value))
    return llvm::is_contained(op.getRegionOutputArgs(), argument);
  Operation *inner = value.getDefiningOp();
  return inner->getBlock() == op.getBlock() &&
         llvm::any_of(inner->getOperands(), [&](Value x) { return readsOutputs(op, x); });
}

/// Whether each output with an element for each step has one whose value is the step's own.
bool scansAreElementwise(linalg::LinalgOp op) {
  auto yielded = op.getBlock()->getTerminator()->getOperands();
  return llvm::all_of(llvm::zip(op.getDpsInitsMutable(), yielded), [&](auto pair) {
    auto [init, value] = pair;
    return !isScanned(op, init) || !readsOutputs(op, value);
  });
}

} // namespace

StringRef buddy::chooseSchedule(linalg::LinalgOp op, GenericSchedule &schedule) {
  if (!op.hasPureBufferSemantics())
    return "operands are tensors: bufferize first";
  if (!hasKnownExtents(op))
    return "a loop runs over no dimension of an operand";
  for (OpOperand &init : op.getDpsInitsMutable())
    if (isScanned(op, init) && !op.getMatchingBlockArgument(&init).use_empty())
      return "a scan reads what its output held before";
  if (std::optional<int64_t> dimension = chooseDimension(op))
    schedule.dimension = *dimension;
  else if (std::optional<GenericSchedule> interleaving = chooseInterleaving(op))
    schedule = *interleaving;
  else if (std::optional<GenericSchedule> squares = chooseSquares(op))
    schedule = *squares;
  else
    return "no dimension is contiguous in all operands";
  schedule.combiners = findCombiners(op);
  schedule.reduces =
      op.getIteratorTypesArray()[schedule.dimension] == utils::IteratorType::reduction;
  if (!schedule.reduces)
    return "";
  if (!hasPlainMaps(op))
    return "vectors along a window would be short";
  for (OpOperand &init : op.getDpsInitsMutable())
    if (isScanned(op, init) && !op.getMatchingIndexingMap(&init).isPermutation())
      return "an output has an element for some steps of a reduction only";
  if (!scansAreElementwise(op))
    return "vectors along a scan would need each other's results";
  if (schedule.combiners.empty())
    return "the reduction is not a fold by one known operation";
  return "";
}
