// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "buddy/Passes.h"

#include "mlir/Dialect/Affine/Utils.h"

using namespace mlir;

namespace buddy {
#define GEN_PASS_DEF_INSTRUMENTKERNELSPASS
#include "buddy/Passes.h.inc"
namespace {

constexpr char kHooks[] = "buddy_profile_hooks";

/// The three words of `buddy_profile_hooks`, see runtime's ModelABI.h.
enum Hook { Context, Now, Record };

/// Calls through the table of hooks.
class Profiler {
public:
  explicit Profiler(ModuleOp module) : b(module.getLoc(), module.getContext()) {
    b.setInsertionPointToEnd(module.getBody());
    Type word = b.getI64Type(), pointer = LLVM::LLVMPointerType::get(b.getContext());
    nowType = LLVM::LLVMFunctionType::get(word, {});
    recordType = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(b.getContext()),
                                             {pointer, word, word, word, word});
    tableType = LLVM::LLVMStructType::getLiteral(b.getContext(), {pointer, pointer, pointer});
    emitTable();
  }

  /// The time, before `op`.
  Value now(Operation *op) {
    b.setLoc(op->getLoc());
    b.setInsertionPoint(op);
    return LLVM::CallOp::create(b, nowType, ValueRange{load(Now)}).getResult();
  }

  /// Reports that `site` ran from `start` until what stands before `op`.
  void record(Operation *op, int64_t site, Value start, ValueRange work) {
    b.setLoc(op->getLoc());
    b.setInsertionPoint(op);
    Value number = LLVM::ConstantOp::create(b, b.getI64IntegerAttr(site));
    LLVM::CallOp::create(b, recordType,
                         ValueRange{load(Record), load(Context), number, start, work[0], work[1]});
  }

  ImplicitLocOpBuilder &builder() { return b; }

private:
  /// Until a profiler writes its own, the hooks do nothing.
  void emitTable() {
    LLVM::LLVMFuncOp idleNow = emitIdle("buddy_profile_idle_now", nowType);
    LLVM::LLVMFuncOp idleRecord = emitIdle("buddy_profile_idle_record", recordType);
    auto table = LLVM::GlobalOp::create(b, tableType, /*isConstant=*/false, LLVM::Linkage::External,
                                        kHooks, Attribute());
    OpBuilder::InsertionGuard guard(b);
    b.createBlock(&table.getInitializerRegion());
    Value context = LLVM::ZeroOp::create(b, tableType.getBody()[Context]);
    Value value = LLVM::UndefOp::create(b, tableType);
    value = LLVM::InsertValueOp::create(b, value, context, ArrayRef<int64_t>{Context});
    for (auto [function, hook] : {std::pair(idleNow, Now), std::pair(idleRecord, Record)}) {
      Value address = LLVM::AddressOfOp::create(b, function);
      value = LLVM::InsertValueOp::create(b, value, address, ArrayRef<int64_t>{hook});
    }
    LLVM::ReturnOp::create(b, value);
  }

  LLVM::LLVMFuncOp emitIdle(StringRef name, LLVM::LLVMFunctionType type) {
    auto function = LLVM::LLVMFuncOp::create(b, name, type, LLVM::Linkage::Internal);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(function.addEntryBlock(b));
    Value result;
    if (!isa<LLVM::LLVMVoidType>(type.getReturnType()))
      result = LLVM::ConstantOp::create(b, b.getI64IntegerAttr(0));
    LLVM::ReturnOp::create(b, result ? ValueRange(result) : ValueRange());
    return function;
  }

  Value load(Hook hook) {
    Type pointer = tableType.getBody()[hook];
    Value table = LLVM::AddressOfOp::create(b, pointer, kHooks);
    Value place = LLVM::GEPOp::create(b, pointer, tableType, table,
                                      ArrayRef<LLVM::GEPArg>{0, static_cast<int32_t>(hook)});
    return LLVM::LoadOp::create(b, pointer, place);
  }

