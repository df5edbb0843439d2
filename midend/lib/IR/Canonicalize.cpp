// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What canonicalization knows of the ops of the dialect.

#include "buddy/IR/BuddyDialect.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace buddy;

/// The heads of which `heads` `[B,H,L,D]` repeats each several times in a row, as models do that
/// know no grouped queries: `[B,Hkv,L,D]`, expanded to `[B,Hkv,g,L,D]` and collapsed. Else null.
static Value repeatedHeads(Value heads) {
  auto collapse = heads.getDefiningOp<tensor::CollapseShapeOp>();
  if (!collapse ||
      collapse.getReassociationIndices() != ArrayRef<ReassociationIndices>{{0}, {1, 2}, {3}, {4}})
    return {};
  auto copy = collapse.getSrc().getDefiningOp<linalg::GenericOp>();
  if (!copy || copy.getNumDpsInputs() != 1 || copy.getNumDpsInits() != 1 ||
      copy.getNumParallelLoops() != 5)
    return {};
  auto yield = cast<linalg::YieldOp>(copy.getBody()->getTerminator());
  auto maps = copy.getIndexingMapsArray();
  AffineMap withoutGroup = AffineMap::getMultiDimIdentityMap(5, copy.getContext()).dropResult(2);
  if (yield.getOperand(0) != copy.getRegionInputArgs()[0] || maps[0] != withoutGroup ||
      !maps[1].isIdentity())
    return {};
  return copy.getDpsInputs()[0];
}

LogicalResult AttentionOp::canonicalize(AttentionOp op, PatternRewriter &rewriter) {
  if (!op.getLayouts().empty())
    return failure();
  Value key = repeatedHeads(op.getKey()), value = repeatedHeads(op.getValue());
  if (!key || !value ||
      cast<ShapedType>(key.getType()).getDimSize(1) !=
          cast<ShapedType>(value.getType()).getDimSize(1))
    return failure();
  rewriter.modifyOpInPlace(op, [&] {
    op.getKeyMutable().assign(key);
    op.getValueMutable().assign(value);
  });
  return success();
}
