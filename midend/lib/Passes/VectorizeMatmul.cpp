// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// buddy.matmul and buddy.conv_2d on memrefs to register-tiled vector loops. A convolution is a
// product whose rows overlap: the input is read where it lies, nothing is copied to columns.

#include "ProductEmitter.h"
#include "buddy/IR/BuddyDialect.h"
#include "buddy/Passes.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"

using namespace mlir;

namespace buddy {
#define GEN_PASS_DEF_VECTORIZEMATMULPASS
#include "buddy/Passes.h.inc"
namespace {

using Values = LoopBuilder::Values;

void emitPacked(LoopBuilder &b, MatmulOp op, ProductTiling::Machine machine) {
  Value out = op.getInit(), lhs = op.getLhs();
  ProductTiling tiling(getElementTypeOrSelf(lhs), cast<MemRefType>(op.getRhs().getType()), machine);
  ProductEmitter product(b, lhs, op.getRhs(), out, tiling);
  auto lhsAt = [](Value row, Value, Value k) { return Values{row, k}; };
  auto outAt = [](Value row, Value column) { return Values{row, column}; };
  ProductEmitter::Rows rows{b.dim(out, 0), 1, b.dim(lhs, 1), false, lhsAt, outAt};
  product.forEachPanel(b.dim(out, 1), [&] { product.emitRows(rows); });
}

/// Bytes of a panel that its tile packs: a part of the depth that stays near.
constexpr int64_t kScratchBytes = 65536;

/// The depth that is packed at once: all of it, unless sums can wait in out.
int64_t packedDepth(MatmulOp op, const ProductTiling &tiling) {
  int64_t depth = cast<ShapedType>(op.getLhs().getType()).getShape().back();
  auto bits = cast<ShapedType>(op.getRhs().getType()).getElementTypeBitWidth();
  int64_t fitting = kScratchBytes / (tiling.width() * bits / 8);
  bool inParts = getElementTypeOrSelf(op.getInit()) == tiling.sum;
  return inParts && (ShapedType::isDynamic(depth) || depth > fitting) ? fitting : depth;
}

void emitUnpacked(LoopBuilder &b, MatmulOp op, ProductTiling::Machine machine) {
  Value lhs = op.getLhs(), out = op.getInit();
  int64_t rank = cast<MemRefType>(out.getType()).getRank();
  Value rowCount = b.dim(out, rank - 2), depth = b.dim(lhs, rank - 1);
  std::optional<int64_t> known = constantOf(rowCount);
  ProductTiling tiling(getElementTypeOrSelf(lhs), getElementTypeOrSelf(op.getRhs()), known,
                       machine);
  bool oneTile = known && *known <= tiling.rows && tiling.kr == 1 && !op.getTransposed();
  int64_t packed = oneTile ? 0 : packedDepth(op, tiling);
  ProductEmitter product(b, lhs, {op.getRhs(), op.getTransposed()}, out, packed, tiling);
  auto emitMatrix = [&](Values batch) {
    product.startMatrix(batch);
    Value from = b.index(0);
    auto lhsAt = [&](Value row, Value, Value k) {
      Values indices(batch);
      indices.append({row, b.add(from, k)});
      return indices;
    };
    auto outAt = [&](Value row, Value column) {
      Values indices(batch);
      indices.append({row, column});
      return indices;
    };
    product.forEachPanel(b.dim(out, rank - 1), [&] {
      if (packed == 0)
        return product.emitRows({rowCount, 1, depth, false, lhsAt, outAt});
      auto emitPart = [&](Value start, bool adds) {
        from = start;
        Value part = b.min(b.sub(depth, from), b.index(packed));
        product.packPanel(from, part);
        product.emitRows({rowCount, 1, part, adds, lhsAt, outAt});
      };
      emitPart(b.index(0), false);
      b.loop(b.index(packed), depth, packed, [&](Value start) { emitPart(start, true); });
    });
  };
  if (rank == 2)
    return emitMatrix({});
  b.loop(b.index(0), b.dim(out, 0), 1, [&](Value n) { emitMatrix({n}); });
}

void emit(LoopBuilder &b, MatmulOp op, ProductTiling::Machine machine) {
  op.isPacked() ? emitPacked(b, op, machine) : emitUnpacked(b, op, machine);
}

/// A row is one output position along x. Its depth is one run for each row of the kernel,
/// or, where the kernel is dilated along x, one for each of the kernel's elements.
void emit(LoopBuilder &b, Conv2DOp op, ProductTiling::Machine machine) {
  Value in = op.getInput(), out = op.getInit();
  int64_t rank = cast<MemRefType>(in.getType()).getRank();
  int64_t channels = cast<MemRefType>(in.getType()).getShape().back();
  int64_t height = op.getKernel()[0], width = op.getKernel()[1];
  int64_t dilationY = op.getDilations()[0], dilationX = op.getDilations()[1];
  bool joined = dilationX == 1 || width == 1;
  int64_t perRow = joined ? 1 : width;
  // Positions and channels are neighbours in memory: one index runs over both.
  SmallVector<ReassociationIndices> groups{{rank - 2, rank - 1}};
  for (int64_t dim = rank - 3; dim >= 0; --dim)
    groups.insert(groups.begin(), {dim});
  Value lines = memref::CollapseShapeOp::create(b, in, groups);
  ProductTiling tiling(getElementTypeOrSelf(in), cast<MemRefType>(op.getRhs().getType()), machine);
  ProductEmitter product(b, lines, op.getRhs(), out, tiling);
  auto emitLine = [&](Values image, Value y) {
    Value top = b.mul(y, op.getStrides()[0]);
    auto lhsAt = [&](Value x, Value run, Value k) {
      Value kernelY = b.div(run, perRow), kernelX = b.rem(run, perRow);
      Value left = b.add(b.mul(x, op.getStrides()[1]), b.mul(kernelX, dilationX));
      Values indices(image);
      indices.append({b.add(top, b.mul(kernelY, dilationY)), b.add(b.mul(left, channels), k)});
      return indices;
    };
    auto outAt = [&](Value x, Value column) {
      Values indices(image);
      indices.append({y, x, column});
      return indices;
    };
    product.emitRows({b.dim(out, rank - 2), height * perRow,
                      b.index(joined ? width * channels : channels), false, lhsAt, outAt});
  };
  product.forEachPanel(b.dim(out, rank - 1), [&] {
    auto emitImage = [&](Values image) {
      b.loop(b.index(0), b.dim(out, rank - 3), 1, [&](Value y) { emitLine(image, y); });
    };
    if (rank == 3)
      return emitImage({});
    b.loop(b.index(0), b.dim(out, 0), 1, [&](Value n) { emitImage({n}); });
  });
}

template <typename Op> struct VectorizeProduct : OpRewritePattern<Op> {
  VectorizeProduct(MLIRContext *context, ProductTiling::Machine machine)
      : OpRewritePattern<Op>(context), machine(machine) {}

  LogicalResult matchAndRewrite(Op op, PatternRewriter &rewriter) const override {
    StringRef why = refuseProduct(op->getOperand(0), op->getOperand(1), op.getInit());
    if (!why.empty())
      return missed(rewriter, op, "vectorize-matmul", why);
    LoopBuilder b(op.getLoc(), rewriter);
    emit(b, op, machine);
    rewriter.eraseOp(op);
    return success();
  }

  ProductTiling::Machine machine;
};

struct VectorizeMatmulPass : impl::VectorizeMatmulPassBase<VectorizeMatmulPass> {
  using Base::Base;
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    ProductTiling::Machine machine{vectorBits, tileRows, hasBF16Dot};
    patterns.add<VectorizeProduct<MatmulOp>, VectorizeProduct<Conv2DOp>>(&getContext(), machine);
    walkAndApplyPatterns(getOperation(), std::move(patterns));
  }
};

} // namespace
} // namespace buddy
