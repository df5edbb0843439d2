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

/// What manifest.json of a model package says. Paths are inside the package.
struct Package {
  std::string directory;
  std::string name;
  std::string architecture;
  std::string dtype;
  int64_t vocabSize = 0;
  int64_t maxSeqLen = 0;    // tokens the KV cache holds
  int64_t prefillChunk = 0; // tokens one call of `prefill` takes at most
  std::vector<std::string> features;
  std::optional<int64_t> bos;
  std::vector<int64_t> eos;
  bool addBos = false;
  std::optional<ChatTemplate> chatTemplate; // absent: raw completion only
  std::string tokenizerKind;
  std::string tokenizerPath;
  std::string weightsPath;
  std::string libraryPath;
};

/// Reads DIRECTORY/manifest.json. Throws ModelError for a directory that is no package, or one of
/// another version.
Package readPackage(const std::string &directory);

} // namespace buddy::runtime

#endif // BUDDY_RUNTIME_PACKAGE_H
