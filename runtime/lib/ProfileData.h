// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a profiler records, and what its reports are made of.

#ifndef BUDDY_RUNTIME_LIB_PROFILEDATA_H
#define BUDDY_RUNTIME_LIB_PROFILEDATA_H

#include "Machine.h"
#include "buddy/runtime/Manifest.h"
#include "buddy/runtime/ModelABI.h"

#include <limits>
#include <memory>
#include <string>
#include <vector>

namespace buddy::runtime {

/// All calls of one site.
struct SiteTotals {
  int64_t calls = 0, nanoseconds = 0, operations = 0, bytes = 0;
  int64_t fastest = std::numeric_limits<int64_t>::max(); // nanoseconds of one call
  bool isCounted = true;                                 // false: some call did not know its work
};

/// A module that reports, whose library may be gone.
struct ProfiledModule {
  ProfileTable table;
  std::vector<SiteTotals> totals; // one a site
};

/// One call; times are nanoseconds of the monotonic clock.
struct ProfileEvent {
  const ProfiledModule *module;
  int32_t site, thread;
  int64_t start, end;
  int64_t operations, bytes;
};

struct ProfileData {
  std::vector<std::unique_ptr<ProfiledModule>> modules;
  std::vector<ProfileEvent> events;
  int64_t dropped = 0;               // calls that are in the totals only: the trace was full
  std::vector<std::string> unhooked; // files of modules that were not compiled for a profiler
};

/// One kernel in one entry point, all its calls together.
struct KernelRow {
  std::string kernel, sources, where, arithmetic;
  int64_t calls = 0;
  double seconds = 0, operations = 0, bytes = 0;
  double fastest = std::numeric_limits<double>::infinity(); // seconds of one call
  bool isCounted = true;
  double limit = 0; // seconds that the machine needs at least for as much work

  double share() const { return seconds > 0 ? limit / seconds : 0; }
};

/// One entry point: prefill and decode are never mixed.
struct ProfileGroup {
  std::string name;
  int64_t calls = 0;
  double seconds = 0; // of the whole calls, what is between kernels included
  bool fitsCache = false;
  std::vector<KernelRow> rows; // longest first

  double kernelSeconds() const;
  /// What the machine needs at least for the work of all kernels that is counted ÷ the time taken.
  double share() const;
  /// "decode: 31 calls, 323.847 ms, 98.9 % of it in kernels; 83 % of the roofline"
  std::string headline() const;
};

struct ProfileReport {
  Machine machine;
  std::vector<ProfileGroup> groups; // as they were first opened
};

/// Nanoseconds of the monotonic clock: the hook `now`.
int64_t profileClock();

/// Makes `hooks` report to the profiler; null where the module has none.
void attachProfiler(const ProfileTable &table, ProfileHooks *hooks, const std::string &file);

ProfileReport summarize(const ProfileData &data, const Machine &machine);

std::string formatTable(const ProfileReport &report);
/// kernels.json: the table for programs.
std::string formatKernels(const ProfileReport &report);
/// The trace-event format that Perfetto and chrome://tracing read.
std::string formatTrace(const ProfileData &data);
/// One HTML file that needs no other: the roofline as SVG, and the table.
std::string formatPage(const ProfileReport &report);

} // namespace buddy::runtime

#endif // BUDDY_RUNTIME_LIB_PROFILEDATA_H
