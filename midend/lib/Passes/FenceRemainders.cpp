// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "buddy/Passes.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;

namespace buddy {
#define GEN_PASS_DEF_FENCEREMAINDERSPASS
#include "buddy/Passes.h.inc"
namespace {

struct FenceRemaindersPass : impl::FenceRemaindersPassBase<FenceRemaindersPass> {
  using Base::Base;

  void runOnOperation() override {
    getOperation()->walk([](LLVM::FRemOp op) {
      OpBuilder builder(op);
      Value divisor = op.getRhs();
      auto fence = LLVM::CallIntrinsicOp::create(builder, op.getLoc(), divisor.getType(),
                                                 builder.getStringAttr("llvm.arithmetic.fence"),
                                                 ValueRange{divisor});
      op.getRhsMutable().assign(fence.getResult(0));
    });
  }
};
} // namespace
} // namespace buddy
