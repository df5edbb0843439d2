// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The last op of a row-wise kernel scales what others made and writes it to memory. Alone it
// writes faster than memory takes it, and while the others compute nothing is written. Here it
// becomes part of the loops of an op that computes long, of the next tile:
//   for tile: m = max(x); e, s = exp(x - m), sum; y = e / s
// becomes, for each run of tiles:
//   m = max(x); e, s = exp(x - m), sum
//   for further tiles: s' = s; m = max(x); y of the tile before, e, s = e / s', exp(x - m), sum
//   y of the last tile = e / s
// An element of `e` is read just before that of the next tile takes its place.

#include "GenericEmitter.h"
#include "buddy/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;

namespace buddy {
#define GEN_PASS_DEF_PIPELINETILESPASS
#include "buddy/Passes.h.inc"
namespace {

/// Elements of scratch that may be copied for the next tile: the results of reductions.
constexpr int64_t kFewElements = 64;

/// The dimension of its vectors; none for an op that will not have any.
std::optional<int64_t> vectorDimension(linalg::LinalgOp op) {
  GenericSchedule schedule;
  if (!chooseSchedule(op, schedule).empty() || !schedule.isStraight() ||
      !VectorBody(op, schedule.dimension).refusal().empty())
    return std::nullopt;
  return schedule.dimension;
}

/// How long the op computes on an element, in additions or so.
int64_t costOf(linalg::GenericOp op) {
  int64_t cost = 0;
  for (Operation &inner : op.getBlock()->without_terminator())
    cost += isa<math::MathDialect>(inner.getDialect()) ? 10 : 1;
  return cost;
}

/// The tiles of all loops, if they are as many and as large in each call.
std::optional<int64_t> countTiles(scf::ForallOp loop) {
  int64_t count = 1;
  for (auto [from, to, step] :
       llvm::zip(loop.getStaticLowerBound(), loop.getStaticUpperBound(), loop.getStaticStep())) {
    if (ShapedType::isDynamicShape({from, to, step}) || (to - from) % step != 0)
      return std::nullopt;
    count *= (to - from) / step;
  }
  return count;
}

/// A loop over tiles whose last op can run within another one of the next tile.
class TilePipeline {
public:
  explicit TilePipeline(scf::ForallOp loop) : loop(loop) {}

  /// Looks for both; false where something in the loop does not allow it.
  bool match() { return collect() && matchLast() && chooseHost(); }

  /// Replaces the loop by one over runs of so many tiles of the innermost dimension.
  void build(int64_t tilesInRun);

private:
  bool collect();
  bool matchLast();
  bool canBeReadLater(Value input);
  bool chooseHost();
  bool survives(memref::AllocaOp buffer, linalg::GenericOp op);

  IRMapping tileAt(Value index);
  Value repeat(OpBuilder &b, Value value, IRMapping &tile);
  void emitTile(OpBuilder &b, Value index, Value indexBefore);
  void emitHost(OpBuilder &b, IRMapping &tile, Value indexBefore);
  SmallVector<Value> operandsOfLast(OpBuilder &b, Value index);

  scf::ForallOp loop;
  SmallVector<linalg::LinalgOp> ops;
  SmallVector<memref::AllocaOp> scratch;
  linalg::GenericOp last, host;
  SmallVector<memref::AllocaOp> kept; // of what `last` reads: written too early by the next tile

