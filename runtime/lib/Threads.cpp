// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The threads of compiled modules: OpenMP's, how many, and on which CPUs. It is reached by dlsym:
// the runtime that the process has (in a torch process torch's libgomp), so that its threads are
// shared, else the one that we bring along.

#include "Threads.h"

#include "buddy/runtime/Error.h"
#include "buddy/runtime/Library.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <vector>

using namespace buddy::runtime;

namespace {

std::atomic<int> requestedCount{0};

struct OpenMP;
const OpenMP &openMP();

/// The functions of the OpenMP runtime that we call.
struct OpenMP {
  void (*setNumThreads)(int) = nullptr;
  int (*getMaxThreads)() = nullptr;
  int (*getThreadNumber)() = nullptr;
  int (*getTeamSize)() = nullptr;
  /// Runs `body(data)` on `count` threads (0: as many as set): what GNU's compiler calls.
  void (*parallel)(void (*body)(void *), void *data, unsigned count, unsigned flags) = nullptr;
  /// The same in two halves, between which the caller does its own part.
  void (*parallelStart)(void (*body)(void *), void *data, unsigned count) = nullptr;
  void (*parallelEnd)() = nullptr;

  OpenMP() {
    void *library = RTLD_DEFAULT;
    // Never unloaded: its worker threads outlive the modules that started them.
    if (!dlsym(library, "GOMP_parallel") &&
        !(library = dlopen(BUDDY_OPENMP_SONAME, RTLD_NOW | RTLD_NODELETE)))
      return;
    find(library, "omp_set_num_threads", setNumThreads);
    find(library, "omp_get_max_threads", getMaxThreads);
    find(library, "omp_get_thread_num", getThreadNumber);
    find(library, "omp_get_num_threads", getTeamSize);
    find(library, "GOMP_parallel", parallel);
    find(library, "GOMP_parallel_start", parallelStart);
    find(library, "GOMP_parallel_end", parallelEnd);
    // In a forked process GNU's runtime would wait for threads that are gone; LLVM's starts anew.
    if (fileOf(library, "GOMP_parallel") != fileOf(library, "__kmpc_fork_call"))
      pthread_atfork(nullptr, nullptr, [] {
        requestedCount = 0;
        openMP().setNumThreads(1);
      });
  }

  /// Where the library that has the function begins in memory.
  static void *fileOf(void *library, const char *function) {
    Dl_info info{};
    dladdr(dlsym(library, function), &info);
    return info.dli_fbase;
  }

  template <typename Function>
  static void find(void *library, const char *name, Function &function) {
    function = reinterpret_cast<Function>(dlsym(library, name));
  }
};

const OpenMP &openMP() {
  static const OpenMP instance;
  return instance;
}

/// A team of threads, asked where they run and told where to go.
class Team {
public:
  /// Asks `count` threads where they run.
  void locate(int count) {
    cpus.assign(count, nowhere);
    targets.assign(count, nowhere);
    run([](Team &team, int thread) { team.cpus[thread] = sched_getcpu(); });
  }

  /// Finds a free CPU for each thread that shares one with a thread before it.
  bool findTargets() {
    cpu_set_t allowed, taken;
    CPU_ZERO(&taken);
    if (sched_getaffinity(0, sizeof allowed, &allowed))
      return false;
    bool some = false;
    for (int cpu : cpus)
      if (cpu >= 0)
        CPU_SET(cpu, &taken);
    cpu_set_t seen;
    CPU_ZERO(&seen);
    for (size_t thread = 0; thread < cpus.size(); ++thread) {
      int cpu = cpus[thread];
      if (cpu >= 0 && CPU_ISSET(cpu, &seen)) {
        targets[thread] = firstFree(allowed, taken);
        some |= targets[thread] != nowhere;
      }
      if (cpu >= 0)
        CPU_SET(cpu, &seen);
    }
    return some;
  }

  /// A thread is put on its CPU, and may then be moved again like any other.
  void move() {
    run([](Team &team, int thread) {
      int target = team.targets[thread];
      cpu_set_t allowed, one;
      if (target == nowhere || sched_getaffinity(0, sizeof allowed, &allowed) ||
          !CPU_ISSET(target, &allowed))
        return;
      CPU_ZERO(&one);
      CPU_SET(target, &one);
      if (sched_setaffinity(0, sizeof one, &one) == 0)
        sched_setaffinity(0, sizeof allowed, &allowed);
    });
  }

private:
  static constexpr int nowhere = -1;

  static int firstFree(const cpu_set_t &allowed, cpu_set_t &taken) {
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
      if (CPU_ISSET(cpu, &allowed) && !CPU_ISSET(cpu, &taken)) {
        CPU_SET(cpu, &taken);
        return cpu;
      }
    return nowhere;
  }

  using Body = void(Team &team, int thread);

