// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "buddy/runtime/Session.h"
#include "buddy/runtime/Error.h"

#include <algorithm>
#include <chrono>

using namespace buddy::runtime;

namespace {

class Stopwatch {
public:
  double seconds() const { return std::chrono::duration<double>(Clock::now() - start).count(); }

private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start = Clock::now();
};

double rate(int64_t count, double seconds) {
  return count > 0 && seconds > 0 ? count / seconds : 0;
}

} // namespace

std::string_view buddy::runtime::name(FinishReason reason) {
  switch (reason) {
  case FinishReason::Stop:
    return "stop";
  case FinishReason::Length:
    return "length";
  case FinishReason::Context:
    return "context";
  case FinishReason::Cancelled:
    return "cancelled";
  }
  return "";
}

Session::Session(const std::string &directory, int threads) {
  Stopwatch watch;
  setThreadCount(threads);
  description = readLanguagePackage(directory);
  model = std::make_unique<Model>(description);
  vocabulary = openTokenizer(description.tokenizerKind, description.tokenizerPath);
  cached.reserve(model->capacity());
  loadTime = watch.seconds();
}

std::vector<TokenId> Session::encodePrompt(std::string_view text) const {
  std::vector<TokenId> ids = vocabulary->encode(text);
  if (description.addBos && (ids.empty() || ids.front() != *description.bos))
    ids.insert(ids.begin(), *description.bos);
  return ids;
}

std::string Session::renderChat(const std::vector<Message> &messages) const {
  if (!description.chatTemplate)
    throw ArgumentError("the model has no chat template; use raw completion (--raw)");
  return description.chatTemplate->apply(messages);
}

void Session::reset() {
  model->rewind(0);
  cached.clear();
}

/// One prompt on its way through the model: first the prompt in chunks, then token by token.
class Session::Run {
public:
  Run(Session &session, const std::vector<TokenId> &prompt, const GenerateOptions &options)
      : session(session), model(*session.model), prompt(prompt), options(options) {
    checkPrompt();
  }

  /// Evaluates what of the prompt is not in the cache. Null when cancelled.
  const float *prefill() {
    size_t reused = rewindToCommonPrefix();
    reusedTokens = static_cast<int64_t>(reused);
    const float *logits = nullptr;
    for (size_t done = reused; done < prompt.size();) {
      if (isCancelled())
        return nullptr;
      size_t count = std::min<size_t>(model.chunk(), prompt.size() - done);
      logits = evaluate(&prompt[done], count);
      done += count;
    }
    return logits;
  }

  Generation generate() {
    Sampler sampler(options.sampler, session.description.vocabSize);
    Text text(*session.vocabulary, std::min(options.maxTokens, model.capacity()));
    Stopwatch sinceStart;
    Generation result;
    const float *logits = prefill();
    double prefillSeconds = sinceStart.seconds();
    result.reason = FinishReason::Cancelled;
    Stopwatch sinceFirst;
    while (logits) {
      TokenId id = sampler.sample(logits, session.description.vocabSize);
      if (text.ids().empty()) {
        result.timings.firstTokenSeconds = sinceStart.seconds();
        sinceFirst = Stopwatch();
      }
      if (std::optional<FinishReason> reason = accept(id, text)) {
        result.reason = *reason;
        break;
      }
      logits = isCancelled() ? nullptr : evaluate(&id, 1);
    }
    measure(result.timings, text, prefillSeconds, sinceFirst.seconds());
    finish(text);
    result.ids = text.ids();
    result.text = text.str();
    return result;
  }

private:
  void checkPrompt() const {
    auto length = static_cast<int64_t>(prompt.size());
    if (length == 0)
      throw ArgumentError("the prompt is empty");
    if (length > model.capacity())
      throw ArgumentError("the prompt has " + std::to_string(length) +
                          " tokens, longer than the context of " +
                          std::to_string(model.capacity()) +
                          "; shorten it, or compile the model with a larger --max-seq-len");
    if (options.maxTokens < 1)
      throw ArgumentError("the number of tokens to generate must be at least 1");
  }

  /// Keeps of the cache what the prompt begins with, but for the prompt's last token: its logits
  /// are wanted. Returns how many tokens that are.
  size_t rewindToCommonPrefix() {
    std::vector<TokenId> &cached = session.cached;
    size_t limit = std::min(cached.size(), prompt.size() - 1);
    auto differs = std::mismatch(cached.begin(), cached.begin() + limit, prompt.begin()).first;
    cached.erase(differs, cached.end());
    model.rewind(static_cast<int64_t>(cached.size()));
    return cached.size();
  }

  const float *evaluate(const TokenId *tokens, size_t count) {
    const float *logits = model.evaluate(tokens, static_cast<int64_t>(count));
    session.cached.insert(session.cached.end(), tokens, tokens + count);
    return logits;
  }

  bool isCancelled() const { return options.shouldStop && options.shouldStop(); }

  bool isStop(TokenId id) const {
    const std::vector<TokenId> &stops =
        options.stopIds ? *options.stopIds : session.description.eos;
    return std::find(stops.begin(), stops.end(), id) != stops.end();
  }

  /// Adds a token to the answer; the reason to end there, if there is one.
  std::optional<FinishReason> accept(TokenId id, Text &text) const {
    if (isStop(id)) {
      text.appendHidden(id);
      return FinishReason::Stop;
    }
    std::string_view piece = text.append(id);
    if (options.onToken && !options.onToken(id, piece))
      return FinishReason::Cancelled;
    if (static_cast<int64_t>(text.ids().size()) == options.maxTokens)
      return FinishReason::Length;
    if (model.position() == model.capacity())
      return FinishReason::Context;
    return std::nullopt;
  }

  /// Hands out the bytes of a character that never became whole.
  void finish(Text &text) const {
    std::string_view piece = text.finish();
    if (!piece.empty() && options.onToken)
      options.onToken(text.ids().back(), piece);
  }

  void measure(Timings &timings, const Text &text, double prefillSeconds,
               double decodeSeconds) const {
    timings.promptTokens = static_cast<int64_t>(prompt.size());
    timings.reusedTokens = reusedTokens;
    timings.newTokens = static_cast<int64_t>(text.ids().size());
    timings.prefillTokensPerSecond = rate(timings.promptTokens - reusedTokens, prefillSeconds);
    timings.decodeTokensPerSecond = rate(timings.newTokens - 1, decodeSeconds);
  }

  Session &session;
  Model &model;
  const std::vector<TokenId> &prompt;
  const GenerateOptions &options;
  int64_t reusedTokens = 0;
};

Generation Session::generate(const std::vector<TokenId> &prompt, const GenerateOptions &options) {
  return Run(*this, prompt, options).generate();
}

const float *Session::evaluate(const std::vector<TokenId> &prompt) {
  GenerateOptions options;
  return Run(*this, prompt, options).prefill();
}
