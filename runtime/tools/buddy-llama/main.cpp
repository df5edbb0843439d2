// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// buddy-llama: a compiled language model on the command line, with no Python.

#include "Options.h"
#include "Profiling.h"
#include "Report.h"

#include "buddy/runtime/Error.h"
#include "buddy/runtime/Profile.h"
#include "buddy/runtime/Session.h"

#include <atomic>
#include <csignal>
#include <iostream>
#include <random>

using namespace buddy::runtime;

namespace {

constexpr int exitFailure = 1;
constexpr int exitInterrupted = 130; // as shells report SIGINT

std::atomic<bool> interrupted{false};

/// The first Ctrl-C from now on ends generation, the second the program.
void catchInterrupt() {
  interrupted = false;
  struct sigaction action = {};
  action.sa_handler = [](int) { interrupted = true; };
  action.sa_flags = SA_RESETHAND;
  sigaction(SIGINT, &action, nullptr);
}

GenerateOptions generateOptions(const Options &options) {
  GenerateOptions generate;
  generate.maxTokens = options.maxTokens;
  generate.sampler = options.sampler;
  generate.shouldStop = [] { return interrupted.load(); };
  return generate;
}

GenerateOptions streamingOptions(const Options &options) {
  GenerateOptions generate = generateOptions(options);
  generate.onToken = [](TokenId, std::string_view piece) {
    std::cout << piece << std::flush;
    return std::cout.good(); // a closed pipe ends generation
  };
  return generate;
}

bool usesChat(const Session &session, const Options &options) {
  if (options.raw)
    return false;
  if (!session.package().chatTemplate)
    std::cerr << "buddy-llama: the model has no chat template, the text is completed as it is\n";
  return session.package().chatTemplate.has_value();
}

std::vector<Message> startConversation(const Options &options) {
  if (options.system.empty())
    return {};
  return {{"system", options.system}};
}

int answerOnce(Session &session, const Options &options) {
  std::string text = options.prompt;
  if (usesChat(session, options)) {
    std::vector<Message> messages = startConversation(options);
    messages.push_back({"user", options.prompt});
    text = session.renderChat(messages);
  }
  std::vector<TokenId> prompt = session.encodePrompt(text);
  catchInterrupt();
  Generation generation =
      session.generate(prompt, options.json ? generateOptions(options) : streamingOptions(options));
  if (options.json) {
    printGeneration(session, prompt, generation);
  } else {
    std::cout << std::endl;
    summarize(session, generation);
  }
  return interrupted ? exitInterrupted : std::cout.good() ? 0 : exitFailure;
}

/// Answers one turn and adds it to the conversation.
void answerTurn(Session &session, const Options &options, std::vector<Message> &messages,
                const std::string &line) {
  messages.push_back({"user", line});
  bool chat = session.package().chatTemplate && !options.raw;
  catchInterrupt();
  Generation generation = session.generate(
      session.encodePrompt(chat ? session.renderChat(messages) : line), streamingOptions(options));
  std::cout << std::endl;
  summarize(session, generation);
  messages.push_back({"assistant", generation.text});
}

int chat(Session &session, const Options &options) {
  usesChat(session, options); // says so when there is no template
  std::cerr << "Chat with " << session.package().name
            << ". /reset starts again, /exit or Ctrl-D ends, Ctrl-C stops an answer.\n";
  std::vector<Message> messages = startConversation(options);
  std::string line;
  while (std::cerr << "> " << std::flush, std::getline(std::cin, line)) {
    if (line == "/exit")
      break;
    if (line == "/reset") {
      messages = startConversation(options);
    } else if (!line.empty()) {
      try {
        answerTurn(session, options, messages, line);
      } catch (const ArgumentError &error) { // mostly: the conversation outgrew the context
        messages.pop_back();
        std::cerr << "buddy-llama: " << error.what() << "; /reset starts again\n";
      }
    }
  }
  return 0;
}

/// Any tokens do: neither the kernels' time nor the cache's depends on which.
std::vector<TokenId> syntheticPrompt(int64_t count, int64_t vocabSize) {
  std::mt19937_64 generator(0);
  std::vector<TokenId> ids(count);
  for (TokenId &id : ids)
    id = static_cast<TokenId>(generator() % vocabSize);
  return ids;
}

int bench(Session &session, const Options &options) {
  std::vector<TokenId> prompt = syntheticPrompt(options.bench[0], session.package().vocabSize);
  GenerateOptions generate = generateOptions(options);
  generate.stopIds = std::vector<TokenId>();
  catchInterrupt();
  // Once unmeasured: the weights' pages come into memory and OpenMP's threads to life.
  constexpr int64_t warmupTokens = 2;
  generate.maxTokens = warmupTokens;
  session.generate(prompt, generate);
  session.reset();
  clearProfile();
  generate.maxTokens = options.bench[1];
  Generation generation = session.generate(prompt, generate);
  printFigures(session, generation.timings);
  if (generation.reason == FinishReason::Context)
    std::cerr << "buddy-llama: the context was full after " << generation.timings.newTokens
              << " new tokens\n";
  return interrupted ? exitInterrupted : 0;
}

int run(const Options &options) {
  Session session(options.package, options.threads);
  if (!options.bench.empty())
    return bench(session, options);
  return options.interactive ? chat(session, options) : answerOnce(session, options);
}

} // namespace

int main(int argc, char **argv) {
  try {
    int exitStatus;
    Options options = parseOptions(argc, argv, exitStatus);
    if (exitStatus != goOn)
      return exitStatus;
    startProfileIfAsked();
    exitStatus = run(options);
    reportProfile();
    return exitStatus;
  } catch (const std::exception &error) {
    std::cerr << "buddy-llama: " << error.what() << "\n";
    return exitFailure;
  }
}
