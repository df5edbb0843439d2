// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Report.h"

#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sys/resource.h>

using namespace buddy::runtime;

static int64_t peakMemory() {
  constexpr int64_t kibibyte = 1024; // the unit of ru_maxrss on Linux
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss * kibibyte;
}

static nlohmann::ordered_json figures(const Session &session, const Timings &timings) {
  return {{"prefill_tok_s", timings.prefillTokensPerSecond},
          {"decode_tok_s", timings.decodeTokensPerSecond},
          {"ttft_s", timings.firstTokenSeconds},
          {"load_s", session.loadSeconds()},
          {"peak_rss_bytes", peakMemory()},
          {"threads", threadCount()},
          {"prompt_tokens", timings.promptTokens},
          {"new_tokens", timings.newTokens}};
}

void printFigures(const Session &session, const Timings &timings) {
  std::cout << figures(session, timings).dump() << std::endl;
}

void printGeneration(const Session &session, const std::vector<TokenId> &prompt,
                     const Generation &generation) {
  nlohmann::ordered_json json = {{"prompt_ids", prompt},
                                 {"ids", generation.ids},
                                 {"text", generation.text},
                                 {"finish_reason", name(generation.reason)}};
  json.update(figures(session, generation.timings));
  std::cout << json.dump() << std::endl;
}

void summarize(const Session &session, const Generation &generation) {
  const Timings &t = generation.timings;
  std::fprintf(stderr,
               "[%s] load %.2f s · first token %.3f s · prefill %lld tokens, %.1f tok/s · "
               "decode %lld tokens, %.1f tok/s · %d threads\n",
               std::string(name(generation.reason)).c_str(), session.loadSeconds(),
               t.firstTokenSeconds, static_cast<long long>(t.promptTokens - t.reusedTokens),
               t.prefillTokensPerSecond, static_cast<long long>(t.newTokens),
               t.decodeTokensPerSecond, threadCount());
}
