// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "PreTokenizer.h"

using namespace buddy::runtime;

namespace {

/// A stretch of the text, which the pattern matches or not.
struct Stretch {
  size_t begin, end;
  bool isMatch;
};

/// Cuts the whole text into matches and what is between them.
std::vector<Stretch> findStretches(const Regex &pattern, bool invert, std::string_view text) {
  std::vector<Stretch> stretches;
  size_t done = 0, from = 0;
  while (from <= text.size()) {
    auto match = pattern.find(text, from);
    if (!match)
      break;
    auto [begin, end] = *match;
    if (done < begin)
      stretches.push_back({done, begin, invert});
    if (begin < end)
      stretches.push_back({begin, end, !invert});
    done = end;
    from = end;
    if (begin == end) { // an empty match: look on after the next character
      do
        ++from;
      while (from < text.size() && (text[from] & 0xC0) == 0x80);
    }
  }
  if (done < text.size())
    stretches.push_back({done, text.size(), invert});
  return stretches;
}

/// Joins neighbours as `behavior` says. Removed matches keep their mark for the caller.
std::vector<Stretch> merge(const std::vector<Stretch> &stretches, SplitBehavior behavior) {
  std::vector<Stretch> merged;
  bool previousIsMatch = false; // of the last stretch read, which may be inside merged.back()
  for (const Stretch &stretch : stretches) {
    bool join = false;
    if (!merged.empty()) {
      if (behavior == SplitBehavior::Contiguous)
        join = stretch.isMatch == previousIsMatch;
      else if (behavior == SplitBehavior::MergedWithPrevious)
        join = stretch.isMatch && !previousIsMatch;
      else if (behavior == SplitBehavior::MergedWithNext)
        join = previousIsMatch && !stretch.isMatch;
    }
    if (join)
      merged.back().end = stretch.end;
    else
      merged.push_back(stretch);
    previousIsMatch = stretch.isMatch;
  }
  return merged;
}

} // namespace

void SplitStep::apply(std::string_view text, std::vector<std::string> &pieces) const {
  std::string prefixed;
  if (addPrefixSpace && !text.empty() && text.front() != ' ')
    text = prefixed = " " + std::string(text);
  if (!split) {
    pieces.emplace_back(text);
    return;
  }
  for (const Stretch &stretch : merge(findStretches(pattern, invert, text), behavior))
    if (behavior != SplitBehavior::Removed || !stretch.isMatch)
      pieces.emplace_back(text.substr(stretch.begin, stretch.end - stretch.begin));
}

std::vector<std::string> PreTokenizer::apply(std::string_view text) const {
  std::vector<std::string> pieces{std::string(text)};
  for (const SplitStep &step : steps) {
    std::vector<std::string> smaller;
    for (const std::string &piece : pieces)
      step.apply(piece, smaller);
    pieces = std::move(smaller);
  }
  return pieces;
}
