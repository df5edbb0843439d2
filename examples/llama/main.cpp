// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A program that answers one question with a model package. Everything about the model, its sizes
// included, comes out of the package.

#include "buddy/runtime/Session.h"

#include <cstdio>
#include <exception>

using namespace buddy::runtime;

int main(int argc, char **argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s PACKAGE QUESTION\n", argv[0]);
    return 2;
  }
  try {
    Session session(argv[1]);
    std::string prompt = session.renderChat({{"user", argv[2]}});
    GenerateOptions options;
    options.onToken = [](TokenId, std::string_view piece) {
      std::fwrite(piece.data(), 1, piece.size(), stdout);
      std::fflush(stdout);
      return true;
    };
    Generation answer = session.generate(session.tokenizer().encode(prompt), options);
    std::printf("\n");
    std::fprintf(stderr, "prefill %.0f tokens/s, decode %.1f tokens/s\n",
                 answer.timings.prefillTokensPerSecond, answer.timings.decodeTokensPerSecond);
  } catch (const std::exception &error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
