// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "buddy/runtime/Sampler.h"
#include "TestSupport.h"

#include <cmath>
#include <limits>
#include <set>

using namespace buddy::runtime;
using namespace buddy::runtime::test;

namespace {

constexpr float notANumber = std::numeric_limits<float>::quiet_NaN();
constexpr float infinity = std::numeric_limits<float>::infinity();

int64_t sampleOnce(const SamplerOptions &options, const std::vector<float> &logits) {
  return Sampler(options, logits.size()).sample(logits.data(), logits.size());
}

/// How often each id comes in `draws`.
std::vector<double> frequencies(const SamplerOptions &options, const std::vector<float> &logits,
                                int draws = 20'000) {
  Sampler sampler(options, logits.size());
  std::vector<double> counts(logits.size());
  for (int i = 0; i < draws; ++i)
    counts[sampler.sample(logits.data(), logits.size())] += 1.0 / draws;
  return counts;
}

SamplerOptions warm(int64_t topK = 0, double topP = 1, double temperature = 1) {
  SamplerOptions options;
  options.temperature = temperature;
  options.topK = topK;
  options.topP = topP;
  options.seed = 42;
  return options;
}

// Probabilities 0.5, 0.3, 0.15, 0.05, not in order.
const std::vector<float> logits = {std::log(0.15f), std::log(0.5f), std::log(0.05f),
                                   std::log(0.3f)};
const double tolerance = 0.015; // four standard deviations of 20,000 draws

} // namespace

TEST(Sampler, GreedyTakesTheFirstLargest) {
  EXPECT_EQ(sampleOnce({}, {1, 3, 3, 2}), 1);
  EXPECT_EQ(sampleOnce({}, {-5}), 0);
}

TEST(Sampler, DrawsByProbability) {
  std::vector<double> seen = frequencies(warm(), logits);
  EXPECT_NEAR(seen[0], 0.15, tolerance);
  EXPECT_NEAR(seen[1], 0.50, tolerance);
  EXPECT_NEAR(seen[2], 0.05, tolerance);
  EXPECT_NEAR(seen[3], 0.30, tolerance);
}

TEST(Sampler, TemperatureSharpens) {
  // At temperature 1/2 the probabilities are squared.
  double total = 0.25 + 0.09 + 0.0225 + 0.0025;
  EXPECT_NEAR(frequencies(warm(0, 1, 0.5), logits)[1], 0.25 / total, tolerance);
  EXPECT_NEAR(frequencies(warm(0, 1, 1e-9), logits)[1], 1, 1e-9);
}

TEST(Sampler, TopKKeepsTheLikeliest) {
  std::vector<double> seen = frequencies(warm(2), logits);
  EXPECT_EQ(seen[0] + seen[2], 0);
  EXPECT_NEAR(seen[1], 0.625, tolerance);
  EXPECT_NEAR(frequencies(warm(1), logits)[1], 1, 1e-9);
  EXPECT_NEAR(frequencies(warm(99), logits)[2], 0.05, tolerance);
}

TEST(Sampler, TopPKeepsTheNucleus) {
  std::vector<double> seen = frequencies(warm(0, 0.7), logits);
  EXPECT_EQ(seen[0] + seen[2], 0);
  EXPECT_NEAR(seen[1], 0.625, tolerance);
  EXPECT_NEAR(frequencies(warm(0, 1e-6), logits)[1], 1, 1e-9) << "at least one token is kept";
}

TEST(Sampler, TopPCountsAfterTopK) {
  // Of the three left, 0.5/0.95 = 0.526 alone reaches 0.52, which 0.5 of all would not.
  EXPECT_NEAR(frequencies(warm(3, 0.52), logits)[1], 1, 1e-9);
  EXPECT_GT(frequencies(warm(0, 0.52), logits)[3], 0.1);
}

TEST(Sampler, SameSeedSameTokens) {
  std::vector<float> many(1000);
  for (size_t i = 0; i < many.size(); ++i)
    many[i] = std::sin(double(i));
  auto draw = [&](SamplerOptions options) {
    Sampler sampler(options, many.size());
    std::vector<int64_t> ids;
    for (int i = 0; i < 50; ++i)
      ids.push_back(sampler.sample(many.data(), many.size()));
    return ids;
  };
  SamplerOptions other = warm(40, 0.95);
  other.seed = 43;
  EXPECT_EQ(draw(warm(40, 0.95)), draw(warm(40, 0.95)));
  EXPECT_NE(draw(warm(40, 0.95)), draw(other));
}

TEST(Sampler, EqualLogitsPreferLowIds) {
  std::vector<float> equal(10, 1.0f);
  std::vector<double> seen = frequencies(warm(3), equal);
  EXPECT_NEAR(seen[0] + seen[1] + seen[2], 1, 1e-9);
}

TEST(Sampler, NeverChoosesNaN) {
  for (const SamplerOptions &options : {SamplerOptions(), warm(), warm(2), warm(0, 0.5)}) {
    EXPECT_EQ(sampleOnce(options, {notANumber, 1, notANumber}), 1);
    EXPECT_EQ(sampleOnce(options, {-infinity, -infinity, 0}), 2);
    EXPECT_EQ(sampleOnce(options, {0, infinity, notANumber}), 1);
    EXPECT_THROW(sampleOnce(options, {notANumber, notANumber}), Error);
  }
  EXPECT_EQ(sampleOnce(warm(), {-infinity, -infinity}), 0);
}

TEST(Sampler, RefusesOptionsOutOfRange) {
  EXPECT_THROW(Sampler(warm(-1), 4), ArgumentError);
  EXPECT_THROW(Sampler(warm(0, 0), 4), ArgumentError);
  EXPECT_THROW(Sampler(warm(0, 1.5), 4), ArgumentError);
  EXPECT_THROW(Sampler(warm(0, notANumber), 4), ArgumentError);
  EXPECT_THROW(Sampler(warm(0, 1, -1), 4), ArgumentError);
  EXPECT_THROW(Sampler(warm(0, 1, notANumber), 4), ArgumentError);
}
