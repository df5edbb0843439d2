// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Ids must be Hugging Face's and SentencePiece's own, which data/make_fixtures.py wrote down.

#include "buddy/runtime/Tokenizer.h"
#include "TestSupport.h"
#include "buddy/runtime/Text.h"

#include <random>

using namespace buddy::runtime;
using namespace buddy::runtime::test;

namespace {

Json loadJson(const std::string &name) { return Json::parse(readFile(dataFile(name))); }

void expectCases(const Tokenizer &tokenizer, const Json &cases) {
  for (const Json &each : cases) {
    std::string text = each["text"];
    auto ids = tokenizer.encode(text);
    EXPECT_EQ(ids, each["ids"].get<std::vector<TokenId>>()) << text;
    EXPECT_EQ(tokenizer.decode(ids), each["decoded"].get<std::string>());
  }
}

struct ByteLevelTest : testing::Test {
  TemporaryDirectory directory;
  Json json = loadJson("tokenizer.json");

  std::unique_ptr<Tokenizer> open() {
    writeFile(directory.file("tokenizer.json"), json.dump());
    return openTokenizer("byte-bpe", directory.file("tokenizer.json"));
  }

  std::string refusal() {
    return messageOf<ModelError>([&] { open(); });
  }
};

/// The variants of the vocabulary behind different pre-tokenizers.
struct PreTokenizerTest : ByteLevelTest, testing::WithParamInterface<const char *> {};

} // namespace

TEST_P(PreTokenizerTest, IdsEqualHuggingFace) {
  Json variant = loadJson("tokenizer_cases.json")[GetParam()];
  json["pre_tokenizer"] = variant["pre_tokenizer"];
  json["model"]["ignore_merges"] = variant["ignore_merges"];
  expectCases(*open(), variant["cases"]);
}

INSTANTIATE_TEST_SUITE_P(Variants, PreTokenizerTest,
                         testing::Values("smollm", "gpt2-prefix", "llama3", "digit-runs",
                                         "split-removed", "split-merged_with_previous",
                                         "split-merged_with_next", "split-contiguous",
                                         "split-invert"));

TEST_F(ByteLevelTest, InvalidUtf8IsReplacedNotFatal) {
  auto tokenizer = open();
  EXPECT_EQ(tokenizer->encode("a\xFF\xC3"), tokenizer->encode("a\xEF\xBF\xBD\xEF\xBF\xBD"));
  std::mt19937 random(7);
  for (int i = 0; i < 500; ++i) {
    std::string noise(random() % 40, '\0');
    for (char &byte : noise)
      byte = static_cast<char>(random());
    tokenizer->decode(tokenizer->encode(noise));
  }
}

TEST_F(ByteLevelTest, DecodesAnyIds) {
  auto tokenizer = open();
  EXPECT_EQ(tokenizer->decode({-1, 1 << 30, 0, 1, 2}), "");
  EXPECT_EQ(tokenizer->bytes(-5), "");
}

TEST_F(ByteLevelTest, LongTextTakesNoQuadraticTime) {
  auto tokenizer = open();
  std::string text(200'000, 'a'); // one piece
  EXPECT_EQ(tokenizer->decode(tokenizer->encode(text)), text);
}

TEST_F(ByteLevelTest, OldMergesAreStrings) {
  auto expected = open()->encode("The capital of France");
  for (Json &merge : json["model"]["merges"])
    merge = merge[0].get<std::string>() + " " + merge[1].get<std::string>();
  EXPECT_EQ(open()->encode("The capital of France"), expected);
}

TEST_F(ByteLevelTest, RefusesWhatItDoesNotUnderstand) {
  const std::pair<Json::json_pointer, Json> changes[] = {
      {Json::json_pointer("/normalizer"), {{"type", "NFKC"}}},
      {Json::json_pointer("/pre_tokenizer"), {{"type", "Whitespace"}}},
      {Json::json_pointer("/decoder"), {{"type", "WordPiece"}}},
      {Json::json_pointer("/model/type"), "Unigram"},
      {Json::json_pointer("/model/byte_fallback"), true},
      {Json::json_pointer("/model/end_of_word_suffix"), "</w>"},
  };
  for (const auto &[where, value] : changes) {
    Json original = json;
    json[where] = value;
    std::string message = refusal();
    EXPECT_TRUE(contains(message, "not supported")) << message;
    json = original;
  }
}

TEST_F(ByteLevelTest, RefusesDamage) {
  json["model"]["merges"].push_back({"not", "there"});
  EXPECT_TRUE(contains(refusal(), "not in the vocabulary"));
  json["model"]["merges"] = Json::array();
  json["model"]["vocab"]["x-token"] = -3;
  EXPECT_TRUE(contains(refusal(), "impossible id"));
  json["model"]["vocab"]["x-token"] = "three";
  EXPECT_TRUE(contains(refusal(), "unexpected content"));
  json.erase("model");
  EXPECT_TRUE(contains(refusal(), "model"));
  json = loadJson("tokenizer.json");
  json["pre_tokenizer"]["pretokenizers"][0] = {
      {"type", "Split"}, {"pattern", {{"Regex", "(unclosed"}}}, {"behavior", "Isolated"}};
  EXPECT_TRUE(contains(refusal(), "regular expression '(unclosed'"));
}

TEST_F(ByteLevelTest, EveryTruncationIsAnError) {
  std::string whole = json.dump();
  std::string path = directory.file("cut.json");
  for (size_t length = 0; length + 1 < whole.size(); length += 97) {
    writeFile(path, whole.substr(0, length));
    EXPECT_THROW(openTokenizer("byte-bpe", path), ModelError);
  }
}

TEST(Tokenizer, UnknownKind) {
  EXPECT_TRUE(contains(messageOf<ModelError>([] { openTokenizer("words", "t.txt"); }), "'words'"));
}

#if BUDDY_HAVE_SENTENCEPIECE
TEST(SentencePiece, IdsEqualTheLibrary) {
  auto tokenizer = openTokenizer("sentencepiece", dataFile("tokenizer.model"));
  expectCases(*tokenizer, loadJson("sentencepiece_cases.json"));
}

TEST(SentencePiece, FindsControlTokensInText) {
  auto tokenizer = openTokenizer("sentencepiece", dataFile("tokenizer.model"));
  auto ids = tokenizer->encode("<s>a</s>");
  EXPECT_EQ(ids.front(), 1);
  EXPECT_EQ(ids.back(), 2);
  EXPECT_EQ(tokenizer->decode(ids), "a");
}

TEST(SentencePiece, RefusesDamage) {
  TemporaryDirectory directory;
  writeFile(directory.file("t.model"), "no protobuf at all");
  EXPECT_THROW(openTokenizer("sentencepiece", directory.file("t.model")), ModelError);
  EXPECT_THROW(openTokenizer("sentencepiece", directory.file("none.model")), ModelError);
}
#endif

/// Optional: BUDDY_TEST_TOKENIZER names a real model's tokenizer.json and
/// BUDDY_TEST_TOKENIZER_CASES a list of {"text", "ids", "decoded"} by Hugging Face.
TEST(Tokenizer, RealModel) {
  const char *path = std::getenv("BUDDY_TEST_TOKENIZER");
  const char *cases = std::getenv("BUDDY_TEST_TOKENIZER_CASES");
  if (!path || !cases)
    GTEST_SKIP() << "set BUDDY_TEST_TOKENIZER and BUDDY_TEST_TOKENIZER_CASES";
  expectCases(*openTokenizer("byte-bpe", path), Json::parse(readFile(cases)));
}
