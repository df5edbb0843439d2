// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ConvolutionLoops.h"

#include "MatmulBlocking.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace buddy;

using Values = LoopBuilder::Values;

static ProductTiling tilingOf(ConvOp op, ProductTiling::Machine machine) {
  ProductTiling tiling(getElementTypeOrSelf(op.getInput()), cast<MemRefType>(op.getRhs().getType()),
                       machine);
  tiling.tiles &= !op.sharesPanels();
  return tiling;
}

/// Without groups positions along x and channels are neighbours in memory: one index runs over
/// both.
static Value inputOf(LoopBuilder &b, ConvOp op) {
  if (op.isGrouped())
    return op.getInput();
  int64_t rank = cast<MemRefType>(op.getInput().getType()).getRank();
  SmallVector<ReassociationIndices> groups;
  for (int64_t dim = 0; dim < rank - 2; ++dim)
    groups.push_back({dim});
  groups.push_back({rank - 2, rank - 1});
  return memref::CollapseShapeOp::create(b, op.getInput(), groups);
}

ConvolutionLoops::ConvolutionLoops(LoopBuilder &b, ConvOp op, ProductTiling::Machine machine,
                                   EpilogueEmitter *epilogue)
    : b(b), op(op), out(op.getInit()), rank(cast<MemRefType>(out.getType()).getRank()),
      first(rank - 1 - op.spatialRank()), input(inputOf(b, op)), tiling(tilingOf(op, machine)),
      rhs(b, op.getRhs(), tiling), product(b, input, rhs, out, constantOf(b.dim(out, rank - 2))) {
  product.finishWith(epilogue);
  rhs.fetchesPanels = comesFromMemory(op.getRhs());
  if (op.sharesPanels())
    product.shareLanes({op.getGroup()[0], op.getGroup()[1]});
}

void ConvolutionLoops::emit() {
  if (!op.isGrouped() || op.sharesPanels())
    return rhs.forEachPanel(b.index(0), b.dim(out, rank - 1), [&] { emitDims({}); });
  int64_t channels = op.getGroup()[0], filters = op.getGroup()[1];
  b.loop(b.index(0), b.div(b.dim(out, rank - 1), filters), 1, [&](Value group) {
    firstChannel = b.mul(group, channels);
    rhs.forEachPanelOfGroup(b.mul(group, filters), filters, b.mul(group, op.panelsOfGroup()),
                            [&] { emitDims({}); });
  });
}

/// The loops over all dimensions before x, of which `outer` are the indices so far.
void ConvolutionLoops::emitDims(const Values &outer) {
  int64_t dim = outer.size();
  if (dim == rank - 2)
    return emitLines(outer, 1);
  auto within = [&](Value i) {
    Values next(outer);
    next.push_back(i);
    return next;
  };
  int64_t lines = dim == rank - 3 ? linesAtOnce() : 1;
  Value extent = b.dim(out, dim), whole = b.roundDown(extent, lines);
  b.loop(b.index(0), whole, lines, [&](Value i) {
    if (lines == 1)
      return emitDims(within(i));
    emitLines(within(i), lines);
  });
  if (lines != 1)
    b.loop(whole, extent, 1, [&](Value i) { emitDims(within(i)); });
}

/// Short lines fill a register tile together, or a block of AMX's tiles.
int64_t ConvolutionLoops::linesAtOnce() {
  std::optional<int64_t> length = constantOf(b.dim(out, rank - 2));
  std::optional<int64_t> lines = constantOf(b.dim(out, rank - 3));
  if (!length || *length == 0)
    return 1;
  int64_t rows = tiling.rows;
  if (cutsLines())
    rows = AMXTile::mostTiles * AMXTile::heightFor(length);
  return std::clamp<int64_t>(rows / *length, 1, std::max<int64_t>(1, lines.value_or(rows)));
}

/// Whether AMX's tiles cut lines of the image into equal parts: each then lies within one.
bool ConvolutionLoops::cutsLines() {
  std::optional<int64_t> length = constantOf(b.dim(out, rank - 2));
  int64_t depth = op.runWidth() * op.channels();
  return tiling.tiles && depth % AMXTile::stepDepth(getElementTypeOrSelf(input)) == 0 && length &&
         *length >= AMXTile::fewestRows && *length % AMXTile::heightFor(length) == 0;
}

/// `count` lines, of which `outer` is the first.
void ConvolutionLoops::emitLines(const Values &outer, int64_t count) {
  Value length = b.dim(out, rank - 2);
  width = count == 1 ? 0 : *constantOf(length);
  auto lhsAt = [&](Value row, Value run, Value k) { return inputAt(outer, row, run, k); };
  auto outAt = [&](Value row, Value column) {
    auto [indices, x] = positionOf(outer, row);
    indices.append({x, column});
    return indices;
  };
  Value depth = b.index(op.runWidth() * op.channels());
  ProductEmitter::Rows rows{b.mul(length, count), op.runs(), depth, false, {}, lhsAt, outAt,
                            rowStride()};
  rows.byTiles = count == 1 || cutsLines();
  rows.before = rowsBefore(outer, length);
  rows.total = positions();
  if (op.getZeros().empty())
    return product.emitRows(rows);
  Window window = windowOf(outer, count);
  auto overSome = [&](ValueRange carried, AMXTile::RunBody body) {
    return overRuns(window, b.index(0), carried, body);
  };
  rows.overRuns = overSome;
  product.emitRows(rows);
}

