// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The generation loop on LanguageModule.c: next token = (sum of the context + 3) mod 300.

#include "buddy/runtime/Session.h"
#include "TestSupport.h"

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <new>
#include <numeric>
#include <thread>

using namespace buddy::runtime;
using namespace buddy::runtime::test;

/// Calls of operator new in this process.
static std::atomic<int64_t> allocations{0};

void *operator new(size_t size) {
  ++allocations;
  if (void *memory = std::malloc(size ? size : 1))
    return memory;
  throw std::bad_alloc();
}
void operator delete(void *memory) noexcept { std::free(memory); }
void operator delete(void *memory, size_t) noexcept { std::free(memory); }

namespace {

using Ids = std::vector<TokenId>;

/// What the module must answer, computed the simple way.
Ids expectedAnswer(Ids context, int64_t count) {
  constexpr int64_t bias = 3;
  Ids answer;
  for (int64_t i = 0; i < count; ++i) {
    TokenId next = std::accumulate(context.begin(), context.end(), bias) % languageVocabulary;
    answer.push_back(next);
    context.push_back(next);
  }
  return answer;
}

Ids range(TokenId first, int64_t count) {
  Ids ids(count);
  std::iota(ids.begin(), ids.end(), first);
  return ids;
}

GenerateOptions upTo(int64_t tokens) {
  GenerateOptions options;
  options.maxTokens = tokens;
  options.stopIds = Ids();
  return options;
}

struct SessionTest : testing::Test {
  TemporaryDirectory directory;
  Session session{writePackage(directory, packageManifest())};
};

} // namespace

TEST_F(SessionTest, PromptsOfEveryLength) {
  // Around one, two and three chunks of 8, where a last chunk of 1 goes through `decode`.
  for (int64_t length : {1, 2, 7, 8, 9, 10, 15, 16, 17, 25}) {
    Ids prompt = range(5, length);
    session.reset();
    EXPECT_EQ(session.generate(prompt, upTo(6)).ids, expectedAnswer(prompt, 6)) << length;
  }
}

TEST_F(SessionTest, ConversationReusesTheCache) {
  Ids prompt = range(10, 12);
  Generation first = session.generate(prompt, upTo(4));
  EXPECT_EQ(first.timings.reusedTokens, 0);
  prompt.insert(prompt.end(), first.ids.begin(), first.ids.end());
  prompt.push_back(77);
  Generation second = session.generate(prompt, upTo(4));
  // The last token of the first answer was never evaluated.
  EXPECT_EQ(second.timings.reusedTokens, 15);
  EXPECT_EQ(second.ids, expectedAnswer(prompt, 4));
}

TEST_F(SessionTest, AnotherPromptDropsTheCacheFromWhereItDiffers) {
  session.generate(range(10, 12), upTo(4));
  Ids other = range(10, 6);
  other.push_back(99);
  Generation generation = session.generate(other, upTo(5));
  EXPECT_EQ(generation.timings.reusedTokens, 6);
  EXPECT_EQ(generation.ids, expectedAnswer(other, 5));
  EXPECT_EQ(session.generate(other, upTo(5)).ids, expectedAnswer(other, 5)) << "the same again";
}

TEST_F(SessionTest, EndsAtStopTokens) {
  Ids prompt = range(20, 3);
  Ids answer = expectedAnswer(prompt, 5);
  GenerateOptions options = upTo(50);
  options.stopIds = Ids{answer[4]};
  Generation generation = session.generate(prompt, options);
  EXPECT_EQ(generation.reason, FinishReason::Stop);
  EXPECT_EQ(generation.ids, answer);
  EXPECT_EQ(generation.text, session.tokenizer().decode(Ids(answer.begin(), answer.end() - 1)));
}

TEST_F(SessionTest, PackageStopTokensAreTheDefault) {
  GenerateOptions options;
  options.maxTokens = 20;
  // 296 + 3 + 3 = 302: the answer to this prompt is token 2, the package's end of sequence.
  Generation generation = session.generate({296, 3}, options);
  EXPECT_EQ(generation.ids, Ids{2});
  EXPECT_EQ(generation.reason, FinishReason::Stop);
  EXPECT_EQ(generation.text, "");
}

