// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The rows of a product that go by AMX's tiles.

#include "ProductEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace buddy;

using Values = LoopBuilder::Values;

/// Depth up to which storing the sums takes longer than vectors take to compute them.
constexpr int64_t kShallow = 8;

/// Whether tiles can take the rows, and are worth it.
bool ProductEmitter::fillsTiles() {
  if (!tile)
    return false;
  std::optional<int64_t> count = constantOf(rows->count), depth = constantOf(rows->depth);
  bool isDeep = !depth || rows->runs * *depth > kShallow;
  // What ends early is padded once, not run by run.
  bool isWhole = rows->runs == 1 || (depth && *depth % AMXTile::depth == 0);
  return isDeep && isWhole && (!count || *count >= AMXTile::rows);
}

void ProductEmitter::emitTileRows() {
  Value height = b.index(AMXTile::rows);
  Value fills = b.createOrFold<arith::CmpIOp>(arith::CmpIPredicate::uge, rows->count, height);
  b.when(fills, [&] { emitTileBlocks(); });
  // Of fewer rows the memory sets the pace.
  Value isLess = b.createOrFold<arith::CmpIOp>(arith::CmpIPredicate::ult, rows->count, height);
  b.when(isLess, [&] { emitVectorRows(); });
}

void ProductEmitter::emitTileBlocks() {
  int64_t blockRows = AMXTile::mostTiles * AMXTile::rows;
  Value whole = b.roundDown(rows->count, blockRows);
  b.loop(b.index(0), whole, blockRows,
         [&](Value row) { emitTiles(row, AMXTile::mostTiles, b.index(0)); });
  // The last tile ends where the rows end, and computes some of them again.
  b.loop(whole, rows->count, AMXTile::rows, [&](Value row) {
    Value first = b.min(row, b.sub(rows->count, b.index(AMXTile::rows)));
    emitTiles(first, 1, b.sub(row, first));
  });
}

/// Rows from `row` on, of which the first `before` are known already.
void ProductEmitter::emitTiles(Value row, int64_t rowTiles, Value before) {
  auto lhsAt = [&](Value run, Value i, Value k) { return rows->lhsAt(b.add(row, i), run, k); };
  auto rhsAt = [&](Value iv, Value step, Value column) {
    run = iv;
    return Values{source.matrix ? b.index(0) : panel, packedStep(step), b.mul(column, tiling.kr)};
  };
  tile->compute({rowTiles,
                 tiling.vectors,
                 rows->runs,
                 rows->depth,
                 {lhs, rows->lhsStride, lhsAt},
                 {panels, {}, rhsAt}});
  b.loop(before, b.index(rowTiles * AMXTile::rows), 1, [&](Value i) {
    Values sums;
    for (int64_t j = 0; j < tiling.vectors; ++j) {
      sums.push_back(tile->loadSums(i, j));
      if (rows->adds)
        sums[j] = arith::AddFOp::create(b, sums[j], loadOut(b.add(row, i), j));
    }
    storeSums(b.add(row, i), 1, sums);
  });
}
