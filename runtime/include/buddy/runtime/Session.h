// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef BUDDY_RUNTIME_SESSION_H
#define BUDDY_RUNTIME_SESSION_H

#include "buddy/runtime/Model.h"
#include "buddy/runtime/Sampler.h"
#include "buddy/runtime/Text.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace buddy::runtime {

/// Why generation ended: a stop token; maxTokens; a full context; the caller's wish.
enum class FinishReason { Stop, Length, Context, Cancelled };

/// "stop", "length", "context", "cancelled".
std::string_view name(FinishReason reason);

struct GenerateOptions {
  int64_t maxTokens = 256;
  SamplerOptions sampler;
  /// Tokens that end the answer; unset: those of the package.
  std::optional<std::vector<TokenId>> stopIds;
  /// Called with each token and the text that became whole by it; false ends generation. Not
  /// called for a stop token.
  std::function<bool(TokenId id, std::string_view piece)> onToken;
  /// Asked before each chunk of the prompt and each token; true ends generation.
  std::function<bool()> shouldStop;
};

/// What was measured while generating; rates are 0 when nothing was measured.
struct Timings {
  int64_t promptTokens = 0;
  int64_t reusedTokens = 0; // of the prompt, already in the cache
  int64_t newTokens = 0;
  double firstTokenSeconds = 0; // from the call to the first token
  double prefillTokensPerSecond = 0;
  double decodeTokensPerSecond = 0; // of the tokens after the first
};

struct Generation {
  std::vector<TokenId> ids; // with the stop token that ended it, if one did
  std::string text;         // without special tokens
  FinishReason reason = FinishReason::Length;
  Timings timings;
};

/// A model package being talked to: text in, text out. A prompt that begins like the tokens in
/// the cache is evaluated only from where it differs, so a conversation costs its new turns. Not
/// for several threads at once.
class Session {
public:
  /// Opens a package directory. threads 0: OpenMP's default. Throws ModelError.
  explicit Session(const std::string &directory, int threads = 0);

  const LanguagePackage &package() const { return description; }
  const Tokenizer &tokenizer() const { return *vocabulary; }
  double loadSeconds() const { return loadTime; }

  /// The ids of a prompt: the text's, after the package's beginning-of-sequence token if it wants
  /// one and the text does not bring it.
  std::vector<TokenId> encodePrompt(std::string_view text) const;

  /// A conversation as the model wants it. Throws ArgumentError when the package has no template.
  std::string renderChat(const std::vector<Message> &messages) const;

  /// Generates after `prompt`. Throws ArgumentError for an empty prompt, one longer than the
  /// context, or ids outside the vocabulary. Allocates nothing per token.
  Generation generate(const std::vector<TokenId> &prompt, const GenerateOptions &options);

  /// The logits after `prompt`, [vocab], valid until the next call.
  const float *evaluate(const std::vector<TokenId> &prompt);

  /// Forgets the conversation.
  void reset();

private:
  class Run;

  LanguagePackage description;
  std::unique_ptr<Tokenizer> vocabulary;
  std::unique_ptr<Model> model;
  std::vector<TokenId> cached; // the tokens in the model's cache
  double loadTime = 0;
};

} // namespace buddy::runtime

#endif // BUDDY_RUNTIME_SESSION_H
