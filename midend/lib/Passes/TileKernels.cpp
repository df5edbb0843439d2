// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Extents.h"
#include "MatmulBlocking.h"
#include "Schedule.h"
#include "buddy/IR/BuddyDialect.h"
#include "buddy/Passes.h"

#include "mlir/Dialect/Bufferization/Transforms/Transforms.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SCF/Transforms/TileUsingInterface.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace buddy {
#define GEN_PASS_DEF_TILEKERNELSPASS
#include "buddy/Passes.h.inc"
namespace {

SmallVector<int64_t> loopExtents(Operation *root) {
  auto linalgOp = dyn_cast<linalg::LinalgOp>(root);
  auto extents =
      linalgOp ? linalgOp.getStaticLoopRanges()
               : SmallVector<int64_t>(cast<ShapedType>(root->getResult(0).getType()).getShape());
  for (int64_t &extent : extents)
    extent = typicalIfDynamic(extent);
  return extents;
}

/// What the size of a tile follows from: the machine, and how a kernel differs from its model.
struct TileModel {
  int64_t l1Bytes, l2Bytes, amxRows;
  const Schedule &schedule;
};

/// Tiles that a product should have, so that threads have several each.
constexpr int64_t kFewestTiles = 16;

/// Rows of a tile, a multiple of `unit`, so that known ones are cut evenly: 128 as 64 + 64, not as
/// 96 + 32.
int64_t tileRows(int64_t rows, int64_t unit, int64_t most) {
  if (ShapedType::isDynamic(rows) || rows <= most)
    return most;
  return llvm::alignTo(llvm::divideCeil(rows, llvm::divideCeil(rows, most)), unit);
}

/// Columns, in panels: enough that every thread gets several tiles, and that stay in half of L2.
int64_t tilePanels(int64_t panels, int64_t panelBytes, int64_t fewest, const TileModel &model) {
  int64_t fitting = std::max<int64_t>(1, model.l2Bytes / 2 / std::max<int64_t>(1, panelBytes));
  int64_t most = std::min(fitting, std::max(fewest, panels / kFewestTiles));
  most = model.schedule.scaledColumns(most);
  return llvm::divideCeil(panels, llvm::divideCeil(panels, most));
}

/// Panels that a copy of rows serves at least.
constexpr int64_t kPanelsOfCopy = 4;

/// The depth that a tile goes through at once.
int64_t depthAtOnce(MatmulOp op) {
  int64_t block = MatmulBlocking(op).depth;
  return block ? block
               : typicalIfDynamic(cast<ShapedType>(op.getLhs().getType()).getShape().back());
}

int64_t tileColumns(ShapedType rhs, int64_t depth, int64_t fewestPanels, const TileModel &model) {
  int64_t width = rhs.getDimSize(2);
  int64_t panelBytes = depth * width * rhs.getElementTypeBitWidth() / 8;
  int64_t panels = typicalIfDynamic(rhs.getDimSize(0), width);
  return width * tilePanels(panels, panelBytes, fewestPanels, model);
}

/// Columns of an unpacked right-hand side: a multiple of every panel's width up to this, times what
/// leaves tiles enough.
constexpr int64_t kTileColumns = 128;

/// Tiles that a product should have of which each transposes its columns.
constexpr int64_t kFewestTransposingTiles = 12;

/// Tiles that a streamed right-hand side should be cut into at least.
constexpr int64_t kFewestStreams = 4;

/// Rows and columns of a tile of a product.
std::pair<int64_t, int64_t> matmulTile(MatmulOp op, const TileModel &model) {
  ArrayRef<int64_t> out = cast<ShapedType>(op.getInit().getType()).getShape();
  auto rhs = cast<ShapedType>(op.getRhs().getType());
  Type element = getElementTypeOrSelf(op.getLhs());
  int64_t rowUnit = element.isBF16() || element.isInteger(8) ? model.amxRows : 1;
  const Schedule &schedule = model.schedule;
  int64_t rows = out[out.size() - 2];
  int64_t rowTile = tileRows(rows, rowUnit, schedule.scaledRows(kTileRows));
  if (op.isPacked()) {
    MatmulBlocking blocking(op);
    int64_t all = typicalIfDynamic(rhs.getDimSize(0));
    int64_t fewest = blocking.streamsLhs ? all : blocking.copiesLhs ? kPanelsOfCopy : 1;
    return {rowTile, tileColumns(rhs, depthAtOnce(op), fewest, model)};
  }
  if (MatmulBlocking(op).streams) {
    int64_t share = llvm::alignTo(typicalIfDynamic(out.back()) / kFewestStreams, kTileColumns);
    return {rowTile, std::clamp(schedule.scaledColumns(share), kTileColumns,
                                streamedColumns(rhs.getElementType()))};
  }
  // Every tile packs its columns: the more rows, the less that costs. To transpose costs more, and
  // reads along the depth, however few the columns are: half of them rather than fewer rows.
  int64_t columns = typicalIfDynamic(out.back()), unit = kTileColumns, fewest = kFewestTiles;
  if (op.getTransposed() && !ShapedType::isDynamic(rows) && rows <= kMostBlockRows &&
      out.size() == 2 && columns < unit * fewest) {
    unit /= 2;
    fewest = kFewestTransposingTiles;
  }
  int64_t columnTiles = llvm::divideCeil(columns, unit);
  if (!ShapedType::isDynamic(rows)) {
    int64_t most = std::max(rows * columnTiles / fewest, kTileRows);
    rowTile = tileRows(rows, rowUnit, std::min(schedule.scaledRows(most), kMostBlockRows));
  }
  // And a copy of rows serves all columns.
  int64_t rowTiles = llvm::divideCeil(typicalIfDynamic(rows), rowTile);
  int64_t most = schedule.scaledColumns(columnTiles * rowTiles / kFewestTiles);
  most = std::min(most, kWaitingColumns / unit);
  return {rowTile, unit * llvm::divideCeil(columnTiles, llvm::divideCeil(columnTiles, most))};
}

/// The largest divisor of `extent` that is at most `most`, unless all are far below: whole tiles
/// have static sizes.
int64_t evenTile(int64_t extent, int64_t most) {
  for (int64_t tile = std::min(most, extent); 2 * tile > most; --tile)
    if (extent % tile == 0)
      return tile;
  return std::min(most, std::max<int64_t>(1, extent));
}

/// Columns of a tile of a convolution: whole groups, if it has some.
int64_t convolutionColumns(ConvOp op, const TileModel &model) {
  auto rhs = cast<ShapedType>(op.getRhs().getType());
  if (!op.isGrouped())
    return tileColumns(rhs, rhs.getDimSize(1) * rhs.getDimSize(3), /*fewestPanels=*/1, model);
  int64_t unit = op.sharesPanels() ? op.panelWidth() : op.getGroup()[1];
  int64_t filters = cast<ShapedType>(op.getInit().getType()).getShape().back();
  int64_t units = llvm::divideCeil(typicalIfDynamic(filters), unit);
  int64_t most = model.schedule.scaledColumns(kTileColumns) / unit;
  return unit * evenTile(units, std::max<int64_t>(1, most));
}

/// How a product is cut: sizes of the tiles, and the loops over them, the outermost first.
struct ProductTiles {
  SmallVector<int64_t> sizes, order;
};

/// Tiles of the product that the kernel computes, if it computes one.
ProductTiles productTiles(func::FuncOp kernel, const TileModel &model) {
  ProductTiles result;
  SmallVector<int64_t> &tiles = result.sizes;
  int64_t batches = 0; // which have a right-hand side each
  bool rowsOutermost = model.schedule.rowsOutermost;
  kernel.walk([&](MatmulOp op) {
    rowsOutermost |= MatmulBlocking(op).streamsLhs;
    auto out = cast<ShapedType>(op.getInit().getType());
    batches = out.getRank() - 2;
    tiles.assign(out.getRank(), 1);
    std::tie(tiles[out.getRank() - 2], tiles.back()) = matmulTile(op, model);
  });
  kernel.walk([&](ConvOp op) {
    auto out = cast<ShapedType>(op.getInit().getType());
    int64_t x = out.getRank() - 2, width = out.getDimSize(x);
    tiles.assign(out.getRank(), 1);
    int64_t rows = model.schedule.scaledRows(kTileRows);
    if (op.spatialRank() > 1)
      tiles[x - 1] = ShapedType::isDynamic(width) ? 1 : std::max<int64_t>(1, rows / width);
    tiles[x] = 0;
    tiles[x + 1] = convolutionColumns(op, model);
  });
  // Panels outermost: a thread goes through all rows with its own, whatever their number. But rows
  // that come from memory do so once.
  result.order = llvm::to_vector(llvm::seq<int64_t>(0, tiles.size()));
  if (!tiles.empty() && !rowsOutermost)
    std::rotate(result.order.begin() + batches, result.order.end() - 1, result.order.end());
  return result;
}

/// Whether neighbouring results come from overlapping windows of an operand.
bool readsWindows(linalg::GenericOp op) {
  return llvm::any_of(op.getIndexingMapsArray(), [](AffineMap map) {
    return llvm::any_of(map.getResults(), [](AffineExpr e) { return isa<AffineBinaryOpExpr>(e); });
  });
}

/// Elements of a tile. With ops before the root, the results of each should stay in L1; but a
/// tile of windows shares what it reads.
int64_t elementsOfTile(func::FuncOp kernel, int64_t alone, const TileModel &model) {
  int64_t bytes = 0, ops = 0;
  bool windows = false;
  kernel.walk([&](linalg::GenericOp op) {
    ++ops;
    windows |= readsWindows(op);
    for (Type type : op->getResultTypes())
      bytes += llvm::divideCeil(cast<ShapedType>(type).getElementTypeBitWidth(), 8);
  });
  int64_t elements = ops == 1 || windows ? alone : model.l1Bytes / std::max<int64_t>(1, bytes);
  return model.schedule.scaledColumns(model.schedule.scaledRows(elements));
}

/// Rows of a tile whose operand is transposed: several squares of a vector's length, so that what
/// is read and what is written are both runs of some cache lines.
constexpr int64_t kTransposedRows = 64;

/// The loop along which an operand is contiguous that runs across the result, if there is one.
std::optional<int64_t> loopAcross(Operation *root) {
  auto op = dyn_cast<linalg::GenericOp>(root);
  if (!op || op.getNumReductionLoops() != 0)
    return std::nullopt;
  for (OpOperand *input : op.getDpsInputOperands()) {
    AffineMap map = op.getMatchingIndexingMap(input);
    auto last = map.getNumResults() ? dyn_cast<AffineDimExpr>(map.getResults().back()) : nullptr;
    int64_t columns = op.getNumLoops() - 1;
    if (last && last.getPosition() != columns && map.isFunctionOfDim(columns))
      return last.getPosition();
  }
  return std::nullopt;
}

/// Columns of a tile: some vectors, whole lines of the cache. However long the reductions are, less
/// would read single elements; more than half of all would leave a second thread nothing.
constexpr int64_t kFewestColumns = 16, kGoodColumns = 64;

/// Whether a reduction goes over rows of an operand along which a loop runs.
bool reducesRowsAlong(Operation *root, int64_t loop) {
  auto op = dyn_cast<linalg::LinalgOp>(root);
  if (!op)
    return false;
  SmallVector<unsigned> reductions;
  op.getReductionDims(reductions);
  return llvm::any_of(op.getDpsInputOperands(), [&](OpOperand *input) {
    AffineMap map = op.getMatchingIndexingMap(input);
    return map.getNumResults() != 0 && map.getResults().back().isFunctionOfDim(loop) &&
           llvm::any_of(reductions, [&](unsigned dim) { return map.isFunctionOfDim(dim); });
  });
}

/// Cuts `dims`, outermost first, so that a tile has about `budget` elements.
SmallVector<int64_t> rowTiles(Operation *root, ArrayRef<int64_t> dims, int64_t budget) {
  SmallVector<int64_t> extents = loopExtents(root);
  SmallVector<int64_t> tiles(extents.size(), 0);
  int64_t elements = 1;
  std::optional<int64_t> across = loopAcross(root);
  if (across && llvm::is_contained(dims, *across))
    elements = tiles[*across] = evenTile(extents[*across], kTransposedRows);
  for (int64_t loop = extents.size() - 1; loop >= 0; --loop) {
    if (tiles[loop])
      continue;
    if (!llvm::is_contained(dims, loop)) {
      elements *= extents[loop];
      continue;
    }
    int64_t rest = std::max<int64_t>(1, budget / std::max<int64_t>(1, elements));
    if (reducesRowsAlong(root, loop))
      rest = std::max(rest, std::clamp(extents[loop] / 2, kFewestColumns, kGoodColumns));
    tiles[loop] = evenTile(extents[loop], rest);
    elements *= tiles[loop];
  }
  return tiles;
}

/// The tiles of a product in the loops of a root that reads it transposed.
ProductTiles inLoopsOf(Operation *root, const ProductTiles &tiles) {
  auto loops = root->getAttrOfType<DenseI64ArrayAttr>("buddy.product_loops");
  if (!loops)
    return tiles;
  ProductTiles result = tiles;
  for (auto [number, loop] : llvm::enumerate(loops.asArrayRef()))
    result.sizes[loop] = tiles.sizes[number];
  for (int64_t &loop : result.order)
    loop = loops[loop];
  return result;
}

struct TileKernelsPass : impl::TileKernelsPassBase<TileKernelsPass> {
  using Base::Base;

