// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "buddy/Passes.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;

namespace buddy {
#define GEN_PASS_DEF_EMITENTRYPOINTSPASS
#include "buddy/Passes.h.inc"
namespace {

/// `wrapper(ptr arguments)` calls `target(arguments[0], arguments[1], …)`; a scalar
/// is behind its pointer, a memref's descriptor is what the pointer points to.
void emitEntry(OpBuilder &b, LLVM::LLVMFuncOp target, StringRef name) {
  Location loc = target.getLoc();
  auto pointer = LLVM::LLVMPointerType::get(b.getContext());
  LLVM::LLVMFunctionType type = target.getFunctionType();
  auto wrapper = LLVM::LLVMFuncOp::create(
      b, loc, name, LLVM::LLVMFunctionType::get(type.getReturnType(), {pointer}));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(wrapper.addEntryBlock(b));
  SmallVector<Value> arguments;
  for (auto [index, parameter] : llvm::enumerate(type.getParams())) {
    Value place = LLVM::GEPOp::create(b, loc, pointer, pointer, wrapper.getArgument(0),
                                      ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(index)});
    Value argument = LLVM::LoadOp::create(b, loc, pointer, place);
    if (!isa<LLVM::LLVMPointerType>(parameter))
      argument = LLVM::LoadOp::create(b, loc, parameter, argument);
    arguments.push_back(argument);
  }
  auto call = LLVM::CallOp::create(b, loc, target, arguments);
  LLVM::ReturnOp::create(b, loc, call.getResults());
}

struct EmitEntryPointsPass : impl::EmitEntryPointsPassBase<EmitEntryPointsPass> {
  using Base::Base;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
    for (auto function : llvm::to_vector(module.getOps<LLVM::LLVMFuncOp>())) {
      auto name = function->getAttrOfType<StringAttr>("buddy.entry");
      if (!name || function.getName().starts_with("_mlir_ciface_"))
        continue;
      auto target = module.lookupSymbol<LLVM::LLVMFuncOp>(
          ("_mlir_ciface_" + function.getName()).str());
      if (!target) {
        function.emitOpError("is an entry point without a C interface");
        return signalPassFailure();
      }
      emitEntry(builder, target, name);
    }
  }
};
} // namespace
} // namespace buddy
