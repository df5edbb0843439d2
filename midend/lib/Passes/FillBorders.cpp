// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "buddy/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace buddy {
#define GEN_PASS_DEF_FILLBORDERSPASS
#include "buddy/Passes.h.inc"
namespace {

/// The fill whose middle `store` covers, if its border is known and nothing else reads it.
linalg::FillOp filledAround(tensor::InsertSliceOp store) {
  auto fill = store.getDest().getDefiningOp<linalg::FillOp>();
  bool isKnown = store.getDestType().hasStaticShape() && store.hasUnitStride() &&
                 !ShapedType::isDynamicShape(store.getStaticOffsets()) &&
                 !ShapedType::isDynamicShape(store.getStaticSizes());
  return fill && isKnown && fill->hasOneUse() ? fill : nullptr;
}

/// Slab by slab, one dimension after the other: of the later ones all, of the earlier ones the
/// middle.
void fillBorder(tensor::InsertSliceOp store, linalg::FillOp fill) {
  OpBuilder b(fill);
  Location loc = fill.getLoc();
  Value value = fill.getInputs()[0], filled = fill.getOutputs()[0];
  ArrayRef<int64_t> shape = store.getDestType().getShape();
  SmallVector<int64_t> offsets(shape.size(), 0), sizes(shape);
  SmallVector<OpFoldResult> strides(shape.size(), b.getIndexAttr(1));
  for (size_t dim = 0; dim < shape.size(); ++dim) {
    int64_t from = store.getStaticOffset(dim), extent = store.getStaticSize(dim);
    auto fillSlab = [&](int64_t begin, int64_t end) {
      if (begin == end)
        return;
      offsets[dim] = begin;
      sizes[dim] = end - begin;
      auto where = getAsIndexOpFoldResult(b.getContext(), offsets);
      auto size = getAsIndexOpFoldResult(b.getContext(), sizes);
      Value slab = tensor::ExtractSliceOp::create(b, loc, filled, where, size, strides);
      slab = linalg::FillOp::create(b, loc, value, slab).getResult(0);
      filled = tensor::InsertSliceOp::create(b, loc, slab, filled, where, size, strides);
    };
    fillSlab(0, from);
    fillSlab(from + extent, shape[dim]);
    offsets[dim] = from;
    sizes[dim] = extent;
  }
  store.getDestMutable().assign(filled);
  fill->erase();
}

struct FillBordersPass : impl::FillBordersPassBase<FillBordersPass> {
  using Base::Base;

  void runOnOperation() override {
    getOperation().walk([](tensor::InsertSliceOp store) {
      if (linalg::FillOp fill = filledAround(store))
        fillBorder(store, fill);
    });
  }
};
} // namespace
} // namespace buddy
