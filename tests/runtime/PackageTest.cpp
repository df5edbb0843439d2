// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "buddy/runtime/Package.h"
#include "TestSupport.h"

using namespace buddy::runtime;
using namespace buddy::runtime::test;

namespace {

struct PackageTest : testing::Test {
  TemporaryDirectory directory;
  Json manifest = packageManifest();

  LanguagePackage read() {
    writeFile(directory.file("manifest.json"), manifest.dump());
    return readLanguagePackage(directory.str());
  }

  std::string refusal() {
    return messageOf<ModelError>([&] { read(); });
  }
};

const std::vector<Message> conversation = {
    {"user", "Hi"}, {"assistant", "Hello."}, {"user", "Bye"}};

} // namespace

TEST_F(PackageTest, ReadsTheManifest) {
  LanguagePackage package = read();
  EXPECT_EQ(package.name, "one-liner");
  EXPECT_EQ(package.maxSeqLen, languageCapacity);
  EXPECT_EQ(package.bos, 0);
  EXPECT_EQ(package.eos, std::vector<int64_t>{2});
  EXPECT_EQ(package.libraryPath, directory.file("model.so"));
  ASSERT_TRUE(package.chatTemplate);
}

TEST_F(PackageTest, RefusesWhatIsNoPackage) {
  auto read = [](const std::string &path) {
    return messageOf<ModelError>([&] { readLanguagePackage(path); });
  };
  EXPECT_TRUE(contains(read(directory.str()), "no manifest.json"));
  EXPECT_TRUE(contains(read(directory.file("nowhere")), "not a directory"));
}

TEST_F(PackageTest, RefusesAnotherVersion) {
  manifest["version"] = 7;
  EXPECT_TRUE(contains(refusal(), "version 7"));
}

TEST_F(PackageTest, RefusesDamage) {
  for (const char *key : {"version", "vocab_size", "max_seq_len", "prefill_chunk", "special_tokens",
                          "tokenizer", "weights", "library"}) {
    manifest = packageManifest();
    manifest.erase(key);
    EXPECT_TRUE(contains(refusal(), key)) << key;
  }
  manifest = packageManifest();
  manifest["prefill_chunk"] = 0;
  EXPECT_TRUE(contains(refusal(), "prefill_chunk must be positive"));
  manifest = packageManifest();
  manifest["special_tokens"] = {{"bos", nullptr}, {"add_bos", true}};
  EXPECT_TRUE(contains(refusal(), "add_bos without bos"));
}

TEST_F(PackageTest, FilesStayInThePackage) {
  for (const char *path : {"/etc/passwd", "../model.so", "sub/model.so", "..", ""}) {
    manifest["library"] = path;
    EXPECT_TRUE(contains(refusal(), "not the name of a file in the package")) << path;
  }
}

TEST_F(PackageTest, TemplateAndBosAreOptional) {
  manifest["chat_template"] = nullptr;
  manifest["special_tokens"] = {{"bos", nullptr}, {"eos", Json::array()}, {"add_bos", false}};
  LanguagePackage package = read();
  EXPECT_FALSE(package.chatTemplate);
  EXPECT_FALSE(package.bos);
}

TEST_F(PackageTest, ChatTemplateFramesMessages) {
  EXPECT_EQ(read().chatTemplate->apply(conversation), "<|im_start|>system\nBe brief.<|im_end|>\n"
                                                      "<|im_start|>user\nHi<|im_end|>\n"
                                                      "<|im_start|>assistant\nHello.<|im_end|>\n"
                                                      "<|im_start|>user\nBye<|im_end|>\n"
                                                      "<|im_start|>assistant\n");
}

TEST_F(PackageTest, OwnSystemMessageReplacesTheDefault) {
  std::string text = read().chatTemplate->apply({{"system", "Sing."}, {"user", "Hi"}});
  EXPECT_TRUE(contains(text, "system\nSing.<|im_end|>"));
  EXPECT_FALSE(contains(text, "Be brief."));
}

TEST_F(PackageTest, NoDefaultSystemMessage) {
  manifest["chat_template"]["default_system"] = "";
  manifest["chat_template"]["start"] = "<s>";
  EXPECT_EQ(read().chatTemplate->apply({{"user", "Hi"}}),
            "<s><|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
}

TEST_F(PackageTest, UnknownRole) {
  ChatTemplate chat = *read().chatTemplate;
  EXPECT_TRUE(
      contains(messageOf<ArgumentError>([&] { chat.apply({{"tool", "x"}}); }), "no role 'tool'"));
}
