// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "StridedView.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "mlir/Dialect/Utils/ReshapeOpsUtils.h"

using namespace mlir;
using namespace buddy;

using Run = StridedView::Run;
using Runs = StridedView::Runs;

static StridedView viewOfAll(OpBuilder &b, Value base) {
  StridedView view{base, {b.getIndexAttr(1), 1}, 0, {}};
  SmallVector<OpFoldResult> extents = tensor::getMixedSizes(b, base.getLoc(), base);
  for (OpFoldResult extent : llvm::reverse(extents)) {
    Run run{extent, view.outermost.length()};
    view.dims.emplace_back();
    if (run.known() != 1)
      view.dims.back().push_back(view.outermost = run);
  }
  std::reverse(view.dims.begin(), view.dims.end());
  return view;
}

/// Takes a dimension of `extent` elements from the inner end of `runs`.
static std::optional<Runs> takeInner(Runs &runs, int64_t extent) {
  Runs taken;
  while (extent != 1) {
    int64_t known = runs.empty() ? 0 : runs.back().known().value_or(0);
    if (known == 0)
      return std::nullopt;
    Run run = runs.pop_back_val();
    if (extent % known != 0) {
      if (known % extent != 0 || run.stride == StridedView::unknown)
        return std::nullopt;
      Builder b(run.extent.getContext());
      runs.push_back({b.getIndexAttr(known / extent), run.stride * extent});
      run.extent = b.getIndexAttr(extent);
    }
    extent /= *run.known();
    taken.insert(taken.begin(), run);
  }
  return taken;
}

static std::optional<StridedView> expanded(tensor::ExpandShapeOp op, StridedView view) {
  SmallVector<Runs> dims(op.getResultType().getRank());
  for (auto [runs, group] : llvm::zip(view.dims, op.getReassociationIndices())) {
    bool isTaken = false;
    for (int64_t dim : llvm::reverse(group)) {
      int64_t extent = op.getResultType().getDimSize(dim);
      if (isTaken && extent != 1)
        return std::nullopt;
      if (ShapedType::isDynamic(extent)) {
        dims[dim] = std::exchange(runs, {});
        isTaken = true;
        continue;
      }
      std::optional<Runs> taken = takeInner(runs, extent);
      if (!taken)
        return std::nullopt;
      dims[dim] = *taken;
    }
    if (!runs.empty())
      return std::nullopt;
  }
  view.dims = dims;
  return view;
}

static StridedView collapsed(tensor::CollapseShapeOp op, StridedView view) {
  SmallVector<Runs> dims;
  for (const ReassociationIndices &group : op.getReassociationIndices()) {
    dims.emplace_back();
    for (int64_t dim : group)
      dims.back().append(view.dims[dim]);
  }
  view.dims = dims;
  return view;
}

static std::optional<StridedView> sliced(tensor::ExtractSliceOp op, StridedView view) {
  if (!op.hasUnitStride())
    return std::nullopt;
  llvm::SmallBitVector dropped = op.getDroppedDims();
  SmallVector<Runs> dims;
  for (auto [i, runs] : llvm::enumerate(view.dims)) {
    OpFoldResult size = op.getMixedSizes()[i];
    std::optional<int64_t> offset = getConstantIntValue(op.getMixedOffsets()[i]);
    bool isWhole = offset == 0 && getConstantIntValue(size) == op.getSourceType().getDimSize(i);
    if (!isWhole && !runs.empty()) {
      if (!offset || runs.size() > 1 || runs[0].stride == StridedView::unknown)
        return std::nullopt;
      view.offset += *offset * runs[0].stride;
      runs[0].extent = size;
      if (getConstantIntValue(size) == 1)
        runs.clear();
    }
    if (!dropped[i])
      dims.push_back(runs);
  }
  view.dims = dims;
  return view;
}

/// What `op` makes of a view of its operand, if that is one.
static std::optional<StridedView> applied(Operation *op, StridedView view) {
  if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op))
    return expanded(expand, view);
  if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(op))
    return collapsed(collapse, view);
  if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op))
    return sliced(slice, view);
  applyPermutationToVector(view.dims, cast<linalg::TransposeOp>(op).getPermutation());
  return view;
}