  void run(Body *body) {
    struct Call {
      Team &team;
      Body *body;
    } call{*this, body};
    openMP().parallel(
        [](void *data) {
          auto &call = *static_cast<Call *>(data);
          int thread = openMP().getThreadNumber();
          if (thread < static_cast<int>(call.team.cpus.size()))
            call.body(call.team, thread);
        },
        &call, cpus.size(), 0);
  }

  std::vector<int> cpus, targets;
};

/// Threads of a team that wake up on one CPU share it until the kernel balances its load, which
/// takes milliseconds; in a virtual machine this is what mostly happens, because the kernel
/// takes a sleeping virtual CPU for one that its host has no time for. A call of a tenth of a
/// millisecond then takes twice as long, each time.
void spreadThreads() {
  constexpr auto interval = std::chrono::milliseconds(1);
  thread_local std::chrono::steady_clock::time_point last;
  auto now = std::chrono::steady_clock::now();
  int count = threadCount();
  const OpenMP &omp = openMP();
  if (now - last < interval || count < 2 || !omp.parallel || !omp.getThreadNumber)
    return;
  last = now;
  // Kept, so that decoding does not allocate.
  thread_local Team team;
  team.locate(count);
  if (team.findTargets())
    team.move();
}

/// Lets the other hardware thread of a core run.
void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb");
#endif
}

/// Threads mostly wait for less time than it takes to wake one up. Where the CPU has something else
/// to do, that goes first.
template <typename Condition> void waitUntil(Condition isTrue) {
  constexpr int spins = 256; // some ten microseconds
  for (int turn = 0; turn < spins; ++turn) {
    if (isTrue())
      return;
    pause();
  }
  while (!isTrue())
    sched_yield();
}

/// A parallel region that is kept for all kernels of an invocation. The first one starts it; then
/// each is handed to threads that wait within it, by a counter, in a quarter of the time that
/// parting and meeting again takes.
class Region {
public:
  void run(TeamBody *next, void *argument) {
    if (team == 0)
      start();
    hand(next, argument);
    next(argument, 0, team);
    waitUntil([&] { return finished.load(std::memory_order_acquire) == team - 1; });
  }

  void end() {
    if (team == 0)
      return;
    hand(nullptr, nullptr);
    openMP().parallelEnd();
    team = 0;
  }

private:
  void start() {
    jobsBefore = jobs.load(std::memory_order_relaxed);
    openMP().parallelStart([](void *region) { static_cast<Region *>(region)->serve(); }, this, 0);
    team = openMP().getTeamSize();
  }

  void hand(TeamBody *next, void *argument) {
    body = next;
    data = argument;
    finished.store(0, std::memory_order_relaxed);
    jobs.store(jobs.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }

  /// What each thread but the caller's does.
  void serve() {
    int64_t thread = openMP().getThreadNumber(), size = openMP().getTeamSize();
    for (uint64_t done = jobsBefore;; ++done) {
      waitUntil([&] { return jobs.load(std::memory_order_acquire) != done; });
      if (!body)
        return;
      body(data, thread, size);
      finished.fetch_add(1, std::memory_order_release);
    }
  }

  int64_t team = 0; // 0: there is no region
  uint64_t jobsBefore = 0;
  TeamBody *body = nullptr;
  void *data = nullptr;
  // Each on a line of its own: one is read while the other is written.
  alignas(64) std::atomic<uint64_t> jobs{0};
  alignas(64) std::atomic<int64_t> finished{0};
};

/// Of each calling thread, and how many invocations it is within.
thread_local Region region;
thread_local int invocations = 0;

void runOnTeam(TeamBody *body, void *data) {
  if (invocations)
    return region.run(body, data);
  ThreadScope scope; // a kernel that is called directly
  region.run(body, data);
}

} // namespace

TeamRunner *buddy::runtime::teamRunner() {
  const OpenMP &omp = openMP();
  bool isComplete = omp.parallelStart && omp.parallelEnd && omp.getThreadNumber && omp.getTeamSize;
  return isComplete ? runOnTeam : nullptr;
}

void buddy::runtime::setThreadCount(int count) {
  if (count < 0)
    throw ArgumentError("the number of threads must not be negative, it is " +
                        std::to_string(count));
  requestedCount = count;
}

int buddy::runtime::threadCount() {
  int count = requestedCount;
  if (!count && openMP().getMaxThreads)
    count = openMP().getMaxThreads();
  return std::max(count, 1);
}

ThreadScope::ThreadScope() {
  int count = requestedCount;
  const OpenMP &omp = openMP();
  if (count && omp.setNumThreads && omp.getMaxThreads && omp.getMaxThreads() != count) {
    previous = omp.getMaxThreads();
    omp.setNumThreads(count);
  }
  spreadThreads();
  ++invocations;
}

ThreadScope::~ThreadScope() {
  if (--invocations == 0)
    region.end();
  if (previous)
    openMP().setNumThreads(previous);
}
