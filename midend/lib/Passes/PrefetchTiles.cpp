// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "GenericEmitter.h"
#include "buddy/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace buddy {
#define GEN_PASS_DEF_PREFETCHTILESPASS
#include "buddy/Passes.h.inc"
namespace {

/// A tile that comes from memory, and the place of its first reader among the ops.
struct Tile {
  memref::SubViewOp view;
  size_t firstUse;
};

int64_t widestElement(ValueRange operands) {
  int64_t bits = 0;
  for (Value operand : operands)
    if (Type element = getElementTypeOrSelf(operand.getType()); element.isIntOrFloat())
      bits = std::max<int64_t>(bits, element.getIntOrFloatBitWidth());
  return bits;
}

int64_t bytesOf(memref::SubViewOp tile) {
  return tile.getType().getNumElements() * widestElement(tile.getResult()) / 8;
}

/// Whether the op's loops are those over the tile's elements, in vectors that are no shorter for
/// it.
bool walks(linalg::GenericOp op, memref::SubViewOp tile) {
  return ArrayRef(op.getStaticLoopRanges()) == tile.getType().getShape() &&
         widestElement(tile.getResult()) <= widestElement(op.getOperands());
}

/// Whether the iterations of the innermost dimension read one such tile after the other.
bool movesWith(memref::SubViewOp view, scf::ForallOp loop) {
  Value index = loop.getInductionVars().back();
  bool isPlain = llvm::all_of(view->getOperands(), [&](Value operand) {
    return operand.getParentBlock() == loop.getBody() ? isa<BlockArgument>(operand)
                                                      : loop.isDefinedOutsideOfLoop(operand);
  });
  return isPlain && llvm::is_contained(view.getOffsets(), index) &&
         isa<BlockArgument>(view.getSource()) && view.getType().hasStaticShape() &&
         hasUnitInnerStride(view);
}

/// The same place one iteration later; in the last one the place itself.
Value nextIndex(OpBuilder &b, scf::ForallOp loop) {
  Location loc = loop.getLoc();
  auto value = [&](OpFoldResult bound) { return getValueOrCreateConstantIndexOp(b, loc, bound); };
  Value step = value(loop.getMixedStep().back());
  Value last = arith::SubIOp::create(b, loc, value(loop.getMixedUpperBound().back()), step);
  Value next = arith::AddIOp::create(b, loc, loop.getInductionVars().back(), step);
  return arith::MinSIOp::create(b, loc, next, last);
}

/// The op with one more input, which its body does not look at.
linalg::GenericOp addPrefetched(linalg::GenericOp op, Value tile) {
  OpBuilder b(op);
  SmallVector<Value> inputs(op.getInputs());
  inputs.push_back(tile);
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  maps.insert(maps.begin() + op.getNumDpsInputs(), b.getMultiDimIdentityMap(op.getNumLoops()));
  auto wider = linalg::GenericOp::create(b, op.getLoc(), TypeRange(), inputs, op.getOutputs(), maps,
                                         op.getIteratorTypesArray());
  op.getBlock()->insertArgument(op.getNumDpsInputs(), getElementTypeOrSelf(tile), op.getLoc());
  wider.getRegion().takeBody(op.getRegion());
  wider->setAttr(kPrefetchedInputs, b.getI64IntegerAttr(numPrefetchedInputs(op) + 1));
  op.erase();
  return wider;
}

struct PrefetchTilesPass : impl::PrefetchTilesPassBase<PrefetchTilesPass> {
  using Base::Base;

  void runOnOperation() override {
    getOperation()->walk([&](scf::ForallOp loop) { prefetch(loop); });
  }

  void prefetch(scf::ForallOp loop) {
    SmallVector<linalg::GenericOp> ops(loop.getBody()->getOps<linalg::GenericOp>());
    SmallVector<Tile> tiles = findTiles(loop, ops);
    if (ops.size() < 2 || tiles.empty())
      return;
    OpBuilder b = OpBuilder::atBlockBegin(loop.getBody());
    Value next = nextIndex(b, loop);
    for (Tile tile : tiles) {
      linalg::GenericOp *host = chooseHost(ops, tile);
      if (!host)
        continue;
      b.setInsertionPoint(*host);
      IRMapping map;
      map.map(loop.getInductionVars().back(), next);
      *host = addPrefetched(*host, b.clone(*tile.view, map)->getResult(0));
      ++numPrefetched;
    }
  }

  SmallVector<Tile> findTiles(scf::ForallOp loop, ArrayRef<linalg::GenericOp> ops) {
    SmallVector<Tile> tiles;
    for (memref::SubViewOp view : loop.getBody()->getOps<memref::SubViewOp>()) {
      auto *first = llvm::find_if(ops, [&](linalg::GenericOp op) {
        return llvm::is_contained(op.getInputs(), view.getResult());
      });
      if (first != ops.end() && movesWith(view, loop) && bytesOf(view) >= minBytes)
        tiles.push_back({view, size_t(first - ops.begin())});
    }
    return tiles;
  }

  /// The op that can take it with the fewest other ones, and soonest after the tile's own use:
  /// there the machine already waits for memory.
  linalg::GenericOp *chooseHost(MutableArrayRef<linalg::GenericOp> ops, Tile tile) {
    linalg::GenericOp *best = nullptr;
    for (size_t distance = 1; distance < ops.size(); ++distance) {
      linalg::GenericOp &op = ops[(tile.firstUse + distance) % ops.size()];
      if (walks(op, tile.view) && (!best || numPrefetchedInputs(op) < numPrefetchedInputs(*best)))
        best = &op;
    }
    return best;
  }
};

} // namespace
} // namespace buddy
