// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "buddy/Passes.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/OpenMP/OpenMPDialect.h"
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

void parallelize(scf::ForallOp forall) {
  Location loc = forall.getLoc();
  OpBuilder b(forall);
  SmallVector<Value> counts = tripCounts(b, forall);
  Value zero = arith::ConstantIndexOp::create(b, loc, 0);
  Value one = arith::ConstantIndexOp::create(b, loc, 1);
  Value tiles = one;
  for (Value count : counts)
    tiles = arith::MulIOp::create(b, loc, tiles, count);

  auto parallel = omp::ParallelOp::create(b, loc);
  b.createBlock(&parallel.getRegion());
  auto share = omp::WsloopOp::create(b, loc);
  omp::TerminatorOp::create(b, loc);
  hoistScratch(forall, share);
  b.createBlock(&share.getRegion());
  auto nest = omp::LoopNestOp::create(b, loc, /*collapse_num_loops=*/uint64_t(1), zero, tiles, one,
                                      /*loop_inclusive=*/false, /*tile_sizes=*/nullptr);
  Block *body = b.createBlock(&nest.getRegion(), {}, b.getIndexType(), loc);
  IRRewriter rewriter(b);
  SmallVector<Value> indices = tileIndices(b, forall, body->getArgument(0), counts);
  rewriter.eraseOp(forall.getTerminator());
  rewriter.setInsertionPointToEnd(body);
  rewriter.mergeBlocks(forall.getBody(), body, indices);
  rewriter.setInsertionPointToEnd(body);
  omp::YieldOp::create(rewriter, loc);
  rewriter.eraseOp(forall);
}

struct ParallelizeTilesPass : impl::ParallelizeTilesPassBase<ParallelizeTilesPass> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<scf::ForallOp> outermost;
    getOperation().walk<WalkOrder::PreOrder>([&](scf::ForallOp forall) {
      if (!forall.getOutputs().empty())
        return WalkResult::skip();
      outermost.push_back(forall);
      return WalkResult::skip();
    });
    for (scf::ForallOp forall : outermost)
      parallelize(forall);
  }
};
} // namespace
} // namespace buddy
