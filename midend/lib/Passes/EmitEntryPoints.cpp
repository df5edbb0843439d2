// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Descriptor.h"
#include "buddy/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;

namespace buddy {
#define GEN_PASS_DEF_EMITENTRYPOINTSPASS
#include "buddy/Passes.h.inc"
namespace {

/// What `pointer` points to: a memref's descriptor, or a scalar.
Value loadArgument(ImplicitLocOpBuilder &b, Type type, Value pointer) {
  auto load = [&](Type loaded, Value from) -> Value {
    return LLVM::LoadOp::create(b, loaded, from);
  };
  auto toIndex = [&](Value word) -> Value {
    return arith::IndexCastOp::create(b, b.getIndexType(), word);
  };
  auto memref = dyn_cast<MemRefType>(type);
  if (!memref)
    return type.isIndex() ? toIndex(load(b.getI64Type(), pointer)) : load(type, pointer);
  Type descriptor = descriptorType(memref);
  auto field = [&](ArrayRef<LLVM::GEPArg> path, Type loaded) -> Value {
    return load(loaded, LLVM::GEPOp::create(b, pointer.getType(), descriptor, pointer, path));
  };
  Value address = field({0, 1}, pointer.getType());
  SmallVector<Value> sizes;
  for (int32_t dim = 0; dim < memref.getRank(); ++dim)
    if (memref.isDynamicDim(dim))
      sizes.push_back(toIndex(field({0, 3, dim}, b.getI64Type())));
  return memrefAt(b, memref, address, sizes);
}

/// The first operation of the function's own block that needs `value`, itself or inside.
Operation *firstUser(Value value, Block &block) {
  Operation *first = nullptr;
  for (Operation *user : value.getUsers()) {
    user = block.findAncestorOpInBlock(*user);
    if (!first || user->isBeforeInBlock(first))
      first = user;
  }
  return first;
}

/// Arguments come as an array of pointers. Each is read where it is first needed: read
/// all at once, a model's weights would be live through the whole list of calls.
void takeArray(func::FuncOp function) {
  Block &entry = function.front();
  ImplicitLocOpBuilder b(function.getLoc(), function.getContext());
  auto pointer = LLVM::LLVMPointerType::get(b.getContext());
  Value array = entry.insertArgument(0u, pointer, function.getLoc());
  for (auto [index, argument] : llvm::enumerate(llvm::drop_begin(entry.getArguments()))) {
    if (argument.use_empty())
      continue;
    b.setInsertionPoint(firstUser(argument, entry));
    auto place = LLVM::GEPOp::create(b, pointer, pointer, array,
                                     ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(index)});
    argument.replaceAllUsesWith(
        loadArgument(b, argument.getType(), LLVM::LoadOp::create(b, pointer, place)));
  }
  entry.eraseArguments(1, entry.getNumArguments() - 1);
  function.setFunctionType(b.getFunctionType({pointer}, function.getResultTypes()));
  function.removeArgAttrsAttr();
}

/// `_mlir_ciface_name(pointers…)`, MLIR's own interface, for programs that know the
/// arguments: it puts them into an array.
void emitCInterface(func::FuncOp function, StringRef name, unsigned arguments) {
  ImplicitLocOpBuilder b(function.getLoc(), function);
  auto pointer = LLVM::LLVMPointerType::get(b.getContext());
  SmallVector<Type> types(arguments, pointer);
  auto wrapper =
      func::FuncOp::create(b, ("_mlir_ciface_" + name).str(), b.getFunctionType(types, {}));
  // As long as the model is deep, and not worth optimizing.
  wrapper->setAttr("passthrough", b.getStrArrayAttr({"noinline", "optnone"}));
  b.setInsertionPointToStart(wrapper.addEntryBlock());
  auto count = LLVM::ConstantOp::create(b, b.getI64IntegerAttr(arguments));
  Value array = LLVM::AllocaOp::create(b, pointer, pointer, count);
  for (BlockArgument argument : wrapper.getArguments()) {
    auto number = static_cast<int32_t>(argument.getArgNumber());
    auto place = LLVM::GEPOp::create(b, pointer, pointer, array, ArrayRef<LLVM::GEPArg>{number});
    LLVM::StoreOp::create(b, argument, place);
  }
  func::CallOp::create(b, function, array);
  func::ReturnOp::create(b);
}

struct EmitEntryPointsPass : impl::EmitEntryPointsPassBase<EmitEntryPointsPass> {
  using Base::Base;

  void runOnOperation() override {
    for (auto function : llvm::to_vector(getOperation().getOps<func::FuncOp>())) {
      auto symbol = function->getAttrOfType<StringAttr>("buddy.entry");
      if (!symbol || function.isExternal())
        continue;
      std::string name = function.getName().str();
      unsigned arguments = function.getNumArguments();
      takeArray(function);
      function.setName(symbol);
      function->removeAttr("buddy.entry");
      function->setAttr("passthrough", Builder(function).getStrArrayAttr({"noinline", "optnone"}));
      bool isOwnSymbol = symbol == name; // a second body of an entry, for a profiler
      if (function.getNumResults() == 0 && !isOwnSymbol) // and not the size of a workspace
        emitCInterface(function, name, arguments);
    }
  }
};
} // namespace
} // namespace buddy
