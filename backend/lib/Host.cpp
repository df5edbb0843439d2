// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "buddy/Backend/Compile.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Passes/StandardInstrumentations.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Host.h"

using namespace llvm;

Expected<std::unique_ptr<TargetMachine>> buddy::createHostMachine(StringRef features,
                                                                  int optLevel) {
  InitializeNativeTarget();
  InitializeNativeTargetAsmPrinter();
  Triple triple(sys::getDefaultTargetTriple());
  std::string message;
  const Target *target = TargetRegistry::lookupTarget(triple, message);
  if (!target)
    return createStringError(message);
  TargetOptions options;
  // a*b+c rounds once only where the operations say `contract`: fused kernels would otherwise
  // subtract from a rounded product the same product unrounded, where eager finds zero.
  options.AllowFPOpFusion = FPOpFusion::Standard;
  auto level = static_cast<CodeGenOptLevel>(std::clamp(optLevel, 0, 3));
  StringRef cpu = triple.isX86() ? "x86-64" : "generic";
  std::unique_ptr<TargetMachine> machine(target->createTargetMachine(
      triple, cpu, features, options, Reloc::PIC_, std::nullopt, level));
  if (!machine)
    return createStringError("LLVM has no machine for " + triple.str());
  return machine;
}

/// The lane that a constant mask lets through, where it is one alone.
static std::optional<unsigned> findSingleLane(Value *mask) {
  auto *constant = dyn_cast<Constant>(mask);
  auto *type = dyn_cast<FixedVectorType>(mask->getType());
  if (!constant || !type)
    return std::nullopt;
  std::optional<unsigned> lane;
  for (unsigned i = 0; i < type->getNumElements(); ++i) {
    Constant *bit = constant->getAggregateElement(i);
    if (bit && bit->isNullValue())
      continue;
    if (lane || !bit || !bit->isOneValue())
      return std::nullopt;
    lane = i;
  }
  return lane;
}

/// Stores of one lane of a vector as scalar stores. LLVM 22 does so for x86 itself, but where the
/// vector was narrowed first it stores the wide element, over what follows (its issue 179489).
static void storeSingleLanes(Module &module) {
  for (Function &function : module)
    for (Instruction &inst : make_early_inc_range(instructions(function))) {
      auto *store = dyn_cast<IntrinsicInst>(&inst);
      if (!store || store->getIntrinsicID() != Intrinsic::masked_store)
        continue;
      std::optional<unsigned> lane = findSingleLane(store->getArgOperand(2));
      if (!lane)
        continue;
      IRBuilder<> builder(store);
      Value *element = builder.CreateExtractElement(store->getArgOperand(0), *lane);
      Value *address =
          builder.CreateConstGEP1_32(element->getType(), store->getArgOperand(1), *lane);
      uint64_t size = module.getDataLayout().getTypeStoreSize(element->getType());
      Align align = commonAlignment(store->getParamAlign(1).valueOrOne(), *lane * size);
      builder.CreateAlignedStore(element, address, align)->copyMetadata(*store);
      store->eraseFromParent();
    }
}

/// What stands for `inst` with integers in place of bf16, if it is a selection or a masked access
/// of vectors of those.
static Value *createWithIntegers(Instruction &inst) {
  auto *call = dyn_cast<IntrinsicInst>(&inst);
  bool isLoad = call && call->getIntrinsicID() == Intrinsic::masked_load;
  bool isStore = call && call->getIntrinsicID() == Intrinsic::masked_store;
  auto *type = dyn_cast<VectorType>(isStore ? inst.getOperand(0)->getType() : inst.getType());
  if (!type || !type->getElementType()->isBFloatTy())
    return nullptr;
  IRBuilder<> builder(&inst);
  Type *integers = VectorType::getInteger(type);
  auto bits = [&](unsigned operand) {
    return builder.CreateBitCast(inst.getOperand(operand), integers);
  };
  if (isa<SelectInst>(inst))
    return builder.CreateSelect(inst.getOperand(0), bits(1), bits(2));
  if (isLoad)
    return builder.CreateMaskedLoad(integers, inst.getOperand(0),
                                    call->getParamAlign(0).valueOrOne(), inst.getOperand(1),
                                    bits(2));
  if (isStore)
    return builder.CreateMaskedStore(bits(0), inst.getOperand(1),
                                     call->getParamAlign(1).valueOrOne(), inst.getOperand(2));
  return nullptr;
}

/// Moves vectors of bf16 as integers. Without AVX512_BF16 LLVM 22 takes selections and masked
/// accesses of them apart, and rounds every lane by a call of a runtime that is not linked.
static void moveBF16AsIntegers(Module &module) {
  for (Function &function : module)
    for (Instruction &inst : make_early_inc_range(instructions(function))) {
      Value *moved = createWithIntegers(inst);
      if (!moved)
        continue;
      if (!inst.getType()->isVoidTy())
        inst.replaceAllUsesWith(IRBuilder<>(&inst).CreateBitCast(moved, inst.getType()));
      inst.eraseFromParent();
    }
}

void buddy::optimize(Module &module, TargetMachine &machine) {
  // They make `optnone` mean something.
  PassInstrumentationCallbacks callbacks;
  StandardInstrumentations instrumentations(module.getContext(), /*DebugLogging=*/false);
  PassBuilder builder(&machine, PipelineTuningOptions(), std::nullopt, &callbacks);
  LoopAnalysisManager loops;
  FunctionAnalysisManager functions;
  CGSCCAnalysisManager sccs;
  ModuleAnalysisManager modules;
  instrumentations.registerCallbacks(callbacks, &modules);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(sccs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, sccs, modules);
  if (machine.getOptLevel() == CodeGenOptLevel::None)
    builder.buildO0DefaultPipeline(OptimizationLevel::O0).run(module, modules);
  else
    builder.buildPerModuleDefaultPipeline(OptimizationLevel::O3).run(module, modules);
  storeSingleLanes(module);
  moveBF16AsIntegers(module);
}
