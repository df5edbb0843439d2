// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Elementwise ops that write in another order than they read: by squares, or channels by turns.

#ifndef BUDDY_LIB_PASSES_GENERICTRANSPOSITION_H
#define BUDDY_LIB_PASSES_GENERICTRANSPOSITION_H

#include <cstdint>

namespace buddy {

/// Rows of a square: more vectors would not fit the registers.
constexpr int64_t kSquareRows = 16;

/// Channels that are interleaved: more would take as long as squares do.
constexpr int64_t kMostInterleaved = 8;

/// Rows of squares that stay in registers until they are interleaved.
constexpr int64_t kMostRows = 32;

} // namespace buddy

#endif // BUDDY_LIB_PASSES_GENERICTRANSPOSITION_H
