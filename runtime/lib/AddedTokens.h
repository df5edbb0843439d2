// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef BUDDY_RUNTIME_LIB_ADDEDTOKENS_H
#define BUDDY_RUNTIME_LIB_ADDEDTOKENS_H

#include "Regex.h"
#include "buddy/runtime/Tokenizer.h"

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace buddy::runtime {

/// A token that is matched in the text itself, before anything else looks at it.
struct AddedToken {
  TokenId id;
  std::string content;
  bool special = false;    // not part of decoded text
  bool singleWord = false; // not inside a word
  bool stripLeft = false;  // swallows white space before it
  bool stripRight = false; // and after it
};

/// Finds added tokens: the leftmost, and of those the longest.
class AddedTokens {
public:
  explicit AddedTokens(std::vector<AddedToken> tokens);

  const std::vector<AddedToken> &all() const { return tokens; }

  /// A part of a text: a token, or text between tokens.
  struct Part {
    std::optional<TokenId> id;
    std::string_view text;
  };

  /// Cuts all of `text`, which is valid UTF-8.
  std::vector<Part> split(std::string_view text) const;

private:
  const AddedToken *longestAt(std::string_view text, size_t at) const;
  bool isWholeWord(std::string_view text, size_t begin, size_t end) const;

  std::vector<AddedToken> tokens;
  std::array<std::vector<size_t>, 256> byFirstByte; // longest first
  Regex wordCharacter;
};

} // namespace buddy::runtime

#endif // BUDDY_RUNTIME_LIB_ADDEDTOKENS_H
