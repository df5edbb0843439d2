// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef BUDDY_RUNTIME_PACKAGE_H
#define BUDDY_RUNTIME_PACKAGE_H

#include "buddy/runtime/ChatTemplate.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace buddy::runtime {

/// The value of "version" in the manifest.json this runtime understands.
constexpr int64_t packageVersion = 1;

/// What manifest.json of any package says. Paths are inside the package.
struct Package {
  std::string directory;
  std::string name;
  std::vector<std::string> features; // of the CPU, under LLVM's names
  std::string weightsPath;
  std::string libraryPath;
};

/// The package of a causal language model, which Session runs.
struct LanguagePackage : Package {
  std::string architecture;
  std::string dtype;
  int64_t vocabSize = 0;
  int64_t maxSeqLen = 0;    // tokens the KV cache holds
  int64_t prefillChunk = 0; // tokens one call of `prefill` takes at most
  std::optional<int64_t> bos;
  std::vector<int64_t> eos;
  bool addBos = false;
  std::optional<ChatTemplate> chatTemplate; // absent: raw completion only
  std::string tokenizerKind;
  std::string tokenizerPath;
};

/// The package of a torch.export program, which Program runs.
struct ProgramPackage : Package {
  std::vector<std::string> outputs;    // names of `output.0`, `output.1`, …
  std::vector<std::string> state;      // arguments that keep their values from call to call
  std::vector<std::string> messages;   // what a failed call says, by the number it returns less one
  std::vector<std::string> conditions; // on sizes, of which a call is told whether they hold
};

/// Read DIRECTORY/manifest.json. They throw ModelError for a directory that is no package, or one
/// of another kind or version, or for another CPU.
LanguagePackage readLanguagePackage(const std::string &directory);
ProgramPackage readProgramPackage(const std::string &directory);

} // namespace buddy::runtime

#endif // BUDDY_RUNTIME_PACKAGE_H