  void runOnOperation() override {
    func::FuncOp kernel = getOperation();
    if (!kernel->hasAttr("buddy.kernel"))
      return;
    IRRewriter rewriter(kernel.getContext());
    // A value made to be inserted is computed where it is inserted.
    if (failed(tile(kernel, rewriter)) ||
        failed(bufferization::eliminateEmptyTensors(rewriter, kernel)))
      return signalPassFailure();
  }

  /// What computes the result. What has been simplified to a part of an argument is copied, because
  /// a kernel writes to its destination.
  static Operation *storedRoot(func::FuncOp kernel, RewriterBase &rewriter) {
    OpOperand &result = kernel.front().getTerminator()->getOpOperand(0);
    auto slice = result.get().getDefiningOp<tensor::ExtractSliceOp>();
    if (!slice)
      return result.get().getDefiningOp();
    rewriter.setInsertionPoint(result.getOwner());
    auto copy = linalg::CopyOp::create(rewriter, slice.getLoc(), slice.getResult(),
                                       kernel.getArguments().back());
    copy->setAttr("buddy.tile_dims", rewriter.getDenseI64ArrayAttr(llvm::to_vector(
                                         llvm::seq<int64_t>(slice.getType().getRank()))));
    result.set(copy.getResult(0));
    return copy;
  }

