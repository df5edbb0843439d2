// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "buddy/Passes.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;

namespace buddy {
#define GEN_PASS_DEF_FENCEHALVESPASS
#include "buddy/Passes.h.inc"
namespace {

struct FenceHalvesPass : impl::FenceHalvesPassBase<FenceHalvesPass> {
  using Base::Base;

  void runOnOperation() override {
    getOperation()->walk([](Operation *op) {
      if (isa<LLVM::FRemOp>(op) ||
          (isa<LLVM::FAddOp, LLVM::FSubOp, LLVM::FMulOp, LLVM::FDivOp>(op) && mixes(op)))
        fence(op->getOpOperand(1));
      if (isa<LLVM::FCmpOp>(op))
        for (OpOperand &operand : op->getOpOperands())
          if (isWidenedBF16(operand.get()))
            return fence(operand);
    });
  }

  static bool isWidenedBF16(Value value) {
    auto widened = value.getDefiningOp<LLVM::FPExtOp>();
    return widened && getElementTypeOrSelf(widened.getArg()).isBF16();
  }

  /// Whether the operands are widened from different types.
  static bool mixes(Operation *op) {
    auto left = op->getOperand(0).getDefiningOp<LLVM::FPExtOp>();
    auto right = op->getOperand(1).getDefiningOp<LLVM::FPExtOp>();
    return left && right && left.getArg().getType() != right.getArg().getType();
  }

  static void fence(OpOperand &operand) {
    OpBuilder builder(operand.getOwner());
    Value value = operand.get();
    auto fence = LLVM::CallIntrinsicOp::create(
        builder, operand.getOwner()->getLoc(), value.getType(),
        builder.getStringAttr("llvm.arithmetic.fence"), ValueRange{value});
    operand.set(fence.getResult(0));
  }
};
} // namespace
} // namespace buddy