/// Positions of the image, if it is known how many.
std::optional<int64_t> ConvolutionLoops::positions() {
  ArrayRef<int64_t> extents = cast<MemRefType>(out.getType()).getShape().drop_back();
  if (ShapedType::isDynamicShape(extents))
    return std::nullopt;
  return ShapedType::getNumElements(extents);
}

/// Positions before the line `outer`, which the panel at hand has been multiplied by.
Value ConvolutionLoops::rowsBefore(const Values &outer, Value length) {
  Value line = b.index(0);
  for (auto [dim, i] : llvm::enumerate(outer))
    line = b.add(b.mul(line, b.dim(out, dim)), i);
  return b.mul(line, length);
}

/// The part of the window, along each dimension, that some of `count` lines, of which `outer` is
/// the first, read outside of padding. All of it along the last one, in runs.
ConvolutionLoops::Window ConvolutionLoops::windowOf(const Values &outer, int64_t count) {
  Window window;
  int64_t last = op.spatialRank() - 1;
  for (int64_t i = 0; i < last; ++i) {
    int64_t stride = op.getStrides()[i], dilation = op.getDilations()[i];
    // Taps from the one that reads `line`, or the next to do so, on.
    auto tapsTo = [&](Value line, Value position) {
      Value distance = b.max(b.sub(line, b.mul(position, stride)), b.index(0));
      return b.min(b.div(b.add(distance, dilation - 1), dilation), b.index(op.getKernel()[i]));
    };
    Value top = outer[first + i], bottom = i == last - 1 ? b.add(top, count - 1) : top;
    Value end = b.sub(b.dim(input, first + i), op.getZeros()[2 * i + 1]);
    window.push_back({tapsTo(op.getZeros()[2 * i], bottom), tapsTo(end, top)});
  }
  window.push_back({b.index(0), b.index(op.getKernel()[last] / op.runWidth())});
  return window;
}

/// Nested loops over `window`, the outermost first; before them come the runs of `tap`.
Values ConvolutionLoops::overRuns(ArrayRef<std::pair<Value, Value>> window, Value tap,
                                  ValueRange carried, AMXTile::RunBody body) {
  if (window.empty())
    return body(op.getMirrored() ? b.sub(b.index(op.runs() - 1), tap) : tap, carried);
  int64_t dim = op.spatialRank() - window.size();
  int64_t extent = op.getKernel()[dim] / (window.size() == 1 ? op.runWidth() : 1);
  auto [from, to] = window.front();
  return b.loop(from, to, 1, carried, [&](Value i, ValueRange inner) {
    return overRuns(window.drop_front(), b.add(b.mul(tap, extent), i), inner, body);
  });
}

/// The line of a row, and where it lies along x.
std::pair<Values, Value> ConvolutionLoops::positionOf(const Values &outer, Value row) {
  Values line(outer);
  if (width == 0)
    return {line, row};
  line.back() = b.add(line.back(), b.div(row, width));
  return {line, b.rem(row, width)};
}

/// Element k of a run that the output of `row` reads.
Values ConvolutionLoops::inputAt(const Values &outer, Value row, Value run, Value k) {
  int64_t spatial = op.spatialRank();
  Value tap = op.getMirrored() ? b.sub(b.index(op.runs() - 1), run) : run;
  Values window(spatial);
  for (int64_t i = spatial - 1; i > 0; --i) {
    int64_t extent = op.getKernel()[i] / (i == spatial - 1 ? op.runWidth() : 1);
    window[i] = b.rem(tap, extent);
    tap = b.div(tap, extent);
  }
  window[0] = tap;
  auto along = [&](Value position, int64_t i) {
    return b.add(b.mul(position, op.getStrides()[i]), b.mul(window[i], op.getDilations()[i]));
  };
  auto [line, x] = positionOf(outer, row);
  Values indices(ArrayRef<Value>(line).take_front(first));
  for (int64_t i = 0; i < spatial - 1; ++i)
    indices.push_back(along(line[first + i], i));
  Value left = along(x, spatial - 1);
  if (op.isGrouped())
    indices.append({left, firstChannel ? b.add(firstChannel, k) : k});
  else
    indices.push_back(b.add(b.mul(left, op.channels()), k));
  return indices;
}

/// Elements of the input from what one position along x reads to what the next one does.
Value ConvolutionLoops::rowStride() {
  if (!op.isGrouped())
    return b.index(op.getStrides().back() * op.channels());
  auto layout = memref::ExtractStridedMetadataOp::create(b, input);
  return b.mul(layout.getStrides()[rank - 2], op.getStrides().back());
}
