// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "LoopBuilder.h"
#include "buddy/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;

namespace buddy {
#define GEN_PASS_DEF_PASSDESTINATIONSPASS
#include "buddy/Passes.h.inc"
namespace {

/// The allocation behind `value`, when only reshapes lie between, outermost view first.
memref::AllocOp findAllocation(Value value, SmallVectorImpl<Operation *> &views) {
  while (Operation *op = value.getDefiningOp()) {
    if (auto alloc = dyn_cast<memref::AllocOp>(op))
      return alloc;
    if (!isa<memref::ExpandShapeOp, memref::CollapseShapeOp>(op))
      return {};
    views.push_back(op);
    value = op->getOperand(0);
  }
  return {};
}

/// Undoes `view`, a reshape of row-major buffers, on a buffer of its result's shape.
Value invertView(OpBuilder &builder, Operation *view, Value buffer, ValueRange sourceSizes) {
  auto type = cast<MemRefType>(view->getOperand(0).getType());
  if (auto expand = dyn_cast<memref::ExpandShapeOp>(view))
    return memref::CollapseShapeOp::create(builder, view->getLoc(), type, buffer,
                                           expand.getReassociationIndices());
  auto collapse = cast<memref::CollapseShapeOp>(view);
  SmallVector<OpFoldResult> sizes;
  auto dynamic = sourceSizes.begin();
  for (int64_t extent : type.getShape())
    sizes.push_back(ShapedType::isDynamic(extent) ? OpFoldResult(*dynamic++)
                                                  : builder.getIndexAttr(extent));
  return memref::ExpandShapeOp::create(builder, view->getLoc(), type, buffer,
                                       collapse.getReassociationIndices(), sizes);
}

/// The sizes at hand are the allocation's, so only the innermost collapse of dynamic
/// extents can be undone.
bool canInvert(ArrayRef<Operation *> views) {
  for (Operation *view : views)
    if (isa<memref::CollapseShapeOp>(view) && view != views.back() &&
        !cast<MemRefType>(view->getOperand(0).getType()).hasStaticShape())
      return false;
  return true;
}

/// Makes `argument` the storage of `value`: in place of its allocation if it has one
/// of its own, by a copy if it is an argument or a second name of another result.
void moveInto(Value argument, Value value, Operation *terminator, DenseSet<Operation *> &placed) {
  SmallVector<Operation *> views;
  memref::AllocOp alloc = findAllocation(value, views);
  if (!alloc || placed.contains(alloc) || !canInvert(views)) {
    OpBuilder builder(terminator);
    memref::CopyOp::create(builder, terminator->getLoc(), value, argument);
    return;
  }
  OpBuilder builder(alloc);
  Value storage = argument;
  for (Operation *view : views)
    storage = invertView(builder, view, storage, alloc.getDynamicSizes());
  alloc.replaceAllUsesWith(storage);
  alloc.erase();
  if (Operation *owner = storage.getDefiningOp())
    placed.insert(owner);
}

/// What an output is called: `prepare` says so on its results, others are numbered.
DictionaryAttr describeOutput(func::FuncOp function, unsigned index, unsigned number) {
  Builder b(function.getContext());
  auto kind = function.getResultAttrOfType<StringAttr>(index, "buddy.kind");
  auto name = function.getResultAttrOfType<StringAttr>(index, "buddy.name");
  return b.getDictionaryAttr(
      {b.getNamedAttr("buddy.kind", kind ? kind : b.getStringAttr("output")),
       b.getNamedAttr("buddy.name", name ? name : b.getStringAttr("output." + Twine(number)))});
}

/// An argument of the function and the value that it has at the end.
using Update = std::pair<Value, Value>;

/// Makes all updates at once: what reads an argument that another one writes to, as in a swap,
/// is kept elsewhere first.
void storeUpdates(ArrayRef<Update> updates, Operation *terminator) {
  OpBuilder builder(terminator);
  Location loc = terminator->getLoc();
  SmallVector<Value> values;
  for (auto [argument, value] : updates) {
    Value source = findBuffer(value);
    bool overwritten = llvm::any_of(
        updates, [&](Update other) { return other.first == source && source != argument; });
    if (overwritten) {
      auto type = cast<MemRefType>(value.getType());
      SmallVector<Value> sizes;
      for (int64_t i = 0; i < type.getRank(); ++i)
        if (type.isDynamicDim(i))
          sizes.push_back(memref::DimOp::create(builder, loc, value, i));
      Value kept = memref::AllocOp::create(
          builder, loc, MemRefType::get(type.getShape(), type.getElementType()), sizes);
      memref::CopyOp::create(builder, loc, value, kept);
      value = kept;
    }
    values.push_back(value);
  }
  for (auto [update, value] : llvm::zip(updates, values))
    if (value != update.first)
      memref::CopyOp::create(builder, loc, value, update.first);
}

void passDestinations(func::FuncOp function) {
  auto terminator = cast<func::ReturnOp>(function.front().getTerminator());
  DenseSet<Operation *> placed;
  SmallVector<Update> updates;
  unsigned outputs = 0;
  for (unsigned index = 0; index < function.getNumResults(); ++index) {
    Value value = terminator.getOperand(index);
    if (auto updated = function.getResultAttrOfType<IntegerAttr>(index, "buddy.updates")) {
      updates.emplace_back(function.getArgument(updated.getInt()), value);
      continue;
    }
    unsigned position = function.getNumArguments();
    (void)function.insertArgument(position, value.getType(),
                                  describeOutput(function, index, outputs++), value.getLoc());
    moveInto(function.getArgument(position), value, terminator, placed);
  }
  storeUpdates(updates, terminator);
  terminator->setOperands({});
  (void)function.eraseResults(BitVector(function.getNumResults(), true));
}

struct PassDestinationsPass : impl::PassDestinationsPassBase<PassDestinationsPass> {
  using Base::Base;

  void runOnOperation() override {
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (function.isPublic() && !function.isExternal())
        passDestinations(function);
  }
};
} // namespace
} // namespace buddy
