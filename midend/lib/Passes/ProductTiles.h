// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The tiles of a matrix product or a convolution, from its sizes and the machine.

#ifndef BUDDY_LIB_PASSES_PRODUCTTILES_H
#define BUDDY_LIB_PASSES_PRODUCTTILES_H

#include "Schedule.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace buddy {

/// What the size of a tile follows from: the machine, and how a kernel differs from its model.
struct TileModel {
  int64_t l1Bytes, l2Bytes, cores, amxRows;
  const Schedule &schedule;
};

/// How a product is cut: sizes of the tiles, and the loops over them, the outermost first.
struct ProductTiles {
  llvm::SmallVector<int64_t> sizes, order;
};

/// Tiles of the product that the kernel computes; none if it computes none.
ProductTiles productTiles(mlir::func::FuncOp kernel, const TileModel &model);

/// The largest divisor of `extent` that is at most `most`, unless all are far below: whole tiles
/// have static sizes.
int64_t evenTile(int64_t extent, int64_t most);

} // namespace buddy

#endif // BUDDY_LIB_PASSES_PRODUCTTILES_H
