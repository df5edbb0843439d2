// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "buddy/IR/BuddyDialect.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/DstBufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/TilingInterface.h"

using namespace mlir;

namespace {

/// Reads its inputs and overwrites its init, which becomes the result in place.
template <typename Op>
struct DestinationModel
    : bufferization::DstBufferizableOpInterfaceExternalModel<DestinationModel<Op>, Op> {
  bool bufferizesToMemoryRead(Operation *op, OpOperand &operand,
                              const bufferization::AnalysisState &) const {
    return !cast<DestinationStyleOpInterface>(op).isDpsInit(&operand);
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

/// A matmul is tiled over rows and over whole panels of columns.
struct MatmulTiling : TilingInterface::ExternalModel<MatmulTiling, buddy::MatmulOp> {
  SmallVector<utils::IteratorType> getLoopIteratorTypes(Operation *) const {
    return {utils::IteratorType::parallel, utils::IteratorType::parallel};
  }

  SmallVector<Range> getIterationDomain(Operation *op, OpBuilder &b) const {
    auto matmul = cast<buddy::MatmulOp>(op);
    SmallVector<Range> domain;
    for (int64_t dim : {0, 1})
      domain.push_back({b.getIndexAttr(0),
                        tensor::getMixedSize(b, op->getLoc(), matmul.getInit(), dim),
                        b.getIndexAttr(1)});
    return domain;
  }

  FailureOr<TilingResult> getTiledImplementation(Operation *op, OpBuilder &b,
                                                 ArrayRef<OpFoldResult> offsets,
                                                 ArrayRef<OpFoldResult> sizes) const {
    auto matmul = cast<buddy::MatmulOp>(op);
    Location loc = op->getLoc();
    auto panels = cast<RankedTensorType>(matmul.getRhs().getType());
    AffineExpr column = b.getAffineDimExpr(0);
    int64_t width = panels.getDimSize(2);
    auto apply = [&](AffineExpr expr, OpFoldResult operand) {
      return affine::makeComposedFoldedAffineApply(b, loc, expr, {operand});
    };
    OpFoldResult zero = b.getIndexAttr(0);
    auto slice = [&](Value source, ArrayRef<OpFoldResult> from, ArrayRef<OpFoldResult> extent) {
      SmallVector<OpFoldResult> strides(from.size(), b.getIndexAttr(1));
      return tensor::ExtractSliceOp::create(b, loc, source, from, extent, strides);
    };
    auto size = [&](Value source, int64_t dim) {
      return tensor::getMixedSize(b, loc, source, dim);
    };
    auto lhs = slice(matmul.getLhs(), {offsets[0], zero}, {sizes[0], size(matmul.getLhs(), 1)});
    auto rhs = slice(matmul.getRhs(), {apply(column.floorDiv(width), offsets[1]), zero, zero, zero},
                     {apply(column.ceilDiv(width), sizes[1]), size(matmul.getRhs(), 1),
                      size(matmul.getRhs(), 2), size(matmul.getRhs(), 3)});
    auto init = slice(matmul.getInit(), offsets, sizes);
    auto tiled = buddy::MatmulOp::create(b, loc, init.getType(), lhs, rhs, init);
    return TilingResult{{tiled}, SmallVector<Value>(tiled.getResults()), {lhs, rhs, init}};
  }

  LogicalResult getResultTilePosition(Operation *, OpBuilder &, unsigned,
                                      ArrayRef<OpFoldResult> offsets,
                                      ArrayRef<OpFoldResult> sizes,
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

} // namespace

void buddy::registerDialect(DialectRegistry &registry) {
  registry.insert<BuddyDialect>();
  registry.addExtension(+[](MLIRContext *context, BuddyDialect *) {
    AttentionOp::attachInterface<DestinationModel<AttentionOp>>(*context);
    MatmulOp::attachInterface<DestinationModel<MatmulOp>>(*context);
    MatmulOp::attachInterface<MatmulTiling>(*context);
    context->loadDialect<affine::AffineDialect, arith::ArithDialect, tensor::TensorDialect>();
  });
}
