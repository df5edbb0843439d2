// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "buddy/IR/BuddyDialect.h"

#include "mlir/Conversion/ConvertToLLVM/ToLLVMInterface.h"
#include "mlir/Conversion/LLVMCommon/Pattern.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Bufferization/IR/DstBufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/TilingInterface.h"

using namespace mlir;

namespace {

/// Reads its inputs and overwrites its init, which becomes the result in place. A scatter
/// keeps what it does not write.
template <typename Op>
struct DestinationModel
    : bufferization::DstBufferizableOpInterfaceExternalModel<DestinationModel<Op>, Op> {
  bool bufferizesToMemoryRead(Operation *op, OpOperand &operand,
                              const bufferization::AnalysisState &) const {
    return isa<buddy::ScatterOp>(op) || !cast<DestinationStyleOpInterface>(op).isDpsInit(&operand);
  }

  LogicalResult bufferize(Operation *op, RewriterBase &rewriter,
                          const bufferization::BufferizationOptions &options,
                          bufferization::BufferizationState &state) const {
    SmallVector<Value> operands;
    for (Value operand : op->getOperands()) {
      if (!isa<TensorType>(operand.getType())) {
        operands.push_back(operand);
        continue;
      }
      FailureOr<Value> buffer = bufferization::getBuffer(rewriter, operand, options, state);
      if (failed(buffer))
        return failure();
      operands.push_back(*buffer);
    }
    OperationState onBuffers(op->getLoc(), op->getName(), operands, TypeRange());
    onBuffers.propertiesAttr = op->getPropertiesAsAttribute();
    rewriter.setInsertionPoint(op);
    rewriter.create(onBuffers);
    bufferization::replaceOpWithBufferizedValues(rewriter, op, operands.back());
    return success();
  }
};

Value slice(OpBuilder &b, Value source, ArrayRef<OpFoldResult> from,
            ArrayRef<OpFoldResult> extent) {
  SmallVector<OpFoldResult> strides(from.size(), b.getIndexAttr(1));
  return tensor::ExtractSliceOp::create(b, source.getLoc(), source, from, extent, strides);
}

OpFoldResult apply(OpBuilder &b, Location loc, AffineExpr expr, OpFoldResult operand) {
  return affine::makeComposedFoldedAffineApply(b, loc, expr, {operand});
}

/// The panels of a packed operand that hold columns from `offset` on.
Value slicePanels(OpBuilder &b, Value rhs, OpFoldResult offset, OpFoldResult size) {
  int64_t width = cast<RankedTensorType>(rhs.getType()).getDimSize(2);
  AffineExpr column = b.getAffineDimExpr(0);
  SmallVector<OpFoldResult> from(4, b.getIndexAttr(0));
  from[0] = apply(b, rhs.getLoc(), column.floorDiv(width), offset);
  SmallVector<OpFoldResult> extent = tensor::getMixedSizes(b, rhs.getLoc(), rhs);
  extent[0] = apply(b, rhs.getLoc(), column.ceilDiv(width), size);
  return slice(b, rhs, from, extent);
}

/// The part of the right-hand side that the loops of `op` from `offsets` on read.
Value sliceColumns(OpBuilder &b, buddy::MatmulOp op, ArrayRef<OpFoldResult> offsets,
                   ArrayRef<OpFoldResult> sizes) {
  if (op.isPacked())
    return slicePanels(b, op.getRhs(), offsets.back(), sizes.back());
  SmallVector<OpFoldResult> from(offsets), extent(sizes);
  int64_t columns = op.columnDimension(), depth = 2 * from.size() - 3 - columns;
  from[columns] = offsets.back();
  extent[columns] = sizes.back();
  from[depth] = b.getIndexAttr(0);
  extent[depth] = tensor::getMixedSize(b, op.getLoc(), op.getRhs(), depth);
  return slice(b, op.getRhs(), from, extent);
}

/// A tile of a grouped convolution holds whole groups.
Value sliceColumns(OpBuilder &b, buddy::ConvOp op, ArrayRef<OpFoldResult> offsets,
                   ArrayRef<OpFoldResult> sizes) {
  if (!op.isGrouped() || op.sharesPanels())
    return slicePanels(b, op.getRhs(), offsets.back(), sizes.back());
  AffineExpr panel = b.getAffineDimExpr(0).ceilDiv(op.getGroup()[1]) * op.panelsOfGroup();
  SmallVector<OpFoldResult> from(4, b.getIndexAttr(0));
  SmallVector<OpFoldResult> extent = tensor::getMixedSizes(b, op.getLoc(), op.getRhs());
  from[0] = apply(b, op.getLoc(), panel, offsets.back());
  extent[0] = apply(b, op.getLoc(), panel, sizes.back());
  return slice(b, op.getRhs(), from, extent);
}

/// What they read of the left-hand side.
Value sliceRows(OpBuilder &b, buddy::MatmulOp op, ArrayRef<OpFoldResult> offsets,
                ArrayRef<OpFoldResult> sizes) {
  SmallVector<OpFoldResult> from(offsets), extent(sizes);
  from.back() = b.getIndexAttr(0);
  extent.back() = tensor::getMixedSizes(b, op.getLoc(), op.getLhs()).back();
  return slice(b, op.getLhs(), from, extent);
}

Value sliceRows(OpBuilder &b, buddy::ConvOp op, ArrayRef<OpFoldResult> offsets,
                ArrayRef<OpFoldResult> sizes) {
  SmallVector<OpFoldResult> from(offsets), extent(sizes);
  AffineExpr d = b.getAffineDimExpr(0);
  auto set = [&](int64_t dim, AffineExpr ofOffset, AffineExpr ofSize) {
    from[dim] = apply(b, op.getLoc(), ofOffset, offsets[dim]);
    extent[dim] = apply(b, op.getLoc(), ofSize, sizes[dim]);
  };
  int64_t channels = from.size() - 1, first = channels - op.spatialRank();
  for (int64_t i = 0; i < op.spatialRank(); ++i) {
    int64_t stride = op.getStrides()[i], reach = op.getDilations()[i] * (op.getKernel()[i] - 1);
    set(first + i, d * stride, (d - 1) * stride + reach + 1);
  }
  if (op.isGrouped()) {
    AffineExpr ofGroups = d.ceilDiv(op.getGroup()[1]) * op.getGroup()[0];
    set(channels, ofGroups, ofGroups);
  } else {
    from[channels] = b.getIndexAttr(0);
    extent[channels] = tensor::getMixedSizes(b, op.getLoc(), op.getInput()).back();
  }
  return slice(b, op.getInput(), from, extent);
}

/// What else a tile of it is told: nothing.
SmallVector<Value> sliceZeros(OpBuilder &, buddy::MatmulOp, ArrayRef<OpFoldResult>,
                              ArrayRef<OpFoldResult>) {
  return {};
}

/// How many of the padding's lines lie at either end of the input of a tile.
SmallVector<Value> sliceZeros(OpBuilder &b, buddy::ConvOp op, ArrayRef<OpFoldResult> offsets,
                              ArrayRef<OpFoldResult> sizes) {
  SmallVector<Value> zeros;
  Location loc = op.getLoc();
  AffineExpr d0, d1, d2, d3, none = b.getAffineConstantExpr(0);
  bindDims(b.getContext(), d0, d1, d2, d3);
  auto atLeastNone = [&](AffineExpr lines, ArrayRef<OpFoldResult> operands) {
    AffineMap map = AffineMap::get(operands.size(), 0, {lines, none}, b.getContext());
    OpFoldResult most = affine::makeComposedFoldedAffineMax(b, loc, map, operands);
    zeros.push_back(getValueOrCreateConstantIndexOp(b, loc, most));
  };
  int64_t first = offsets.size() - 1 - op.spatialRank();
  for (auto [number, count] : llvm::enumerate(op.getZeros())) {
    int64_t i = number / 2, stride = op.getStrides()[i];
    int64_t reach = op.getDilations()[i] * (op.getKernel()[i] - 1);
    OpFoldResult lines = getAsOpFoldResult(count), offset = offsets[first + i];
    if (number % 2 == 0) {
      atLeastNone(d0 - d1 * stride, {lines, offset});
      continue;
    }
    OpFoldResult extent = tensor::getMixedSize(b, loc, op.getInput(), first + i);
    atLeastNone(d0 + (d1 + d2 - 1) * stride + reach + 1 - d3,
                {lines, offset, sizes[first + i], extent});
  }
  return zeros;
}

/// Products are tiled over the elements of their result; columns by whole panels.
template <typename Op>
struct ProductTiling : TilingInterface::ExternalModel<ProductTiling<Op>, Op> {
  SmallVector<utils::IteratorType> getLoopIteratorTypes(Operation *op) const {
    int64_t rank = cast<RankedTensorType>(cast<Op>(op).getInit().getType()).getRank();
    return SmallVector<utils::IteratorType>(rank, utils::IteratorType::parallel);
  }

