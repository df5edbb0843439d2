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

void emit(LoopBuilder &b, MatmulOp op, ProductTiling tiling) {
  ProductEmitter product(b, op.getLhs(), op.getRhs(), op.getInit(), tiling);
  auto lhsAt = [](Value row, Value, Value k) { return Values{row, k}; };
  auto outAt = [](Value row, Value column) { return Values{row, column}; };
  Value out = op.getInit();
  ProductEmitter::Rows rows{b.dim(out, 0), 1, b.dim(op.getLhs(), 1), lhsAt, outAt};
  product.forEachPanel(b.dim(out, 1), [&] { product.emitRows(rows); });
}

/// A row is one output position along x. Its depth is one run for each row of the kernel,
/// or, where the kernel is dilated along x, one for each of the kernel's elements.
void emit(LoopBuilder &b, Conv2DOp op, ProductTiling tiling) {
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
                      b.index(joined ? width * channels : channels), lhsAt, outAt});
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
  VectorizeProduct(MLIRContext *context, int64_t bits, int64_t rows, bool hasDot)
      : OpRewritePattern<Op>(context), bits(bits), rows(rows), hasDot(hasDot) {}

  LogicalResult matchAndRewrite(Op op, PatternRewriter &rewriter) const override {
    Value lhs = op->getOperand(0), rhs = op->getOperand(1);
    StringRef why = refuseProduct(lhs, rhs, op.getInit());
    if (!why.empty())
      return missed(rewriter, op, "vectorize-matmul", why);
    LoopBuilder b(op.getLoc(), rewriter);
    auto panels = cast<MemRefType>(rhs.getType());
    emit(b, op, ProductTiling(getElementTypeOrSelf(lhs), panels, bits, rows, hasDot));
    rewriter.eraseOp(op);
    return success();
  }

  int64_t bits, rows;
  bool hasDot;
};

struct VectorizeMatmulPass : impl::VectorizeMatmulPassBase<VectorizeMatmulPass> {
  using Base::Base;
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<VectorizeProduct<MatmulOp>, VectorizeProduct<Conv2DOp>>(&getContext(), vectorBits,
                                                                         tileRows, hasBF16Dot);
    walkAndApplyPatterns(getOperation(), std::move(patterns));
  }
};

} // namespace
} // namespace buddy
