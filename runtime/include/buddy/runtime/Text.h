// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef BUDDY_RUNTIME_TEXT_H
#define BUDDY_RUNTIME_TEXT_H

#include "buddy/runtime/Tokenizer.h"

#include <string>
#include <string_view>
#include <vector>

namespace buddy::runtime {

/// A text and its token ids, kept in step while it grows token by token. A token may end inside a
/// character; its bytes wait until the character is whole, so every piece handed out is valid
/// UTF-8 and the pieces together are the text. The tokenizer must outlive it.
class Text {
public:
  /// Empty; with room for `capacity` tokens, below which appending ids does not allocate.
  explicit Text(const Tokenizer &tokenizer, size_t capacity = 0);

  /// The tokens of `text`.
  static Text encode(const Tokenizer &tokenizer, std::string_view text);

  /// Adds a token. Returns the piece of text that became whole by it, often the token's own, maybe
  /// empty; valid until the next call.
  std::string_view append(TokenId id);

  /// Adds a token that is no part of the text, such as the one that ends an answer.
  void appendHidden(TokenId id) { tokens.push_back(id); }

  /// Ends the text: bytes of an unfinished character become U+FFFD. Returns that last piece.
  std::string_view finish();

  const std::vector<TokenId> &ids() const { return tokens; }
  const std::string &str() const { return whole; }

private:
  std::string_view moveWholeCharacters(bool isEnd);

  const Tokenizer *tokenizer;
  std::vector<TokenId> tokens;
  std::string whole;    // characters that are complete
  std::string pending;  // bytes that are not yet
  bool started = false; // a token with bytes has come
};

} // namespace buddy::runtime

#endif // BUDDY_RUNTIME_TEXT_H