TEST_F(SessionTest, EndsAtLengthAndContext) {
  EXPECT_EQ(session.generate(range(5, 4), upTo(3)).reason, FinishReason::Length);
  Generation generation = session.generate(range(5, 60), upTo(100));
  EXPECT_EQ(generation.reason, FinishReason::Context);
  // 60 of 64 places are the prompt's; the last token needs no place.
  EXPECT_EQ(generation.ids, expectedAnswer(range(5, 60), 5));
  EXPECT_EQ(session.generate(range(5, 64), upTo(100)).ids.size(), 1u);
}

TEST_F(SessionTest, RefusesImpossiblePrompts) {
  auto refusal = [&](const Ids &prompt) {
    return messageOf<ArgumentError>([&] { session.generate(prompt, upTo(1)); });
  };
  EXPECT_TRUE(contains(refusal({}), "empty"));
  std::string message = refusal(range(0, 65));
  EXPECT_TRUE(contains(message, "65 tokens, longer than the context of 64")) << message;
  EXPECT_TRUE(contains(refusal({1, 300}), "token id 300"));
  EXPECT_TRUE(contains(refusal({-1, 3}), "token id -1"));
  EXPECT_THROW(session.generate({1}, upTo(0)), ArgumentError);
  EXPECT_EQ(session.generate(range(5, 4), upTo(3)).ids, expectedAnswer(range(5, 4), 3))
      << "a refusal leaves the session usable";
}

TEST_F(SessionTest, StreamsTokensAndPieces) {
  Ids ids;
  std::string text;
  GenerateOptions options = upTo(12);
  options.onToken = [&](TokenId id, std::string_view piece) {
    ids.push_back(id);
    text += piece;
    return true;
  };
  Generation generation = session.generate(range(40, 5), options);
  ids.resize(generation.ids.size()); // the closing piece repeats the last id
  EXPECT_EQ(ids, generation.ids);
  EXPECT_EQ(text, generation.text);
}

TEST_F(SessionTest, CallbackAndSignalEndGeneration) {
  GenerateOptions options = upTo(12);
  options.onToken = [count = 0](TokenId, std::string_view) mutable { return ++count < 3; };
  Generation stopped = session.generate(range(40, 5), options);
  EXPECT_EQ(stopped.reason, FinishReason::Cancelled);
  EXPECT_EQ(stopped.ids.size(), 3u);

  options = upTo(12);
  options.shouldStop = [] { return true; };
  session.reset();
  Generation cancelled = session.generate(range(40, 5), options);
  EXPECT_EQ(cancelled.reason, FinishReason::Cancelled);
  EXPECT_TRUE(cancelled.ids.empty());
  EXPECT_EQ(session.generate(range(40, 5), upTo(2)).ids, expectedAnswer(range(40, 5), 2));
}

TEST_F(SessionTest, ExceptionsOfTheCallbackComeThrough) {
  GenerateOptions options = upTo(5);
  options.onToken = [](TokenId, std::string_view) -> bool { throw std::runtime_error("mine"); };
  EXPECT_EQ(messageOf<std::runtime_error>([&] { session.generate({1, 2}, options); }), "mine");
  EXPECT_EQ(session.generate({1, 2}, upTo(2)).ids, expectedAnswer({1, 2}, 2));
}

TEST_F(SessionTest, DecodeDoesNotAllocate) {
  constexpr auto threadsAreSpreadAgain = std::chrono::milliseconds(2);
  std::vector<int64_t> seen;
  seen.reserve(40);
  for (double temperature : {0.0, 1.0}) {
    GenerateOptions options = upTo(40);
    options.sampler.temperature = temperature;
    options.sampler.topK = 5;
    options.onToken = [&](TokenId, std::string_view) {
      seen.push_back(allocations);
      std::this_thread::sleep_for(threadsAreSpreadAgain);
      return true;
    };
    session.generate(range(5, 10), options);
    EXPECT_EQ(seen[5], seen[38]) << "temperature " << temperature;
    seen.clear();
  }
}

