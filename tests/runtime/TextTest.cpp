// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "buddy/runtime/Text.h"
#include "buddy/runtime/Utf8.h"

#include <gtest/gtest.h>

using namespace buddy::runtime;

namespace {

/// A token is a byte. 256 is special.
class ByteTokenizer : public Tokenizer {
public:
  explicit ByteTokenizer(bool strips = false) : strips(strips) {
    for (int i = 0; i < 256; ++i)
      spelling.push_back(static_cast<char>(i));
  }
  std::vector<TokenId> encode(std::string_view text) const override {
    std::vector<TokenId> ids;
    for (char byte : text)
      ids.push_back(static_cast<uint8_t>(byte));
    return ids;
  }
  std::string_view bytes(TokenId id) const override {
    return id < 256 ? std::string_view(spelling).substr(id, 1) : std::string_view();
  }
  bool stripsLeadingSpace() const override { return strips; }
  int64_t size() const override { return 257; }

private:
  bool strips;
  std::string spelling;
};

const ByteTokenizer tokenizer;

} // namespace

TEST(Utf8, ReplacesAsUnicodeRecommends) {
  EXPECT_EQ(sanitizeUtf8("plain é 日 😀"), "plain é 日 😀");
  const std::string bad = "\xEF\xBF\xBD";
  EXPECT_EQ(sanitizeUtf8("a\xFF"
                         "b"),
            "a" + bad + "b");
  EXPECT_EQ(sanitizeUtf8("\xC0\x80"), bad + bad);           // overlong
  EXPECT_EQ(sanitizeUtf8("\xED\xA0\x80"), bad + bad + bad); // surrogate
  EXPECT_EQ(sanitizeUtf8("\xF4\x90\x80\x80"), bad + bad + bad + bad);
  EXPECT_EQ(sanitizeUtf8("\xE6\x97"), bad); // cut off
  EXPECT_EQ(sanitizeUtf8("\xF0\x9F\x98"
                         "x"),
            bad + "x");
  EXPECT_EQ(sanitizeUtf8(std::string_view("\0", 1)), std::string(1, '\0'));
}

TEST(Utf8, AppendsWhatItReads) {
  for (char32_t c : {U'\x24', U'\xA2', U'\u20AC', U'\U0001F600', U'\U0010FFFF'}) {
    std::string text;
    appendUtf8(text, c);
    Utf8Step step = readUtf8(text);
    EXPECT_EQ(step.kind, Utf8Step::Valid);
    EXPECT_EQ(step.codePoint, c);
    EXPECT_EQ(step.length, text.size());
  }
}

TEST(Text, HoldsBackUnfinishedCharacters) {
  Text text(tokenizer);
  EXPECT_EQ(text.append('a'), "a");
  EXPECT_EQ(text.append(0xF0), "");
  EXPECT_EQ(text.append(0x9F), "");
  EXPECT_EQ(text.append(0x98), "");
  EXPECT_EQ(text.append(0x80), "😀");
  EXPECT_EQ(text.finish(), "");
  EXPECT_EQ(text.str(), "a😀");
  EXPECT_EQ(text.ids().size(), 5u);
}

TEST(Text, PiecesMakeTheText) {
  const std::string source = "né 日本 \xFF\xC3 😀 end \xE6\x97";
  Text text(tokenizer);
  std::string pieces;
  for (TokenId id : tokenizer.encode(source)) {
    std::string piece(text.append(id));
    EXPECT_EQ(sanitizeUtf8(piece), piece) << "a piece is whole characters";
    pieces += piece;
  }
  pieces += text.finish();
  EXPECT_EQ(pieces, sanitizeUtf8(source));
  EXPECT_EQ(text.str(), pieces);
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(source)), pieces);
}

TEST(Text, BadBytesDoNotHoldBackGoodOnes) {
  Text text(tokenizer);
  EXPECT_EQ(text.append(0xE6), "");
  EXPECT_EQ(text.append('x'), "\xEF\xBF\xBDx");
}

TEST(Text, SpecialAndHiddenTokensAreNoText) {
  Text text(tokenizer);
  EXPECT_EQ(text.append(256), "");
  text.appendHidden('x');
  EXPECT_EQ(text.str(), "");
  EXPECT_EQ(text.ids(), (std::vector<TokenId>{256, 'x'}));
}

TEST(Text, StripsTheFirstSpaceOnly) {
  ByteTokenizer stripping(true);
  EXPECT_EQ(stripping.decode({' ', ' ', 'a', ' ', 'b'}), " a b");
  EXPECT_EQ(tokenizer.decode({' ', 'a'}), " a");
}

TEST(Text, EncodeKeepsTextAndIdsInStep) {
  Text text = Text::encode(tokenizer, "hi\xFF");
  EXPECT_EQ(text.ids().size(), 3u);
  EXPECT_EQ(text.str(), "hi\xEF\xBF\xBD");
}
