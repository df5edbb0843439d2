// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "buddy/runtime/Library.h"

#include <array>
#include <chrono>
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <thread>

using namespace buddy::runtime;

namespace {

/// A region of two threads in the OpenMP runtime that compiled modules use.
class Pair {
public:
  Pair() {
    void *library = dlopen(BUDDY_OPENMP_SONAME, RTLD_NOW | RTLD_NODELETE);
    parallel = reinterpret_cast<Parallel *>(dlsym(library, "GOMP_parallel"));
    number = reinterpret_cast<Number *>(dlsym(library, "omp_get_thread_num"));
  }

  bool isComplete() const { return parallel && number; }

  bool isTogether() {
    run([](Pair &pair, int thread) { pair.cpus[thread] = sched_getcpu(); });
    return cpus[0] == cpus[1];
  }

  void bringTogether() {
    run([](Pair &, int) {
      cpu_set_t allowed, first;
      sched_getaffinity(0, sizeof allowed, &allowed);
      CPU_ZERO(&first);
      for (int cpu = 0; CPU_COUNT(&first) == 0; ++cpu)
        if (CPU_ISSET(cpu, &allowed))
          CPU_SET(cpu, &first);
      sched_setaffinity(0, sizeof first, &first);
      sched_setaffinity(0, sizeof allowed, &allowed);
    });
  }

private:
  using Parallel = void(void (*)(void *), void *, unsigned, unsigned);
  using Number = int();
  using Body = void(Pair &, int);

  void run(Body *next) {
    body = next;
    parallel(
        [](void *data) {
          auto &pair = *static_cast<Pair *>(data);
          pair.body(pair, pair.number());
        },
        this, 2, 0);
  }

  Parallel *parallel;
  Number *number;
  Body *body = nullptr;
  std::array<int, 2> cpus{};
};

TEST(Threads, ATeamOnOneCpuIsSpread) {
  cpu_set_t allowed;
  sched_getaffinity(0, sizeof allowed, &allowed);
  if (CPU_COUNT(&allowed) < 2)
    GTEST_SKIP() << "needs two CPUs";
  Pair pair;
  ASSERT_TRUE(pair.isComplete());
  setThreadCount(2);
  int together = 0, spread = 0;
  for (int attempt = 0; attempt < 50; ++attempt) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    pair.bringTogether();
    if (!pair.isTogether()) // the kernel was faster
      continue;
    ++together;
    ThreadScope();
    spread += !pair.isTogether();
  }
  setThreadCount(0);
  EXPECT_GT(together, 0);
  EXPECT_GE(spread, 0.8 * together);
}

} // namespace
