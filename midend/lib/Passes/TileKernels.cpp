// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Extents.h"
#include "ProductTiles.h"
#include "WindowFolds.h"
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

/// Whether neighbouring results come from overlapping windows of an operand.
bool readsWindows(linalg::GenericOp op) {
  return llvm::any_of(op.getIndexingMapsArray(), [](AffineMap map) {
    return llvm::any_of(map.getResults(), [](AffineExpr e) { return isa<AffineBinaryOpExpr>(e); });
  });
}

/// Of the generic ops of a kernel.
struct GenericOps {
  int64_t count = 0, bytes = 0;        // bytes of an element of each result
  linalg::GenericOp windows = nullptr; // one that reads them, if there is one

  explicit GenericOps(func::FuncOp kernel) {
    kernel.walk([&](linalg::GenericOp op) {
      ++count;
      for (Type type : op->getResultTypes())
        bytes += llvm::divideCeil(cast<ShapedType>(type).getElementTypeBitWidth(), 8);
      if (readsWindows(op))
        windows = op;
    });
  }
};

/// Elements of a tile. With ops before the root, the results of each should stay in L1; but a
/// tile of windows shares what it reads.
int64_t elementsOfTile(func::FuncOp kernel, int64_t alone, const TileModel &model) {
  GenericOps ops(kernel);
  int64_t elements =
      ops.count == 1 || ops.windows ? alone : model.l1Bytes / std::max<int64_t>(1, ops.bytes);
  return model.schedule.scaledColumns(model.schedule.scaledRows(elements));
}

/// Lines and positions of a tile of windows: its share of what neighbours read too is small, and
/// what one vector of channels reads of them stays in L1.
constexpr int64_t kWindowLines = 16;

/// Tiles for each core, where windows are of so few positions that their channels are shared.
constexpr int64_t kWindowTiles = 4;

/// Channels are read together with their neighbours: whole lines of the cache.
constexpr int64_t kWindowChannels = 32;

/// Tiles of a reduction over windows, along lines of positions with their channels last: some lines
/// by some positions with all channels, if there are enough of these. None for other kernels.
SmallVector<int64_t> windowTiles(func::FuncOp kernel, Operation *root, ArrayRef<int64_t> dims,
                                 const TileModel &model) {
  GenericOps ops(kernel);
  SmallVector<int64_t> extents = loopExtents(root);
  int64_t channels = extents.size() - 1;
  auto runsOverPositions = [&](int64_t loop) { return llvm::is_contained(dims, loop); };
  if (!ops.windows || ops.windows.getNumReductionLoops() == 0 || channels < 1 ||
      cast<ShapedType>(ops.windows->getResult(0).getType()).getRank() != channels + 1 ||
      !llvm::all_of(llvm::seq<int64_t>(channels), runsOverPositions))
    return {};
  // Results that two ops pass on to each other are never stored.
  int64_t positions = ops.count <= 2
                          ? kWindowLines * kWindowLines
                          : model.l1Bytes / std::max<int64_t>(1, ops.bytes * extents[channels]);
  SmallVector<int64_t> tiles(extents.size(), 0);
  int64_t count = 1;
  for (int64_t loop = channels - 1; loop >= 0; --loop) {
    bool alongLine = loop == channels - 1;
    int64_t most = alongLine ? model.schedule.scaledColumns(kWindowLines)
                             : model.schedule.scaledRows(kWindowLines);
    int64_t fewest = std::min(most, alongLine ? kWindowPositions : 1);
    tiles[loop] = evenTile(extents[loop], std::clamp(positions, fewest, most));
    positions /= tiles[loop];
    count *= std::max<int64_t>(1, llvm::divideCeil(extents[loop], tiles[loop]));
  }
  if (llvm::is_contained(dims, channels)) {
    int64_t units = llvm::divideCeil(extents[channels], kWindowChannels);
    int64_t parts = llvm::divideCeil(kWindowTiles * model.cores, count);
    tiles[channels] = kWindowChannels * evenTile(units, std::max<int64_t>(1, units / parts));
  }
  return tiles;
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

  /// What computes the result, or what is inserted to make it; null if that is an argument. What
  /// has been simplified to a part of an argument is copied, because a kernel writes to its
  /// destination.
  static Operation *storedRoot(func::FuncOp kernel, RewriterBase &rewriter) {
    OpOperand &result = kernel.front().getTerminator()->getOpOperand(0);
    if (result.get().getDefiningOp<tensor::ExtractSliceOp>())
      return copyTo(kernel.getArguments().back(), result, rewriter);
    auto store = result.get().getDefiningOp<tensor::InsertSliceOp>();
    if (!store)
      return result.get().getDefiningOp();
    if (Operation *stored = store.getSource().getDefiningOp())
      return stored;
    if (!isWorthTiles(store.getSourceType()))
      return nullptr;
    rewriter.setInsertionPoint(store);
    Value empty =
        tensor::EmptyOp::create(rewriter, store.getLoc(),
                                tensor::getMixedSizes(rewriter, store.getLoc(), store.getSource()),
                                store.getSourceType().getElementType());
    return copyTo(empty, store.getSourceMutable(), rewriter);
  }

  /// Puts a copy of what `operand` reads, in `destination`, in its place.
  static Operation *copyTo(Value destination, OpOperand &operand, RewriterBase &rewriter) {
    rewriter.setInsertionPoint(operand.getOwner());
    auto copy =
        linalg::CopyOp::create(rewriter, operand.getOwner()->getLoc(), operand.get(), destination);
    int64_t rank = cast<ShapedType>(destination.getType()).getRank();
    copy->setAttr("buddy.tile_dims",
                  rewriter.getDenseI64ArrayAttr(llvm::to_vector(llvm::seq<int64_t>(rank))));
    operand.set(copy.getResult(0));
    return copy;
  }

  /// Whether threads that copy this together are done before one alone would be.
  static bool isWorthTiles(ShapedType type) {
    constexpr int64_t fewest = 1 << 15;
    return !type.hasStaticShape() || type.getNumElements() >= fewest;
  }

  LogicalResult tile(func::FuncOp kernel, RewriterBase &rewriter) {
    Operation *root = storedRoot(kernel, rewriter);
    if (!root)
      return success();
    auto dims = root->getAttrOfType<DenseI64ArrayAttr>("buddy.tile_dims");
    auto tileable = dyn_cast<TilingInterface>(root);
    if (!dims || dims.empty() || !tileable)
      return success();
    TileModel model{l1Bytes, l2Bytes, cores, amxRows, Schedule::of(kernel)};
    ProductTiles tiles = inLoopsOf(root, productTiles(kernel, model));
    if (tiles.sizes.empty())
      tiles.sizes = windowTiles(kernel, root, dims.asArrayRef(), model);
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
