// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef BUDDY_RUNTIME_KERNELTIMER_H
#define BUDDY_RUNTIME_KERNELTIMER_H

#include "buddy/runtime/Manifest.h"
#include "buddy/runtime/ModelABI.h"

#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace buddy::runtime {

/// Times the kernels of one module, for who compares modules. Of each call in an entry point the
/// fastest run counts, which on a busy machine says the most.
class KernelTimer {
public:
  /// Takes the module's reports from now on; both outlive the timer's last one.
  KernelTimer(const ProfileTable &table, ProfileHooks &hooks);
  KernelTimer(const KernelTimer &) = delete;
  KernelTimer &operator=(const KernelTimer &) = delete;

  /// Seconds of all calls of each kernel together, of those that ran.
  std::map<std::string, double> seconds() const;

private:
  static void record(void *context, int64_t site, int64_t start, int64_t, int64_t);

  const ProfileTable &table;
  mutable std::mutex mutex;
  std::vector<int64_t> fastest; // nanoseconds, one a site; negative: it did not run
};

} // namespace buddy::runtime

#endif // BUDDY_RUNTIME_KERNELTIMER_H