  SmallVector<Range> getIterationDomain(Operation *op, OpBuilder &b) const {
    SmallVector<Range> domain;
    for (OpFoldResult size : tensor::getMixedSizes(b, op->getLoc(), cast<Op>(op).getInit()))
      domain.push_back({b.getIndexAttr(0), size, b.getIndexAttr(1)});
    return domain;
  }

  FailureOr<TilingResult> getTiledImplementation(Operation *op, OpBuilder &b,
                                                 ArrayRef<OpFoldResult> offsets,
                                                 ArrayRef<OpFoldResult> sizes) const {
    auto product = cast<Op>(op);
    Value rows = sliceRows(b, product, offsets, sizes);
    Value panels = sliceColumns(b, product, offsets, sizes);
    Value init = slice(b, product.getInit(), offsets, sizes);
    SmallVector<Value> operands{rows, panels};
    operands.append(sliceZeros(b, product, offsets, sizes));
    operands.push_back(init);
    Operation *tiled = clone(b, op, init.getType(), operands);
    return TilingResult{{tiled},
                        SmallVector<Value>(tiled->getResults()),
                        {rows.getDefiningOp(), panels.getDefiningOp(), init.getDefiningOp()}};
  }

  LogicalResult getResultTilePosition(Operation *, OpBuilder &, unsigned,
                                      ArrayRef<OpFoldResult> offsets, ArrayRef<OpFoldResult> sizes,
                                      SmallVector<OpFoldResult> &resultOffsets,
                                      SmallVector<OpFoldResult> &resultSizes) const {
    resultOffsets.assign(offsets.begin(), offsets.end());
    resultSizes.assign(sizes.begin(), sizes.end());
    return success();
  }

