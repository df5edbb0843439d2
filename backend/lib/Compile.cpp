// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "buddy/Backend/Compile.h"

#include "Codegen.h"
#include "buddy/Pipelines.h"
#include "mlir/Bytecode/BytecodeWriter.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Threading.h"
#include "llvm/Target/TargetMachine.h"

#include <chrono>
#include <unistd.h>

using namespace llvm;
using namespace buddy;

namespace {

/// Runs stages, keeps their times, and dumps what each leaves.
class Stages {
public:
  Stages(const CompileOptions &options, StageTimes &times) : options(options), times(times) {}

  template <typename Stage> auto time(StringRef name, Stage &&stage) {
    auto start = std::chrono::steady_clock::now();
    scope_exit record([&] {
      std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
      times.emplace_back(name.str(), seconds.count());
    });
    return stage();
  }

  /// Writes `NN-name.extension` into the dump directory, when there is one.
  template <typename Write> Error dump(StringRef name, Write &&write) {
    if (options.dumpStages.empty())
      return Error::success();
    SmallString<128> path(options.dumpStages);
    sys::path::append(path, formatv("{0,0+2}-{1}", number++, name).str());
    std::error_code code;
    raw_fd_ostream stream(path, code);
    if (code)
      return createFileError(path, code);
    write(stream);
    return Error::success();
  }

private:
  const CompileOptions &options;
  StageTimes &times;
  int number = 0;
};

bool hasFeature(StringRef features, StringRef name) {
  for (StringRef feature : split(features, ','))
    if (feature.consume_front("+") && feature == name)
      return true;
  return false;
}

/// Of the cache that a core shares with others, zero where the system does not tell. Sysconf would
/// count those of all cores.
int64_t l3Bytes() {
  auto file = MemoryBuffer::getFileAsStream("/sys/devices/system/cpu/cpu0/cache/index3/size");
  StringRef text = file ? (*file)->getBuffer() : StringRef();
  int64_t kibibytes = 0;
  return text.consumeInteger(10, kibibytes) || !text.starts_with("K") ? 0 : kibibytes * 1024;
}

/// What the schedule needs to know of the CPU.
void describeCpu(StringRef features, CpuOptions &options) {
  options.vectorBits = hasFeature(features, "avx512f") ? 512
                       : hasFeature(features, "avx2")  ? 256
                                                       : 128;
  options.hasBf16Dot = hasFeature(features, "avx512bf16") && hasFeature(features, "avx512f");
  options.hasInt8Dot = (hasFeature(features, "avx512vnni") && hasFeature(features, "avx512f")) ||
                       hasFeature(features, "avxvnni");
  // What fills no tile goes by vectors, from the same panels.
  bool hasTiles = hasFeature(features, "amx-tile");
  options.hasBf16Tiles = options.hasBf16Dot && hasTiles && hasFeature(features, "amx-bf16");
  options.hasInt8Tiles = options.hasInt8Dot && hasTiles && hasFeature(features, "amx-int8");
  // Zero where the system does not tell: then the defaults stay.
  if (int64_t bytes = sysconf(_SC_LEVEL1_DCACHE_SIZE); bytes > 0)
    options.l1Bytes = bytes;
  if (int64_t bytes = sysconf(_SC_LEVEL2_CACHE_SIZE); bytes > 0)
    options.l2Bytes = bytes;
  if (int64_t bytes = l3Bytes(); bytes > 0)
    options.lastCacheBytes = bytes;
  if (int cores = get_physical_cores(); cores > 0)
    options.cores = cores;
  std::string separated = features.str();
  std::replace(separated.begin(), separated.end(), ',', ';');
  options.features = separated;
}

constexpr std::pair<Phase, StringLiteral> kPhases[] = {
    {Phase::Simplified, "simplified"}, {Phase::Kernels, "kernels"},       {Phase::Tiled, "tiled"},
    {Phase::Bufferized, "bufferized"}, {Phase::Vectorized, "vectorized"}, {Phase::LLVM, "llvm"}};

Error lower(mlir::ModuleOp module, StringRef features, const CompileOptions &options,
            Stages &stages) {
  if (Error error = stages.dump("graph.mlir", [&](raw_ostream &os) { module.print(os); }))
    return error;
  for (auto [phase, name] : kPhases) {
    mlir::PassManager pm(module.getContext());
    if (!options.crashReproducer.empty())
      pm.enableCrashReproducerGeneration(options.crashReproducer);
    CpuOptions cpu;
    describeCpu(features, cpu);
    cpu.profile = options.profile;
    cpu.weightsStay = options.weightsStay;
    cpu.schedules = options.schedules;
    buildCpuPhase(pm, phase, cpu);
    mlir::LogicalResult result = stages.time(name, [&] { return pm.run(module); });
    if (mlir::failed(result))
      return createStringError("the compiler failed before it reached the state `" + name + "`");
    if (Error error =
            stages.dump((name + ".mlir").str(), [&](raw_ostream &os) { module.print(os); }))
      return error;
  }
  return Error::success();
}

/// A file beside `output` that is renamed to it when it is whole.
class TemporaryOutput {
public:
  static Expected<TemporaryOutput> create(StringRef output) {
    Expected<sys::fs::TempFile> file = sys::fs::TempFile::create(output + ".%%%%%%.tmp");
    if (!file)
      return createFileError(output, file.takeError());
    return TemporaryOutput(std::move(*file), output);
  }
  StringRef path() const { return file.TmpName; }
  int descriptor() const { return file.FD; }
  Error keep() { return file.keep(output); }
  void discard() { consumeError(file.discard()); }

private:
  TemporaryOutput(sys::fs::TempFile file, StringRef output)
      : file(std::move(file)), output(output.str()) {}
  sys::fs::TempFile file;
  std::string output;
};

Error checkStream(raw_fd_ostream &stream) {
  stream.flush();
  if (!stream.has_error())
    return Error::success();
  std::error_code code = stream.error();
  stream.clear_error();
  return createStringError(code, "writing the output failed: " + code.message());
}

Error write(ArrayRef<char> content, TemporaryOutput &output) {
  raw_fd_ostream stream(output.descriptor(), /*shouldClose=*/false);
  stream << StringRef(content.data(), content.size());
  return checkStream(stream);
}

Error emitSharedLibrary(Module &module, StringRef features, const CompileOptions &options,
                        TemporaryOutput &output, Stages &stages) {
  auto objects =
      stages.time("codegen", [&] { return emitObjects(module, features, options.optLevel); });
  if (!objects)
    return objects.takeError();
  std::vector<TemporaryOutput> files;
  scope_exit discard([&] {
    for (TemporaryOutput &file : files)
      file.discard();
  });
  std::vector<std::string> paths;
  for (const ObjectCode &object : *objects) {
    Expected<TemporaryOutput> file = TemporaryOutput::create(options.output + ".o");
    if (!file)
      return file.takeError();
    files.push_back(std::move(*file));
    paths.push_back(files.back().path().str());
    if (Error error = write(object, files.back()))
      return error;
  }
  return stages.time("link", [&] { return linkSharedLibrary(paths, output.path()); });
}

Error emitLLVM(Module &module, TargetMachine &machine, const CompileOptions &options,
               TemporaryOutput &output, Stages &stages) {
  ObjectCode code;
  raw_svector_ostream memory(code);
  if (options.emit == Emit::LLVMIR) {
    module.print(memory, nullptr);
  } else {
    auto type = options.emit == Emit::Assembly ? CodeGenFileType::AssemblyFile
                                               : CodeGenFileType::ObjectFile;
    if (Error error =
            stages.time("codegen", [&] { return emitMachineCode(module, machine, type, memory); }))
      return error;
  }
  return write(code, output);
}

Error emit(mlir::ModuleOp module, StringRef features, const CompileOptions &options,
           TemporaryOutput &output, Stages &stages) {
  if (options.emit == Emit::MLIR) {
    raw_fd_ostream stream(output.descriptor(), /*shouldClose=*/false);
    module.print(stream);
    return checkStream(stream);
  }
  Expected<std::unique_ptr<TargetMachine>> machine = createHostMachine(features, options.optLevel);
  if (!machine)
    return machine.takeError();
  LLVMContext context;
  std::unique_ptr<Module> llvmModule =
      stages.time("translate", [&] { return mlir::translateModuleToLLVMIR(module, context); });
  if (!llvmModule)
    return createStringError("the module cannot be translated to LLVM IR");
  llvmModule->setTargetTriple((*machine)->getTargetTriple());
  llvmModule->setDataLayout((*machine)->createDataLayout());
  stages.time("optimize", [&] { optimize(*llvmModule, **machine); });
  if (Error error =
          stages.dump("optimized.ll", [&](raw_ostream &os) { llvmModule->print(os, nullptr); }))
    return error;
  if (options.emit == Emit::SharedLibrary)
    return emitSharedLibrary(*llvmModule, features, options, output, stages);
  return emitLLVM(*llvmModule, **machine, options, output, stages);
}

} // namespace

Error buddy::compile(mlir::ModuleOp module, const CompileOptions &options, StageTimes &times) {
  Expected<std::string> features = resolveFeatures(options.features);
  if (!features)
    return features.takeError();
  Stages stages(options, times);
  if (!options.dumpStages.empty())
    if (std::error_code code = sys::fs::create_directories(options.dumpStages))
      return createFileError(options.dumpStages, code);
  if (Error error = lower(module, *features, options, stages))
    return error;
  Expected<TemporaryOutput> output = TemporaryOutput::create(options.output);
  if (!output)
    return output.takeError();
  if (Error error = emit(module, *features, options, *output, stages)) {
    output->discard();
    return error;
  }
  return output->keep();
}
