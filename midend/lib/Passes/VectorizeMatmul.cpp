// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// buddy.matmul and buddy.conv_2d on memrefs to register-tiled vector loops. A convolution is a
// product whose rows overlap: the input is read where it lies, nothing is copied to columns.

#include "MatmulBlocking.h"
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

/// The loops of one product:
///
///   for block of the depth:
///     copy the block of lhs                      where its rows would collide in the cache
///     for panel of columns:
///       pack the block of the panel              where rhs lies as it is
///       out[:, panel] (+)= block . panel
class MatmulLoops {
public:
  MatmulLoops(LoopBuilder &b, MatmulOp op, ProductEmitter &product, MatmulBlocking blocking,
              bool packs)
      : b(b), op(op), product(product), blocking(blocking), packs(packs),
        rank(cast<MemRefType>(op.getInit().getType()).getRank()),
        rowCount(b.dim(op.getInit(), rank - 2)), depth(b.dim(op.getLhs(), rank - 1)) {
    if (blocking.copiesLhs)
      allocateCopy();
  }

  void emit() {
    if (rank == 2)
      return emitMatrix({});
    b.loop(b.index(0), b.dim(op.getInit(), 0), 1, [&](Value n) { emitMatrix({n}); });
  }

private:
  void allocateCopy() {
    auto type = cast<MemRefType>(op.getLhs().getType());
    std::optional<int64_t> known = constantOf(rowCount);
    copyRows = std::min(known.value_or(kTileRows), kMostBlockRows);
    int64_t length = blocking.depth ? blocking.depth : type.getShape().back();
    int64_t lanes = laneCount();
    // Whole vectors are stored, and a row does not begin where the one before it does in its page.
    length = llvm::alignTo(length, lanes) + lanes;
    copy = memref::AllocaOp::create(b, MemRefType::get({copyRows, length}, type.getElementType()),
                                    b.getI64IntegerAttr(64));
  }

  /// Elements of lhs in 64 bytes.
  int64_t laneCount() { return 512 / getElementTypeOrSelf(op.getLhs()).getIntOrFloatBitWidth(); }

  void emitMatrix(Values matrix) {
    batch = matrix;
    product.startMatrix(batch);
    if (blocking.depth == 0)
      return emitBlock(b.index(0), depth, /*adds=*/false);
    Value block = b.index(blocking.depth), whole = b.roundDown(depth, blocking.depth);
    std::optional<int64_t> known = constantOf(depth);
    if (!known) {
      emitBlock(b.index(0), b.min(depth, block), /*adds=*/false);
      return b.loop(block, depth, blocking.depth, [&](Value start) {
        emitBlock(start, b.min(b.sub(depth, start), block), /*adds=*/true);
      });
    }
    // Blocks of a known size need no remainders.
    emitBlock(b.index(0), block, /*adds=*/false);
    b.loop(block, whole, blocking.depth,
           [&](Value start) { emitBlock(start, block, /*adds=*/true); });
    if (int64_t rest = *known % blocking.depth)
      emitBlock(whole, b.index(rest), /*adds=*/true);
  }

  void emitBlock(Value start, Value length, bool adds) {
    if (!copy)
      return emitPanels(b.index(0), rowCount, start, length, adds);
    b.loop(b.index(0), rowCount, copyRows, [&](Value first) {
      Value count = b.min(b.sub(rowCount, first), b.index(copyRows));
      copyBlock(first, count, start, length);
      emitPanels(first, count, start, length, adds);
    });
  }

  void copyBlock(Value first, Value count, Value start, Value length) {
    int64_t lanes = laneCount();
    auto type = VectorType::get(lanes, getElementTypeOrSelf(op.getLhs()));
    std::optional<int64_t> known = constantOf(length);
    auto copyVector = [&](Value row, Value k, Value mask) {
      Values from(batch);
      from.append({b.add(first, row), b.add(start, k)});
      b.store(b.load(type, op.getLhs(), from, mask), copy, {row, k});
    };
    b.loop(b.index(0), count, 1, [&](Value row) {
      Value whole = b.roundDown(length, lanes);
      b.loop(b.index(0), whole, lanes, [&](Value k) { copyVector(row, k, {}); });
      if (!known || *known % lanes != 0)
        copyVector(row, whole, b.firstLanes(b.sub(length, whole), lanes));
    });
  }

