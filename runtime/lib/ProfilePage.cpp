// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One HTML file without a script or a second file: the roofline as SVG, then the table.

#include "ProfileData.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

using namespace buddy::runtime;

namespace {

constexpr const char *colors[] = {"#1f6feb", "#d1480b", "#2c8a3d", "#8a3ffc", "#b58900", "#c2185b"};
constexpr int width = 960, height = 540, left = 70, right = 20, top = 20, bottom = 50;

constexpr char style[] = R"(
body { font: 14px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 1100px; color: #1c1e21 }
h1 { font-size: 1.4em } h2 { font-size: 1.1em; margin-top: 2em }
table { border-collapse: collapse; width: 100%; font-size: 13px }
th, td { text-align: right; padding: 3px 8px; border-bottom: 1px solid #e3e5e8; white-space: nowrap }
th.name, td.name { text-align: left; white-space: normal }
td.share { background: linear-gradient(#cfe3ff, #cfe3ff) no-repeat left / var(--part) 100% }
svg { width: 100%; height: auto } svg text { font: 12px system-ui, sans-serif; fill: #444 }
)";

template <typename... Values> std::string print(const char *format, Values... values) {
  char text[512];
  std::snprintf(text, sizeof(text), format, values...);
  return text;
}

std::string escape(const std::string &text) {
  std::string escaped;
  for (char c : text)
    escaped += c == '&'   ? "&amp;"
               : c == '<' ? "&lt;"
               : c == '>' ? "&gt;"
               : c == '"' ? "&quot;"
                          : std::string(1, c);
  return escaped;
}

const char *colorOf(size_t group) { return colors[group % std::size(colors)]; }

double intensity(const KernelRow &row) { return row.operations / row.bytes; }
double speed(const KernelRow &row) { return row.operations / row.seconds; }

/// Kernels that only move data have no place in the plot; those that take no time would only
/// stretch it.
bool isPlotted(const ProfileGroup &group, const KernelRow &row) {
  constexpr double least = 1e-3;
  return row.isCounted && row.operations > 0 && row.bytes > 0 && row.seconds > 0 &&
         row.seconds >= least * group.kernelSeconds();
}

/// Operations per byte to the right, operations per second up, both logarithmic.
class Plot {
public:
  explicit Plot(const ProfileReport &report) : report(report) {
    const Machine &m = report.machine;
    include(m.f32 / m.bandwidth(true) / 8, m.f32 / 8);
    include(m.bf16 / m.memory * 8, m.bf16 * 2);
    for (const ProfileGroup &group : report.groups)
      for (const KernelRow &row : group.rows)
        if (isPlotted(group, row))
          include(intensity(row), speed(row));
  }

  std::string draw() const {
    std::string svg =
        print("<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"roofline\">\n", width, height);
    return svg + grid() + roofs() + points() + "</svg>\n";
  }

private:
  void include(double x, double y) {
    low[0] = std::min(low[0], std::floor(std::log10(x)));
    high[0] = std::max(high[0], std::ceil(std::log10(x)));
    low[1] = std::min(low[1], std::floor(std::log10(y)));
    high[1] = std::max(high[1], std::ceil(std::log10(y)));
  }

  double across(double x) const {
    return left + (std::log10(x) - low[0]) / (high[0] - low[0]) * (width - left - right);
  }
  double down(double y) const {
    return height - bottom -
           (std::log10(y) - low[1]) / (high[1] - low[1]) * (height - top - bottom);
  }

  std::string line(double x1, double y1, double x2, double y2, const char *looks) const {
    return print("<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" %s/>\n", across(x1),
                 down(y1), across(x2), down(y2), looks);
  }

  std::string grid() const {
    constexpr char looks[] = "stroke=\"#e3e5e8\"";
    std::string svg;
    double x0 = std::pow(10, low[0]), x1 = std::pow(10, high[0]);
    double y0 = std::pow(10, low[1]), y1 = std::pow(10, high[1]);
    for (double x = x0; x <= x1 * 1.01; x *= 10) {
      svg += line(x, y0, x, y1, looks);
      svg += print("<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%g</text>\n", across(x),
                   height - bottom + 18, x);
    }
    for (double y = y0; y <= y1 * 1.01; y *= 10) {
      svg += line(x0, y, x1, y, looks);
      svg += print("<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%g</text>\n", left - 8,
                   down(y) + 4, y / 1e9);
    }
    svg += print("<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">operations per byte</text>\n",
                 (left + width) / 2, height - 10);
    svg += print("<text transform=\"translate(16 %d) rotate(-90)\" "
                 "text-anchor=\"middle\">GFLOP/s</text>\n",
                 height / 2);
    return svg;
  }

  /// Up along the bandwidths to the peaks.
  std::string roofs() const {
    const Machine &m = report.machine;
    constexpr char solid[] = "stroke=\"#444\" stroke-width=\"1.5\"";
    constexpr char dashed[] = "stroke=\"#444\" stroke-dasharray=\"5 4\"";
    double x0 = std::pow(10, low[0]), x1 = std::pow(10, high[0]);
    std::string svg;
    auto slope = [&](double bandwidth, const char *name, const char *looks) {
      double start = std::max(x0, std::pow(10, low[1]) / bandwidth);
      svg += line(start, start * bandwidth, m.bf16 / bandwidth, m.bf16, looks);
      double rise = down(start * bandwidth) - down(m.bf16);
      double degrees = std::atan2(rise, across(m.bf16 / bandwidth) - across(start)) * 57.3;
      svg += print("<text transform=\"translate(%.1f %.1f) rotate(%.1f) translate(12 -6)\">"
                   "%s %.0f GB/s</text>\n",
                   across(start), down(start * bandwidth), -degrees, name, bandwidth / 1e9);
    };
    auto ceiling = [&](double peak, const char *name) {
      svg += line(peak / m.bandwidth(true), peak, x1, peak, solid);
      svg += print("<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s %.0f GFLOP/s</text>\n",
                   width - right - 4, down(peak) - 6, name, peak / 1e9);
    };
    slope(m.memory, "memory", solid);
    if (m.cache > 0)
      slope(m.cache, "cache", dashed);
    ceiling(m.f32, "f32");
    if (m.bf16 > m.f32)
      ceiling(m.bf16, "bf16");
    return svg;
  }

  /// A disc's area is its kernel's share of the whole time.
  std::string points() const {
    constexpr double least = 3, most = 22;
    double total = 0;
    for (const ProfileGroup &group : report.groups)
      total += group.kernelSeconds();
    std::string svg;
    for (size_t g = 0; g < report.groups.size(); ++g)
      for (const KernelRow &row : report.groups[g].rows)
        if (isPlotted(report.groups[g], row))
          svg += print("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\" fill=\"%s\" "
                       "fill-opacity=\"0.6\" stroke=\"#fff\">",
                       across(intensity(row)), down(speed(row)),
                       std::max(least, most * std::sqrt(row.seconds / total)), colorOf(g)) +
                 "<title>" + escape(tooltip(report.groups[g], row)) + "</title></circle>\n";
    return svg;
  }

  static std::string tooltip(const ProfileGroup &group, const KernelRow &row) {
    return group.name + " " + row.kernel + "\n" + row.sources + "\n" + row.where +
           print("\n%.3f ms, %.1f GFLOP/s, %.1f GB/s, %.0f %% of the roofline", 1e3 * row.seconds,
                 speed(row) / 1e9, row.bytes / row.seconds / 1e9, 100 * row.share());
  }

  const ProfileReport &report;
  static constexpr double infinity = std::numeric_limits<double>::infinity();
  double low[2] = {infinity, infinity}, high[2] = {-infinity, -infinity}; // exponents of 10
};

std::string tableRow(const KernelRow &row, double total) {
  std::string text = "<tr><td class=\"name\">" + escape(row.kernel) + "</td><td class=\"name\">" +
                     escape(row.sources) + "</td><td class=\"name\">" + escape(row.where) +
                     "</td>" +
                     print("<td>%lld</td><td>%.3f</td><td>%.1f</td><td>%.1f</td><td>%.1f</td>",
                           static_cast<long long>(row.calls), 1e3 * row.seconds,
                           total > 0 ? 100 * row.seconds / total : 0.0,
                           1e6 * row.seconds / row.calls, 1e6 * row.fastest);
  if (!row.isCounted || row.seconds <= 0)
    return text + "<td>-</td><td>-</td><td>-</td></tr>\n";
  return text + print("<td>%.1f</td><td>%.1f</td>"
                      "<td class=\"share\" style=\"--part: %.0f%%\">%.0f %%</td></tr>\n",
                      speed(row) / 1e9, row.bytes / row.seconds / 1e9,
                      std::min(100.0, 100 * row.share()), 100 * row.share());
}

std::string section(const ProfileGroup &group, size_t number) {
  std::string text =
      print("<h2><span style=\"color: %s\">&#9679;</span> ", colorOf(number)) +
      escape(group.headline()) + "</h2>\n" +
      (group.fitsCache ? "<p>A call's data fit the cache: its roof is the cache's.</p>\n" : "");
  text += "<table><tr><th class=\"name\">kernel</th><th class=\"name\">operators</th>"
          "<th class=\"name\">line</th><th>calls</th><th>ms</th><th>%</th><th>us a "
          "call</th><th>fastest</th>"
          "<th>GFLOP/s</th><th>GB/s</th><th>roofline</th></tr>\n";
  for (const KernelRow &row : group.rows)
    text += tableRow(row, group.kernelSeconds());
  return text + "</table>\n";
}

} // namespace

std::string buddy::runtime::formatPage(const ProfileReport &report) {
  const Machine &m = report.machine;
  std::string html = "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                     "<title>Buddy profile</title><style>" +
                     std::string(style) + "</style></head><body>\n<h1>Where the time goes</h1>\n";
  html += "<p>" + escape(m.cpu) +
          print(", %d threads. A disc is a kernel, its area its share of the time; point at it "
                "for its name.</p>\n",
                m.threads);
  html += Plot(report).draw();
  for (size_t i = 0; i < report.groups.size(); ++i)
    html += section(report.groups[i], i);
  return html + "</body></html>\n";
}
