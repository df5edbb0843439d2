// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "buddy/runtime/Utf8.h"

using namespace buddy::runtime;

void buddy::runtime::appendUtf8(std::string &text, char32_t c) {
  auto put = [&](uint32_t byte) { text.push_back(static_cast<char>(byte)); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | c >> 6);
    put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | c >> 12);
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | c >> 18);
    put(0x80 | (c >> 12 & 0x3F));
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  }
}

namespace {

/// What may follow a lead byte (table 3-7 of the Unicode standard).
struct Lead {
  size_t length; // 0: not a lead byte
  uint8_t secondLow, secondHigh;
  uint8_t payload; // bits of the lead that count
};

Lead classify(uint8_t lead) {
  if (lead >= 0xC2 && lead <= 0xDF)
    return {2, 0x80, 0xBF, 0x1F};
  if (lead == 0xE0)
    return {3, 0xA0, 0xBF, 0x0F}; // no overlong forms
  if (lead == 0xED)
    return {3, 0x80, 0x9F, 0x0F}; // no surrogates
  if (lead >= 0xE1 && lead <= 0xEF)
    return {3, 0x80, 0xBF, 0x0F};
  if (lead == 0xF0)
    return {4, 0x90, 0xBF, 0x07};
  if (lead >= 0xF1 && lead <= 0xF3)
    return {4, 0x80, 0xBF, 0x07};
  if (lead == 0xF4)
    return {4, 0x80, 0x8F, 0x07}; // nothing beyond U+10FFFF
  return {0, 0, 0, 0};
}

} // namespace

Utf8Step buddy::runtime::readUtf8(std::string_view text) {
  auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  if (byte(0) < 0x80)
    return {Utf8Step::Valid, 1, byte(0)};
  Lead lead = classify(byte(0));
  if (lead.length == 0)
    return {Utf8Step::Invalid, 1, 0};
  char32_t codePoint = byte(0) & lead.payload;
  for (size_t i = 1; i < lead.length; ++i) {
    if (i == text.size())
      return {Utf8Step::Incomplete, i, 0};
    uint8_t low = i == 1 ? lead.secondLow : 0x80, high = i == 1 ? lead.secondHigh : 0xBF;
    if (byte(i) < low || byte(i) > high)
      return {Utf8Step::Invalid, i, 0};
    codePoint = codePoint << 6 | (byte(i) & 0x3F);
  }
  return {Utf8Step::Valid, lead.length, codePoint};
}

std::string buddy::runtime::sanitizeUtf8(std::string_view text) {
  std::string clean;
  clean.reserve(text.size());
  while (!text.empty()) {
    Utf8Step step = readUtf8(text);
    if (step.kind == Utf8Step::Valid)
      clean.append(text.substr(0, step.length));
    else
      appendUtf8(clean, 0xFFFD);
    text.remove_prefix(step.length);
  }
  return clean;
}

bool buddy::runtime::isWhitespace(char32_t c) {
  return (c >= 0x9 && c <= 0xD) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}
