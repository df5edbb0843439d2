// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "buddy/Backend/Compile.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Passes/StandardInstrumentations.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Host.h"

using namespace llvm;

std::string buddy::hostFeatures() {
  std::vector<std::string> features;
  for (const auto &feature : sys::getHostCPUFeatures())
    if (feature.second)
      features.push_back("+" + feature.first().str());
  sort(features); // a StringMap has no order, and the list is part of cache keys
  return join(features, ",");
}

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
  // a*b+c may round once, as eager kernels built with FMA do.
  options.AllowFPOpFusion = FPOpFusion::Fast;
  auto level = static_cast<CodeGenOptLevel>(std::clamp(optLevel, 0, 3));
  StringRef cpu = triple.isX86() ? "x86-64" : "generic";
  std::unique_ptr<TargetMachine> machine(target->createTargetMachine(
      triple, cpu, features, options, Reloc::PIC_, std::nullopt, level));
  if (!machine)
    return createStringError("LLVM has no machine for " + triple.str());
  return machine;
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
}
