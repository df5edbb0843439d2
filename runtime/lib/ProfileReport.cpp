// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// From calls to one line per kernel.

#include "Json.h"
#include "ProfileData.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <set>

using namespace buddy::runtime;

namespace {

/// "a.py:7" for one place, "a.py:7 +2" for three.
std::string placesOf(const std::vector<std::string> &places) {
  if (places.empty())
    return "";
  std::string rest = places.size() > 1 ? " +" + std::to_string(places.size() - 1) : "";
  return places.front() + rest;
}

/// The file and its folder: what tells two lines apart in a table.
std::string shortened(const std::string &place) {
  size_t slash = place.rfind('/');
  if (slash != std::string::npos && slash > 0)
    slash = place.rfind('/', slash - 1);
  return slash == std::string::npos ? place : place.substr(slash + 1);
}

std::string joined(const std::vector<std::string> &words) {
  std::string text;
  for (const std::string &word : words)
    text += (text.empty() ? "" : " ") + word;
  return text;
}

/// The rows of one entry point, kernels in the order of their first call.
class GroupBuilder {
public:
  GroupBuilder(const ProfiledModule &module, const std::string &entry) : module(module) {
    group.name = entry;
    for (size_t site = 0; site < module.totals.size(); ++site)
      if (module.table.sites[site].entry == entry && module.totals[site].calls)
        add(module.table.sites[site], module.totals[site]);
  }

  ProfileGroup finish(const Machine &machine) {
    double bytes = 0;
    for (size_t i = 0; i < group.rows.size(); ++i) {
      group.rows[i].where = placesOf(places[i]);
      bytes += group.rows[i].bytes;
    }
    group.fitsCache = group.calls && bytes / group.calls <= machine.cacheBytes / 2.0;
    for (KernelRow &row : group.rows)
      row.limit = std::max(row.operations / machine.peak(row.arithmetic),
                           row.bytes / machine.bandwidth(group.fitsCache));
    std::stable_sort(group.rows.begin(), group.rows.end(),
                     [](const KernelRow &a, const KernelRow &b) { return a.seconds > b.seconds; });
    return std::move(group);
  }

private:
  void add(const CallSite &site, const SiteTotals &totals) {
    if (site.kernel.empty()) {
      group.calls += totals.calls;
      group.seconds += totals.nanoseconds * 1e-9;
      return;
    }
    size_t place = rowOf.try_emplace(site.kernel, group.rows.size()).first->second;
    if (place == group.rows.size()) {
      const KernelDescription &kernel = module.table.kernels.at(site.kernel);
      group.rows.push_back({site.kernel, joined(kernel.sources), "", kernel.arithmetic});
      places.emplace_back();
    }
    KernelRow &row = group.rows[place];
    row.calls += totals.calls;
    row.seconds += totals.nanoseconds * 1e-9;
    row.fastest = std::min(row.fastest, totals.fastest * 1e-9);
    row.isCounted &= totals.isCounted;
    row.operations += totals.operations;
    row.bytes += totals.bytes;
    std::string where = shortened(site.where);
    std::vector<std::string> &known = places[place];
    if (!where.empty() && std::find(known.begin(), known.end(), where) == known.end())
      known.push_back(where);
  }

  const ProfiledModule &module;
  ProfileGroup group;
  std::map<std::string, size_t> rowOf;
  std::vector<std::vector<std::string>> places; // of each row
};

std::vector<std::string> entriesOf(const ProfiledModule &module) {
  std::vector<std::string> entries;
  for (size_t site = 0; site < module.totals.size(); ++site) {
    const std::string &entry = module.table.sites[site].entry;
    bool isKnown = std::find(entries.begin(), entries.end(), entry) != entries.end();
    if (module.totals[site].calls && !isKnown)
      entries.push_back(entry);
  }
  return entries;
}

/// Several graphs of a program all have an entry `forward`: they are numbered.
void numberEqualNames(std::vector<ProfileGroup> &groups) {
  std::map<std::string, int> count, next;
  for (const ProfileGroup &group : groups)
    ++count[group.name];
  for (ProfileGroup &group : groups)
    if (std::string name = group.name; count[name] > 1)
      group.name = name + " " + std::to_string(++next[name]);
}

std::string cut(const std::string &text, size_t width) {
  return text.size() <= width ? text : text.substr(0, width - 2) + "..";
}

/// The line's number at the end is what counts.
std::string cutFront(const std::string &text, size_t width) {
  return text.size() <= width ? text : ".." + text.substr(text.size() - width + 2);
}

/// A rate in the given unit, or a dash where the work is not known.
std::string rate(const KernelRow &row, double amount, double unit) {
  if (!row.isCounted || row.seconds <= 0)
    return "-";
  char text[32];
  std::snprintf(text, sizeof(text), "%.1f", amount / row.seconds / unit);
  return text;
}

std::string formatRow(const KernelRow &row, double total) {
  char share[16] = "-", line[256];
  if (row.isCounted)
    std::snprintf(share, sizeof(share), "%.0f %%", 100 * row.share());
  std::snprintf(
      line, sizeof(line), "  %-18s %-30s %-28s %7lld %10.3f %5.1f %10.1f %10.1f %9s %7s %6s\n",
      cut(row.kernel, 18).c_str(), cut(row.sources, 30).c_str(), cutFront(row.where, 28).c_str(),
      static_cast<long long>(row.calls), 1e3 * row.seconds,
      total > 0 ? 100 * row.seconds / total : 0, 1e6 * row.seconds / row.calls, 1e6 * row.fastest,
      rate(row, row.operations, 1e9).c_str(), rate(row, row.bytes, 1e9).c_str(), share);
  return line;
}

} // namespace

