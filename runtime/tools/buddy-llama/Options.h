// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef BUDDY_LLAMA_OPTIONS_H
#define BUDDY_LLAMA_OPTIONS_H

#include "buddy/runtime/Sampler.h"

#include <cstdint>
#include <string>
#include <vector>

/// The command line of buddy-llama.
struct Options {
  std::string package;
  std::string prompt;
  std::string system;
  int64_t maxTokens = 256;
  int threads = 0;
  buddy::runtime::SamplerOptions sampler;
  bool raw = false;
  bool interactive = false;
  bool json = false;
  std::vector<int64_t> bench; // prompt tokens and new tokens, or empty
};

/// Reads the command line; where that ends the program (--help, a mistake) `exitStatus` says so.
Options parseOptions(int argc, char **argv, int &exitStatus);

/// parseOptions leaves this when the program goes on.
constexpr int goOn = -1;

#endif // BUDDY_LLAMA_OPTIONS_H