  /// `count` rows from `first` on, times a block of all columns.
  void emitPanels(Value first, Value count, Value start, Value length, bool adds) {
    auto lhsAt = [&](Value row, Value, Value k) {
      if (copy)
        return Values{row, k};
      Values indices(batch);
      indices.append({b.add(first, row), b.add(start, k)});
      return indices;
    };
    auto outAt = [&](Value row, Value column) {
      Values indices(batch);
      indices.append({b.add(first, row), column});
      return indices;
    };
    if (copy)
      product.readFrom(copy);
    Value from = op.isPacked() ? start : Value();
    product.forEachPanel(b.dim(op.getInit(), rank - 1), [&] {
      if (packs)
        product.packPanel(start, length);
      product.emitRows({count, 1, length, adds, from, lhsAt, outAt});
    });
  }

  LoopBuilder &b;
  MatmulOp op;
  ProductEmitter &product;
  MatmulBlocking blocking;
  bool packs;
  int64_t rank, copyRows = 0;
  Value rowCount, depth, copy;
  Values batch;
};

void emit(LoopBuilder &b, MatmulOp op, ProductTiling::Machine machine) {
  Value lhs = op.getLhs(), out = op.getInit();
  Type element = getElementTypeOrSelf(lhs);
  MatmulBlocking blocking(op);
  if (op.isPacked()) {
    ProductTiling tiling(element, cast<MemRefType>(op.getRhs().getType()), machine);
    ProductEmitter product(b, lhs, op.getRhs(), out, tiling);
    return MatmulLoops(b, op, product, blocking, /*packs=*/false).emit();
  }
  auto type = cast<MemRefType>(lhs.getType());
  std::optional<int64_t> rows = constantOf(b.dim(lhs, type.getRank() - 2));
  ProductTiling tiling(element, getElementTypeOrSelf(op.getRhs()), rows, machine);
  // One register tile reads rhs where it lies.
  bool packs = !rows || *rows > tiling.rows || tiling.kr != 1 || op.getTransposed();
  if (!packs)
    blocking.depth = 0;
  int64_t packedDepth = blocking.depth ? blocking.depth : type.getShape().back();
  ProductEmitter product(b, lhs, {op.getRhs(), op.getTransposed()}, out, packs ? packedDepth : 0,
                         tiling);
  MatmulLoops(b, op, product, blocking, packs).emit();
}

/// A row is one output position along x. Its depth is one run for each row of the kernel,
/// or, where the kernel is dilated along x or mirrored, one for each of the kernel's elements.
void emit(LoopBuilder &b, Conv2DOp op, ProductTiling::Machine machine) {
  Value in = op.getInput(), out = op.getInit();
  int64_t rank = cast<MemRefType>(in.getType()).getRank();
  int64_t channels = cast<MemRefType>(in.getType()).getShape().back();
  int64_t height = op.getKernel()[0], width = op.getKernel()[1];
  int64_t dilationY = op.getDilations()[0], dilationX = op.getDilations()[1];
  bool joined = width == 1 || (dilationX == 1 && !op.getMirrored());
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
      Value tap = op.getMirrored() ? b.sub(b.index(height * perRow - 1), run) : run;
      Value kernelY = b.div(tap, perRow), kernelX = b.rem(tap, perRow);
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
    product.emitRows({b.dim(out, rank - 2),
                      height * perRow,
                      b.index(joined ? width * channels : channels),
                      false,
                      {},
                      lhsAt,
                      outAt,
                      b.index(op.getStrides()[1] * channels)});
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
    ProductTiling::Machine machine{vectorBits, tileRows, hasBF16Dot, hasBF16Tiles};
    patterns.add<VectorizeProduct<MatmulOp>, VectorizeProduct<Conv2DOp>>(&getContext(), machine);
    walkAndApplyPatterns(getOperation(), std::move(patterns));
  }
};

} // namespace
} // namespace buddy
