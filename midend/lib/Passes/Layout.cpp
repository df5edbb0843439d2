// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Layout.h"
#include "MatmulBlocking.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace buddy;

Value buddy::transposed(OpBuilder &b, Location loc, Value value, ArrayRef<int64_t> order) {
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, loc, value);
  auto element = cast<ShapedType>(value.getType()).getElementType();
  Value empty = tensor::EmptyOp::create(b, loc, applyPermutation(sizes, order), element);
  return linalg::TransposeOp::create(b, loc, value, empty, order)->getResult(0);
}

bool buddy::isZeroFill(Value value) {
  auto fill = value.getDefiningOp<linalg::FillOp>();
  return fill && (matchPattern(fill.getInputs()[0], m_AnyZeroFloat()) ||
                  matchPattern(fill.getInputs()[0], m_Zero()));
}

void buddy::addProduct(OpBuilder &b, Location loc, ValueRange arguments) {
  Value sum = arguments[2];
  auto wide = [&](Value value) -> Value {
    if (value.getType() == sum.getType())
      return value;
    return arith::ExtFOp::create(b, loc, sum.getType(), value);
  };
  constexpr auto contract = arith::FastMathFlags::contract;
  Value product = arith::MulFOp::create(b, loc, wide(arguments[0]), wide(arguments[1]), contract);
  linalg::YieldOp::create(b, loc,
                          arith::AddFOp::create(b, loc, sum, product, contract).getResult());
}

Value buddy::packRhs(OpBuilder &b, Location loc, MatrixOperand rhs, int64_t nr, int64_t kr) {
  SmallVector<int64_t> positions =
      rhs.transposed ? SmallVector<int64_t>{0, 1} : SmallVector<int64_t>{1, 0};
  SmallVector<OpFoldResult> tiles{b.getIndexAttr(nr), b.getIndexAttr(kr)};
  Value empty =
      linalg::PackOp::createDestinationTensor(b, loc, rhs.matrix, tiles, positions, positions);
  auto element = cast<ShapedType>(rhs.matrix.getType()).getElementType();
  Value zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(element));
  return linalg::PackOp::create(b, loc, rhs.matrix, empty, positions, tiles, zero, positions)
      .getResult();
}

/// Whether `count` columns fill vectors, the last of them too, up to a few percent.
static bool fillsVectors(int64_t count) {
  constexpr int64_t lanes = 16;
  int64_t unused = static_cast<int64_t>(llvm::alignTo(count, lanes)) - count;
  return 32 * unused <= count;
}

bool buddy::isBestTransposed(MatmulOp op) {
  auto out = cast<ShapedType>(op.getInit().getType());
  if (!isTransposed(op) || !out.hasStaticShape() || !isa<FloatType>(out.getElementType()))
    return false;
  int64_t rows = out.getDimSize(0), columns = out.getDimSize(1);
  return !isAlongRows(op) && rows < columns && fillsVectors(rows);
}

bool buddy::isTransposed(MatmulOp op) {
  auto pack = op.getRhs().getDefiningOp<linalg::PackOp>();
  return pack && pack.getInnerDimsPos() == ArrayRef<int64_t>{0, 1};
}
