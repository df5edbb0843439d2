// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "buddy/Passes.h"

#include "llvm/ADT/StringSwitch.h"

using namespace mlir;

namespace buddy {
#define GEN_PASS_DEF_VERIFYPHASEPASS
#include "buddy/Passes.h.inc"
namespace {

using Allowed = bool (*)(Operation *);

bool isKernelWork(Operation *op) {
  return isa<linalg::LinalgOp, AttentionOp, ConvOp, MatmulOp, ScatterOp, SortOp>(op);
}

/// Entry points call kernels; the work itself is inside of them.
bool isAllowedInKernels(Operation *op) {
  auto function = op->getParentOfType<func::FuncOp>();
  return !isKernelWork(op) || !function || !function.isPublic();
}

/// A kernel's results are its destinations: one that is returned is in another buffer.
bool returnsFromKernel(Operation *op) {
  return isa<func::ReturnOp>(op) && op->getNumOperands() != 0 &&
         op->getParentOp()->hasAttr("buddy.kernel");
}

bool isAllowedInBufferized(Operation *op) {
  if (returnsFromKernel(op))
    return false;
  auto isTensor = [](Type type) { return isa<TensorType>(type); };
  return llvm::none_of(op->getOperandTypes(), isTensor) &&
         llvm::none_of(op->getResultTypes(), isTensor);
}

bool isAllowedInVectorized(Operation *op) {
  return isAllowedInBufferized(op) && !isa<linalg::LinalgDialect, BuddyDialect>(op->getDialect());
}

bool isAllowedInLLVM(Operation *op) {
  return isa<ModuleOp>(op) || isa<LLVM::LLVMDialect>(op->getDialect());
}

struct VerifyPhasePass : impl::VerifyPhasePassBase<VerifyPhasePass> {
  using Base::Base;

  void runOnOperation() override {
    auto allowed = llvm::StringSwitch<Allowed>(phase)
                       .Case("kernels", isAllowedInKernels)
                       .Case("bufferized", isAllowedInBufferized)
                       .Case("vectorized", isAllowedInVectorized)
                       .Case("llvm", isAllowedInLLVM)
                       .Default(nullptr);
    if (!allowed) {
      getOperation().emitError("no state is called `") << phase << "`";
      return signalPassFailure();
    }
    getOperation().walk([&](Operation *op) {
      if (allowed(op))
        return;
      op->emitOpError("must not be left in the state `") << phase << "`";
      signalPassFailure();
    });
  }
};
} // namespace
} // namespace buddy
