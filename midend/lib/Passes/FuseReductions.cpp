// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "buddy/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"

using namespace mlir;

namespace buddy {
#define GEN_PASS_DEF_FUSEREDUCTIONSPASS
#include "buddy/Passes.h.inc"
namespace {

/// Whether `op` reads what `producer` makes, as one operand, and nothing does so before.
bool isFirstReader(Operation *op, Operation *producer) {
  return llvm::count(producer->getUsers(), op) == 1 &&
         llvm::none_of(producer->getUsers(), [&](Operation *user) {
           Operation *ancestor = op->getBlock()->findAncestorOpInBlock(*user);
           return !ancestor || (ancestor != op && ancestor->isBeforeInBlock(op));
         });
}

/// The operand of a reduction whose producer has the same loops.
OpOperand *findElements(linalg::GenericOp reduction) {
  for (OpOperand *operand : reduction.getDpsInputOperands()) {
    auto producer = operand->get().getDefiningOp<linalg::GenericOp>();
    if (producer && producer->getBlock() == reduction->getBlock() &&
        producer.getNumLoops() == reduction.getNumLoops() && isFirstReader(reduction, producer) &&
        linalg::areElementwiseOpsFusable(operand))
      return operand;
  }
  return nullptr;
}

/// The reduction gets the elements as others will read them, rounded: from the maximum of unrounded
/// ones they may be far away, in softmax by more than an exponent has room for.
void foldWhatIsStored(linalg::GenericOp fused) {
  for (Value element : fused.getBlock()->getTerminator()->getOperands())
    if (auto rounding = element.getDefiningOp<arith::TruncFOp>())
      rounding.setFastmath(arith::FastMathFlags::none);
}

/// Whether an element is computed from one other and from what its row has once, with a single sum
/// or difference: it takes less to compute it again than to store it.
bool isCheap(linalg::GenericOp producer, ArrayRef<unsigned> reducedDims) {
  if (producer.hasIndexSemantics())
    return false;
  SmallPtrSet<Value, 4> elements;
  for (OpOperand *operand : producer.getDpsInputOperands()) {
    AffineMap map = producer.getMatchingIndexingMap(operand);
    if (llvm::none_of(reducedDims, [&](unsigned dim) { return map.isFunctionOfDim(dim); }))
      continue;
    if (!elements.empty() || !map.isIdentity())
      return false;
    elements.insert(producer.getMatchingBlockArgument(operand));
  }
  unsigned count = 0;
  for (Operation &op : producer.getBlock()->without_terminator()) {
    if (op.getNumRegions() != 0)
      return false;
    if (llvm::none_of(op.getOperands(), [&](Value value) { return elements.contains(value); }))
      continue;
    if (!isa<arith::AddFOp, arith::SubFOp>(op))
      return false;
    elements.insert(op.getResult(0));
    ++count;
  }
  return count == 1;
}

/// The cheap elements that a reduction of `function` reads and others read too, if all of them can
/// compute them on their own.
linalg::GenericOp findCheap(func::FuncOp function) {
  linalg::GenericOp found;
  function.walk([&](linalg::GenericOp reduction) {
    if (reduction.getNumReductionLoops() == 0)
      return WalkResult::advance();
    SmallVector<unsigned> reducedDims;
    reduction.getReductionDims(reducedDims);
    for (OpOperand *operand : reduction.getDpsInputOperands()) {
      auto producer = operand->get().getDefiningOp<linalg::GenericOp>();
      if (producer && !producer->hasOneUse() &&
          reduction.getMatchingIndexingMap(operand).isIdentity() &&
          isCheap(producer, reducedDims) && llvm::all_of(producer->getUses(), [](OpOperand &use) {
            return linalg::areElementwiseOpsFusable(&use);
          })) {
        found = producer;
        return WalkResult::interrupt();
      }
    }
    return WalkResult::advance();
  });
  return found;
}

/// Moves what makes `operand` into the op that reads it. Null where that cannot be done.
linalg::GenericOp fuse(RewriterBase &rewriter, OpOperand *operand) {
  Operation *reader = operand->getOwner();
  rewriter.setInsertionPoint(reader);
  FailureOr<linalg::ElementwiseOpFusionResult> fused =
      linalg::fuseElementwiseOps(rewriter, operand);
  if (failed(fused))
    return nullptr;
  for (auto [from, to] : fused->replacements)
    rewriter.replaceAllUsesWith(from, to);
  rewriter.eraseOp(reader);
  return cast<linalg::GenericOp>(fused->fusedOp);
}

/// Computes the elements in each op that reads them. False where one cannot.
bool recompute(RewriterBase &rewriter, linalg::GenericOp producer) {
  while (!producer->use_empty()) {
    OpOperand &use = *producer->use_begin();
    rewriter.setInsertionPoint(producer);
    Operation *own = rewriter.clone(*producer);
    use.set(own->getResult(0));
    if (!fuse(rewriter, &use))
      return false;
    rewriter.eraseOp(own);
  }
  rewriter.eraseOp(producer);
  return true;
}

struct FuseReductionsPass : impl::FuseReductionsPassBase<FuseReductionsPass> {
  using Base::Base;

  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    while (linalg::GenericOp cheap = findCheap(getOperation()))
      if (!recompute(rewriter, cheap))
        break;
    SmallVector<linalg::GenericOp> reductions;
    getOperation().walk([&](linalg::GenericOp op) {
      if (op.getNumReductionLoops() != 0)
        reductions.push_back(op);
    });
    for (linalg::GenericOp reduction : reductions)
      if (OpOperand *elements = findElements(reduction))
        if (linalg::GenericOp fused = fuse(rewriter, elements))
          foldWhatIsStored(fused);
  }
};
} // namespace
} // namespace buddy
