// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef BUDDY_RUNTIME_MODEL_H
#define BUDDY_RUNTIME_MODEL_H

#include "buddy/runtime/Frame.h"
#include "buddy/runtime/MemRef.h"
#include "buddy/runtime/Package.h"
#include "buddy/runtime/Tokenizer.h"
#include "buddy/runtime/Weights.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <string>

namespace buddy::runtime {

/// A causal language model in memory: the package's code and weights, a KV cache, and how far the
/// cache is filled. It knows token ids and logits; text and sampling are Session's.
///
/// All memory is allocated when the model is opened: the cache ([1, kv_heads, max_seq_len,
/// head_dim] for keys and for values of each layer), the workspace and the logits. Evaluating
/// allocates nothing.
class Model {
public:
  /// Maps and loads; reads no weights yet. Throws ModelError when code and weights do not fit.
  explicit Model(const LanguagePackage &package);

  /// Most tokens one evaluate() takes.
  int64_t chunk() const { return std::min(package.prefillChunk, package.maxSeqLen); }
  int64_t capacity() const { return package.maxSeqLen; }
  /// Tokens in the cache.
  int64_t position() const { return filled; }

  /// Appends `count` (1 to chunk()) tokens to the cache. Returns the logits after the last one,
  /// [vocab], valid until the next call. Throws ArgumentError when they do not fit.
  const float *evaluate(const TokenId *tokens, int64_t count);

  /// Forgets all but the first `count` tokens. Costs nothing.
  void rewind(int64_t count);

private:
  Frame bindEntry(std::string_view name);
  void bindArgument(Frame &frame, size_t index);
  void bindInput(Frame &frame, size_t index);
  void bindCache(Frame &frame, size_t index);
  void allocateCaches();
  void allocateWorkspace();
  void setTokenCount(Frame &frame, int64_t count);

  LanguagePackage package;
  Library library;
  Weights weights;
  std::map<std::string, std::byte *, std::less<>> caches; // into cacheMemory, by argument name
  MemRef<std::byte, 1> cacheMemory;
  MemRef<std::byte, 1> workspace;
  MemRef<TokenId, 2> inputIds; // [1, chunk]
  MemRef<float, 3> logits;     // [1, 1, vocab]
  int64_t filled = 0;
  Frame prefill, decode; // last: they point at all of the above
};

} // namespace buddy::runtime

#endif // BUDDY_RUNTIME_MODEL_H
