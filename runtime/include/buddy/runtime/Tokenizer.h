// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef BUDDY_RUNTIME_TOKENIZER_H
#define BUDDY_RUNTIME_TOKENIZER_H

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace buddy::runtime {

using TokenId = int64_t;

/// Text to token ids and back, by the algorithm the model was trained with. Immutable, so any
/// number of threads may use one.
class Tokenizer {
public:
  virtual ~Tokenizer() = default;

  /// The ids of `text`, equal to Hugging Face's `encode(text, add_special_tokens=False)`: special
  /// tokens written in the text are recognized, none are added. Invalid UTF-8 counts as U+FFFD.
  virtual std::vector<TokenId> encode(std::string_view text) const = 0;

  /// The bytes a token stands for, which need not be whole characters. Empty for special tokens
  /// and ids that there are not. The view lives as long as the tokenizer.
  virtual std::string_view bytes(TokenId id) const = 0;

  /// Whether a text's first token loses its leading space (SentencePiece's dummy prefix).
  virtual bool stripsLeadingSpace() const { return false; }

  /// Number of ids, special tokens included.
  virtual int64_t size() const = 0;

  /// The text of `ids` without special tokens, invalid bytes as U+FFFD.
  std::string decode(const std::vector<TokenId> &ids) const;
};

/// Opens a package's tokenizer: kind "byte-bpe" (a Hugging Face tokenizer.json) or
/// "sentencepiece" (a tokenizer.model). Throws ModelError for a damaged file, or one with a part
/// that this runtime does not know.
std::unique_ptr<Tokenizer> openTokenizer(const std::string &kind, const std::string &path);

} // namespace buddy::runtime

#endif // BUDDY_RUNTIME_TOKENIZER_H
