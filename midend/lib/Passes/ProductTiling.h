// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// How the registers are filled by a product, and which products can be.

#ifndef BUDDY_LIB_PASSES_PRODUCTTILING_H
#define BUDDY_LIB_PASSES_PRODUCTTILING_H

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Value.h"

namespace buddy {

/// How one product is cut: all that depends on types, not on values.
struct ProductTiling {
  int64_t lanes;   // columns of one vector of sums
  int64_t vectors; // vectors across a panel
  int64_t rows;    // rows of a full register tile
  int64_t kr;      // depth of one packed step
  bool dot;        // a dot product of the CPU adds a whole step at once
  bool shifts;     // lhs by 128: it holds signed bytes, and that dot product takes unsigned ones
  bool tiles;      // AMX's tile registers hold the sums of 16 rows and more
  mlir::Type sum;  // what products are added up in

  /// What there is to fill. `rows` 0: sums take three quarters of the registers.
  struct Machine {
    int64_t vectorBits, rows;
    bool hasBF16Dot, hasInt8Dot, hasBF16Tiles, hasInt8Tiles; // dot products, and AMX's tiles
  };

  /// For a left-hand side of this element type and these panels.
  ProductTiling(mlir::Type lhs, mlir::MemRefType panels, Machine machine);
  /// For an unpacked right-hand side. Few rows, if they are known to be, get wide panels.
  ProductTiling(mlir::Type lhs, mlir::Type rhs, std::optional<int64_t> knownRows, Machine machine);

  int64_t width() const { return lanes * vectors; }
  /// Of fewer vectors across, and more rows.
  void setVectors(int64_t count);

private:
  void setLanes(mlir::Type lhs, mlir::Type rhs, int64_t width, Machine machine);
};

/// Rows, `most` at most, of the tiles that cover `count` rows evenly: 13 rows go as 7 + 6, not 12
/// + 1.
int64_t evenRows(int64_t count, int64_t most);

/// Registers that hold sums: three quarters of all; the rest holds the operands of a step.
int64_t registersForSums(int64_t vectorBits);

/// Why no product can be emitted for these memrefs; empty if one can.
llvm::StringRef refuseProduct(mlir::Value lhs, mlir::Value rhs, mlir::Value out,
                              const ProductTiling::Machine &machine);

} // namespace buddy

#endif // BUDDY_LIB_PASSES_PRODUCTTILING_H
