// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef BUDDY_RUNTIME_LIB_BYTELEVELBPE_H
#define BUDDY_RUNTIME_LIB_BYTELEVELBPE_H

#include "AddedTokens.h"
#include "PreTokenizer.h"
#include "buddy/runtime/Tokenizer.h"

#include <array>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace buddy::runtime {

/// GPT-2's alphabet: each byte is written as one printable character.
class ByteAlphabet {
public:
  ByteAlphabet();

  /// The character of a byte, as UTF-8.
  const std::string &spell(uint8_t byte) const { return spelling[byte]; }
  std::string spell(std::string_view bytes) const;

  /// The inverse for a whole token; a token with a foreign character stands for itself.
  std::string bytesOf(std::string_view token) const;

private:
  std::array<std::string, 256> spelling;
  std::unordered_map<char32_t, uint8_t> byteOf;
};

/// What a tokenizer.json says, checked and in ids.
struct ByteLevelVocabulary {
  struct Merge {
    int64_t rank;
    TokenId result;
  };

  std::unordered_map<std::string, TokenId> ids; // spelled in the byte alphabet
  std::unordered_map<uint64_t, Merge> merges;   // by pair(left, right)
  std::vector<AddedToken> added;
  PreTokenizer preTokenizer;
  bool ignoreMerges = false; // a piece that is a token needs no merging

  static uint64_t pair(TokenId left, TokenId right) {
    return static_cast<uint64_t>(left) << 32 | static_cast<uint64_t>(right);
  }
};

/// Byte-level byte-pair encoding, as GPT-2 introduced and Llama 3, Qwen and SmolLM use it.
class ByteLevelBPE : public Tokenizer {
public:
  explicit ByteLevelBPE(ByteLevelVocabulary vocabulary);

  std::vector<TokenId> encode(std::string_view text) const override;
  std::string_view bytes(TokenId id) const override;
  int64_t size() const override { return static_cast<int64_t>(tokenBytes.size()); }

private:
  void encodePiece(std::string_view piece, std::vector<TokenId> &ids) const;
  void mergeBytes(std::string_view piece, std::vector<TokenId> &ids) const;

  ByteLevelVocabulary vocabulary;
  ByteAlphabet alphabet;
  AddedTokens added;
  std::array<TokenId, 256> byteIds;    // missing where the vocabulary lacks the byte
  std::vector<std::string> tokenBytes; // by id; empty for special tokens
};

/// Reads a Hugging Face tokenizer.json. Throws ModelError when it is damaged, or not byte-level.
ByteLevelVocabulary readTokenizerJson(const std::string &path);

} // namespace buddy::runtime

#endif // BUDDY_RUNTIME_LIB_BYTELEVELBPE_H
