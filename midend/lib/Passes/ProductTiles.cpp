// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ProductTiles.h"

#include "Extents.h"
#include "MatmulBlocking.h"
#include "buddy/IR/BuddyDialect.h"

using namespace mlir;
using namespace buddy;

/// Tiles that a packed product should have, so that threads have several each.
constexpr int64_t kFewestTiles = 16;

/// Panels that a copy of rows serves at least.
constexpr int64_t kPanelsOfCopy = 4;

/// Columns of a tile of groups, at most, if one is not wider, and of a streamed tile, at least.
constexpr int64_t kTileColumns = 128;

/// Groups of lines of an image that a thread should have at least, where it goes through each once.
constexpr int64_t kFewestLines = 16;

/// Tiles that a streamed right-hand side should be cut into at least.
constexpr int64_t kFewestStreams = 4;

/// Rows of a tile, a multiple of `unit`, so that known ones are cut evenly: 128 as 64 + 64, not as
/// 96 + 32.
static int64_t tileRows(int64_t rows, int64_t unit, int64_t most) {
  if (ShapedType::isDynamic(rows) || rows <= most)
    return most;
  return llvm::alignTo(llvm::divideCeil(rows, llvm::divideCeil(rows, most)), unit);
}

/// Columns, in panels: enough that every thread gets several tiles, and that stay in half of L2.
static int64_t tilePanels(int64_t panels, int64_t panelBytes, int64_t fewest,
                          const TileModel &model) {
  int64_t fitting = std::max<int64_t>(1, model.l2Bytes / 2 / std::max<int64_t>(1, panelBytes));
  int64_t most = std::min(fitting, std::max(fewest, panels / kFewestTiles));
  most = model.schedule.scaledColumns(most);
  return llvm::divideCeil(panels, llvm::divideCeil(panels, most));
}

/// The depth that a tile goes through at once.
static int64_t depthAtOnce(MatmulOp op, const TileModel &model) {
  int64_t block = MatmulBlocking(op, model.amxRows).depth;
  return block ? block
               : typicalIfDynamic(cast<ShapedType>(op.getLhs().getType()).getShape().back());
}

static int64_t tileColumns(ShapedType rhs, int64_t depth, int64_t fewestPanels,
                           const TileModel &model) {
  int64_t width = rhs.getDimSize(2);
  int64_t panelBytes = depth * width * rhs.getElementTypeBitWidth() / 8;
  int64_t panels = typicalIfDynamic(rhs.getDimSize(0), width);
  return width * tilePanels(panels, panelBytes, fewestPanels, model);
}

/// Columns of a tile that packs them are a multiple of this, which every panel's width divides.
constexpr int64_t kColumnUnit = 32;

/// Rows and columns of a tile, and whether a thread goes through all panels with its own rows.
struct MatmulTile {
  int64_t rows, columns;
  bool rowsOutermost = false;
};

/// How threads come to share a product of which each tile packs its columns. Tiles should be large,
/// for what a tile packs its rows alone pay; but the thread with most to do should have little more
/// than the others.
struct PackingTiles {
  int64_t threads, batches, rows, columns, rowUnit;
  double packing, copying; // of an element of a column, and of a row

  /// The tile with which the slowest thread is done first.
  MatmulTile best(ArrayRef<int64_t> rowTiles) const {
    MatmulTile found;
    double least = std::numeric_limits<double>::infinity();
    for (bool rowsOutermost : {false, true})
      for (int64_t rowTile : rowTiles)
        for (int64_t columnTile : cuts(columns, kWaitingColumns, kColumnUnit)) {
          MatmulTile tile{rowTile, columnTile, rowsOutermost};
          double time = slowestOf(tile);
          if (time >= least)
            continue;
          least = time;
          found = tile;
        }
    return found;
  }

