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

  /// Reads the table at the beginning of a function, for all of its calls.
  void enter(func::FuncOp function) {
    b.setLoc(function.getLoc());
    b.setInsertionPointToStart(&function.front());
    for (Hook hook : {Context, Now, Record})
      hooks[hook] = load(hook);
  }

  /// The time, at the insertion point.
  Value now() { return LLVM::CallOp::create(b, nowType, ValueRange{hooks[Now]}).getResult(); }

  /// Reports that `site` ran from `start` until the insertion point.
  void record(int64_t site, Value start, ValueRange work) {
    Value number = LLVM::ConstantOp::create(b, b.getI64IntegerAttr(site));
    LLVM::CallOp::create(
        b, recordType, ValueRange{hooks[Record], hooks[Context], number, start, work[0], work[1]});
  }

  ImplicitLocOpBuilder &builder() { return b; }

private:
  /// Zeros: no profiled entry point is called before a profiler has filled it in.
  void emitTable() {
    auto table = LLVM::GlobalOp::create(b, tableType, /*isConstant=*/false, LLVM::Linkage::External,
                                        kHooks, Attribute());
    OpBuilder::InsertionGuard guard(b);
    b.createBlock(&table.getInitializerRegion());
    LLVM::ReturnOp::create(b, LLVM::ZeroOp::create(b, tableType));
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
  Value hooks[3];
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
  for (int64_t i = 0; i < places.size(); i += 2) {
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

/// `model.py:12`, without the place of installed packages, which differs between machines. The
/// importer nests operator, node, and the line; or a third name, of a module, where it has none.
std::string whereIs(Location location) {
  std::string text;
  int names = 0;
  location->walk([&](Location loc) {
    if (auto name = dyn_cast<NameLoc>(loc); name && ++names == 3)
      text = name.getName().str();
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
      // Weights are prepared once, by a call each: not where the time goes, but half of the calls.
      if (function.getName() == "prepare" || kernelCalls(function).empty())
        continue;
      if (!profiler)
        profiler.emplace(getOperation());
      instrument(*profiler, function);
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

  /// Copies `function`, whose own code stays as it is. The whole is the first site of the copy.
  void instrument(Profiler &profiler, func::FuncOp function) {
    ImplicitLocOpBuilder &b = profiler.builder();
    func::FuncOp profiled = function.clone();
    auto symbol = b.getStringAttr("buddy_profile_" + function.getName());
    profiled.setName(symbol);
    profiled->setAttr("buddy.entry", symbol);
    b.setInsertionPointAfter(function);
    b.insert(profiled);
    int64_t whole = addSite(function, {}, function.getLoc());
    profiler.enter(profiled);
    Value entered = profiler.now();
    for (auto [call, kernel] : kernelCalls(profiled)) {
      int64_t site = addSite(function, kernel, call.getLoc());
      b.setLoc(call.getLoc());
      b.setInsertionPoint(call);
      SmallVector<Value> work = workOf(b, kernel, call);
      Value start = profiler.now();
      b.setInsertionPointAfter(call);
      profiler.record(site, start, work);
      ++numSites;
    }
    b.setInsertionPoint(profiled.front().getTerminator());
    Value none = LLVM::ConstantOp::create(b, b.getI64IntegerAttr(0));
    profiler.record(whole, entered, {none, none});
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