  IRMapping outer;  // from the old loop to the new one: outer indices, scratch
  IRMapping copies; // of what is kept
};

bool TilePipeline::collect() {
  if (!loop.getOutputs().empty())
    return false;
  for (Operation &op : loop.getBody()->without_terminator()) {
    auto buffer = dyn_cast<memref::AllocaOp>(op);
    auto computes = dyn_cast<linalg::LinalgOp>(op);
    if (buffer && buffer.getType().hasStaticShape())
      scratch.push_back(buffer);
    else if (computes && computes.hasPureBufferSemantics())
      ops.push_back(computes);
    else if (op.getNumRegions() != 0 || !isPure(&op))
      return false;
  }
  return ops.size() > 1;
}

/// Elementwise, to a buffer of the caller that nothing else reads or writes.
bool TilePipeline::matchLast() {
  last = dyn_cast<linalg::GenericOp>(ops.back().getOperation());
  if (!last || last.getNumParallelLoops() != last.getNumLoops() || last.getNumDpsInits() != 1 ||
      last.hasIndexSemantics() || numPrefetchedInputs(last) != 0 ||
      ShapedType::isDynamicShape(last.getStaticLoopRanges()))
    return false;
  auto to = last.getDpsInits()[0].getDefiningOp<memref::SubViewOp>();
  return to && isa<BlockArgument>(to.getSource()) && to.getSource().hasOneUse() &&
         to->hasOneUse() && last.getRegionOutputArgs()[0].use_empty() &&
         last.getMatchingIndexingMap(last.getDpsInitOperand(0)).isPermutation() &&
         llvm::all_of(last.getInputs(), [&](Value input) { return canBeReadLater(input); });
}

/// Whether it is scratch of the tile, or nothing in the loop writes it.
bool TilePipeline::canBeReadLater(Value input) {
  if (!isMemRef(input))
    return loop.isDefinedOutsideOfLoop(input);
  Value buffer = findBuffer(input);
  if (llvm::is_contained(scratch, buffer.getDefiningOp()))
    return buffer == input && llvm::all_of(buffer.getUsers(), [](Operation *user) {
             return isa<linalg::LinalgOp>(user);
           });
  return isa<BlockArgument>(buffer) && llvm::none_of(ops, [&](linalg::LinalgOp op) {
           return llvm::is_contained(llvm::map_range(op.getDpsInits(), findBuffer), buffer);
         });
}

/// Whether the elements that `last` reads are there when `op` of the next tile comes to them.
bool TilePipeline::survives(memref::AllocaOp buffer, linalg::GenericOp op) {
  for (linalg::LinalgOp writer : ops)
    for (OpOperand &init : writer.getDpsInitsMutable()) {
      if (init.get() != buffer)
        continue;
      if (writer != op)
        return op->isBeforeInBlock(writer);
      AffineMap map = writer.getMatchingIndexingMap(&init);
      return map.isPermutation() && llvm::all_of(last->getOpOperands(), [&](OpOperand &operand) {
               return operand.get() != buffer || last.getMatchingIndexingMap(&operand) == map;
             });
    }
  return true;
}

/// The op with the same loops that computes longest, of those that come before the next tile has
/// overwritten more than a few elements.
bool TilePipeline::chooseHost() {
  std::optional<int64_t> dimension = vectorDimension(last);
  for (linalg::LinalgOp candidate : ArrayRef(ops).drop_back()) {
    auto op = dyn_cast<linalg::GenericOp>(candidate.getOperation());
    if (!op || op.getStaticLoopRanges() != last.getStaticLoopRanges() || !dimension ||
        vectorDimension(op) != dimension || (host && costOf(op) <= costOf(host)))
      continue;
    SmallVector<memref::AllocaOp> lost;
    for (memref::AllocaOp buffer : scratch)
      if (llvm::is_contained(last.getInputs(), buffer.getResult()) && !survives(buffer, op))
        lost.push_back(buffer);
    if (llvm::any_of(lost, [](memref::AllocaOp buffer) {
          return buffer.getType().getNumElements() > kFewElements;
        }))
      continue;
    host = op;
    kept = lost;
  }
  return host != nullptr;
}

/// The innermost tile at `index`, nothing of it made yet.
IRMapping TilePipeline::tileAt(Value index) {
  IRMapping tile = outer;
  tile.map(loop.getInductionVars().back(), index);
  return tile;
}

/// The value as it is in another tile.
Value TilePipeline::repeat(OpBuilder &b, Value value, IRMapping &tile) {
  Operation *op = value.getDefiningOp();
  if (!tile.contains(value) && op && op->getBlock() == loop.getBody()) {
    for (Value operand : op->getOperands())
      repeat(b, operand, tile);
    b.clone(*op, tile);
  }
  return tile.lookupOrDefault(value);
}

SmallVector<Value> TilePipeline::operandsOfLast(OpBuilder &b, Value index) {
  IRMapping tile = tileAt(index);
  for (auto [buffer, copy] : copies.getValueMap())
    tile.map(buffer, copy);
  return llvm::map_to_vector(last->getOperands(),
                             [&](Value operand) { return repeat(b, operand, tile); });
}

/// All ops of a tile but the last one; within the host that of the tile before, if there is one.
void TilePipeline::emitTile(OpBuilder &b, Value index, Value indexBefore) {
  if (indexBefore)
    for (memref::AllocaOp buffer : kept)
      linalg::CopyOp::create(b, loop.getLoc(), outer.lookup(buffer.getResult()),
                             copies.lookup(buffer.getResult()));
  IRMapping tile = tileAt(index);
  for (Operation &op : loop.getBody()->without_terminator()) {
    if (&op == host && indexBefore)
      emitHost(b, tile, indexBefore);
    else if (&op != last && !isa<memref::AllocaOp>(op))
      b.clone(op, tile);
  }
}

/// Both in one: what `last` reads stands between what the host reads and what it only prefetches.
void TilePipeline::emitHost(OpBuilder &b, IRMapping &tile, Value indexBefore) {
  SmallVector<Value> before = operandsOfLast(b, indexBefore);
  size_t own = host.getNumDpsInputs() - numPrefetchedInputs(host), others = before.size() - 1;
  SmallVector<Value> inputs = llvm::map_to_vector(
      host.getInputs(), [&](Value input) { return tile.lookupOrDefault(input); });
  SmallVector<Value> outputs = llvm::map_to_vector(
      host.getOutputs(), [&](Value output) { return tile.lookupOrDefault(output); });
  SmallVector<AffineMap> maps = host.getIndexingMapsArray(), added = last.getIndexingMapsArray();
  inputs.insert(inputs.begin() + own, before.begin(), before.end() - 1);
  maps.insert(maps.begin() + own, added.begin(), added.end() - 1);
  outputs.push_back(before.back());
  maps.push_back(added.back());
  auto both = linalg::GenericOp::create(
      b, host.getLoc(), TypeRange(), inputs, outputs, maps, host.getIteratorTypesArray(),
      [&](OpBuilder &b, Location loc, ValueRange arguments) {
        ValueRange hostInputs = arguments.take_front(own), rest = arguments.drop_front(own);
        ValueRange lastInputs = rest.take_front(others), hostOthers = rest.drop_front(others);
        IRMapping map;
        map.map(last.getRegionInputArgs(), lastInputs);
        map.map(host.getBlock()->getArguments().take_front(own), hostInputs);
        map.map(host.getBlock()->getArguments().drop_front(own), hostOthers.drop_back());
        SmallVector<Value> results;
        for (linalg::GenericOp op : {last, host}) {
          for (Operation &inner : op.getBlock()->without_terminator())
            b.clone(inner, map);
          for (Value result : op.getBlock()->getTerminator()->getOperands())
            results.push_back(map.lookupOrDefault(result));
        }
        std::rotate(results.begin(), results.begin() + 1, results.end());
        linalg::YieldOp::create(b, loc, results);
      });
  if (Attribute prefetched = host->getAttr(kPrefetchedInputs))
    both->setAttr(kPrefetchedInputs, prefetched);
}

void TilePipeline::build(int64_t tilesInRun) {
  OpBuilder builder(loop);
  LoopBuilder b(loop.getLoc(), builder);
  int64_t step = loop.getStaticStep().back(), run = tilesInRun * step;
  SmallVector<OpFoldResult> steps = loop.getMixedStep();
  steps.back() = b.getIndexAttr(run);
  auto runs = scf::ForallOp::create(b, loop.getMixedLowerBound(), loop.getMixedUpperBound(), steps,
                                    ValueRange(), loop.getMapping());
  b.setInsertionPointToStart(runs.getBody());
  outer.map(loop.getInductionVars(), runs.getInductionVars());
  for (memref::AllocaOp buffer : scratch)
    b.clone(*buffer, outer);
  for (memref::AllocaOp buffer : kept)
    b.clone(*buffer, copies);

  Value first = runs.getInductionVars().back();
  Value end = b.min(b.add(first, run), b.index(loop.getStaticUpperBound().back()));
  emitTile(b, first, Value());
  b.loop(b.add(first, step), end, step,
         [&](Value index) { emitTile(b, index, b.sub(index, b.index(step))); });
  copies.clear(); // what was kept is where it is made
  IRMapping map;
  map.map(last->getOperands(), operandsOfLast(b, b.sub(end, b.index(step))));
  b.clone(*last, map);
  loop.erase();
}

struct PipelineTilesPass : impl::PipelineTilesPassBase<PipelineTilesPass> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<scf::ForallOp> loops;
    getOperation()->walk([&](scf::ForallOp loop) { loops.push_back(loop); });
    for (scf::ForallOp loop : loops) {
      int64_t tiles = std::min(maxTiles.getValue(), countTiles(loop).value_or(0) / minRuns);
      if (tiles < minTiles)
        continue;
      if (TilePipeline pipeline(loop); pipeline.match()) {
        pipeline.build(tiles);
        ++numPipelined;
      }
    }
  }
};

} // namespace
} // namespace buddy
