/* SPDX-FileCopyrightText: The Buddy Authors
 * SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * A compiled module written by hand: output.0 = input + weight over rows of dynamic length, going
 * through the workspace. Macros make the broken variants that the tests want:
 * MODULE_ABI, MODULE_FEATURES, MODULE_NO_WORKSPACE. MODULE_PROFILE makes one that can be profiled.
 */
#include <stdint.h>

#ifndef MODULE_ABI
#define MODULE_ABI "1"
#endif
#ifndef MODULE_FEATURES
#define MODULE_FEATURES ""
#endif

#ifdef MODULE_PROFILE
/* An entry point and its kernel, from a program that would break a page's markup. */
#define MODULE_SITES                                                                               \
  "\"profile\": {\"kernels\": {\"add_0\": {\"arithmetic\": \"f32\", \"sources\": [\"add\", "       \
  "\"<b>\"]}},"                                                                                    \
  " \"sites\": [{\"entry\": \"forward\"},"                                                         \
  " {\"entry\": \"forward\", \"kernel\": \"add_0\", \"where\": \"a/b/model.py:7\"}]}, "
#else
#define MODULE_SITES ""
#endif

typedef struct {
  float *allocated, *aligned;
  int64_t offset, sizes[2], strides[2];
} Matrix;

typedef struct {
  char *allocated, *aligned;
  int64_t offset, sizes[1], strides[1];
} Bytes;

const char buddy_manifest[] =
    "{\"abi\": " MODULE_ABI ", \"target\": \"cpu\", \"features\": [" MODULE_FEATURES "],"
    " \"kernels\": 1, " MODULE_SITES
    "\"entries\": {\"forward\": {\"graph_arguments\": 3, \"arguments\": ["
    "{\"kind\": \"symbol\", \"name\": \"n\", \"dtype\": \"i64\", \"shape\": []},"
    "{\"kind\": \"input\", \"name\": \"x\", \"dtype\": \"f32\", \"shape\": [2, -1]},"
    "{\"kind\": \"parameter\", \"name\": \"weight\", \"dtype\": \"f32\", \"shape\": [2, 1]},"
    "{\"kind\": \"output\", \"name\": \"output.0\", \"dtype\": \"f32\", \"shape\": [2, -1]},"
    "{\"kind\": \"workspace\", \"name\": \"workspace\", \"dtype\": \"i8\", \"shape\": [-1]}]}}}";

/* To be filled in by who loads the module. */
void (*buddy_run_parallel)(void (*body)(void *, int64_t, int64_t), void *data);

void buddy_invoke_forward(void *const *arguments) {
  int64_t n = *(const int64_t *)arguments[0];
  const Matrix *x = arguments[1], *weight = arguments[2], *output = arguments[3];
  float *scratch = (float *)((const Bytes *)arguments[4])->aligned;
  for (int64_t i = 0; i < 2; ++i) {
    for (int64_t j = 0; j < n; ++j)
      scratch[j] = x->aligned[i * x->strides[0] + j] + weight->aligned[i];
    for (int64_t j = 0; j < n; ++j)
      output->aligned[i * output->strides[0] + j] = scratch[j];
  }
}

#ifndef MODULE_NO_WORKSPACE
int64_t buddy_workspace_forward(void *const *arguments) {
  return ((const Matrix *)arguments[1])->sizes[1] * (int64_t)sizeof(float);
}
#endif

#ifdef MODULE_PROFILE
struct {
  void *context;
  int64_t (*now)(void);
  void (*record)(void *context, int64_t site, int64_t start, int64_t operations, int64_t bytes);
} buddy_profile_hooks;

void buddy_profile_forward(void *const *arguments) {
  int64_t n = *(const int64_t *)arguments[0];
  int64_t entered = buddy_profile_hooks.now(), start = buddy_profile_hooks.now();
  buddy_invoke_forward(arguments);
  buddy_profile_hooks.record(buddy_profile_hooks.context, 1, start, 2 * n, 16 * n + 8);
  buddy_profile_hooks.record(buddy_profile_hooks.context, 0, entered, 0, 0);
}
#endif
