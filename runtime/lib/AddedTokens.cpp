// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "AddedTokens.h"
#include "buddy/runtime/Utf8.h"

#include <algorithm>

using namespace buddy::runtime;

AddedTokens::AddedTokens(std::vector<AddedToken> list)
    : tokens(std::move(list)), wordCharacter("\\w") {
  for (size_t i = 0; i < tokens.size(); ++i)
    if (!tokens[i].content.empty())
      byFirstByte[static_cast<uint8_t>(tokens[i].content.front())].push_back(i);
  for (std::vector<size_t> &bucket : byFirstByte)
    std::stable_sort(bucket.begin(), bucket.end(), [&](size_t a, size_t b) {
      return tokens[a].content.size() > tokens[b].content.size();
    });
}

const AddedToken *AddedTokens::longestAt(std::string_view text, size_t at) const {
  for (size_t index : byFirstByte[static_cast<uint8_t>(text[at])])
    if (text.compare(at, tokens[index].content.size(), tokens[index].content) == 0)
      return &tokens[index];
  return nullptr;
}

/// The start of the character that ends before `end`.
static size_t characterBefore(std::string_view text, size_t end) {
  do
    --end;
  while (end > 0 && (text[end] & 0xC0) == 0x80);
  return end;
}

bool AddedTokens::isWholeWord(std::string_view text, size_t begin, size_t end) const {
  auto isWord = [&](size_t at) {
    auto match = wordCharacter.find(text, at);
    return match && match->first == at;
  };
  return (begin == 0 || !isWord(characterBefore(text, begin))) &&
         (end == text.size() || !isWord(end));
}

static size_t skipSpaceLeft(std::string_view text, size_t begin, size_t limit) {
  while (begin > limit) {
    size_t previous = characterBefore(text, begin);
    if (!isWhitespace(readUtf8(text.substr(previous)).codePoint))
      break;
    begin = previous;
  }
  return begin;
}

static size_t skipSpaceRight(std::string_view text, size_t end) {
  while (end < text.size()) {
    Utf8Step step = readUtf8(text.substr(end));
    if (!isWhitespace(step.codePoint))
      break;
    end += step.length;
  }
  return end;
}

std::vector<AddedTokens::Part> AddedTokens::split(std::string_view text) const {
  std::vector<Part> parts;
  size_t done = 0;
  auto emitText = [&](size_t end) {
    if (done < end)
      parts.push_back({std::nullopt, text.substr(done, end - done)});
  };
  for (size_t at = 0; at < text.size();) {
    const AddedToken *token = longestAt(text, at);
    if (!token) {
      ++at;
      continue;
    }
    size_t begin = at, end = at + token->content.size();
    at = end;
    if (token->singleWord && !isWholeWord(text, begin, end))
      continue;
    if (token->stripLeft)
      begin = skipSpaceLeft(text, begin, done);
    if (token->stripRight)
      end = skipSpaceRight(text, end);
    emitText(begin);
    parts.push_back({token->id, text.substr(begin, end - begin)});
    done = at = end;
  }
  emitText(text.size());
  return parts;
}
