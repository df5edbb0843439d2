// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef BUDDY_BACKEND_COMPILE_H
#define BUDDY_BACKEND_COMPILE_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/Error.h"

#include <memory>
#include <string>
#include <vector>

namespace llvm {
class Module;
class TargetMachine;
} // namespace llvm

namespace buddy {

enum class Emit { SharedLibrary, Object, Assembly, LLVMIR, MLIR };

struct CompileOptions {
  std::string output;
  Emit emit = Emit::SharedLibrary;
  /// As `resolveFeatures` takes them.
  std::string features = "host";
  /// Directory for one numbered file a stage; empty: none.
  std::string dumpStages;
  /// Where a failing pass leaves a file that buddy-opt can replay; empty: none.
  std::string crashReproducer;
  int optLevel = 3;
  /// The code reports each call of a kernel to a profiler, when there is one.
  bool profile = false;
  /// The caller keeps the weights in memory: large ones are not worth a second copy.
  bool weightsStay = false;
  /// `kernel=schedule`, or a schedule for all kernels: how they are tiled, not as the model says.
  std::vector<std::string> schedules;
};

/// Seconds spent in each stage, in order.
using StageTimes = std::vector<std::pair<std::string, double>>;

/// Takes a graph module through every stage to `options.output`, which appears whole
/// or not at all. Diagnostics of the passes go to the context's handler.
llvm::Error compile(mlir::ModuleOp module, const CompileOptions &options, StageTimes &times);

/// LLVM's `+feature,-feature` list from one, or from a CPU's name with changes:
/// `sapphirerapids`, `host,-amx-tile`. A feature takes with it those that need it. `host` stands
/// for the features found here: a hypervisor may hide the model's number but not those.
llvm::Expected<std::string> resolveFeatures(llvm::StringRef described);

/// A machine for the host's architecture with exactly `features`.
llvm::Expected<std::unique_ptr<llvm::TargetMachine>> createHostMachine(llvm::StringRef features,
                                                                       int optLevel);

/// LLVM's default pipeline at the machine's level.
void optimize(llvm::Module &module, llvm::TargetMachine &machine);

/// Links objects into a shared library. It finds libm and libc in the process that loads it.
llvm::Error linkSharedLibrary(llvm::ArrayRef<std::string> objects, llvm::StringRef library);

} // namespace buddy

#endif
