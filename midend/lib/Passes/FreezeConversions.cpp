// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "buddy/Passes.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;

namespace buddy {
#define GEN_PASS_DEF_FREEZECONVERSIONSPASS
#include "buddy/Passes.h.inc"
namespace {

struct FreezeConversionsPass : impl::FreezeConversionsPassBase<FreezeConversionsPass> {
  using Base::Base;

  void runOnOperation() override {
    getOperation()->walk([](Operation *op) {
      if (!isa<LLVM::FPToSIOp, LLVM::FPToUIOp>(op))
        return;
      OpBuilder builder(op->getContext());
      builder.setInsertionPointAfter(op);
      Value integer = op->getResult(0);
      auto frozen = LLVM::FreezeOp::create(builder, op->getLoc(), integer);
      integer.replaceAllUsesExcept(frozen, frozen);
    });
  }
};
} // namespace
} // namespace buddy
