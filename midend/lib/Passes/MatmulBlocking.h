// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// How much of a product is gone through at once: what tiling and vectorization agree on.

#ifndef BUDDY_LIB_PASSES_MATMULBLOCKING_H
#define BUDDY_LIB_PASSES_MATMULBLOCKING_H

#include "buddy/IR/BuddyDialect.h"

namespace buddy {

/// Goto and van de Geijn's blocks (2008), of which each level is left out where it costs more than
/// it saves: a block of the depth of both operands stays in the caches while all columns of the
/// tile are computed from it.
struct MatmulBlocking {
  /// For operands on tensors, which are contiguous, or on memrefs; `amxRows` as `fillsTiles` has
  /// it.
  MatmulBlocking(MatmulOp op, int64_t amxRows);

  /// No cache is known to hold the right-hand side.
  bool comesFromMemory = false;
  /// The left-hand side comes from memory and is the larger operand: rows are gone through once.
  bool streamsLhs = false;
  /// Few rows read such a one once, as it lies: row after row, a few side by side.
  bool streams = false;
  /// Few rows are multiplied by rows of a transposed right-hand side as these lie.
  bool alongRows = false;
  /// Elements of a block; 0: all of them at once.
  int64_t depth = 0;
  /// The result is too narrow for sums to wait there from one block to the next.
  bool waitsAside = false;
  /// Rows of lhs are copied: where they lie they share too few lines of the L1 cache.
  bool copiesLhs = false;
};

/// Rows of a register tile, at most.
constexpr int64_t kRegisterRows = 12;

/// Rows that keep a tile of lhs in L1 or L2: a multiple of every register tile's height up to 12.
constexpr int64_t kTileRows = 96;

/// Rows that are copied, or whose sums wait aside, at most.
constexpr int64_t kMostBlockRows = 288;

/// Columns of sums that wait aside, at most: a multiple of every panel's width.
constexpr int64_t kWaitingColumns = 512;

/// Rows that leave the multiply-add units waiting for what they read of the right-hand side, and
/// whose sums stay in L1 beside a page of it.
constexpr int64_t kFewRows = 8;

/// Whether an operand, of which a tile sees some rows or columns, is larger than a cache.
bool comesFromMemory(mlir::Value operand);

/// Whether AMX's tiles compute the product: there may be rows enough. Where the CPU has none,
/// `amxRows`, those of a tile, is 1.
bool fillsTiles(MatmulOp op, int64_t amxRows);

/// Whether the product has so few rows that it goes along those of a transposed right-hand side as
/// these lie: nothing is packed, but the lanes of each sum are added up.
bool isAlongRows(MatmulOp op);

/// Columns of a streamed right-hand side that are read in one go, a page of them.
inline int64_t streamedColumns(mlir::Type element) {
  return 4096 * 8 / element.getIntOrFloatBitWidth();
}

} // namespace buddy

#endif
