// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "buddy/Passes.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Transforms/RegionUtils.h"

using namespace mlir;

namespace buddy {
#define GEN_PASS_DEF_PARALLELIZETILESPASS
#include "buddy/Passes.h.inc"
namespace {

Value materialize(OpBuilder &b, Location loc, OpFoldResult value) {
  return getValueOrCreateConstantIndexOp(b, loc, value);
}

/// Iterations of each loop of a forall.
SmallVector<Value> tripCounts(OpBuilder &b, scf::ForallOp forall) {
  AffineExpr lower, upper, step;
  bindSymbols(b.getContext(), lower, upper, step);
  SmallVector<Value> counts;
  for (auto [from, to, by] :
       llvm::zip(forall.getMixedLowerBound(), forall.getMixedUpperBound(), forall.getMixedStep())) {
    OpFoldResult count = affine::makeComposedFoldedAffineApply(
        b, forall.getLoc(), (upper - lower).ceilDiv(step), {from, to, by});
    counts.push_back(materialize(b, forall.getLoc(), count));
  }
  return counts;
}

/// The forall's induction variables from the number of a tile, last loop fastest:
/// neighbouring tiles go to the same thread.
SmallVector<Value> tileIndices(OpBuilder &b, scf::ForallOp forall, Value tile,
                               ArrayRef<Value> counts) {
  Location loc = forall.getLoc();
  SmallVector<Value> indices(counts.size());
  for (int64_t loop = counts.size() - 1; loop >= 0; --loop) {
    Value index = loop == 0 ? tile : arith::RemUIOp::create(b, loc, tile, counts[loop]).getResult();
    if (loop != 0)
      tile = arith::DivUIOp::create(b, loc, tile, counts[loop]);
    Value step = materialize(b, loc, forall.getMixedStep()[loop]);
    Value lower = materialize(b, loc, forall.getMixedLowerBound()[loop]);
    indices[loop] =
        arith::AddIOp::create(b, loc, lower, arith::MulIOp::create(b, loc, index, step));
  }
  return indices;
}

/// A static buffer of a tile belongs to the thread: made once, not once a tile.
void hoistScratch(scf::ForallOp forall, Operation *before) {
  SmallVector<memref::AllocaOp> allocas;
  forall.walk([&](memref::AllocaOp op) { allocas.push_back(op); });
  for (memref::AllocaOp op : allocas)
    if (op.getType().hasStaticShape())
      op->moveBefore(before);
}

/// `tiles` x `thread` / `team`: where the part of a thread begins.
Value partOf(OpBuilder &b, Location loc, Value tiles, Value thread, Value team) {
  Value product = arith::MulIOp::create(b, loc, tiles, thread);
  return arith::DivUIOp::create(b, loc, product, team);
}

bool hasNontemporalStores(scf::ForallOp forall) {
  return forall
      .walk([](vector::StoreOp store) {
        return store.getNontemporal() ? WalkResult::interrupt() : WalkResult::advance();
      })
      .wasInterrupted();
}

void parallelize(scf::ForallOp forall) {
  Location loc = forall.getLoc();
  OpBuilder b(forall);
  SmallVector<Value> counts = tripCounts(b, forall);
  Value one = arith::ConstantIndexOp::create(b, loc, 1);
  Value tiles = one;
  for (Value count : counts)
    tiles = arith::MulIOp::create(b, loc, tiles, count);

  auto parallel = ParallelOp::create(b, loc);
  Type index = b.getIndexType();
  Block *body = b.createBlock(&parallel.getBody(), {}, {index, index}, {loc, loc});
  Value thread = body->getArgument(0), team = body->getArgument(1);
  Value from = partOf(b, loc, tiles, thread, team);
  Value to = partOf(b, loc, tiles, arith::AddIOp::create(b, loc, thread, one), team);
  auto loop = scf::ForOp::create(b, loc, from, to, one);
  if (hasNontemporalStores(forall)) // nothing else orders them with the end of the region
    LLVM::FenceOp::create(b, loc, LLVM::AtomicOrdering::seq_cst, "");
  ParallelEndOp::create(b, loc);
  hoistScratch(forall, loop);
  b.setInsertionPointToStart(loop.getBody());
  SmallVector<Value> indices = tileIndices(b, forall, loop.getInductionVar(), counts);
  IRRewriter rewriter(b);
  rewriter.eraseOp(forall.getTerminator());
  rewriter.inlineBlockBefore(forall.getBody(), loop.getBody()->getTerminator(), indices);
  rewriter.eraseOp(forall);
}

struct ParallelizeTilesPass : impl::ParallelizeTilesPassBase<ParallelizeTilesPass> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<scf::ForallOp> outermost;
    getOperation().walk<WalkOrder::PreOrder>([&](scf::ForallOp forall) {
      if (forall.getOutputs().empty())
        outermost.push_back(forall);
      return WalkResult::skip();
    });
    for (scf::ForallOp forall : outermost)
      parallelize(forall);
  }
};
} // namespace
} // namespace buddy
