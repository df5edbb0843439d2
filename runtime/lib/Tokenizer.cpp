// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "buddy/runtime/Tokenizer.h"
#include "buddy/runtime/Error.h"

#include "ByteLevelBPE.h"
#include "SentencePieceTokenizer.h"

using namespace buddy::runtime;

std::unique_ptr<Tokenizer> buddy::runtime::openTokenizer(const std::string &kind,
                                                         const std::string &path) {
  if (kind == "byte-bpe")
    return std::make_unique<ByteLevelBPE>(readTokenizerJson(path));
  if (kind == "sentencepiece")
    return openSentencePiece(path);
  throw ModelError(path, "is of unknown tokenizer kind '" + kind +
                             "'; known are byte-bpe and sentencepiece");
}
