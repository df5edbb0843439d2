// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "buddy/Passes.h"

#include "WorkCounter.h"

using namespace mlir;

namespace buddy {
#define GEN_PASS_DEF_DESCRIBEKERNELSPASS
#include "buddy/Passes.h.inc"
namespace {

/// The type that the kernel's products, or else its results, are made of: it decides how fast
/// the machine could be.
StringRef arithmeticOf(func::FuncOp kernel) {
  Type type;
  for (Operation &op : kernel.front()) {
    auto destination = dyn_cast<DestinationStyleOpInterface>(&op);
    if (!destination || destination.getNumDpsInputs() == 0)
      continue;
    Type element = getElementTypeOrSelf(destination.getDpsInputs().front().getType());
    bool isProduct =
        isa<AttentionOp, ConvOp, MatmulOp>(op) || isa<linalg::ContractionOpInterface>(op);
    if (isProduct) {
      type = element;
      break;
    }
    if (!type || element.isF64())
      type = element;
  }
  if (!type)
    return "f32";
  return type.isF64() ? "f64" : type.isBF16() ? "bf16" : type.isInteger(8) ? "i8" : "f32";
}

/// The importer names locations for the operator that the user called, around the node's name.
void collectSources(Operation *op, SetVector<StringAttr> &sources) {
  op->getLoc()->walk([&](Location loc) {
    auto name = dyn_cast<NameLoc>(loc);
    if (!name)
      return WalkResult::advance();
    sources.insert(name.getName());
    return WalkResult::skip();
  });
}

/// The operators that the kernel computes, in program order. Constants are shared between
/// operators: whose they are says nothing.
ArrayAttr sourcesOf(func::FuncOp kernel) {
  SetVector<StringAttr> sources;
  kernel.getBody().walk<WalkOrder::PreOrder>([&](Operation *op) {
    if (!op->hasTrait<OpTrait::ConstantLike>() && !op->hasTrait<OpTrait::IsTerminator>())
      collectSources(op, sources);
  });
  SmallVector<Attribute> names(sources.begin(), sources.end());
  return ArrayAttr::get(kernel.getContext(), names);
}

void describe(func::FuncOp kernel) {
  Builder b(kernel.getContext());
  kernel->setAttr("buddy.sources", sourcesOf(kernel));
  kernel->setAttr("buddy.arithmetic", b.getStringAttr(arithmeticOf(kernel)));
  FailureOr<KernelWork> work = WorkCounter(kernel).count();
  if (failed(work))
    return;
  kernel->setAttr("buddy.work", AffineMapAttr::get(work->work));
  kernel->setAttr("buddy.work_sizes", b.getDenseI64ArrayAttr(work->sizes));
}

struct DescribeKernelsPass : impl::DescribeKernelsPassBase<DescribeKernelsPass> {
  using Base::Base;

  void runOnOperation() override {
    for (auto kernel : getOperation().getOps<func::FuncOp>())
      if (kernel->hasAttr("buddy.kernel"))
        describe(kernel);
  }
};
} // namespace
} // namespace buddy
