// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// An ordinary store reads the line that it writes to into the cache. Where a call moves more than
// the caches hold, its results have left them before anybody reads them, and a third of what an
// elementwise kernel moves is for nothing: such results go straight to memory.

#include "LoopBuilder.h"
#include "buddy/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

using namespace mlir;

namespace buddy {
#define GEN_PASS_DEF_STREAMSTORESPASS
#include "buddy/Passes.h.inc"
namespace {

/// Zero where a size is not known.
int64_t bytesOf(Type type) {
  auto memref = dyn_cast<MemRefType>(type);
  if (!memref || !memref.hasStaticShape() || !memref.getElementType().isIntOrFloat())
    return 0;
  return memref.getNumElements() * llvm::divideCeil(memref.getElementTypeBitWidth(), 8);
}

/// What a call of an entry point moves at least.
int64_t bytesMoved(func::FuncOp function) {
  int64_t bytes = 0;
  for (Type type : function.getArgumentTypes())
    bytes += bytesOf(type);
  return bytes;
}

/// What reads or writes a buffer, also by its views.
SmallVector<OpOperand *> accesses(Value buffer) {
  SmallVector<OpOperand *> found;
  for (OpOperand &use : buffer.getUses()) {
    Operation *user = use.getOwner();
    if (auto view = dyn_cast<ViewLikeOpInterface>(user); view && view.getViewSource() == buffer)
      llvm::append_range(found, accesses(user->getResult(0)));
    else if (!isa<memref::DimOp>(user))
      found.push_back(&use);
  }
  return found;
}

bool isStore(OpOperand *use) {
  Operation *user = use->getOwner();
  auto stores = [&](auto store) { return store && &store.getBaseMutable() == use; };
  auto scalar = dyn_cast<memref::StoreOp>(user);
  return stores(dyn_cast<vector::StoreOp>(user)) || stores(dyn_cast<vector::MaskedStoreOp>(user)) ||
         (scalar && &scalar.getMemrefMutable() == use);
}

/// The address of the element at `indices`.
Value addressOf(LoopBuilder &b, Value memref, ValueRange indices) {
  auto data = memref::ExtractStridedMetadataOp::create(b, memref);
  Value element = data.getOffset();
  for (auto [index, stride] : llvm::zip(indices, data.getStrides()))
    element = b.add(element, b.mul(index, stride));
  int64_t bytes = cast<MemRefType>(memref.getType()).getElementTypeBitWidth() / 8;
  Value base = memref::ExtractAlignedPointerAsIndexOp::create(b, memref);
  return b.add(base, b.mul(element, bytes));
}

/// Nothing promises that a caller's buffer or a row in it is aligned, as these stores have to be.
void stream(vector::StoreOp store) {
  int64_t bits =
      store.getVectorType().getNumElements() * store.getVectorType().getElementTypeBitWidth();
  if (!llvm::isPowerOf2_64(bits) || bits < 128 || !store->getParentOfType<scf::ForallOp>())
    return;
  OpBuilder builder(store);
  LoopBuilder b(store.getLoc(), builder);
  Value address = addressOf(b, store.getBase(), store.getIndices());
  Value beyond = arith::AndIOp::create(b, address, b.index(bits / 8 - 1));
  Value aligned = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, beyond, b.index(0));
  auto either = scf::IfOp::create(b, aligned, /*withElseRegion=*/true);
  auto straight = cast<vector::StoreOp>(either.getThenBodyBuilder().clone(*store));
  straight.setNontemporal(true);
  straight.setAlignment(bits / 8);
  store->moveBefore(either.elseBlock()->getTerminator());
}

struct StreamStoresPass : impl::StreamStoresPassBase<StreamStoresPass> {
  using Base::Base;

  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    DenseSet<Value> chosen, others; // arguments of kernels
    getOperation().walk([&](func::CallOp call) {
      auto kernel = symbols.lookup<func::FuncOp>(call.getCallee());
      for (auto [operand, argument] : llvm::zip(call.getOperands(), kernel.getArguments()))
        if (isMemRef(operand))
          (isLarge(operand) ? chosen : others).insert(argument);
    });
    for (func::FuncOp kernel : getOperation().getOps<func::FuncOp>())
      for (BlockArgument argument : kernel.getArguments())
        if (chosen.contains(argument) && !others.contains(argument))
          streamTo(argument);
  }

  /// Whether it is a result that the caches cannot keep, and that nothing else in the call reads.
  bool isLarge(Value operand) {
    auto buffer = dyn_cast<BlockArgument>(findBuffer(operand));
    auto entry = buffer ? dyn_cast<func::FuncOp>(buffer.getOwner()->getParentOp()) : func::FuncOp();
    if (!entry || !entry.isPublic())
      return false;
    auto kind = entry.getArgAttrOfType<StringAttr>(buffer.getArgNumber(), "buddy.kind");
    return kind && kind.getValue() == "output" && bytesOf(buffer.getType()) >= minBytes &&
           bytesMoved(entry) > cacheBytes && accesses(buffer).size() == 1;
  }

  void streamTo(BlockArgument argument) {
    SmallVector<OpOperand *> uses = accesses(argument);
    if (!llvm::all_of(uses, isStore))
      return;
    for (OpOperand *use : uses)
      if (auto store = dyn_cast<vector::StoreOp>(use->getOwner())) {
        stream(store);
        ++numStreamed;
      }
  }
};

} // namespace
} // namespace buddy
