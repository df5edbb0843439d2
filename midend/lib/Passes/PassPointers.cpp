// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// MLIR passes a memref as 3 + 2 * rank values, which are then all live in a list of
// hundreds of calls. A row-major memref is a pointer and its dynamic sizes.

#include "Descriptor.h"
#include "buddy/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;

namespace buddy {
#define GEN_PASS_DEF_PASSPOINTERSPASS
#include "buddy/Passes.h.inc"
namespace {

bool isRowMajor(Type type) {
  auto memref = dyn_cast<MemRefType>(type);
  return memref && memref.getLayout().isIdentity();
}

void takePointers(func::FuncOp function) {
  Block &entry = function.front();
  ImplicitLocOpBuilder b(function.getLoc(), function.getContext());
  b.setInsertionPointToStart(&entry);
  auto pointer = LLVM::LLVMPointerType::get(b.getContext());
  SmallVector<Type> types;
  for (BlockArgument argument : llvm::to_vector(entry.getArguments())) {
    if (!isRowMajor(argument.getType())) {
      types.push_back(argument.getType());
      continue;
    }
    auto type = cast<MemRefType>(argument.getType());
    unsigned place = argument.getArgNumber();
    Value address = entry.insertArgument(place++, pointer, argument.getLoc());
    types.push_back(pointer);
    SmallVector<Value> sizes;
    for (size_t i = 0; i < type.getNumDynamicDims(); ++i) {
      sizes.push_back(entry.insertArgument(place++, b.getIndexType(), argument.getLoc()));
      types.push_back(b.getIndexType());
    }
    argument.replaceAllUsesWith(memrefAt(b, type, address, sizes));
    entry.eraseArgument(argument.getArgNumber());
  }
  function.setFunctionType(b.getFunctionType(types, function.getResultTypes()));
  function.removeArgAttrsAttr();
}

/// A size, from what the memref was made with where that is at hand: views of several dynamic
/// extents lose theirs on the way to LLVM.
Value sizeOf(ImplicitLocOpBuilder &b, Value memref, int64_t dim) {
  int64_t extent = cast<MemRefType>(memref.getType()).getDimSize(dim);
  if (!ShapedType::isDynamic(extent))
    return arith::ConstantIndexOp::create(b, extent);
  if (auto expand = memref.getDefiningOp<memref::ExpandShapeOp>())
    return cast<Value>(expand.getMixedOutputShape()[dim]);
  auto collapse = memref.getDefiningOp<memref::CollapseShapeOp>();
  if (!collapse)
    return b.createOrFold<memref::DimOp>(memref, dim);
  Value size = arith::ConstantIndexOp::create(b, 1);
  ReassociationIndices parts = collapse.getReassociationIndices()[dim];
  for (int64_t part : parts)
    size = b.createOrFold<arith::MulIOp>(size, sizeOf(b, collapse.getSrc(), part));
  return size;
}

void givePointers(func::CallOp call) {
  ImplicitLocOpBuilder b(call.getLoc(), call);
  SmallVector<Value> operands;
  for (Value operand : call.getOperands()) {
    if (!isRowMajor(operand.getType())) {
      operands.push_back(operand);
      continue;
    }
    operands.push_back(addressOf(b, operand));
    auto type = cast<MemRefType>(operand.getType());
    for (int64_t dim = 0; dim < type.getRank(); ++dim)
      if (type.isDynamicDim(dim))
        operands.push_back(sizeOf(b, operand, dim));
  }
  call->setOperands(operands);
}

/// Upstream has no strides for a view that expands to several dynamic sizes in one group.
bool hasUnknownStrides(memref::ExpandShapeOp expand) {
  MemRefType type = expand.getResultType();
  auto isDynamic = [&](int64_t dim) { return type.isDynamicDim(dim); };
  return isRowMajor(type) &&
         llvm::any_of(expand.getReassociationIndices(), [&](const ReassociationIndices &group) {
           return llvm::count_if(group, isDynamic) > 1;
         });
}

/// The view as a row-major memref at its source's address.
void rebuild(memref::ExpandShapeOp expand) {
  ImplicitLocOpBuilder b(expand.getLoc(), expand);
  SmallVector<Value> sizes(expand.getOutputShape());
  expand.replaceAllUsesWith(
      memrefAt(b, expand.getResultType(), addressOf(b, expand.getSrc()), sizes));
  expand.erase();
}

struct PassPointersPass : impl::PassPointersPassBase<PassPointersPass> {
  using Base::Base;

  void runOnOperation() override {
    DenseSet<StringRef> changed;
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      if (function.isPublic() || function.isExternal())
        continue;
      takePointers(function);
      changed.insert(function.getName());
    }
    getOperation().walk([&](func::CallOp call) {
      if (changed.contains(call.getCallee()))
        givePointers(call);
    });
    // After the calls, which need the sizes alone: what else asks for one, or reads the view.
    getOperation().walk([](memref::ExpandShapeOp expand) {
      if (!expand->use_empty() && hasUnknownStrides(expand))
        rebuild(expand);
    });
  }
};
} // namespace
} // namespace buddy
