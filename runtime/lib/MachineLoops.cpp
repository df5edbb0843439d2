// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Loops that do nothing but what a limit is made of, in the widest vectors of this CPU. Sixteen
// independent sums hide the latency of a multiply-add on every CPU that we know.

#include "Machine.h"
#include "buddy/runtime/CpuFeatures.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

using namespace buddy::runtime;

namespace {

constexpr int chains = 16;
constexpr double multiplyAdd = 2; // operations

/// Neither the compiler nor a denormal may shorten the loops.
volatile float one = 1, tiny = 1e-3f, sink;

#if defined(__x86_64__)
bool has(const char *feature) { return missingFeatures({feature}).empty(); }

__attribute__((target("avx512f"))) double multiplyAddAvx512(int64_t rounds) {
  __m512 sums[chains], a = _mm512_set1_ps(one), b = _mm512_set1_ps(tiny);
  for (__m512 &sum : sums)
    sum = b;
  for (int64_t round = 0; round < rounds; ++round)
    for (__m512 &sum : sums)
      sum = _mm512_fmadd_ps(sum, a, b);
  for (const __m512 &sum : sums)
    sink = _mm512_cvtss_f32(sum);
  return multiplyAdd * 16 * chains * rounds;
}

__attribute__((target("avx2,fma"))) double multiplyAddAvx2(int64_t rounds) {
  constexpr int registers = 12; // of sixteen: a and b need theirs
  __m256 sums[registers], a = _mm256_set1_ps(one), b = _mm256_set1_ps(tiny);
  for (__m256 &sum : sums)
    sum = b;
  for (int64_t round = 0; round < rounds; ++round)
    for (__m256 &sum : sums)
      sum = _mm256_fmadd_ps(sum, a, b);
  for (const __m256 &sum : sums)
    sink = _mm256_cvtss_f32(sum);
  return multiplyAdd * 8 * registers * rounds;
}

__attribute__((target("avx512f,avx512bf16"))) double dotAvx512(int64_t rounds) {
  __m512 sums[chains];
  for (__m512 &sum : sums)
    sum = _mm512_set1_ps(tiny);
  __m512bh a = _mm512_cvtne2ps_pbh(_mm512_set1_ps(one), _mm512_set1_ps(one));
  __m512bh b = _mm512_cvtne2ps_pbh(_mm512_set1_ps(tiny), _mm512_set1_ps(tiny));
  for (int64_t round = 0; round < rounds; ++round)
    for (__m512 &sum : sums)
      sum = _mm512_dpbf16_ps(sum, a, b);
  for (const __m512 &sum : sums)
    sink = _mm512_cvtss_f32(sum);
  return multiplyAdd * 32 * chains * rounds;
}

__attribute__((target("avx512f"))) uint64_t readAvx512(const uint64_t *begin, const uint64_t *end) {
  __m512i sums[4] = {};
  for (; begin + 32 <= end; begin += 32)
    for (int lane = 0; lane < 4; ++lane)
      sums[lane] = _mm512_add_epi64(sums[lane], _mm512_loadu_si512(begin + 8 * lane));
  uint64_t lanes[32], total = 0;
  for (int lane = 0; lane < 4; ++lane)
    _mm512_storeu_si512(lanes + 8 * lane, sums[lane]);
  for (uint64_t lane : lanes)
    total += lane;
  return total;
}
#endif

#if defined(__FP_FAST_FMAF)
float step(float sum, float a, float b) { return __builtin_fmaf(sum, a, b); }
#else
float step(float sum, float a, float b) { return sum * a + b; }
#endif

/// The compiler's own vectors of four.
double multiplyAddAny(int64_t rounds) {
  constexpr int lanes = 4 * chains;
  float sums[lanes], a = one, b = tiny;
  for (float &sum : sums)
    sum = b;
  for (int64_t round = 0; round < rounds; ++round)
    for (float &sum : sums)
      sum = step(sum, a, b);
  for (float sum : sums)
    sink = sum;
  return multiplyAdd * lanes * rounds;
}

uint64_t readAny(const uint64_t *begin, const uint64_t *end) {
  uint64_t sums[32] = {};
  for (; begin + 32 <= end; begin += 32)
    for (int lane = 0; lane < 32; ++lane)
      sums[lane] += begin[lane];
  uint64_t total = 0;
  for (uint64_t sum : sums)
    total += sum;
  return total;
}

} // namespace

#if defined(__x86_64__)
double buddy::runtime::multiplyAddF32(int64_t rounds) {
  static const bool avx512 = has("avx512f"), avx2 = has("avx2") && has("fma");
  return avx512 ? multiplyAddAvx512(rounds)
         : avx2 ? multiplyAddAvx2(rounds)
                : multiplyAddAny(rounds);
}

bool buddy::runtime::hasDotBF16() { return has("avx512f") && has("avx512bf16"); }
double buddy::runtime::dotBF16(int64_t rounds) { return dotAvx512(rounds); }

uint64_t buddy::runtime::readAll(const uint64_t *begin, const uint64_t *end) {
  static const bool avx512 = has("avx512f");
  return avx512 ? readAvx512(begin, end) : readAny(begin, end);
}
#else
double buddy::runtime::multiplyAddF32(int64_t rounds) { return multiplyAddAny(rounds); }
bool buddy::runtime::hasDotBF16() { return false; }
double buddy::runtime::dotBF16(int64_t rounds) { return multiplyAddAny(rounds); }
uint64_t buddy::runtime::readAll(const uint64_t *begin, const uint64_t *end) {
  return readAny(begin, end);
}
#endif