double ProfileGroup::kernelSeconds() const {
  double total = 0;
  for (const KernelRow &row : rows)
    total += row.seconds;
  return total;
}

double ProfileGroup::share() const {
  double limit = 0;
  for (const KernelRow &row : rows)
    limit += row.limit;
  return seconds > 0 ? limit / seconds : 0;
}

std::string ProfileGroup::headline() const {
  char text[200];
  std::snprintf(text, sizeof(text),
                ": %lld call%s, %.3f ms, %.1f %% of it in kernels; %.0f %% of the roofline",
                static_cast<long long>(calls), calls == 1 ? "" : "s", 1e3 * seconds,
                seconds > 0 ? 100 * kernelSeconds() / seconds : 0, 100 * share());
  return name + text;
}

ProfileReport buddy::runtime::summarize(const ProfileData &data, const Machine &machine) {
  ProfileReport report{machine, {}};
  for (const std::unique_ptr<ProfiledModule> &module : data.modules)
    for (const std::string &entry : entriesOf(*module))
      report.groups.push_back(GroupBuilder(*module, entry).finish(machine));
  numberEqualNames(report.groups);
  return report;
}

std::string buddy::runtime::formatTable(const ProfileReport &report) {
  constexpr size_t mostRows = 30;
  const Machine &m = report.machine;
  char line[256];
  std::snprintf(line, sizeof(line),
                "%s, %d threads: %.0f GFLOP/s f32, %.0f bf16, %.1f GB/s from memory, %.1f from "
                "cache\n",
                m.cpu.c_str(), m.threads, m.f32 / 1e9, m.bf16 / 1e9, m.memory / 1e9, m.cache / 1e9);
  std::string text = line;
  if (m.roundTrip > 0) {
    std::snprintf(line, sizeof(line),
                  "a line of the cache goes to another core and back in %.0f ns\n", m.roundTrip);
    text += line;
  }
  for (const ProfileGroup &group : report.groups) {
    text += "\n" + group.headline() + "\n";
    std::snprintf(line, sizeof(line), "  %-18s %-30s %-28s %7s %10s %5s %10s %10s %9s %7s %6s\n",
                  "kernel", "operators", "line", "calls", "ms", "%", "us a call", "fastest",
                  "GFLOP/s", "GB/s", "roof");
    text += line;
    for (size_t i = 0; i < std::min(mostRows, group.rows.size()); ++i)
      text += formatRow(group.rows[i], group.kernelSeconds());
    if (group.rows.size() > mostRows)
      text += "  and " + std::to_string(group.rows.size() - mostRows) +
              " shorter ones: see roofline.html\n";
  }
  return text;
}

std::string buddy::runtime::formatKernels(const ProfileReport &report) {
  using Ordered = nlohmann::ordered_json;
  const Machine &m = report.machine;
  Ordered groups = Ordered::array();
  for (const ProfileGroup &group : report.groups) {
    Ordered kernels = Ordered::array();
    for (const KernelRow &row : group.rows) {
      Ordered kernel = {
          {"kernel", row.kernel},          {"operators", row.sources}, {"line", row.where},
          {"arithmetic", row.arithmetic},  {"calls", row.calls},       {"seconds", row.seconds},
          {"fastest_seconds", row.fastest}};
      if (row.isCounted)
        kernel.update({{"operations", row.operations},
                       {"bytes", row.bytes},
                       {"share_of_roofline", row.share()}});
      kernels.push_back(kernel);
    }
    groups.push_back({{"entry", group.name},
                      {"calls", group.calls},
                      {"seconds", group.seconds},
                      {"kernel_seconds", group.kernelSeconds()},
                      {"share_of_roofline", group.share()},
                      {"kernels", kernels}});
  }
  Ordered machine = {{"cpu", m.cpu},
                     {"threads", m.threads},
                     {"f32_flop_s", m.f32},
                     {"bf16_flop_s", m.bf16},
                     {"memory_byte_s", m.memory},
                     {"cache_byte_s", m.cache},
                     {"round_trip_ns", m.roundTrip}};
  Ordered json = {{"machine", machine}, {"entries", groups}};
  return json.dump(1, ' ', false, Ordered::error_handler_t::replace) + "\n";
}
