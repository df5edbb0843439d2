// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Codegen.h"

#include "buddy/Backend/Compile.h"

#include "llvm/Bitcode/BitcodeReader.h"
#include "llvm/Bitcode/BitcodeWriter.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/ThreadPool.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/Utils/SplitModule.h"

using namespace llvm;
using namespace buddy;

/// Functions that are worth a part of their own: starting one costs some milliseconds.
constexpr unsigned kFunctionsPerPart = 8;

static unsigned countParts(const Module &module, unsigned threads) {
  unsigned functions = count_if(module, [](const Function &f) { return !f.isDeclaration(); });
  // Parts differ in size: with two for each thread the last one waits less.
  return std::clamp(functions / kFunctionsPerPart, 1u, 2 * threads);
}

Error buddy::emitMachineCode(Module &module, TargetMachine &machine, CodeGenFileType type,
                             raw_pwrite_stream &stream) {
  legacy::PassManager passes;
  if (machine.addPassesToEmitFile(passes, stream, nullptr, type))
    return createStringError("the target cannot emit this kind of file");
  passes.run(module);
  return Error::success();
}

/// A context belongs to one thread: a part goes from the module's to its own as bitcode.
static Error emitPart(StringRef bitcode, TargetMachine &machine, SmallVectorImpl<char> &object) {
  LLVMContext context;
  Expected<std::unique_ptr<Module>> part =
      parseBitcodeFile(MemoryBufferRef(bitcode, "part"), context);
  if (!part)
    return part.takeError();
  raw_svector_ostream stream(object);
  return emitMachineCode(**part, machine, CodeGenFileType::ObjectFile, stream);
}

Expected<std::vector<ObjectCode>> buddy::emitObjects(Module &module, StringRef features,
                                                     int optLevel) {
  DefaultThreadPool pool(hardware_concurrency());
  unsigned parts = countParts(module, pool.getMaxConcurrency());
  std::vector<ObjectCode> objects(parts), bitcode(parts);
  std::vector<std::unique_ptr<TargetMachine>> machines;
  for (unsigned i = 0; i < parts; ++i) {
    Expected<std::unique_ptr<TargetMachine>> machine = createHostMachine(features, optLevel);
    if (!machine)
      return machine.takeError();
    machines.push_back(std::move(*machine));
  }
  if (parts == 1) {
    raw_svector_ostream stream(objects[0]);
    if (Error error = emitMachineCode(module, *machines[0], CodeGenFileType::ObjectFile, stream))
      return error;
    return objects;
  }
  std::vector<std::string> failures(parts);
  unsigned number = 0;
  SplitModule(module, parts, [&](std::unique_ptr<Module> part) {
    raw_svector_ostream stream(bitcode[number]);
    WriteBitcodeToFile(*part, stream);
    pool.async([&, i = number] {
      StringRef code(bitcode[i].data(), bitcode[i].size());
      failures[i] = toString(emitPart(code, *machines[i], objects[i]));
    });
    ++number;
  });
  pool.wait();
  for (const std::string &failure : failures)
    if (!failure.empty())
      return createStringError(failure);
  return objects;
}
