// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "buddy/runtime/Text.h"
#include "buddy/runtime/Utf8.h"

using namespace buddy::runtime;

Text::Text(const Tokenizer &tokenizer, size_t capacity) : tokenizer(&tokenizer) {
  constexpr size_t typicalBytesPerToken = 8;
  tokens.reserve(capacity);
  whole.reserve(capacity * typicalBytesPerToken);
}

Text Text::encode(const Tokenizer &tokenizer, std::string_view text) {
  Text result(tokenizer);
  result.tokens = tokenizer.encode(text);
  result.whole = sanitizeUtf8(text);
  return result;
}

std::string_view Text::append(TokenId id) {
  std::string_view bytes = tokenizer->bytes(id);
  if (!started && tokenizer->stripsLeadingSpace() && bytes.substr(0, 1) == " ")
    bytes.remove_prefix(1);
  started = started || !tokenizer->bytes(id).empty();
  tokens.push_back(id);
  pending += bytes;
  return moveWholeCharacters(/*isEnd=*/false);
}

std::string_view Text::finish() { return moveWholeCharacters(/*isEnd=*/true); }

std::string_view Text::moveWholeCharacters(bool isEnd) {
  size_t before = whole.size();
  std::string_view rest = pending;
  while (!rest.empty()) {
    Utf8Step step = readUtf8(rest);
    if (step.kind == Utf8Step::Incomplete && !isEnd)
      break;
    if (step.kind == Utf8Step::Valid)
      whole.append(rest.substr(0, step.length));
    else
      appendUtf8(whole, 0xFFFD);
    rest.remove_prefix(step.length);
  }
  pending.erase(0, pending.size() - rest.size());
  return std::string_view(whole).substr(before);
}

std::string Tokenizer::decode(const std::vector<TokenId> &ids) const {
  Text text(*this, ids.size());
  for (TokenId id : ids)
    text.append(id);
  text.finish();
  return text.str();
}
