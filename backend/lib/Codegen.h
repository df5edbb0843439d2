// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef BUDDY_LIB_CODEGEN_H
#define BUDDY_LIB_CODEGEN_H

#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/CodeGen.h"
#include "llvm/Support/Error.h"

#include <vector>

namespace llvm {
class Module;
class TargetMachine;
class raw_pwrite_stream;
} // namespace llvm

namespace buddy {

using ObjectCode = llvm::SmallVector<char, 0>;

/// The whole module as one file.
llvm::Error emitMachineCode(llvm::Module &module, llvm::TargetMachine &machine,
                            llvm::CodeGenFileType type, llvm::raw_pwrite_stream &stream);

/// The module as objects to be linked together, made on all cores; one if it is small.
llvm::Expected<std::vector<ObjectCode>> emitObjects(llvm::Module &module, llvm::StringRef features,
                                                    int optLevel);

} // namespace buddy

#endif // BUDDY_LIB_CODEGEN_H
