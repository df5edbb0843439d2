// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Regex.h"
#include "buddy/runtime/Error.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

using namespace buddy::runtime;

/// What \s and \w mean in Hugging Face's tokenizers, as members of a character class. PCRE2's own
/// differ in a few characters: U+180E counts as a space there, combining marks not as words.
static const char *membersOf(char letter) {
  switch (letter) {
  case 's':
  case 'S':
    return R"(\x{9}-\x{D}\x{20}\x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029})"
           R"(\x{202F}\x{205F}\x{3000})";
  case 'w':
  case 'W':
    return R"(\p{L}\p{M}\p{N}\p{Pc})";
  }
  return nullptr;
}

/// Spells \s, \S, \w and \W out.
static std::string spellOutClasses(const std::string &pattern) {
  std::string result;
  bool inClass = false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    char c = pattern[i];
    if (c != '\\' || i + 1 == pattern.size()) {
      inClass = inClass ? c != ']' : c == '[';
      result += c;
      continue;
    }
    char letter = pattern[++i];
    const char *members = membersOf(letter);
    bool negated = letter == 'S' || letter == 'W';
    if (!members || (inClass && negated)) // a class cannot hold the opposite of a class
      result.append({c, letter});
    else if (inClass)
      result += members;
    else
      result += std::string(negated ? "[^" : "[") + members + "]";
  }
  return result;
}

Regex::Regex(const std::string &source) {
  std::string pattern = spellOutClasses(source);
  int error;
  PCRE2_SIZE at;
  // UCP: \d and \b mean Unicode's classes, as in the tokenizers these patterns come from.
  pcre2_code *compiled = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                                       PCRE2_UTF | PCRE2_UCP, &error, &at, nullptr);
  if (!compiled) {
    PCRE2_UCHAR message[256];
    pcre2_get_error_message(error, message, sizeof(message));
    throw ArgumentError("regular expression '" + source +
                        "': " + reinterpret_cast<const char *>(message));
  }
  pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE); // where it cannot, matching still works
  code = std::shared_ptr<pcre2_code>(compiled, pcre2_code_free);
}

std::optional<Regex::Range> Regex::find(std::string_view text, size_t from) const {
  // One per thread: a match block is scratch space, costly to make for each word.
  thread_local std::unique_ptr<pcre2_match_data, void (*)(pcre2_match_data *)> match(
      pcre2_match_data_create(16, nullptr), pcre2_match_data_free);
  int count = pcre2_match(code.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from,
                          PCRE2_NO_UTF_CHECK, match.get(), nullptr);
  if (count == PCRE2_ERROR_NOMATCH)
    return std::nullopt;
  if (count < 0)
    throw Error("the tokenizer's regular expression failed with PCRE2 error " +
                std::to_string(count));
  const PCRE2_SIZE *range = pcre2_get_ovector_pointer(match.get());
  return Range(range[0], range[1]);
}
