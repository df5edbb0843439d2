// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Epilogue.h"
#include "buddy/Passes.h"

#include "mlir/Interfaces/FunctionInterfaces.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"

using namespace mlir;

namespace buddy {
#define GEN_PASS_DEF_VECTORIZEGENERICPASS
#include "buddy/Passes.h.inc"
namespace {

struct VectorizeGeneric : OpInterfaceRewritePattern<linalg::LinalgOp> {
  VectorizeGeneric(MLIRContext *context, int64_t bits, bool hasBF16Dot)
      : OpInterfaceRewritePattern(context), bits(bits), hasBF16Dot(hasBF16Dot) {}

  LogicalResult matchAndRewrite(linalg::LinalgOp op, PatternRewriter &rewriter) const override {
    GenericSchedule schedule;
    StringRef why = chooseSchedule(op, schedule);
    VectorBody body(op, schedule.dimension);
    if (why.empty())
      why = body.refusal();
    if (!why.empty())
      return missed(rewriter, op, "vectorize-generic", why);
    LoopBuilder b(op.getLoc(), rewriter);
    GenericEmitter(b, op, body, schedule, bits, hasBF16Dot).emit();
    rewriter.eraseOp(op);
    return success();
  }

  int64_t bits;
  bool hasBF16Dot;
};

/// A fold over windows whose results never need to be in memory: they start from what a fill
/// stores, and an epilogue takes them as they are made.
class WindowGroup {
public:
  explicit WindowGroup(linalg::LinalgOp op) : fold(op) {
    if (fold.getNumDpsInits() != 1 || !chooseSchedule(fold, schedule).empty() || schedule.reduces ||
        !schedule.isStraight() || !findSlidingWindow(fold, schedule.dimension) ||
        !VectorBody(fold, schedule.dimension).refusal().empty())
      return;
    Operation *before = fold->getPrevNode();
    while (before && touchesNoElements(before))
      before = before->getPrevNode();
    fill = dyn_cast_or_null<linalg::FillOp>(before);
    Value results = fold.getDpsInits()[0];
    if (fill && (fill.getOutputs()[0] != results ||
                 fill.getInputs()[0].getType() != getElementTypeOrSelf(results)))
      fill = {};
    AffineMap map = fold.getMatchingIndexingMap(fold.getDpsInitOperand(0));
    AffineExpr dimension = getAffineDimExpr(schedule.dimension, fold.getContext());
    epilogue = Epilogue::of(fold, results, *map.getResultPosition(dimension), fill);
  }

  bool isGroup() const { return fill || epilogue; }

  /// One nest of loops in place of all of them.
  void vectorize(RewriterBase &rewriter, int64_t bits, bool hasBF16Dot) {
    rewriter.setInsertionPoint(epilogue ? epilogue->op : fold);
    LoopBuilder b(fold.getLoc(), rewriter);
    VectorBody body(fold, schedule.dimension);
    GenericEmitter emitter(b, fold, body, schedule, bits, hasBF16Dot);
    if (fill)
      emitter.startFrom(fill.getInputs()[0]);
    std::optional<EpilogueEmitter> finisher;
    if (epilogue)
      emitter.finishWith(finisher.emplace(b, *epilogue, bits));
    emitter.emit();
    if (epilogue)
      rewriter.eraseOp(epilogue->op);
    rewriter.eraseOp(fold);
    if (fill)
      rewriter.eraseOp(fill);
  }

private:
  linalg::LinalgOp fold;
  linalg::FillOp fill; // or null
  std::optional<Epilogue> epilogue;
  GenericSchedule schedule;
};

struct VectorizeGenericPass : impl::VectorizeGenericPassBase<VectorizeGenericPass> {
  using Base::Base;
  void runOnOperation() override {
    std::vector<WindowGroup> groups;
    getOperation()->walk([&](linalg::LinalgOp op) {
      if (WindowGroup group(op); group.isGroup())
        groups.push_back(group);
    });
    IRRewriter rewriter(&getContext());
    for (WindowGroup &group : groups)
      group.vectorize(rewriter, vectorBits, hasBF16Dot);
    RewritePatternSet patterns(&getContext());
    patterns.add<VectorizeGeneric>(&getContext(), vectorBits, hasBF16Dot);
    walkAndApplyPatterns(getOperation(), std::move(patterns));
  }
};

} // namespace
} // namespace buddy
