// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What this machine can do at most: the roofs that kernels are compared with.

#ifndef BUDDY_RUNTIME_LIB_MACHINE_H
#define BUDDY_RUNTIME_LIB_MACHINE_H

#include <cstdint>
#include <string>

namespace buddy::runtime {

/// Measured, all threads together. Rates are per second.
struct Machine {
  std::string cpu;
  int threads = 0;
  double f32 = 0;    // operations of fused multiply-adds out of registers
  double bf16 = 0;   // operations of bf16 dot products; f32's where the CPU has none
  double memory = 0; // bytes read from memory
  double cache = 0;  // bytes read from the last level of cache; 0 where its size is unknown
  int64_t cacheBytes = 0;
  /// Nanoseconds that a line takes to another core and back, 0 with one thread. Virtual machines
  /// move between cores that share a cache and cores that do not: kernels that read what another
  /// thread wrote then take several times as long.
  double roundTrip = 0;

  /// Operations per second on "f32", "bf16" or "f64".
  double peak(const std::string &arithmetic) const;
  double bandwidth(bool fitsCache) const { return fitsCache && cache > 0 ? cache : memory; }
};

/// Takes about a second. Not kept for the next time: what a machine gives drifts, with virtual
/// ones by half, and kernels are compared with what it gives now.
Machine measureMachine(int threads);

/// The loops that are measured, on one thread. Each returns the work it did.
double multiplyAddF32(int64_t rounds);
bool hasDotBF16();
double dotBF16(int64_t rounds);
/// Reads every byte; the sum keeps the loads alive.
uint64_t readAll(const uint64_t *begin, const uint64_t *end);

} // namespace buddy::runtime

#endif // BUDDY_RUNTIME_LIB_MACHINE_H