  MatmulTile best() const {
    SmallVector<int64_t> rowTiles = cuts(rows, kMostBlockRows, rowUnit);
    rowTiles.append(cuts(rows, kMostBlockRows, std::max(rowUnit, kRegisterRows)));
    return best(rowTiles);
  }

private:
  /// Ways of cutting an extent evenly, into the fewest parts first.
  static SmallVector<int64_t> cuts(int64_t extent, int64_t most, int64_t unit) {
    constexpr int64_t ways = 12;
    SmallVector<int64_t> sizes;
    int64_t fewest = std::max<int64_t>(1, llvm::divideCeil(extent, most));
    for (int64_t parts = fewest; parts < fewest + ways; ++parts)
      sizes.push_back(llvm::alignTo(llvm::divideCeil(extent, parts), unit));
    return sizes;
  }

  /// What a tile costs, in elements of the result: those of the registers that it fills, and those
  /// which could be computed while an element of a column is packed, or one of a row copied.
  double costOf(int64_t rowCount, int64_t columnCount) const {
    constexpr int64_t lanes = 16, fewest = 4; // fewer rows wait for each other's sums
    int64_t left = rowCount % kRegisterRows;
    int64_t filled = rowCount - left + (left ? std::max(left, fewest) : 0);
    auto across = static_cast<double>(llvm::alignTo(columnCount, lanes));
    return across * (static_cast<double>(filled) + packing) +
           static_cast<double>(rowCount) * copying;
  }

  /// Tiles along one dimension, and the extent of the last one.
  struct Cut {
    Cut(int64_t extent, int64_t tile)
        : tiles(llvm::divideCeil(extent, tile)), whole(tile), last(extent - (tiles - 1) * tile) {}
    int64_t sizeOf(bool isLast) const { return isLast ? last : whole; }

    int64_t tiles, whole, last;
  };

  /// What the thread does that has most to do: tiles that follow each other.
  double slowestOf(MatmulTile tile) const {
    Cut outer(columns, tile.columns), inner(rows, tile.rows);
    if (tile.rowsOutermost)
      std::swap(outer, inner);
    auto cost = [&](bool isLastOuter, bool isLastInner) {
      int64_t ofOuter = outer.sizeOf(isLastOuter), ofInner = inner.sizeOf(isLastInner);
      return tile.rowsOutermost ? costOf(ofOuter, ofInner) : costOf(ofInner, ofOuter);
    };
    auto costOfLine = [&](bool isLast) {
      return static_cast<double>(inner.tiles - 1) * cost(isLast, false) + cost(isLast, true);
    };
    double line = costOfLine(false);
    double matrix = static_cast<double>(outer.tiles - 1) * line + costOfLine(true);
    int64_t tiles = outer.tiles * inner.tiles;
    auto costBefore = [&](int64_t number) {
      int64_t before = number % tiles / inner.tiles;
      return static_cast<double>(number / tiles) * matrix + static_cast<double>(before) * line +
             static_cast<double>(number % inner.tiles) * cost(before == outer.tiles - 1, false);
    };
    double slowest = 0;
    for (int64_t thread = 0; thread < threads; ++thread)
      slowest = std::max(slowest, costBefore(batches * tiles * (thread + 1) / threads) -
                                      costBefore(batches * tiles * thread / threads));
    return slowest;
  }
};

/// A tile that packs its columns itself.
static MatmulTile packingTile(MatmulOp op, MatmulBlocking blocking, int64_t rowUnit,
                              const TileModel &model) {
  ArrayRef<int64_t> out = cast<ShapedType>(op.getInit().getType()).getShape();
  int64_t rows = out[out.size() - 2];
  PackingTiles tiles{std::max<int64_t>(2, model.cores),
                     /*batches=*/out.size() == 2 ? 1 : typicalIfDynamic(out.front()),
                     typicalIfDynamic(rows),
                     typicalIfDynamic(out.back()),
                     rowUnit,
                     /*packing=*/op.getTransposed() ? 12 : 6.,
                     /*copying=*/blocking.copiesLhs ? 12 : 6.};
  if (blocking.alongRows)
    tiles.packing = tiles.copying = 0;
  MatmulTile tile = blocking.alongRows            ? tiles.best({rows})
                    : ShapedType::isDynamic(rows) ? tiles.best({kTileRows})
                                                  : tiles.best();
  const Schedule &schedule = model.schedule;
  tile.rows = std::min(schedule.scaledRows(tile.rows), kMostBlockRows);
  tile.columns = std::min<int64_t>(llvm::alignTo(schedule.scaledColumns(tile.columns), kColumnUnit),
                                   kWaitingColumns);
  return tile;
}

