// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Machine.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <fstream>
#include <functional>
#include <memory>
#include <numeric>
#include <sched.h>
#include <thread>
#include <time.h>
#include <vector>

using namespace buddy::runtime;

namespace {

using Clock = std::chrono::steady_clock;

double secondsOf(const std::function<void()> &action) {
  auto start = Clock::now();
  action();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Runs `work(thread)` on every thread at once, and returns the seconds until all are done.
double together(int threads, const std::function<void(int)> &work) {
  return secondsOf([&] {
    std::vector<std::thread> team;
    for (int thread = 0; thread < threads; ++thread)
      team.emplace_back(work, thread);
    for (std::thread &member : team)
      member.join();
  });
}

/// Seconds that this thread has computed: time that other programs took away does not count.
double threadSeconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return time.tv_sec + time.tv_nsec * 1e-9;
}

/// Operations per second of all threads at once, best of several runs of some 20 ms.
double measureOperations(int threads, double (*loop)(int64_t)) {
  constexpr double wanted = 0.02;
  int64_t rounds = 1 << 14;
  while (secondsOf([&] { loop(rounds); }) < wanted)
    rounds *= 2;
  double best = 0;
  for (int run = 0; run < 8; ++run) {
    std::vector<double> rates(threads);
    together(threads, [&](int thread) {
      double start = threadSeconds();
      double operations = loop(rounds);
      rates[thread] = operations / (threadSeconds() - start);
    });
    best = std::max(best, std::accumulate(rates.begin(), rates.end(), 0.0));
  }
  return best;
}

/// Bytes per second of reading `bytes` again and again, each thread its own part.
double measureReading(int threads, int64_t bytes, int repeats, int runs) {
  int64_t words = bytes / static_cast<int64_t>(sizeof(uint64_t));
  std::unique_ptr<uint64_t[]> buffer(new uint64_t[words]());
  std::vector<uint64_t> sums(threads);
  double best = 0;
  for (int run = 0; run < runs; ++run) {
    double seconds = together(threads, [&](int thread) {
      const uint64_t *data = buffer.get();
      for (int repeat = 0; repeat < repeats; ++repeat)
        sums[thread] +=
            readAll(data + words * thread / threads, data + words * (thread + 1) / threads);
    });
    best = std::max(best, static_cast<double>(bytes) * repeats / seconds);
  }
  volatile uint64_t sink = sums.front();
  (void)sink;
  return best;
}

/// The first and the last of the CPUs that this thread may use.
std::pair<int, int> outermostCpus() {
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
    return {0, 0};
  int first = CPU_SETSIZE, last = 0;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &allowed)) {
      first = std::min(first, cpu);
      last = cpu;
    }
  return {first, last};
}

void moveTo(int cpu) {
  cpu_set_t only;
  CPU_ZERO(&only);
  CPU_SET(cpu, &only);
  sched_setaffinity(0, sizeof(only), &only);
}

/// The CPU may have been given to another thread, which is to go on.
void waitFor(const std::atomic<int64_t> &line, int64_t value) {
  constexpr int patience = 1 << 12;
  for (int spins = 0; line.load(std::memory_order_acquire) != value; ++spins)
    if (spins > patience)
      std::this_thread::yield();
}

/// Nanoseconds until a line that one thread writes comes back, written by another on the CPU that
/// is farthest by its number: the median of some runs, since either may be interrupted. 0 if there
/// is no other CPU.
double measureRoundTrip() {
  constexpr int runs = 64, trips = 64;
  auto [first, last] = outermostCpus();
  if (first == last)
    return 0;
  alignas(64) std::atomic<int64_t> line{0};
  std::vector<double> seconds(runs);
  std::thread answers([&, cpu = last] {
    moveTo(cpu);
    for (int64_t turn = 1; turn <= int64_t(2) * runs * trips; turn += 2) {
      waitFor(line, turn);
      line.store(turn + 1, std::memory_order_release);
    }
  });
  std::thread asks([&, cpu = first] {
    moveTo(cpu);
    for (int64_t run = 0, turn = 0; run < runs; ++run)
      seconds[run] = secondsOf([&] {
        for (int trip = 0; trip < trips; ++trip, turn += 2) {
          line.store(turn + 1, std::memory_order_release);
          waitFor(line, turn + 2);
        }
      });
  });
  asks.join();
  answers.join();
  std::nth_element(seconds.begin(), seconds.begin() + runs / 2, seconds.end());
  return seconds[runs / 2] / trips * 1e9;
}

std::string cpuName() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.rfind("model name", 0) == 0 && line.find(": ") != std::string::npos)
      return line.substr(line.find(": ") + 2);
  return "CPU";
}

/// Of Linux's list, which is in order of levels; sysconf guesses on some virtual machines.
int64_t lastLevelCache() {
  constexpr int64_t kibibyte = 1024;
  int64_t bytes = 0;
  for (int index = 0;; ++index) {
    std::ifstream file("/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index) +
                       "/size");
    if (int64_t size = 0; file >> size) // "32768K"
      bytes = std::max(bytes, size * kibibyte);
    else
      return bytes;
  }
}

} // namespace

double Machine::peak(const std::string &arithmetic) const {
  return arithmetic == "bf16" ? bf16 : arithmetic == "f64" ? f32 / 2 : f32;
}

Machine buddy::runtime::measureMachine(int threads) {
  Machine machine;
  machine.cpu = cpuName();
  machine.threads = threads;
  machine.f32 = measureOperations(threads, multiplyAddF32);
  machine.bf16 = hasDotBF16() ? measureOperations(threads, dotBF16) : machine.f32;
  if (threads > 1)
    machine.roundTrip = measureRoundTrip();
  machine.cacheBytes = lastLevelCache();
  // Half of the cache: the rest is other data's. Memory: far more than any cache keeps.
  constexpr int64_t least = int64_t(1) << 28;
  machine.memory = measureReading(threads, std::max(least, 4 * machine.cacheBytes), 1, 8);
  if (machine.cacheBytes)
    machine.cache = measureReading(threads, machine.cacheBytes / 2, 8, 8);
  return machine;
}
