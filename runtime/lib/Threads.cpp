// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The number of threads of compiled modules. OpenMP is reached by dlsym in libomp itself: in a
// torch process the plain name omp_set_num_threads would bind to torch's libgomp.

#include "buddy/runtime/Error.h"
#include "buddy/runtime/Library.h"

#include <atomic>
#include <dlfcn.h>

using namespace buddy::runtime;

namespace {

/// The functions of LLVM's OpenMP runtime that we call.
struct OpenMP {
  void (*setNumThreads)(int) = nullptr;
  int (*getMaxThreads)() = nullptr;
  int defaultCount = 1;

  OpenMP() {
    // Never unloaded: its worker threads outlive the modules that started them.
    void *library = dlopen(BUDDY_OPENMP_SONAME, RTLD_NOW | RTLD_NODELETE);
    if (!library)
      return;
    setNumThreads = reinterpret_cast<void (*)(int)>(dlsym(library, "omp_set_num_threads"));
    getMaxThreads = reinterpret_cast<int (*)()>(dlsym(library, "omp_get_max_threads"));
    if (getMaxThreads)
      defaultCount = getMaxThreads();
  }
};

const OpenMP &openMP() {
  static const OpenMP instance;
  return instance;
}

std::atomic<int> requestedCount{0};
thread_local int appliedCount = 0;

} // namespace

void buddy::runtime::setThreadCount(int count) {
  if (count < 0)
    throw ArgumentError("the number of threads must not be negative, it is " +
                        std::to_string(count));
  requestedCount = count;
}

int buddy::runtime::threadCount() {
  int count = requestedCount;
  return count ? count : openMP().defaultCount;
}

void buddy::runtime::applyThreadCount() {
  int count = requestedCount;
  if (count == appliedCount)
    return;
  if (openMP().setNumThreads)
    openMP().setNumThreads(threadCount());
  appliedCount = count;
}