  ImplicitLocOpBuilder b;
  LLVM::LLVMFunctionType nowType, recordType;
  LLVM::LLVMStructType tableType;
};

/// Operations and bytes of one call, from the sizes of its operands; -1 where nobody knows.
SmallVector<Value> workOf(ImplicitLocOpBuilder &b, func::FuncOp kernel, func::CallOp call) {
  auto word = [&](int64_t value) -> Value {
    return LLVM::ConstantOp::create(b, b.getI64IntegerAttr(value));
  };
  auto map = kernel->getAttrOfType<AffineMapAttr>("buddy.work");
  auto places = kernel->getAttrOfType<DenseI64ArrayAttr>("buddy.work_sizes");
  if (!map || !places)
    return {word(-1), word(-1)};
  SmallVector<Value> sizes;
  for (size_t i = 0; i < places.size(); i += 2) {
    Value operand = call.getOperand(places[i]);
    bool isIndex = places[i + 1] < 0;
    sizes.push_back(isIndex ? operand : b.createOrFold<memref::DimOp>(operand, places[i + 1]));
  }
  SmallVector<Value> work;
  for (AffineExpr expr : map.getValue().getResults()) {
    if (auto known = dyn_cast<AffineConstantExpr>(expr)) {
      work.push_back(word(known.getValue()));
      continue;
    }
    Value value = affine::expandAffineExpr(b, b.getLoc(), expr, {}, sizes);
    work.push_back(arith::IndexCastOp::create(b, b.getI64Type(), value));
  }
  return work;
}

/// `model.py:12`, without the place of installed packages, which differs between machines.
std::string whereIs(Location location) {
  std::string text;
  location->walk([&](Location loc) {
    auto file = dyn_cast<FileLineColLoc>(loc);
    if (!file)
      return WalkResult::advance();
    StringRef path = file.getFilename();
    if (size_t found = path.rfind("site-packages/"); found != StringRef::npos)
      path = path.drop_front(found).split('/').second;
    text = (path + ":" + Twine(file.getLine())).str();
    return WalkResult::interrupt();
  });
  return text;
}

struct InstrumentKernelsPass : impl::InstrumentKernelsPassBase<InstrumentKernelsPass> {
  using Base::Base;

  void runOnOperation() override {
    std::optional<Profiler> profiler;
    for (auto function : llvm::to_vector(getOperation().getOps<func::FuncOp>())) {
      SmallVector<std::pair<func::CallOp, func::FuncOp>> calls = kernelCalls(function);
      if (calls.empty())
        continue;
      if (!profiler)
        profiler.emplace(getOperation());
      instrument(*profiler, function, calls);
    }
    Builder b(&getContext());
    if (profiler)
      getOperation()->setAttr(
          "buddy.profile",
          b.getDictionaryAttr({b.getNamedAttr("kernels", b.getDictionaryAttr(kernels)),
                               b.getNamedAttr("sites", b.getArrayAttr(sites))}));
  }

private:
  SmallVector<std::pair<func::CallOp, func::FuncOp>> kernelCalls(func::FuncOp function) {
    SmallVector<std::pair<func::CallOp, func::FuncOp>> calls;
    if (!function.isPublic() || function.isExternal())
      return calls;
    for (auto call : function.front().getOps<func::CallOp>()) {
      auto callee = getOperation().lookupSymbol<func::FuncOp>(call.getCallee());
      if (callee && callee->hasAttr("buddy.kernel"))
        calls.push_back({call, callee});
    }
    return calls;
  }

  /// The function itself is the first of its sites.
  void instrument(Profiler &profiler, func::FuncOp function,
                  ArrayRef<std::pair<func::CallOp, func::FuncOp>> calls) {
    ImplicitLocOpBuilder &b = profiler.builder();
    int64_t whole = addSite(function, {}, function.getLoc());
    Value entered = profiler.now(&function.front().front());
    for (auto [call, kernel] : calls) {
      int64_t site = addSite(function, kernel, call.getLoc());
      b.setInsertionPoint(call);
      SmallVector<Value> work = workOf(b, kernel, call);
      Value start = profiler.now(call);
      profiler.record(call->getNextNode(), site, start, work);
      ++numSites;
    }
    Operation *end = function.front().getTerminator();
    b.setInsertionPoint(end);
    Value none = LLVM::ConstantOp::create(b, b.getI64IntegerAttr(0));
    profiler.record(end, whole, entered, {none, none});
  }

  int64_t addSite(func::FuncOp function, func::FuncOp kernel, Location location) {
    Builder b(&getContext());
    SmallVector<NamedAttribute> site{b.getNamedAttr("entry", b.getStringAttr(function.getName()))};
    if (kernel) {
      site.push_back(b.getNamedAttr("kernel", kernel.getSymNameAttr()));
      site.push_back(b.getNamedAttr("where", b.getStringAttr(whereIs(location))));
      addKernel(kernel);
    }
    sites.push_back(b.getDictionaryAttr(site));
    return static_cast<int64_t>(sites.size()) - 1;
  }

  void addKernel(func::FuncOp kernel) {
    if (!described.insert(kernel).second)
      return;
    Builder b(&getContext());
    SmallVector<NamedAttribute> facts;
    for (const char *fact : {"arithmetic", "sources"})
      if (Attribute value = kernel->getAttr(("buddy." + Twine(fact)).str()))
        facts.push_back(b.getNamedAttr(fact, value));
    if (Attribute work = kernel->getAttr("buddy.work")) {
      std::string text;
      llvm::raw_string_ostream(text) << cast<AffineMapAttr>(work).getValue();
      facts.push_back(b.getNamedAttr("work", b.getStringAttr(text)));
    }
    kernels.push_back(b.getNamedAttr(kernel.getName(), b.getDictionaryAttr(facts)));
  }

  SmallVector<NamedAttribute> kernels;
  SmallVector<Attribute> sites;
  DenseSet<Operation *> described;
};
} // namespace
} // namespace buddy
