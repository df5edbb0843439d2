// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The right-hand side of a product, panel by panel. A packed one is read in exactly the order of
// its memory. One that lies as it is is packed panel by panel into a scratch that stays in the
// cache, or, where one register tile covers all rows, read where it lies: then memory is asked for
// it ahead of time, for it does not guess that whole rows follow each other.

#ifndef BUDDY_LIB_PASSES_RIGHTHANDSIDE_H
#define BUDDY_LIB_PASSES_RIGHTHANDSIDE_H

#include "LoopBuilder.h"
#include "ProductTiling.h"

namespace buddy {

class RightHandSide {
public:
  using Value = mlir::Value;
  using Values = LoopBuilder::Values;

  /// Packed: `[N/nr, K/kr, nr, kr]`.
  RightHandSide(LoopBuilder &b, Value packed, const ProductTiling &tiling);
  /// As it lies: `[..., K, N]`, or `[..., N, K]` if `transposed`, from which at most `depth`
  /// elements are packed at once; 0 reads it where it lies.
  RightHandSide(LoopBuilder &b, Value matrix, bool transposed, int64_t depth,
                const ProductTiling &tiling);

  /// From now on, fetch what is `steps` steps ahead of those that are read.
  void fetchAhead(int64_t steps) { ahead = steps; }
  /// What will be packed next lies so much farther: from now on, ask for it while packing.
  void fetchNextPanels(Value depth, Value columns) { nextDepth = depth, nextColumns = columns; }
  /// Which matrix of its batch it is, for what follows.
  void startMatrix(Values indices) { batch = indices; }

  /// Calls `body` within a loop over the panels of columns `first`, which begins one, to `end`.
  void forEachPanel(Value first, Value end, llvm::function_ref<void()> body);
  /// The same for `count` columns of a group, from `first` on, whose panels begin with number
  /// `firstPanel`.
  void forEachPanelOfGroup(Value first, int64_t count, Value firstPanel,
                           llvm::function_ref<void()> body);
  /// Columns that are packed at once: of a row so many lie side by side.
  static constexpr int64_t packedColumns = 128;
  /// Packs `depth` elements, from `from` on, of columns `first` to `end`.
  void packPanels(Value from, Value depth, Value first, Value end);

  /// All packed panels or the scratch, `[panel, step, nr * kr]`; none if read where it lies.
  Value panels;
  /// Where the panel at hand lies among them.
  Value place();
  /// Of the panel at hand: the column with which each of its vectors begins, and which lanes of it
  /// are columns; none: all.
  Values columns, masks;
  /// One vector of a step of the panel at hand, counted from the first that `panels` holds or the
  /// matrix has.
  Value loadStep(Value step, int64_t vector);
  /// Asks for a line of the panel after the one at hand: that of a vector of a step.
  void fetchNextPanel(Value step, Value vector);
  /// Whether that is to be done: the panels come from memory.
  bool fetchesPanels = false;

  /// How the panel at hand fills the registers.
  const ProductTiling &panelTiling() const { return tiling; }

private:
  void emitLastPanel(Value number, int64_t count, llvm::function_ref<void()> body);
  void startPanel(Value number, Value column, Value left, bool isWhole);
  Value loadRow(Value k, int64_t vector);
  void fetchNext(Values indices);
  void packStep(Value from, Value depth, Value step);
  void packTransposed(Value from, Value depth);
  void storeStep(Value step, int64_t vector, Value value);
  Values placeOf(Value step, int64_t vector);

  LoopBuilder &b;
  ProductTiling tiling;
  mlir::Type element;
  Value matrix; // unpacked
  bool transposed = false;
  int64_t ahead = 0;
  Value nextDepth, nextColumns, panel, firstPacked;
  Values batch;
};

} // namespace buddy

#endif // BUDDY_LIB_PASSES_RIGHTHANDSIDE_H
