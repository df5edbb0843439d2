/* SPDX-FileCopyrightText: The Buddy Authors
 * SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * A language model of one line, as a compiled module: the next token is (the sum of all tokens
 * in the context + bias) modulo the vocabulary. Any mistake with the cache, its position or the
 * chunks changes the answer. MODULE_FEATURES makes the variant for another CPU. */
#include <stdint.h>

#ifndef MODULE_FEATURES
#define MODULE_FEATURES ""
#endif

enum { vocabulary = 300, capacity = 64 };

typedef struct {
  float *allocated, *aligned;
  int64_t offset, sizes[4], strides[4];
} Cache;

typedef struct {
  float *allocated, *aligned;
  int64_t offset;
} Floats;

typedef struct {
  int64_t *allocated, *aligned;
  int64_t offset, sizes[2], strides[2];
} Ids;

#define ARGUMENTS(TOKENS, SYMBOL)                                                                  \
  SYMBOL                                                                                           \
  "{\"kind\": \"parameter\", \"name\": \"bias\", \"dtype\": \"f32\", \"shape\": [1]},"             \
  "{\"kind\": \"input\", \"name\": \"input_ids\", \"dtype\": \"i64\", \"shape\": [1, " TOKENS      \
  "]},"                                                                                            \
  "{\"kind\": \"input\", \"name\": \"position\", \"dtype\": \"i64\", \"shape\": [1]},"             \
  "{\"kind\": \"input\", \"name\": \"k_cache.0\", \"dtype\": \"f32\","                             \
  " \"shape\": [1, 1, 64, 1], \"mutable\": true},"                                                 \
  "{\"kind\": \"parameter\", \"name\": \"packed_away\", \"dtype\": \"f32\", \"shape\": [9],"       \
  " \"used\": false},"                                                                             \
  "{\"kind\": \"prepared\", \"name\": \"prepared.0\", \"dtype\": \"f32\", \"shape\": [300]},"      \
  "{\"kind\": \"output\", \"name\": \"output.0\", \"dtype\": \"f32\", \"shape\": [1, 1, 300]},"    \
  "{\"kind\": \"workspace\", \"name\": \"workspace\", \"dtype\": \"i8\", \"shape\": [-1]}"

const char buddy_manifest[] =
    "{\"abi\": 1, \"target\": \"cpu\", \"features\": [" MODULE_FEATURES "], \"kernels\": 1,"
    " \"entries\": {"
    "\"prefill\": {\"graph_arguments\": 6, \"arguments\": [" ARGUMENTS(
        "-1", "{\"kind\": \"symbol\", \"name\": \"s0\"},") "]},"
                                                           "\"decode\": {\"graph_arguments\": 5, "
                                                           "\"arguments\": [" ARGUMENTS("1",
                                                                                        "") "]}}}";

/* Appends the tokens to the cache and writes the logits. The workspace must hold one float for
 * each token: a runtime that makes it too small is caught by the address sanitizer. */
static void run(void *const *arguments, int64_t count) {
  const Floats *bias = arguments[0], *prepared = arguments[5], *logits = arguments[6];
  const Ids *ids = arguments[1];
  int64_t position = *((const Ids *)arguments[2])->aligned;
  const Cache *cache = arguments[3];
  float *scratch = ((const Floats *)arguments[7])->aligned;
  for (int64_t i = 0; i < count; ++i)
    scratch[i] = (float)ids->aligned[i];
  for (int64_t i = 0; i < count; ++i)
    cache->aligned[position + i] = scratch[i];
  int64_t sum = (int64_t)bias->aligned[0];
  for (int64_t i = 0; i < position + count; ++i)
    sum += (int64_t)cache->aligned[i];
  for (int64_t i = 0; i < vocabulary; ++i)
    logits->aligned[i] = prepared->aligned[i];
  logits->aligned[sum % vocabulary] += 10;
}

void buddy_invoke_prefill(void *const *arguments) {
  int64_t count = ((const Ids *)arguments[2])->sizes[1];
  int64_t symbol = *(const int64_t *)arguments[0];
  run(arguments + 1, symbol == count ? count : 0);
}

void buddy_invoke_decode(void *const *arguments) { run(arguments, 1); }

int64_t buddy_workspace_prefill(void *const *arguments) {
  return ((const Ids *)arguments[2])->sizes[1] * (int64_t)sizeof(float);
}

int64_t buddy_workspace_decode(void *const *arguments) {
  (void)arguments;
  return sizeof(float);
}
