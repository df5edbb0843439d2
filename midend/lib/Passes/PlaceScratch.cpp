// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "buddy/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Interfaces/ValueBoundsOpInterface.h"

using namespace mlir;

namespace buddy {
#define GEN_PASS_DEF_PLACESCRATCHPASS
#include "buddy/Passes.h.inc"
namespace {

/// The type that holds every size `alloc` may ask for, if there is a bound.
std::optional<MemRefType> boundedType(memref::AllocOp alloc) {
  SmallVector<int64_t> shape(alloc.getType().getShape());
  auto dynamic = alloc.getDynamicSizes().begin();
  for (int64_t &extent : shape) {
    if (!ShapedType::isDynamic(extent))
      continue;
    FailureOr<int64_t> bound = ValueBoundsConstraintSet::computeConstantBound(
        presburger::BoundType::UB, ValueBoundsConstraintSet::Variable(*dynamic++),
        /*stopCondition=*/nullptr, /*closedUB=*/true);
    if (failed(bound))
      return std::nullopt;
    extent = *bound;
  }
  return MemRefType::get(shape, alloc.getType().getElementType());
}

/// A buffer on the stack, cut to the size asked for.
void moveToStack(memref::AllocOp alloc, MemRefType type) {
  OpBuilder b(alloc);
  Location loc = alloc.getLoc();
  Value buffer = memref::AllocaOp::create(b, loc, type, b.getI64IntegerAttr(64));
  if (type != alloc.getType()) {
    // Rows keep the bounded pitch, so that a row starts where the last one ended.
    SmallVector<OpFoldResult> sizes = alloc.getMixedSizes();
    SmallVector<OpFoldResult> offsets(sizes.size(), b.getIndexAttr(0));
    SmallVector<OpFoldResult> strides(sizes.size(), b.getIndexAttr(1));
    buffer = memref::SubViewOp::create(b, loc, buffer, offsets, sizes, strides);
  }
  alloc.replaceAllUsesWith(buffer);
  alloc.erase();
}

void freeAtBlockEnd(memref::AllocOp alloc) {
  OpBuilder builder(alloc->getBlock()->getTerminator());
  memref::DeallocOp::create(builder, alloc.getLoc(), alloc);
}

struct PlaceScratchPass : impl::PlaceScratchPassBase<PlaceScratchPass> {
  using Base::Base;

  void runOnOperation() override {
    func::FuncOp kernel = getOperation();
    if (!kernel->hasAttr("buddy.kernel"))
      return;
    SmallVector<memref::AllocOp> allocs;
    kernel.walk([&](memref::AllocOp alloc) { allocs.push_back(alloc); });
    for (memref::AllocOp alloc : allocs) {
      std::optional<MemRefType> type = boundedType(alloc);
      int64_t elementBytes = type ? llvm::divideCeil(type->getElementTypeBitWidth(), 8) : 0;
      if (type && type->getNumElements() * elementBytes <= stackBytes) {
        moveToStack(alloc, *type);
        ++numOnStack;
      } else {
        freeAtBlockEnd(alloc);
        ++numOnHeap;
      }
    }
  }
};
} // namespace
} // namespace buddy
