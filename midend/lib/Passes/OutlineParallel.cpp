// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "buddy/Passes.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Transforms/RegionUtils.h"

using namespace mlir;

namespace buddy {
#define GEN_PASS_DEF_OUTLINEPARALLELPASS
#include "buddy/Passes.h.inc"
namespace {

/// A module's variable: how a team runs a function. See the runtime's ModelABI.h.
constexpr StringLiteral kRunner = "buddy_run_parallel";

struct OutlineParallelPass : impl::OutlineParallelPassBase<OutlineParallelPass> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<ParallelOp> regions;
    getOperation().walk([&](ParallelOp op) { regions.push_back(op); });
    if (regions.empty())
      return;
    emitRunner();
    SymbolTable symbols(getOperation());
    for (ParallelOp region : regions)
      outline(region, symbols);
  }

  /// Until somebody does better, the calling thread runs everything.
  void emitRunner() {
    auto b = ImplicitLocOpBuilder::atBlockEnd(getOperation().getLoc(), getOperation().getBody());
    auto pointer = LLVM::LLVMPointerType::get(b.getContext());
    auto none = LLVM::LLVMVoidType::get(b.getContext());
    auto alone = LLVM::LLVMFuncOp::create(b, "run_alone",
                                          LLVM::LLVMFunctionType::get(none, {pointer, pointer}),
                                          LLVM::Linkage::Internal);
    auto runner = LLVM::GlobalOp::create(b, pointer, /*isConstant=*/false, LLVM::Linkage::External,
                                         kRunner, Attribute());
    b.createBlock(&runner.getInitializer());
    LLVM::ReturnOp::create(b, LLVM::AddressOfOp::create(b, alone).getResult());
    Block *entry = alone.addEntryBlock(b);
    b.setInsertionPointToStart(entry);
    Type i64 = b.getI64Type();
    Value zero = LLVM::ConstantOp::create(b, i64, 0), one = LLVM::ConstantOp::create(b, i64, 1);
    LLVM::CallOp::create(b, LLVM::LLVMFunctionType::get(none, {pointer, i64, i64}),
                         ValueRange{entry->getArgument(0), entry->getArgument(1), zero, one});
    LLVM::ReturnOp::create(b, ValueRange());
  }

  /// The region becomes a function, of which `data` are the values that it takes from outside.
  void outline(ParallelOp region, SymbolTable &symbols) {
    auto host = region->getParentOfType<LLVM::LLVMFuncOp>();
    ImplicitLocOpBuilder b(region.getLoc(), host);
    auto pointer = LLVM::LLVMPointerType::get(b.getContext());
    auto none = LLVM::LLVMVoidType::get(b.getContext());
    Type i64 = b.getI64Type();
    auto body = LLVM::LLVMFuncOp::create(b, (host.getName() + ".tiles").str(),
                                         LLVM::LLVMFunctionType::get(none, {pointer, i64, i64}),
                                         LLVM::Linkage::Internal);
    symbols.insert(body);
    SmallVector<Value> taken = takeRegion(region, body);

    b.setInsertionPointToStart(&host.front());
    Type data = dataType(b.getContext(), taken);
    Value one = LLVM::ConstantOp::create(b, b.getI32Type(), 1);
    Value address = LLVM::AllocaOp::create(b, pointer, data, one);
    b.setInsertionPoint(region);
    for (auto [i, value] : llvm::enumerate(taken))
      LLVM::StoreOp::create(b, value, fieldOf(b, data, address, i));
    Value function = LLVM::AddressOfOp::create(b, body);
    Value place = LLVM::AddressOfOp::create(b, pointer, kRunner);
    Value runner = LLVM::LoadOp::create(b, pointer, place);
    LLVM::CallOp::create(b, LLVM::LLVMFunctionType::get(none, {pointer, pointer}),
                         ValueRange{runner, function, address});
    region.erase();
  }

  /// Moves the region into `body`, which clones the constants that it uses and loads the rest;
  /// returns that rest.
  SmallVector<Value> takeRegion(ParallelOp region, LLVM::LLVMFuncOp body) {
    SetVector<Value> used;
    getUsedValuesDefinedAbove(region.getBody(), used);
    body.getBody().takeBody(region.getBody());
    Block &entry = body.front();
    Value address = entry.insertArgument(0u, body.getArgumentTypes()[0], region.getLoc());
    auto isConstant = [](Value value) {
      Operation *op = value.getDefiningOp();
      return op && op->getNumOperands() == 0 && isPure(op);
    };
    SmallVector<Value> taken;
    llvm::copy_if(used, std::back_inserter(taken), [&](Value v) { return !isConstant(v); });
    Type data = dataType(&getContext(), taken);
    auto b = ImplicitLocOpBuilder::atBlockBegin(region.getLoc(), &entry);
    int64_t field = 0;
    for (Value value : used) {
      Value inside;
      if (isConstant(value))
        inside = b.clone(*value.getDefiningOp())->getResult(0);
      else
        inside = LLVM::LoadOp::create(b, value.getType(), fieldOf(b, data, address, field++));
      replaceAllUsesInRegionWith(value, inside, body.getBody());
    }
    body.walk([](ParallelEndOp end) {
      OpBuilder at(end);
      LLVM::ReturnOp::create(at, end.getLoc(), ValueRange());
      end.erase();
    });
    return taken;
  }

  static Type dataType(MLIRContext *context, ArrayRef<Value> values) {
    return LLVM::LLVMStructType::getLiteral(context,
                                            llvm::to_vector(ValueRange(values).getTypes()));
  }

  static Value fieldOf(ImplicitLocOpBuilder &b, Type data, Value address, int64_t field) {
    return LLVM::GEPOp::create(b, address.getType(), data, address,
                               ArrayRef<LLVM::GEPArg>{0, static_cast<int32_t>(field)});
  }
};
} // namespace
} // namespace buddy
