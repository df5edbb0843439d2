// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The trace-event format: complete events ("X") in microseconds, one track a thread; an entry
// point's event lies around those of its kernels.

#include "Json.h"
#include "ProfileData.h"

#include <algorithm>
#include <set>
#include <unistd.h>

using namespace buddy::runtime;

namespace {

Json nameEvent(const char *what, int thread, const std::string &name) {
  return {
      {"name", what}, {"ph", "M"}, {"pid", getpid()}, {"tid", thread}, {"args", {{"name", name}}}};
}

Json callEvent(const ProfileEvent &event, const CallSite &site, int64_t origin) {
  constexpr double nanosecondsPerMicrosecond = 1e3;
  bool isWhole = site.kernel.empty();
  Json json = {{"name", isWhole ? site.entry : site.kernel},
               {"cat", site.entry},
               {"ph", "X"},
               {"pid", getpid()},
               {"tid", event.thread},
               {"ts", (event.start - origin) / nanosecondsPerMicrosecond},
               {"dur", (event.end - event.start) / nanosecondsPerMicrosecond}};
  if (isWhole)
    return json;
  Json &arguments = json["args"];
  arguments["operators"] = event.module->table.kernels.at(site.kernel).sources;
  arguments["line"] = site.where;
  if (event.operations >= 0 && event.end > event.start) {
    double nanoseconds = static_cast<double>(event.end - event.start);
    arguments["GFLOP/s"] = event.operations / nanoseconds;
    arguments["GB/s"] = event.bytes / nanoseconds;
  }
  return json;
}

} // namespace

std::string buddy::runtime::formatTrace(const ProfileData &data) {
  int64_t origin = data.events.empty() ? 0 : data.events.front().start;
  std::set<int32_t> threads;
  for (const ProfileEvent &event : data.events) {
    origin = std::min(origin, event.start);
    threads.insert(event.thread);
  }
  auto text = [](const Json &json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
  };
  std::string trace = "{\"displayTimeUnit\":\"ns\",\"otherData\":{\"calls beyond the trace\":" +
                      std::to_string(data.dropped) + "},\"traceEvents\":[\n" +
                      text(nameEvent("process_name", 0, "buddy"));
  for (int32_t thread : threads)
    trace += ",\n" + text(nameEvent("thread_name", thread, "caller " + std::to_string(thread)));
  for (const ProfileEvent &event : data.events)
    trace += ",\n" + text(callEvent(event, event.module->table.sites[event.site], origin));
  return trace + "\n]}\n";
}