StridedView StridedView::of(OpBuilder &b, Value value) {
  Operation *op = value.getDefiningOp();
  if (isa_and_nonnull<linalg::TransposeOp, tensor::ExpandShapeOp, tensor::CollapseShapeOp,
                      tensor::ExtractSliceOp>(op))
    if (std::optional<StridedView> view = applied(op, of(b, op->getOperand(0))))
      return *view;
  return viewOfAll(b, value);
}

bool StridedView::isPlain() {
  for (Runs &runs : dims) {
    while (runs.size() > 1) {
      Run inner = runs.pop_back_val(), &outer = runs.back();
      if (!outer.known() || inner.length() == unknown || inner.length() != outer.stride)
        return false;
      int64_t extent = *outer.known() * *inner.known();
      outer = {Builder(base.getContext()).getIndexAttr(extent), inner.stride};
    }
    if (!runs.empty() && runs[0].stride < 1) // unknown, or within an extent of 0
      return false;
  }
  return dims.back().empty() || dims.back()[0].stride == 1;
}

SmallVector<int64_t> StridedView::order() const {
  auto stride = [&](int64_t dim) {
    bool isLast = dim + 1 == (int64_t)dims.size();
    return isLast ? 0 : dims[dim].empty() ? INT64_MAX : dims[dim][0].stride;
  };
  auto order = llvm::to_vector(llvm::seq<int64_t>(0, dims.size()));
  llvm::stable_sort(order, [&](int64_t a, int64_t b) { return stride(a) > stride(b); });
  return order;
}

/// A reshape of the whole of `value`.
static Value reshaped(OpBuilder &b, Value value, ArrayRef<OpFoldResult> extents) {
  auto from = cast<RankedTensorType>(value.getType());
  auto to = RankedTensorType::get(decomposeMixedValues(extents).first, from.getElementType());
  if (from == to)
    return value;
  auto groups = getReassociationIndicesForReshape(from, to);
  if (groups && from.getRank() < to.getRank())
    return tensor::ExpandShapeOp::create(b, value.getLoc(), to, value, *groups, extents);
  if (groups)
    return tensor::CollapseShapeOp::create(b, value.getLoc(), to, value, *groups);
  if (from.getRank() == 1)
    return {};
  ReassociationIndices all = llvm::to_vector(llvm::seq<int64_t>(0, from.getRank()));
  Value flat = tensor::CollapseShapeOp::create(b, value.getLoc(), value, {all});
  return reshaped(b, flat, extents);
}

Value StridedView::inOrder(OpBuilder &b) const {
  SmallVector<OpFoldResult> extents, offsets, sizes;
  // What remains of the offset, and of the base around the next dimension.
  int64_t rest = offset, around = outermost.length();
  for (int64_t dim : order()) {
    Run run = dims[dim].empty() ? Run{b.getIndexAttr(1), 1} : dims[dim][0];
    bool isElement = dim + 1 == (int64_t)dims.size();
    if (dims[dim].empty() && !isElement) {
      extents.push_back(b.getIndexAttr(1));
      offsets.push_back(b.getIndexAttr(0));
      sizes.push_back(b.getIndexAttr(1));
      continue;
    }
    // The outermost one, of unknown extent, holds whatever was sliced of it.
    bool isOutermost = around == unknown && run.stride == outermost.stride;
    if (!isOutermost && (around == unknown || around % run.stride != 0))
      return {};
    int64_t extent = around / run.stride, first = rest / run.stride;
    if (!isOutermost && !(run.known() && first + *run.known() <= extent))
      return {};
    extents.push_back(isOutermost ? outermost.extent : b.getIndexAttr(extent));
    offsets.push_back(b.getIndexAttr(first));
    sizes.push_back(run.extent);
    rest %= run.stride;
    around = run.stride;
  }
  Value whole = rest == 0 && around == 1 ? reshaped(b, base, extents) : Value();
  if (!whole || sizes == extents)
    return whole;
  SmallVector<OpFoldResult> strides(dims.size(), b.getIndexAttr(1));
  return tensor::ExtractSliceOp::create(b, base.getLoc(), whole, offsets, sizes, strides);
}