/// Tiles across, for each thread, from which on one may have many rows.
constexpr int64_t kFewestOfTall = 4;

/// Whether a tile with so many of all columns may have many rows. AMX's tiles take panels of the
/// right-hand side faster than memory brings them: each is to come once, and to be multiplied by
/// many rows meanwhile.
static bool mayBeTall(Value rhs, int64_t allColumns, int64_t columns, const TileModel &model) {
  return comesFromMemory(rhs) &&
         typicalIfDynamic(allColumns) / columns >= kFewestOfTall * model.cores;
}

/// Rows of such a tile, which stay in half of L2.
static int64_t tallTile(MatmulOp op, int64_t depth, const TileModel &model) {
  int64_t rowBytes = depth * getElementTypeOrSelf(op.getLhs()).getIntOrFloatBitWidth() / 8;
  int64_t fitting = model.l2Bytes / 2 / std::max<int64_t>(rowBytes, 1);
  return std::clamp(fitting / model.amxRows * model.amxRows, kTileRows, kMostBlockRows);
}

static MatmulTile matmulTile(MatmulOp op, const TileModel &model) {
  ArrayRef<int64_t> out = cast<ShapedType>(op.getInit().getType()).getShape();
  auto rhs = cast<ShapedType>(op.getRhs().getType());
  Type element = getElementTypeOrSelf(op.getLhs());
  int64_t rowUnit = element.isBF16() || element.isInteger(8) ? model.amxRows : 1;
  MatmulBlocking blocking(op, model.amxRows);
  if (!op.isPacked() && !blocking.streams)
    return packingTile(op, blocking, rowUnit, model);
  const Schedule &schedule = model.schedule;
  int64_t rows = out[out.size() - 2];
  auto rowsOfTile = [&](int64_t most) {
    return tileRows(rows, rowUnit, schedule.scaledRows(most));
  };
  if (op.isPacked()) {
    int64_t all = typicalIfDynamic(rhs.getDimSize(0)), depth = depthAtOnce(op, model);
    int64_t fewest = blocking.streamsLhs ? all : blocking.copiesLhs ? kPanelsOfCopy : 1;
    int64_t columns = tileColumns(rhs, depth, fewest, model);
    bool isTall =
        fillsTiles(op, model.amxRows) && mayBeTall(op.getRhs(), out.back(), columns, model);
    return {rowsOfTile(isTall ? tallTile(op, depth, model) : kTileRows), columns,
            blocking.streamsLhs};
  }
  int64_t share = llvm::alignTo(typicalIfDynamic(out.back()) / kFewestStreams, kTileColumns);
  return {rowsOfTile(kTileRows), std::clamp(schedule.scaledColumns(share), kTileColumns,
                                            streamedColumns(rhs.getElementType()))};
}

int64_t buddy::evenTile(int64_t extent, int64_t most) {
  for (int64_t tile = std::min(most, extent); 2 * tile > most; --tile)
    if (extent % tile == 0)
      return tile;
  return std::min(most, std::max<int64_t>(1, extent));
}

