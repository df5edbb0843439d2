// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "buddy/runtime/Sampler.h"
#include "buddy/runtime/Error.h"

#include <algorithm>
#include <cmath>

using namespace buddy::runtime;

Sampler::Sampler(const SamplerOptions &options, int64_t vocabSize)
    : options(options), generator(options.seed) {
  if (!(options.temperature >= 0) || std::isinf(options.temperature))
    throw ArgumentError("temperature must be 0 (greedy) or a positive number");
  if (options.topK < 0)
    throw ArgumentError("top-k must be 0 (all tokens) or positive");
  if (!(options.topP > 0 && options.topP <= 1))
    throw ArgumentError("top-p must be above 0 and at most 1");
  if (options.temperature > 0)
    candidates.reserve(vocabSize);
}

/// The first largest logit; count when all are NaN.
static int64_t argmax(const float *logits, int64_t count) {
  int64_t best = count;
  for (int64_t i = 0; i < count; ++i)
    if (!std::isnan(logits[i]) && (best == count || logits[i] > logits[best]))
      best = i;
  return best;
}

int64_t Sampler::sample(const float *logits, int64_t count) {
  int64_t best = argmax(logits, count);
  if (best == count)
    throw Error("the model's logits are not numbers: the package is damaged");
  // Beside an infinite logit nothing else has any share.
  if (options.temperature == 0 || std::isinf(logits[best]))
    return best;
  double total = weigh(logits, count, logits[best]);
  if (options.topK > 0 || options.topP < 1)
    total = keepLikeliest(total);
  double target = uniform() * total;
  for (const Candidate &candidate : candidates)
    if ((target -= candidate.weight) < 0)
      return candidate.id;
  return candidates.back().id; // rounding left a crumb
}

bool Sampler::lessLikely(const Candidate &a, const Candidate &b) {
  return a.weight != b.weight ? a.weight < b.weight : a.id > b.id;
}

/// Fills `candidates` in order of id; returns the sum of their weights.
double Sampler::weigh(const float *logits, int64_t count, float best) {
  candidates.clear();
  double total = 0;
  for (int64_t i = 0; i < count; ++i) {
    // Relative to the best, so that nothing overflows.
    double weight = std::exp((double(logits[i]) - best) / options.temperature);
    if (!(weight > 0))
      continue; // NaN, -inf, or too small to matter
    candidates.push_back({weight, i});
    total += weight;
  }
  return total;
}

/// Leaves what topK and topP let through, likeliest first; returns the sum of the weights left.
double Sampler::keepLikeliest(double total) {
  if (options.topK == 0)
    return takeLikeliest(candidates.size(), options.topP * total);
  double kept = takeLikeliest(options.topK, total);
  return options.topP == 1 ? kept : takeLikeliest(candidates.size(), options.topP * kept);
}

/// Leaves the likeliest candidates, at most `limit` and no more than needed to reach `wanted`
/// weight. A heap, because mostly a few dozen of many thousands are taken.
double Sampler::takeLikeliest(size_t limit, double wanted) {
  auto begin = candidates.begin(), heapEnd = candidates.end();
  std::make_heap(begin, heapEnd, lessLikely);
  limit = std::min(limit, candidates.size());

  // Popping moves the likeliest to the end of the shrinking heap.
  double reached = 0;
  size_t taken = 0;
  while (taken < limit && (taken == 0 || reached < wanted)) {
    std::pop_heap(begin, heapEnd--, lessLikely);
    reached += heapEnd->weight;
    ++taken;
  }
  std::reverse(begin, candidates.end());
  candidates.resize(taken);
  return reached;
}

/// In [0, 1). The standard's distributions differ between libraries, the generator does not.
double Sampler::uniform() { return (generator() >> 11) * 0x1p-53; }
