// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Register-tiled products with a packed right-hand side: what matmuls and convolutions
// have in common.
//
//   for panel n of nr columns:                  rhs[n] streams through the cache once
//     for block of `rows` rows:                 rows x nr sums live in registers
//       for k: sums[i, :] += lhs[i, k] * rhs[n, k, :]
//       out[block, panel] = sums                 masked where the last panel ends early
//
// Where the CPU has AMX, its tiles take blocks of 32 rows by a panel, and vectors the few rows that
// fill no tile.
//
// A row of the left-hand side is one run of elements, or several of the same length.

#ifndef BUDDY_LIB_PASSES_PRODUCTEMITTER_H
#define BUDDY_LIB_PASSES_PRODUCTEMITTER_H

#include "AMXTile.h"
#include "Epilogue.h"
#include "RightHandSide.h"

namespace buddy {

class ProductEmitter {
public:
  using Value = mlir::Value;
  using Values = LoopBuilder::Values;

  using OverRuns = AMXTile::OverRuns;

  /// Rows that one loop runs over, and where they lie.
  struct Rows {
    Value count;
    int64_t runs; // of which a row consists
    Value depth;  // elements of one run
    bool adds;    // to what stands in out
    Value from; // the element of rhs that the depth begins with, if not its or the scratch's first
    /// The indices of element k of a run of a row, in lhs.
    llvm::function_ref<Values(Value row, Value run, Value k)> lhsAt;
    /// The indices of a row's column, in out.
    llvm::function_ref<Values(Value row, Value column)> outAt;
    Value lhsStride = {};   // elements from one row to the next, where lhs's type does not say
    OverRuns overRuns = {}; // loops over the runs that add something, if not all of them do
    /// Of what lhs is gone through next, the element to fetch while this one is read; may be none.
    llvm::function_ref<Values(Value row, Value k)> nextAt = {};
    bool isLast = true;  // part of the depth: nothing is added to the sums later
    bool byTiles = true; // AMX's tiles may take them: the rows of a tile lie evenly
    Value before = {};   // rows that have gone through the panel at hand; none: no one has
    std::optional<int64_t> total = {}; // rows that do so, if it is known how many
  };

  /// Of several that share a vector: lhs has `depth` elements of one after those of the other.
  struct Group {
    int64_t depth, columns;
  };

  /// AMX's tiles, where they are used, cut `knownRows` evenly, if there is such a number.
  ProductEmitter(LoopBuilder &b, Value lhs, RightHandSide &rhs, Value out,
                 std::optional<int64_t> knownRows);

  /// What `lhsAt` indexes from now on.
  void readFrom(Value memref) { lhs = memref; }
  /// Where results go from now on.
  void writeTo(Value memref) { out = memref; }
  /// Sums that are complete go to `epilogue`, in place of memory.
  void finishWith(EpilogueEmitter *taker) { epilogue = taker; }
  /// From now on, each lane reads the elements of lhs that are its group's.
  void shareLanes(Group described) { group = described; }
  /// The product of `rows` and the panel at hand.
  void emitRows(const Rows &rows);

private:
  bool fillsTiles();
  void emitTileRows();
  void emitTileBlocks();
  void emitTiles(Value row, int64_t rowTiles, Value before);
  void fetchTiles(Value row, Value iv, Value k);
  void emitVectorRows();
  void emitBlock(Value row, int64_t count);
  Values accumulate(Value row, int64_t count);
  Values overRuns(mlir::ValueRange carried, AMXTile::RunBody body);
  Values accumulateRun(Value row, int64_t count, Value run, Values sums);
  int64_t sumsOf(int64_t count) const;
  void fetchNext(Value row, int64_t count, Value step);
  Value blockOf(Value row, int64_t count);
  void fetchNextPanel(Value row, int64_t count, Value step, int64_t steps);
  Values addStep(Value row, int64_t count, Value step, mlir::ValueRange sums, bool partial);
  Values addDot(Value row, int64_t count, Value step, mlir::ValueRange sums, bool partial);
  Values addProducts(Value row, int64_t count, Value step, mlir::ValueRange sums, bool partial);
  llvm::SmallVector<Values> loadPanelStep(Value step);
  Value loadWord(Value row, Value step, bool partial);
  Value shift();
  Value spread(Value word);
  Value loadGroups(Value row, int64_t vector, int64_t element, int64_t count);
  Value loadFactor(Value row, Value k);
  Value packedStep(Value step);
  void storeSums(Value row, int64_t count, mlir::ValueRange sums);
  Value loadOut(Value row, int64_t vector);

  LoopBuilder &b;
  RightHandSide &rhs;
  const ProductTiling &tiling;
  Value lhs, source, out; // source: of which lhs may be a copy
  mlir::Type lhsElement;
  mlir::VectorType sumType;
  std::optional<AMXTile> tile;
  EpilogueEmitter *epilogue = nullptr;
  std::optional<Group> group;
  // Of what is being emitted.
  Value run;
  const Rows *rows = nullptr;
};

} // namespace buddy

#endif // BUDDY_LIB_PASSES_PRODUCTEMITTER_H
