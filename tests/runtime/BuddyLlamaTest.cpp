// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The command line tool, as a user runs it, on the package of LanguageModule.c.

#include "TestSupport.h"

#include <array>
#include <cstdio>
#include <sys/wait.h>

using namespace buddy::runtime::test;

namespace {

struct Outcome {
  int status;
  std::string output, errors;
};

struct BuddyLlamaTest : testing::Test {
  TemporaryDirectory directory, scratch;
  std::string package = writePackage(directory, packageManifest());

  Outcome run(const std::string &arguments, const std::string &input = "") {
    writeFile(scratch.file("in"), input);
    std::string command = std::string(BUDDY_LLAMA) + " " + arguments + " <" + scratch.file("in") +
                          " >" + scratch.file("out") + " 2>" + scratch.file("err");
    int status = std::system(command.c_str());
    return {WEXITSTATUS(status), readFile(scratch.file("out")), readFile(scratch.file("err"))};
  }
};

} // namespace

TEST_F(BuddyLlamaTest, JsonIsOneObject) {
  Outcome outcome = run(package + " -p Hello --raw --max-tokens 5 --json --threads 1");
  ASSERT_EQ(outcome.status, 0) << outcome.errors;
  EXPECT_EQ(outcome.errors, "");
  Json json = Json::parse(outcome.output);
  for (const char *key :
       {"prompt_ids", "ids", "text", "finish_reason", "prefill_tok_s", "decode_tok_s", "ttft_s",
        "load_s", "peak_rss_bytes", "threads", "prompt_tokens", "new_tokens"})
    EXPECT_TRUE(json.contains(key)) << key;
  EXPECT_EQ(json["ids"].size(), json["new_tokens"]);
  EXPECT_EQ(json["prompt_ids"].size(), json["prompt_tokens"]);
  EXPECT_EQ(json["threads"], 1);
}

TEST_F(BuddyLlamaTest, StreamsTheAnswerToStandardOutput) {
  Outcome json = run(package + " -p Hello --raw --max-tokens 5 --json");
  Outcome text = run(package + " -p Hello --raw --max-tokens 5");
  EXPECT_EQ(text.status, 0);
  EXPECT_EQ(text.output, Json::parse(json.output)["text"].get<std::string>() + "\n");
  EXPECT_TRUE(contains(text.errors, "tok/s")) << text.errors;
}

TEST_F(BuddyLlamaTest, PromptFromFileAndStandardInput) {
  writeFile(scratch.file("prompt"), "Hello");
  std::string rest = " --raw --max-tokens 3 --json";
  Json plain = Json::parse(run(package + " -p Hello" + rest).output);
  Json file = Json::parse(run(package + " -f " + scratch.file("prompt") + rest).output);
  Json input = Json::parse(run(package + " -f -" + rest, "Hello").output);
  EXPECT_EQ(plain["ids"], file["ids"]);
  EXPECT_EQ(plain["ids"], input["ids"]);
}

TEST_F(BuddyLlamaTest, ChatTemplateUnlessRaw) {
  Json manifest = packageManifest();
  manifest["chat_template"]["default_system"] = "";
  writeFile(directory.file("manifest.json"), manifest.dump());
  Json chat = Json::parse(run(package + " -p Hi --max-tokens 1 --json").output);
  Json raw = Json::parse(run(package + " -p Hi --raw --max-tokens 1 --json").output);
  EXPECT_GT(chat["prompt_ids"].size(), raw["prompt_ids"].size());
  EXPECT_EQ(chat["prompt_ids"][0], 1) << "<|im_start|>";
}

TEST_F(BuddyLlamaTest, Bench) {
  Outcome outcome = run(package + " --bench 20 10 --json");
  ASSERT_EQ(outcome.status, 0) << outcome.errors;
  Json json = Json::parse(outcome.output);
  EXPECT_EQ(json["prompt_tokens"], 20);
  EXPECT_EQ(json["new_tokens"], 10);
  EXPECT_GT(json["decode_tok_s"], 0);
  EXPECT_GT(json["peak_rss_bytes"], 1'000'000);
}

