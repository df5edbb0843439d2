// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A block of a product in AMX's tile registers: two by two tiles of sums, two tiles of the
// left-hand side and two of the right one are all eight registers.
//
// Tiles have rows of 64 bytes: those of the right-hand side 16, those of the left one and of sums
// as many, up to 16, as cut all rows evenly. LLVM gives a register one shape for a whole function,
// so that tiles of other shapes would take registers from these: what ends early is padded.

#ifndef BUDDY_LIB_PASSES_AMXTILE_H
#define BUDDY_LIB_PASSES_AMXTILE_H

#include "LoopBuilder.h"

#include "mlir/Dialect/AMX/AMXDialect.h"

namespace buddy {

class AMXTile {
public:
  using Value = mlir::Value;
  using Values = LoopBuilder::Values;

  static constexpr int64_t mostRows = 16;  // of a tile
  static constexpr int64_t fewestRows = 7; // which vectors take longer to multiply
  static constexpr int64_t columns = 16;   // of a tile of sums
  static constexpr int64_t mostTiles = 2;  // of sums, along either dimension of a block

  /// One operand of a block.
  struct Operand {
    Value memref;
    Value stride; // elements from one row to the next; none: the memref's
    /// The indices of an element of one run of the depth. Lhs: row `i`, element `j` of the depth.
    /// Rhs: packed step `i`, column `j`.
    llvm::function_ref<Values(Value run, Value i, Value j)> at;
  };

  /// What is done for a run, and a loop over runs that does it, with values carried.
  using RunBody = llvm::function_ref<Values(Value run, mlir::ValueRange carried)>;
  using OverRuns = llvm::function_ref<Values(mlir::ValueRange carried, RunBody body)>;

  struct Block {
    int64_t rowTiles, columnTiles;
    OverRuns overRuns; // of which the depth consists; several are whole steps each
    Value depth;       // elements of one run
    Operand lhs, rhs;
    /// Asks for what comes next, while the step that begins with element `k` is multiplied.
    llvm::function_ref<void(Value run, Value k)> fetchNext = {};
    /// Where the sums go, row `i`, column `j`; none: to a scratch, until the next block.
    std::optional<Operand> sums = {};
    bool adds = false; // to what stands there
  };

  /// Elements of the depth, bf16 or i8, of which a row of a tile consists.
  static int64_t stepDepth(mlir::Type element) { return 512 / element.getIntOrFloatBitWidth(); }

  /// Rows of the tiles that cut so many, if it is known how many, evenly.
  static int64_t heightFor(std::optional<int64_t> count);

  /// Of bf16 into f32 or of i8 into i32, with scratch where `b` stands.
  AMXTile(LoopBuilder &b, mlir::Type element, int64_t height);

  const int64_t height; // rows of a tile of sums

  /// Adds up the products of a block.
  void compute(const Block &block);
  /// A vector of sums: a row of one tile.
  Value loadSums(Value row, int64_t columnTile);

private:
  Values addStep(const Operand &lhs, const Operand &rhs, Value run, Value k, mlir::ValueRange sums);
  Values addPadded(mlir::ValueRange sums);
  void forEachTile(llvm::function_ref<void(Value i, Value j)> body);
  Value multiply(Value left, Value right, Value sum);
  Value loadTile(mlir::amx::TileType type, const Operand &operand, Value run, Value i, Value j);
  void padLhs(Value k, Value left);
  void padRhs(Value first, Value count);

  LoopBuilder &b;
  mlir::Type element, sum;
  int64_t depth;                // of a step
  int64_t kr;                   // elements of the depth in one packed step
  Value sums;                   // [rows, columns] of a block
  Value paddedLhs, paddedRhs;   // the step of a block of which only a part exists
  const Block *block = nullptr; // being computed
};

} // namespace buddy

#endif // BUDDY_LIB_PASSES_AMXTILE_H
