// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef BUDDY_RUNTIME_LIB_PRETOKENIZER_H
#define BUDDY_RUNTIME_LIB_PRETOKENIZER_H

#include "Regex.h"

#include <string>
#include <string_view>
#include <vector>

namespace buddy::runtime {

/// What a split does with the text that its pattern matches.
enum class SplitBehavior { Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous };

/// One step that cuts pieces of text into smaller ones, within which merges stay.
struct SplitStep {
  Regex pattern;
  SplitBehavior behavior = SplitBehavior::Isolated;
  bool invert = false;         // the pattern tells what is between the matches
  bool addPrefixSpace = false; // first put a space before pieces that do not begin with one
  bool split = true;           // false: only addPrefixSpace

  /// Appends the pieces of `text`, none of them empty.
  void apply(std::string_view text, std::vector<std::string> &pieces) const;
};

/// The pre-tokenizer of a tokenizer.json: its steps, one after another.
struct PreTokenizer {
  std::vector<SplitStep> steps;

  std::vector<std::string> apply(std::string_view text) const;
};

} // namespace buddy::runtime

#endif // BUDDY_RUNTIME_LIB_PRETOKENIZER_H
