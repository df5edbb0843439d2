// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef BUDDY_RUNTIME_UTF8_H
#define BUDDY_RUNTIME_UTF8_H

#include <cstdint>
#include <string>
#include <string_view>

namespace buddy::runtime {

/// Appends one code point to `text`.
void appendUtf8(std::string &text, char32_t codePoint);

/// One step of reading UTF-8.
struct Utf8Step {
  enum Kind { Valid, Invalid, Incomplete } kind;
  size_t length;      // bytes it covers, at least one
  char32_t codePoint; // of a Valid step
};

/// Looks at the start of `text`, which must not be empty. Incomplete: all of `text` is the
/// beginning of a character. Invalid covers the longest beginning of a character, as Unicode
/// recommends and Rust and Python do when they replace bad bytes.
Utf8Step readUtf8(std::string_view text);

/// `text` with each invalid sequence replaced by U+FFFD.
std::string sanitizeUtf8(std::string_view text);

/// Unicode's White_Space.
bool isWhitespace(char32_t codePoint);

} // namespace buddy::runtime

#endif // BUDDY_RUNTIME_UTF8_H
