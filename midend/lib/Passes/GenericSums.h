// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Loops of reductions, of GenericEmitter: long sums as sums of partial sums.

#ifndef BUDDY_LIB_PASSES_GENERICSUMS_H
#define BUDDY_LIB_PASSES_GENERICSUMS_H

#include <cstdint>

namespace buddy {

/// Summands of a partial sum, and partial sums of a larger one. What rounding loses of a sum grows
/// with those that follow each other.
constexpr int64_t kSummands = 32;

} // namespace buddy

#endif // BUDDY_LIB_PASSES_GENERICSUMS_H
