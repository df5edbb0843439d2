// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "buddy/runtime/KernelTimer.h"

#include "ProfileData.h"

using namespace buddy::runtime;

KernelTimer::KernelTimer(const ProfileTable &table, ProfileHooks &hooks)
    : table(table), fastest(table.sites.size(), -1) {
  hooks = {this, &profileClock, &record};
}

void KernelTimer::record(void *context, int64_t site, int64_t start, int64_t, int64_t) {
  int64_t time = profileClock() - start;
  auto *timer = static_cast<KernelTimer *>(context);
  std::lock_guard<std::mutex> lock(timer->mutex);
  int64_t &fastest = timer->fastest[site];
  fastest = fastest < 0 ? time : std::min(fastest, time);
}

std::map<std::string, double> KernelTimer::seconds() const {
  std::lock_guard<std::mutex> lock(mutex);
  std::map<std::string, double> result;
  for (size_t site = 0; site < fastest.size(); ++site)
    if (const std::string &kernel = table.sites[site].kernel; !kernel.empty() && fastest[site] >= 0)
      result[kernel] += static_cast<double>(fastest[site]) * 1e-9;
  return result;
}