  LogicalResult tile(func::FuncOp kernel, RewriterBase &rewriter) {
    Operation *root = storedRoot(kernel, rewriter);
    if (!root) // simplified to one of its arguments
      return success();
    if (auto store = dyn_cast<tensor::InsertSliceOp>(root))
      if (Operation *stored = store.getSource().getDefiningOp())
        root = stored;
    auto dims = root->getAttrOfType<DenseI64ArrayAttr>("buddy.tile_dims");
    auto tileable = dyn_cast<TilingInterface>(root);
    if (!dims || dims.empty() || !tileable)
      return success();
    TileModel model{l1Bytes, l2Bytes, amxRows, Schedule::of(kernel)};
    ProductTiles tiles = inLoopsOf(root, productTiles(kernel, model));
    if (tiles.sizes.empty())
      tiles.sizes = rowTiles(root, dims.asArrayRef(), elementsOfTile(kernel, tileElements, model));
    if (failed(tileAndFuse(tileable, tiles.sizes, tiles.order, rewriter)))
      return root->emitOpError("cannot be tiled");
    return success();
  }

  static LogicalResult tileAndFuse(TilingInterface root, ArrayRef<int64_t> tiles,
                                   ArrayRef<int64_t> order, RewriterBase &rewriter) {
    rewriter.setInsertionPoint(root);
    SmallVector<OpFoldResult> sizes = getAsIndexOpFoldResult(root->getContext(), tiles);
    scf::SCFTilingOptions tiling;
    tiling.setTileSizes(sizes).setLoopType(scf::SCFTilingOptions::LoopType::ForallOp);
    tiling.setInterchange(order);
    scf::SCFTileAndFuseOptions options;
    options.setTilingOptions(tiling);
    FailureOr<scf::SCFTileAndFuseResult> result =
        scf::tileConsumerAndFuseProducersUsingSCF(rewriter, root, options);
    if (failed(result))
      return failure();
    for (auto [from, to] : result->replacements)
      rewriter.replaceAllUsesWith(from, to);
    return success();
  }
};
} // namespace
} // namespace buddy