  FailureOr<TilingResult> generateResultTileValue(Operation *op, OpBuilder &b, unsigned,
                                                  ArrayRef<OpFoldResult> offsets,
                                                  ArrayRef<OpFoldResult> sizes) const {
    return getTiledImplementation(op, b, offsets, sizes);
  }
};

/// What a team runs takes LLVM's types.
struct ParallelToLLVM : ConvertOpToLLVMPattern<buddy::ParallelOp> {
  using ConvertOpToLLVMPattern::ConvertOpToLLVMPattern;

  LogicalResult matchAndRewrite(buddy::ParallelOp op, OpAdaptor,
                                ConversionPatternRewriter &rewriter) const override {
    auto converted = buddy::ParallelOp::create(rewriter, op.getLoc());
    rewriter.inlineRegionBefore(op.getBody(), converted.getBody(), converted.getBody().end());
    if (failed(rewriter.convertRegionTypes(&converted.getBody(), *getTypeConverter())))
      return failure();
    rewriter.eraseOp(op);
    return success();
  }
};

struct ToLLVM : ConvertToLLVMPatternInterface {
  using ConvertToLLVMPatternInterface::ConvertToLLVMPatternInterface;

  void populateConvertToLLVMConversionPatterns(ConversionTarget &target,
                                               LLVMTypeConverter &converter,
                                               RewritePatternSet &patterns) const override {
    target.addDynamicallyLegalOp<buddy::ParallelOp>(
        [&](buddy::ParallelOp op) { return converter.isLegal(&op.getBody()); });
    target.addLegalOp<buddy::ParallelEndOp>();
    patterns.add<ParallelToLLVM>(converter);
  }
};

} // namespace

void buddy::registerDialect(DialectRegistry &registry) {
  registry.insert<BuddyDialect>();
  registry.addExtension(+[](MLIRContext *context, BuddyDialect *dialect) {
    dialect->addInterfaces<ToLLVM>();
    AttentionOp::attachInterface<DestinationModel<AttentionOp>>(*context);
    MatmulOp::attachInterface<DestinationModel<MatmulOp>>(*context);
    MatmulOp::attachInterface<ProductTiling<MatmulOp>>(*context);
    ConvOp::attachInterface<DestinationModel<ConvOp>>(*context);
    ConvOp::attachInterface<ProductTiling<ConvOp>>(*context);
    ScatterOp::attachInterface<DestinationModel<ScatterOp>>(*context);
    SortOp::attachInterface<DestinationModel<SortOp>>(*context);
    context->loadDialect<affine::AffineDialect, arith::ArithDialect, tensor::TensorDialect>();
  });
}