/// Columns of a tile of a convolution: whole groups, if it has some.
static int64_t convolutionColumns(ConvOp op, const TileModel &model) {
  auto rhs = cast<ShapedType>(op.getRhs().getType());
  if (!op.isGrouped())
    return tileColumns(rhs, rhs.getDimSize(1) * rhs.getDimSize(3), /*fewestPanels=*/1, model);
  int64_t unit = op.sharesPanels() ? op.panelWidth() : op.getGroup()[1];
  int64_t filters = cast<ShapedType>(op.getInit().getType()).getShape().back();
  int64_t units = llvm::divideCeil(typicalIfDynamic(filters), unit);
  int64_t most = model.schedule.scaledColumns(kTileColumns) / unit;
  return unit * evenTile(units, std::max<int64_t>(1, most));
}

static int64_t bytesOf(ShapedType type) {
  int64_t elements = 1;
  for (int64_t extent : type.getShape())
    elements *= typicalIfDynamic(extent);
  return elements * type.getElementTypeBitWidth() / 8;
}

/// Whether a convolution goes through its image once, line by line with all panels: the panels stay
/// in L2, the image would not, and there are lines enough for even shares.
static bool streamsImage(ConvOp op, ArrayRef<int64_t> tiles, const TileModel &model) {
  auto out = cast<ShapedType>(op.getInit().getType());
  if (op.isGrouped() || bytesOf(cast<ShapedType>(op.getRhs().getType())) > model.l2Bytes / 4 ||
      bytesOf(cast<ShapedType>(op.getInput().getType())) <= model.l2Bytes / 2)
    return false;
  int64_t lines = 1;
  for (auto [extent, tile] : llvm::zip(out.getShape().drop_back(2), tiles))
    lines *= llvm::divideCeil(typicalIfDynamic(extent), tile);
  return lines >= kFewestLines * model.cores;
}

/// Positions of a tile of a convolution that has so many columns.
static int64_t convolutionRows(ConvOp op, int64_t columns, const TileModel &model) {
  Type element = getElementTypeOrSelf(op.getInput());
  int64_t filters = cast<ShapedType>(op.getInit().getType()).getShape().back();
  bool isTall =
      model.amxRows > 1 && element.isBF16() && mayBeTall(op.getRhs(), filters, columns, model);
  return model.schedule.scaledRows(isTall ? kMostBlockRows : kTileRows);
}

ProductTiles buddy::productTiles(func::FuncOp kernel, const TileModel &model) {
  ProductTiles result;
  SmallVector<int64_t> &tiles = result.sizes;
  int64_t batches = 0; // which have a right-hand side each
  bool rowsOutermost = model.schedule.rowsOutermost;
  kernel.walk([&](MatmulOp op) {
    auto out = cast<ShapedType>(op.getInit().getType());
    batches = out.getRank() - 2;
    tiles.assign(out.getRank(), 1);
    MatmulTile tile = matmulTile(op, model);
    tiles[batches] = tile.rows;
    tiles.back() = tile.columns;
    rowsOutermost |= tile.rowsOutermost;
  });
  kernel.walk([&](ConvOp op) {
    auto out = cast<ShapedType>(op.getInit().getType());
    int64_t x = out.getRank() - 2, width = out.getDimSize(x);
    tiles.assign(out.getRank(), 1);
    int64_t columns = tiles[x + 1] = convolutionColumns(op, model);
    int64_t rows = convolutionRows(op, columns, model);
    if (op.spatialRank() > 1)
      tiles[x - 1] = ShapedType::isDynamic(width) ? 1 : std::max<int64_t>(1, rows / width);
    tiles[x] = 0;
    rowsOutermost |= streamsImage(op, tiles, model);
  });
  // Panels outermost: a thread goes through all rows with its own, whatever their number. But rows
  // that come from memory do so once.
  result.order = llvm::to_vector(llvm::seq<int64_t>(0, tiles.size()));
  if (!tiles.empty() && !rowsOutermost)
    std::rotate(result.order.begin() + batches, result.order.end() - 1, result.order.end());
  return result;
}
