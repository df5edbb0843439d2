// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A graph module in, native code out.

#include "buddy/Backend/Compile.h"
#include "buddy/IR/BuddyDialect.h"

#include "mlir/IR/AsmState.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Target/LLVMIR/Dialect/All.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/SourceMgr.h"

using namespace llvm;
using buddy::Emit;

static cl::OptionCategory category("buddy-compile options");
static cl::opt<std::string> input(cl::Positional, cl::desc("IN.mlirbc"), cl::Required,
                                  cl::cat(category));
static cl::opt<std::string> output("o", cl::desc("Output file"), cl::value_desc("file"),
                                   cl::Required, cl::cat(category));
static cl::opt<Emit> emitKind("emit", cl::desc("What to write"), cl::init(Emit::SharedLibrary),
                              cl::values(clEnumValN(Emit::SharedLibrary, "so", "shared library"),
                                         clEnumValN(Emit::Object, "obj", "object file"),
                                         clEnumValN(Emit::Assembly, "asm", "assembly"),
                                         clEnumValN(Emit::LLVMIR, "llvm", "optimized LLVM IR"),
                                         clEnumValN(Emit::MLIR, "mlir", "LLVM dialect")),
                              cl::cat(category));
static cl::opt<std::string> target("target", cl::desc("cpu"), cl::init("cpu"), cl::cat(category));
static cl::opt<std::string> features(
    "features",
    cl::desc("CPU features: `host` or a CPU's name, with changes: `host,-a`; or `+a,+b,…`"),
    cl::init("host"), cl::cat(category));
static cl::opt<std::string> dumpStages("dump-stages",
                                       cl::desc("Write what every stage leaves to this folder"),
                                       cl::value_desc("dir"), cl::cat(category));
static cl::opt<std::string> timingJson("timing-json", cl::desc("Write the seconds of each stage"),
                                       cl::value_desc("file"), cl::cat(category));
static cl::opt<std::string>
    crashReproducer("crash-reproducer",
                    cl::desc("On failure write a file that buddy-opt can replay"),
                    cl::value_desc("file"), cl::cat(category));
static cl::opt<int> optLevel("opt-level", cl::desc("LLVM's optimization level, 0 to 3"),
                             cl::init(3), cl::cat(category));
static cl::opt<bool> profile("profile", cl::desc("Let the code report its kernels to a profiler"),
                             cl::cat(category));

static cl::opt<bool> weightsStay("weights-stay",
                                 cl::desc("The caller keeps the weights in memory: large ones "
                                          "are not worth a second copy"),
                                 cl::cat(category));
static cl::list<std::string> schedules("schedules", cl::CommaSeparated,
                                       cl::desc("Tile kernels not as the machine model says: "
                                                "`kernel=schedule`, or a schedule for all"),
                                       cl::value_desc("choice,…"), cl::cat(category));

static int fail(const Twine &message) {
  errs() << "buddy-compile: error: " << message << "\n";
  return 1;
}

static Error writeTimes(const buddy::StageTimes &times) {
  std::error_code code;
  raw_fd_ostream stream(timingJson, code);
  if (code)
    return createFileError(timingJson, code);
  json::OStream writer(stream);
  writer.object([&] {
    for (const auto &[stage, seconds] : times)
      writer.attribute(stage, seconds);
  });
  return Error::success();
}

static mlir::OwningOpRef<mlir::ModuleOp> parse(SourceMgr &sources, mlir::MLIRContext &context) {
  auto buffer = MemoryBuffer::getFileOrSTDIN(input);
  if (!buffer) {
    fail("cannot read " + input + ": " + buffer.getError().message());
    return {};
  }
  sources.AddNewSourceBuffer(std::move(*buffer), SMLoc());
  return mlir::parseSourceFile<mlir::ModuleOp>(sources, &context);
}

int main(int argc, char **argv) {
  InitLLVM setup(argc, argv);
  cl::HideUnrelatedOptions(category);
  cl::SetVersionPrinter([](raw_ostream &os) {
    os << "buddy-compile " BUDDY_VERSION ", LLVM " LLVM_VERSION_STRING "\n";
  });
  cl::ParseCommandLineOptions(argc, argv, "A graph module in, native code out.\n");
  if (target != "cpu")
    return fail("unknown target `" + target + "`; there is: cpu");

  mlir::DialectRegistry registry;
  mlir::registerAllDialects(registry);
  mlir::registerAllExtensions(registry);
  mlir::registerAllToLLVMIRTranslations(registry);
  buddy::registerDialect(registry);
  mlir::MLIRContext context(registry);
  SourceMgr sources;
  mlir::SourceMgrDiagnosticHandler diagnostics(sources, &context, errs());
  mlir::OwningOpRef<mlir::ModuleOp> module = parse(sources, context);
  if (!module)
    return 1;

  buddy::CompileOptions options{output,   emitKind, features,    dumpStages, crashReproducer,
                                optLevel, profile,  weightsStay, schedules};
  buddy::StageTimes times;
  if (Error error = buddy::compile(*module, options, times))
    return fail(toString(std::move(error)));
  if (!timingJson.empty())
    if (Error error = writeTimes(times))
      return fail(toString(std::move(error)));
  return 0;
}