TEST_F(SessionTest, MeasuresItself) {
  Generation generation = session.generate(range(5, 20), upTo(10));
  EXPECT_GT(session.loadSeconds(), 0);
  EXPECT_GT(generation.timings.firstTokenSeconds, 0);
  EXPECT_GT(generation.timings.prefillTokensPerSecond, 0);
  EXPECT_GT(generation.timings.decodeTokensPerSecond, 0);
  EXPECT_EQ(generation.timings.promptTokens, 20);
  EXPECT_EQ(generation.timings.newTokens, 10);
}

TEST_F(SessionTest, EvaluateReturnsLogits) {
  const float *logits = session.evaluate({10, 20});
  EXPECT_FLOAT_EQ(logits[33], 10.5f);
  EXPECT_FLOAT_EQ(logits[32], 0.5f);
}

TEST_F(SessionTest, SamplingIsRepeatable) {
  GenerateOptions options = upTo(20);
  options.sampler.temperature = 5;
  options.sampler.seed = 9;
  Ids first = session.generate(range(5, 9), options).ids;
  EXPECT_EQ(session.generate(range(5, 9), options).ids, first);
  options.sampler.seed = 10;
  EXPECT_NE(session.generate(range(5, 9), options).ids, first);
}

TEST_F(SessionTest, EncodesAndRendersPrompts) {
  EXPECT_EQ(session.tokenizer().decode(session.encodePrompt("Hello")), "Hello");
  EXPECT_TRUE(contains(session.renderChat({{"user", "Hi"}}), "user\nHi"));
}

TEST(SessionOpening, AddsBosOnce) {
  TemporaryDirectory directory;
  Json manifest = packageManifest();
  manifest["special_tokens"]["add_bos"] = true;
  Session session(writePackage(directory, manifest));
  EXPECT_EQ(session.encodePrompt("<|endoftext|>a"), session.encodePrompt("a"));
  EXPECT_EQ(session.encodePrompt("").size(), 1u);
}

TEST(SessionOpening, NoTemplateIsASentence) {
  TemporaryDirectory directory;
  Json manifest = packageManifest();
  manifest["chat_template"] = nullptr;
  Session session(writePackage(directory, manifest));
  EXPECT_TRUE(
      contains(messageOf<ArgumentError>([&] { session.renderChat({}); }), "no chat template"));
}

TEST(SessionOpening, RefusesAPackageForAnotherCpu) {
  Json manifest = packageManifest();
  manifest["features"] = {"+quantum512"};
  TemporaryDirectory byManifest, byModule;
  writePackage(byManifest, manifest);
  writePackage(byModule, packageManifest(), "language_other_cpu");
  for (const TemporaryDirectory *directory : {&byManifest, &byModule}) {
    std::string message = messageOf<ModelError>([&] { Session session(directory->str()); });
    EXPECT_TRUE(contains(message, "quantum512")) << message;
  }
}

TEST(SessionOpening, RefusesPartsThatDoNotFit) {
  TemporaryDirectory directory;
  writePackage(directory, packageManifest());
  auto open = [&] { return messageOf<ModelError>([&] { Session session(directory.str()); }); };
  writeFile(directory.file("weights.safetensors"), safetensors("{}", ""));
  EXPECT_TRUE(contains(open(), "no tensor 'bias'"));
  std::filesystem::remove(directory.file("weights.safetensors"));
  EXPECT_TRUE(contains(open(), "weights.safetensors"));
  std::filesystem::remove(directory.file("model.so"));
  EXPECT_TRUE(contains(open(), "model.so: no such file"));
}

TEST(SessionOpening, RefusesAModuleThatIsNoLanguageModel) {
  TemporaryDirectory directory;
  writePackage(directory, packageManifest(), "forward_module");
  EXPECT_TRUE(contains(messageOf<ModelError>([&] { Session session(directory.str()); }),
                       "not a language model"));
}