TEST_F(BuddyLlamaTest, Chats) {
  Json manifest = packageManifest();
  manifest["chat_template"] = nullptr;
  writeFile(directory.file("manifest.json"), manifest.dump());
  Outcome outcome = run(package + " -i --max-tokens 4", "Hi\n/reset\nHi\n/exit\nnever read\n");
  EXPECT_EQ(outcome.status, 0) << outcome.errors;
  size_t half = outcome.output.size() / 2;
  EXPECT_EQ(outcome.output.substr(0, half), outcome.output.substr(half)) << "two equal answers";
}

TEST_F(BuddyLlamaTest, MistakesAreSentencesAndFailures) {
  const std::pair<std::string, const char *> mistakes[] = {
      {"", "give one model package"},
      {package, "give a prompt"},
      {package + " -p x --raw --frobnicate", "frobnicate"},
      {package + " -p x --raw --top-p 3", "top-p"},
      {package + " -p x --raw --max-tokens 0", "max-tokens"},
      {package + " -p x -i", "choose one"},
      {package + " --bench 5", "two numbers"},
      {package + " -p x --seed one", "--seed takes an integer"},
      {package + " -f /nonexistent/file", "cannot be read"},
      {package + " -p '' --raw", "prompt is empty"},
      {package + " --bench 65 4", "longer than the context of 64"},
      {"/nonexistent -p x", "not a directory"},
  };
  for (const auto &[arguments, words] : mistakes) {
    Outcome outcome = run(arguments);
    EXPECT_NE(outcome.status, 0) << arguments;
    EXPECT_EQ(outcome.output, "") << arguments;
    EXPECT_TRUE(contains(outcome.errors, words)) << outcome.errors;
  }
}

TEST_F(BuddyLlamaTest, ProfileSaysWhatItNeeds) {
  std::string prompt = package + " -p Hello --raw --max-tokens 3";
  Outcome plain = run(prompt);
  setenv("BUDDY_PROFILE", "1", 1);
  setenv("BUDDY_PROFILE_DIR", scratch.file("profile").c_str(), 1);
  Outcome unhooked = run(prompt);
  setenv("BUDDY_PROFILE_DIR", (package + "/manifest.json/x").c_str(), 1);
  Outcome unwritable = run(prompt);
  unsetenv("BUDDY_PROFILE");
  EXPECT_EQ(unhooked.status, 1);
  EXPECT_EQ(unhooked.output, plain.output) << "the answer comes all the same";
  EXPECT_TRUE(contains(unhooked.errors, "buddy compile --profile")) << unhooked.errors;
  EXPECT_EQ(unwritable.status, 1);
  EXPECT_EQ(unwritable.output, "");
  EXPECT_TRUE(contains(unwritable.errors, "BUDDY_PROFILE_DIR")) << unwritable.errors;
}

TEST_F(BuddyLlamaTest, Version) {
  Outcome outcome = run("--version");
  EXPECT_EQ(outcome.status, 0);
  EXPECT_TRUE(contains(outcome.output, "buddy-llama 0."));
}

TEST(BuddyLlama, LinksNoFrameworks) {
  FILE *pipe = popen("ldd " BUDDY_LLAMA, "r");
  ASSERT_NE(pipe, nullptr);
  std::array<char, 4096> buffer;
  std::string libraries;
  while (size_t count = fread(buffer.data(), 1, buffer.size(), pipe))
    libraries.append(buffer.data(), count);
  EXPECT_EQ(pclose(pipe), 0);
  EXPECT_TRUE(contains(libraries, "omp"));
  for (const char *unwanted : {"python", "torch", "blas", "mkl", "dnnl", "LLVM", "MLIR"})
    EXPECT_FALSE(contains(libraries, unwanted)) << libraries;
}
