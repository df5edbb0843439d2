// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef BUDDY_RUNTIME_SAMPLER_H
#define BUDDY_RUNTIME_SAMPLER_H

#include <cstdint>
#include <random>
#include <vector>

namespace buddy::runtime {

/// How the next token is chosen. Applied in this order: temperature, then topK, then topP, then a
/// draw; the order of Hugging Face's `generate`.
struct SamplerOptions {
  double temperature = 0; // 0: the most likely token, and nothing below matters
  int64_t topK = 0;       // only the K most likely; 0: all
  double topP = 1;        // only the fewest most likely whose probabilities reach P
  uint64_t seed = 0;
};

/// Chooses tokens. The same options and the same logits give the same tokens on every machine.
class Sampler {
public:
  /// Throws ArgumentError for options out of range. Allocates what sampling from `vocabSize`
  /// logits needs, so that sample() does not.
  Sampler(const SamplerOptions &options, int64_t vocabSize);

  /// The id drawn from `count` logits; between equals the lower id is the more likely. A NaN is
  /// never chosen. Throws Error when no logit is a number. O(count), plus O(log count) for each
  /// candidate that topK and topP let through.
  int64_t sample(const float *logits, int64_t count);

private:
  struct Candidate {
    double weight; // its share, not normalized
    int64_t id;
  };

  static bool lessLikely(const Candidate &a, const Candidate &b);
  double weigh(const float *logits, int64_t count, float best);
  double keepLikeliest(double total);
  double takeLikeliest(size_t limit, double wanted);
  double uniform();

  SamplerOptions options;
  std::mt19937_64 generator;
  std::vector<Candidate> candidates;
};

} // namespace buddy::runtime

#endif // BUDDY_RUNTIME_SAMPLER_H
