// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "buddy/Passes.h"

#include "mlir/Analysis/SliceAnalysis.h"
#include "mlir/Analysis/TopologicalSortUtils.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;

namespace buddy {
#define GEN_PASS_DEF_PLANWORKSPACEPASS
#include "buddy/Passes.h.inc"
namespace {

/// Keeps vector loads of a buffer's start within one cache line.
constexpr int64_t kAlignment = 64;

/// A buffer of `factor * product(sizes)` bytes, live from its first to its last use.
struct Buffer {
  memref::AllocOp alloc;
  SmallVector<Value> sizes;
  int64_t factor;
  int64_t first, last;
};

/// A part of the workspace that buffers with disjoint lifetimes take in turn. Its
/// buffers differ in `factor` only, so the largest is known without running.
struct Slot {
  SmallVector<Value> sizes;
  int64_t factor;
  int64_t last;
  SmallVector<memref::AllocOp> tenants;
};

/// The last top-level operation that touches `root` or a view of it.
int64_t lastUse(Value root, Block *block, const DenseMap<Operation *, int64_t> &order) {
  int64_t last = 0;
  SmallVector<Value> aliases{root};
  while (!aliases.empty()) {
    for (Operation *user : aliases.pop_back_val().getUsers()) {
      last = std::max(last, order.lookup(block->findAncestorOpInBlock(*user)));
      for (Value result : user->getResults())
        if (isa<MemRefType>(result.getType()))
          aliases.push_back(result);
    }
  }
  return last;
}

/// Whether the argument is given when the workspace's size is asked for.
bool isKnownEarly(BlockArgument argument) {
  auto function = cast<func::FuncOp>(argument.getOwner()->getParentOp());
  auto kind = function.getArgAttrOfType<StringAttr>(argument.getArgNumber(), "buddy.kind");
  return !kind || (kind != "output" && kind != "prepared");
}

/// Sizes that can be computed at the function's entry from its early arguments alone.
bool computableAtEntry(ValueRange sizes, SetVector<Operation *> &slice) {
  auto isLate = [](Value operand) {
    auto argument = dyn_cast<BlockArgument>(operand);
    return argument && !isKnownEarly(argument);
  };
  SetVector<Operation *> all;
  for (Value size : sizes) {
    if (isLate(size))
      return false;
    if (isa<BlockArgument>(size))
      continue; // its slice would be the function itself
    SetVector<Operation *> part;
    BackwardSliceOptions options;
    options.inclusive = true;
    if (failed(getBackwardSlice(size, &part, options)))
      return false;
    for (Operation *op : part)
      if (!isPure(op) || op->getNumRegions() != 0 || llvm::any_of(op->getOperands(), isLate))
        return false;
    all.insert(part.begin(), part.end());
  }
  slice.insert(all.begin(), all.end());
  return true;
}

std::optional<Buffer> describe(memref::AllocOp alloc, const DenseMap<Operation *, int64_t> &order,
                               SetVector<Operation *> &slice) {
  MemRefType type = alloc.getType();
  Type element = type.getElementType();
  if (!element.isIntOrIndexOrFloat() || !type.getLayout().isIdentity() ||
      !computableAtEntry(alloc.getDynamicSizes(), slice))
    return std::nullopt;
  int64_t bytes = element.isIndex() ? 8 : llvm::divideCeil(element.getIntOrFloatBitWidth(), 8);
  Buffer buffer{alloc, llvm::to_vector(alloc.getDynamicSizes()), bytes, order.lookup(alloc),
                lastUse(alloc, alloc->getBlock(), order)};
  for (int64_t extent : type.getShape())
    if (!ShapedType::isDynamic(extent))
      buffer.factor *= extent;
  llvm::sort(buffer.sizes,
             [](Value a, Value b) { return a.getAsOpaquePointer() < b.getAsOpaquePointer(); });
  return buffer;
}

/// Best fit: the smallest free slot that holds the buffer, else the largest, grown.
void assignSlot(const Buffer &buffer, std::vector<Slot> &slots) {
  Slot *best = nullptr;
  for (Slot &slot : slots) {
    if (slot.sizes != buffer.sizes || slot.last >= buffer.first)
      continue;
    bool fits = slot.factor >= buffer.factor;
    bool bestFits = best && best->factor >= buffer.factor;
    if (!best || (fits && !bestFits) ||
        (fits == bestFits && (fits ? slot.factor < best->factor : slot.factor > best->factor)))
      best = &slot;
  }
  if (!best) {
    slots.push_back({buffer.sizes, buffer.factor, buffer.last, {buffer.alloc}});
    return;
  }
  best->factor = std::max(best->factor, buffer.factor);
  best->last = buffer.last;
  best->tenants.push_back(buffer.alloc);
}

/// Emits the offset of each slot and, last, the bytes of all of them.
SmallVector<Value> emitOffsets(OpBuilder &b, Location loc, ArrayRef<Slot> slots,
                               const IRMapping &mapping) {
  Value mask = arith::ConstantIndexOp::create(b, loc, -kAlignment);
  Value round = arith::ConstantIndexOp::create(b, loc, kAlignment - 1);
  SmallVector<Value> offsets{arith::ConstantIndexOp::create(b, loc, 0)};
  for (const Slot &slot : slots) {
    Value bytes = arith::ConstantIndexOp::create(b, loc, slot.factor);
    for (Value size : slot.sizes)
      bytes = arith::MulIOp::create(b, loc, bytes, mapping.lookupOrDefault(size));
    Value end = arith::AddIOp::create(b, loc, offsets.back(), bytes);
    end = arith::AddIOp::create(b, loc, end, round);
    offsets.push_back(arith::AndIOp::create(b, loc, end, mask));
  }
  return offsets;
}

/// Views of a new `workspace` argument in place of the allocations.
void placeBuffers(func::FuncOp function, ArrayRef<Slot> slots,
                  const SetVector<Operation *> &slice) {
  OpBuilder b(function.getContext());
  Location loc = function.getLoc();
  auto attributes =
      b.getDictionaryAttr({b.getNamedAttr("buddy.kind", b.getStringAttr("workspace")),
                           b.getNamedAttr("buddy.name", b.getStringAttr("workspace"))});
  auto bytes = MemRefType::get({ShapedType::kDynamic}, b.getI8Type());
  (void)function.insertArgument(function.getNumArguments(), bytes, attributes, loc);
  Value workspace = function.getArguments().back();
  b.setInsertionPointToStart(&function.front());
  IRMapping hoisted;
  for (Operation *op : slice)
    b.clone(*op, hoisted);
  SmallVector<Value> offsets = emitOffsets(b, loc, slots, hoisted);
  for (auto [slot, offset] : llvm::zip(slots, offsets)) {
    for (memref::AllocOp alloc : slot.tenants) {
      b.setInsertionPoint(alloc);
      Value view = memref::ViewOp::create(b, alloc.getLoc(), alloc.getType(), workspace, offset,
                                          alloc.getDynamicSizes());
      alloc.replaceAllUsesWith(view);
      alloc.erase();
    }
  }
}

/// `workspace_<entry>(graph arguments) -> bytes`.
void emitSizeFunction(func::FuncOp function, ArrayRef<Slot> slots,
                      const SetVector<Operation *> &slice) {
  OpBuilder b(function);
  Location loc = function.getLoc();
  SmallVector<Type> types;
  SmallVector<Value> arguments;
  for (BlockArgument argument : function.getArguments()) {
    if (!isKnownEarly(argument))
      continue;
    types.push_back(argument.getType());
    arguments.push_back(argument);
  }
  auto size = func::FuncOp::create(b, loc, ("workspace_" + function.getName()).str(),
                                   b.getFunctionType(types, b.getIndexType()));
  size->setAttr("buddy.entry", b.getStringAttr("buddy_workspace_" + function.getName()));
  Block *entry = size.addEntryBlock();
  b.setInsertionPointToStart(entry);
  IRMapping mapping;
  mapping.map(arguments, entry->getArguments());
  for (Operation *op : slice)
    b.clone(*op, mapping);
  func::ReturnOp::create(b, loc, emitOffsets(b, loc, slots, mapping).back());
}

/// A size that depends on data is known only when it is reached: heap memory.
void keepOnHeap(memref::AllocOp alloc) {
  OpBuilder builder(alloc->getBlock()->getTerminator());
  memref::DeallocOp::create(builder, alloc.getLoc(), alloc);
}

struct PlanWorkspacePass : impl::PlanWorkspacePassBase<PlanWorkspacePass> {
  using Base::Base;

  void runOnOperation() override {
    for (auto function : llvm::to_vector(getOperation().getOps<func::FuncOp>()))
      if (function.isPublic() && !function.isExternal())
        plan(function);
  }

  void plan(func::FuncOp function) {
    Block &body = function.front();
    DenseMap<Operation *, int64_t> order;
    for (auto [index, op] : llvm::enumerate(body))
      order[&op] = index;
    SetVector<Operation *> slice;
    std::vector<Slot> slots;
    for (auto alloc : llvm::to_vector(body.getOps<memref::AllocOp>())) {
      std::optional<Buffer> buffer = describe(alloc, order, slice);
      if (!buffer) {
        keepOnHeap(alloc);
        continue;
      }
      assignSlot(*buffer, slots);
      ++numPlanned;
    }
    slice = topologicalSort(slice);
    emitSizeFunction(function, slots, slice);
    placeBuffers(function, slots, slice);
  }
};
} // namespace
} // namespace buddy
