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
// The packed right-hand side is read in exactly the order of its memory. A row of the
// left-hand side is one run of elements, or several of the same length.
//
// A right-hand side that lies as it is is packed panel by panel into a scratch that stays in
// the cache, or, where one register tile covers all rows, read where it lies: then memory is
// asked for it ahead of time, for it does not guess that whole rows follow each other.

#ifndef BUDDY_LIB_PASSES_PRODUCTEMITTER_H
#define BUDDY_LIB_PASSES_PRODUCTEMITTER_H

#include "AMXTile.h"
#include "ProductTiling.h"

namespace buddy {

/// An unpacked right-hand side: `[..., K, N]`, or `[..., N, K]` if `transposed`.
struct UnpackedRhs {
  mlir::Value matrix;
  bool transposed;
};

class ProductEmitter {
public:
  using Value = mlir::Value;
  using Values = LoopBuilder::Values;

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
    Value lhsStride = {}; // elements from one row to the next, where lhs's type does not say
  };

  /// With packed panels.
  ProductEmitter(LoopBuilder &b, Value lhs, Value panels, Value out, ProductTiling tiling);
  /// With an unpacked right-hand side, from which at most `depth` elements are packed at once;
  /// 0 reads it where it lies.
  ProductEmitter(LoopBuilder &b, Value lhs, const UnpackedRhs &rhs, Value out, int64_t depth,
                 ProductTiling tiling);

  /// What `lhsAt` indexes from now on.
  void readFrom(Value memref) { lhs = memref; }
  /// Where results go from now on.
  void writeTo(Value memref) { out = memref; }
  /// From now on, fetch what is `steps` steps ahead of those that are read.
  void fetchAhead(int64_t steps) { ahead = steps; }
  /// What will be packed next lies so much farther: from now on, ask for it while packing.
  void fetchNextPanels(Value depth, Value columns) { nextDepth = depth, nextColumns = columns; }
  /// Calls `body` within a loop over the panels of columns `first`, which begins one, to `end`.
  void forEachPanel(Value first, Value end, llvm::function_ref<void()> body);
  /// Which matrix of its batch an unpacked right-hand side is, for what follows.
  void startMatrix(Values indices) { batch = indices; }
  /// Columns that are packed at once: of a row so many lie side by side.
  static constexpr int64_t packedColumns = 128;
  /// Packs `depth` elements, from `from` on, of columns `first` to `end`.
  void packPanels(Value from, Value depth, Value first, Value end);
  /// The product of `rows` and the panel at hand.
  void emitRows(const Rows &rows);

private:
  Value loadRow(Value k, int64_t vector);
  void fetchNext(Values indices);
  void packStep(Value from, Value depth, Value step);
  void packTransposed(Value from, Value depth);
  Value place();
  void storeStep(Value step, int64_t vector, Value value);
  Value loadStep(Value step, int64_t vector);
  Values placeOf(Value step, int64_t vector);
  bool fillsTiles();
  void emitTileRows();
  void emitTileBlocks();
  void emitTiles(Value row, int64_t rowTiles, Value before);
  void emitVectorRows();
  void emitBlock(Value row, int64_t count);
  Values accumulate(Value row, int64_t count);
  Values accumulateRun(Value row, int64_t count, Value run, Values sums);
  int64_t sumsOf(int64_t count) const;
  Values addStep(Value row, int64_t count, Value step, mlir::ValueRange sums, bool partial);
  Values addDot(Value row, int64_t count, Value step, mlir::ValueRange sums, bool partial);
  Values addProducts(Value row, int64_t count, Value step, mlir::ValueRange sums, bool partial);
  llvm::SmallVector<Values> loadPanelStep(Value step);
  Value loadWord(Value row, Value step, bool partial);
  Value shift();
  Value spread(Value word);
  Value packedStep(Value step);
  void storeSums(Value row, int64_t count, mlir::ValueRange sums);
  Value loadOut(Value row, int64_t vector);

  LoopBuilder &b;
  ProductTiling tiling;
  Value lhs, out;
  Value panels; // [panel, step, nr * kr]: all of them, or the scratch that holds some
  UnpackedRhs source = {};
  mlir::Type lhsElement, rhsElement;
  mlir::VectorType sumType;
  std::optional<AMXTile> tile;
  int64_t ahead = 0;
  Value nextDepth, nextColumns;
  // Of what is being emitted.
  Value panel, firstPacked, run;
  Values batch, columns, masks;
  const Rows *rows = nullptr;
};

} // namespace buddy

#endif // BUDDY_LIB_PASSES_PRODUCTEMITTER_H
