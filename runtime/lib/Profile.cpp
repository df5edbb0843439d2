// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The recorder: hooks of compiled modules come in, totals and a trace stay.

#include "buddy/runtime/Profile.h"
#include "ProfileData.h"
#include "buddy/runtime/Error.h"
#include "buddy/runtime/Library.h"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <sys/syscall.h>
#include <unistd.h>

using namespace buddy::runtime;
namespace fs = std::filesystem;

namespace {

/// Calls that the trace holds: viewers get slow beyond, and the totals count all of them.
constexpr size_t traceCapacity = size_t(1) << 18;

/// The state of the process, for ever: hooks may be called until its very end.
struct Recorder {
  std::mutex mutex;
  bool isOn = false;
  std::string directory;
  ProfileData data;
};

Recorder &recorder() {
  static Recorder *instance = new Recorder;
  return *instance;
}

int32_t threadId() {
  static thread_local const auto id = static_cast<int32_t>(syscall(SYS_gettid));
  return id;
}

/// The hook that modules call after a kernel.
void record(void *context, int64_t site, int64_t start, int64_t operations, int64_t bytes) {
  int64_t end = profileClock();
  auto *module = static_cast<ProfiledModule *>(context);
  Recorder &r = recorder();
  std::lock_guard<std::mutex> lock(r.mutex);
  SiteTotals &totals = module->totals[site];
  ++totals.calls;
  totals.nanoseconds += end - start;
  totals.fastest = std::min(totals.fastest, end - start);
  totals.isCounted &= operations >= 0;
  totals.operations += operations;
  totals.bytes += bytes;
  if (r.data.events.size() == traceCapacity)
    ++r.data.dropped;
  else
    r.data.events.push_back(
        {module, static_cast<int32_t>(site), threadId(), start, end, operations, bytes});
}

/// Creates the directory and proves that files can be written to it.
void requireWritable(const std::string &directory) {
  std::error_code code;
  fs::create_directories(directory, code);
  fs::path probe = fs::path(directory) / ".writable";
  bool isWritten = !code && std::ofstream(probe).put('\n').good();
  fs::remove(probe, code);
  if (!isWritten)
    throw ArgumentError(directory +
                        ": the profile cannot be written there; choose another directory with "
                        "BUDDY_PROFILE_DIR");
}

std::string write(const std::string &directory, const char *name, const std::string &text) {
  std::string path = (fs::path(directory) / name).string();
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  if (!file)
    throw Error(path + ": cannot be written; is the disk full?");
  return path;
}

void requireKernels(const ProfileData &data) {
  for (const std::unique_ptr<ProfiledModule> &module : data.modules)
    for (const SiteTotals &totals : module->totals)
      if (totals.calls)
        return;
  if (data.unhooked.empty())
    throw Error("no kernel was run: nothing compiled by Buddy was called while profiling");
  throw Error("no kernel was measured: " + data.unhooked.front() +
              " was compiled without hooks for a profiler; compile it again with `buddy compile "
              "--profile`");
}

} // namespace

int64_t buddy::runtime::profileClock() {
  auto time = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time).count();
}

void buddy::runtime::startProfile(const std::string &directory) {
  requireWritable(directory);
  Recorder &r = recorder();
  std::lock_guard<std::mutex> lock(r.mutex);
  r.isOn = true;
  r.directory = directory;
  r.data.events.reserve(traceCapacity); // pages come as they are written to
}

bool buddy::runtime::isProfiling() {
  Recorder &r = recorder();
  std::lock_guard<std::mutex> lock(r.mutex);
  return r.isOn;
}

void buddy::runtime::attachProfiler(const ProfileTable &table, ProfileHooks *hooks,
                                    const std::string &file) {
  Recorder &r = recorder();
  std::lock_guard<std::mutex> lock(r.mutex);
  if (!hooks) {
    r.data.unhooked.push_back(file);
    return;
  }
  r.data.modules.push_back(std::make_unique<ProfiledModule>(
      ProfiledModule{table, std::vector<SiteTotals>(table.sites.size())}));
  *hooks = {r.data.modules.back().get(), &profileClock, &record};
}

void buddy::runtime::clearProfile() {
  Recorder &r = recorder();
  std::lock_guard<std::mutex> lock(r.mutex);
  for (std::unique_ptr<ProfiledModule> &module : r.data.modules)
    module->totals.assign(module->totals.size(), {});
  r.data.events.clear();
  r.data.dropped = 0;
}

ProfileResult buddy::runtime::finishProfile() {
  Recorder &r = recorder();
  std::lock_guard<std::mutex> lock(r.mutex);
  requireKernels(r.data);
  Machine machine = measureMachine(threadCount());
  ProfileReport report = summarize(r.data, machine);
  ProfileResult result;
  result.table = formatTable(report);
  result.trace = write(r.directory, "trace.json", formatTrace(r.data));
  result.page = write(r.directory, "roofline.html", formatPage(report));
  result.kernels = write(r.directory, "kernels.json", formatKernels(report));
  return result;
}
