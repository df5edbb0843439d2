// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Plain read bandwidth of memory: every thread sums its share of a buffer far larger than any
// cache. Prints bytes per second, the best of several passes.

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

static uint64_t sum(const uint64_t *begin, const uint64_t *end) {
  uint64_t lanes[32] = {};
  for (; begin + 32 <= end; begin += 32)
    for (int lane = 0; lane < 32; ++lane)
      lanes[lane] += begin[lane];
  uint64_t total = 0;
  for (uint64_t lane : lanes)
    total += lane;
  return total;
}

int main(int argc, char **argv) {
  const size_t threads = argc > 1 ? std::atoi(argv[1]) : 1;
  const size_t words = (size_t(1) << 30) / sizeof(uint64_t);
  std::vector<uint64_t> buffer(words, 1);
  std::vector<uint64_t> sums(threads);
  double best = 0;
  for (int pass = 0; pass < 6; ++pass) {
    const auto start = std::chrono::steady_clock::now();
    std::vector<std::thread> team;
    for (size_t t = 0; t < threads; ++t)
      team.emplace_back([&, t] {
        const uint64_t *data = buffer.data();
        sums[t] = sum(data + words * t / threads, data + words * (t + 1) / threads);
      });
    for (std::thread &thread : team)
      thread.join();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    uint64_t total = 0;
    for (uint64_t part : sums)
      total += part;
    if (total != words) // also keeps the sums alive
      return 1;
    const double rate = words * sizeof(uint64_t) / seconds.count();
    best = rate > best ? rate : best;
  }
  std::printf("%.0f\n", best);
}
