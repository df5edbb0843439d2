// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef BUDDY_RUNTIME_LIB_SENTENCEPIECETOKENIZER_H
#define BUDDY_RUNTIME_LIB_SENTENCEPIECETOKENIZER_H

#include "buddy/runtime/Tokenizer.h"

namespace buddy::runtime {

/// Opens a tokenizer.model through Google's library. Throws ModelError, also in a build without
/// that library.
std::unique_ptr<Tokenizer> openSentencePiece(const std::string &path);

} // namespace buddy::runtime

#endif // BUDDY_RUNTIME_LIB_SENTENCEPIECETOKENIZER_H
