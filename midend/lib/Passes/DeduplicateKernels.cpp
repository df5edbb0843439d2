// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "buddy/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;

namespace buddy {
#define GEN_PASS_DEF_DEDUPLICATEKERNELSPASS
#include "buddy/Passes.h.inc"
namespace {

/// Constants at the front, in the order of their first use: where they came from says nothing.
void orderConstants(func::FuncOp kernel) {
  Block &body = kernel.front();
  SetVector<Operation *> constants;
  kernel.walk<WalkOrder::PreOrder>([&](Operation *op) {
    for (Value operand : op->getOperands())
      if (Operation *source = operand.getDefiningOp())
        if (source->hasTrait<OpTrait::ConstantLike>() && source->getBlock() == &body)
          constants.insert(source);
  });
  for (Operation *constant : llvm::reverse(constants))
    constant->moveBefore(&body, body.begin());
}

/// What a kernel computes, without its name and locations: printed value names are
/// numbered in order, so equal text is equal structure.
std::string fingerprint(func::FuncOp kernel) {
  StringAttr name = kernel.getNameAttr();
  kernel.setName("kernel");
  std::string text;
  llvm::raw_string_ostream stream(text);
  kernel->print(stream, OpPrintingFlags().enableDebugInfo(false).useLocalScope());
  kernel.setName(name);
  return text;
}

struct DeduplicateKernelsPass : impl::DeduplicateKernelsPassBase<DeduplicateKernelsPass> {
  using Base::Base;

  void runOnOperation() override {
    llvm::StringMap<func::FuncOp> unique;
    llvm::StringMap<func::FuncOp> replacement;
    for (auto kernel : llvm::to_vector(getOperation().getOps<func::FuncOp>())) {
      if (!kernel->hasAttr("buddy.kernel"))
        continue;
      orderConstants(kernel);
      auto [place, isNew] = unique.try_emplace(fingerprint(kernel), kernel);
      if (isNew)
        continue;
      replacement[kernel.getName()] = place->second;
      ++numRemoved;
    }
    getOperation().walk([&](func::CallOp call) {
      if (auto found = replacement.find(call.getCallee()); found != replacement.end())
        call.setCallee(found->second.getName());
    });
    for (auto &entry : replacement)
      getOperation().lookupSymbol(entry.getKey())->erase();
  }
};
} // namespace
} // namespace buddy
