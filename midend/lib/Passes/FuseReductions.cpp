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

struct FuseReductionsPass : impl::FuseReductionsPassBase<FuseReductionsPass> {
  using Base::Base;

  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    SmallVector<linalg::GenericOp> reductions;
    getOperation().walk([&](linalg::GenericOp op) {
      if (op.getNumReductionLoops() != 0)
        reductions.push_back(op);
    });
    for (linalg::GenericOp reduction : reductions) {
      OpOperand *elements = findElements(reduction);
      if (!elements)
        continue;
      rewriter.setInsertionPoint(reduction);
      FailureOr<linalg::ElementwiseOpFusionResult> fused =
          linalg::fuseElementwiseOps(rewriter, elements);
      if (failed(fused))
        continue;
      foldWhatIsStored(cast<linalg::GenericOp>(fused->fusedOp));
      for (auto [from, to] : fused->replacements)
        rewriter.replaceAllUsesWith(from, to);
    }
  }
};
} // namespace
} // namespace buddy
