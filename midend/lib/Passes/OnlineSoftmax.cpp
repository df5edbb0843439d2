// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "OnlineSoftmax.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace buddy;

void OnlineSoftmax::allocate(int64_t rows) {
  Type element = type.getElementType();
  sums = b.scratch({rows, type.getNumElements()}, element);
  maxima = b.scratch({rows}, element);
}

void OnlineSoftmax::reset(Value row) {
  b.store(b.zero(type), sums, {row, b.index(0)});
  memref::StoreOp::create(b, infinity(), maxima, row);
}

Value OnlineSoftmax::infinity() {
  auto element = cast<FloatType>(type.getElementType());
  APFloat negative = APFloat::getInf(element.getFloatSemantics(), /*Negative=*/true);
  return arith::ConstantOp::create(b, b.getFloatAttr(element, negative));
}

Value OnlineSoftmax::hidden() { return b.splat(infinity(), type); }

Value OnlineSoftmax::exponential(Value x) {
  return isBase2 ? math::Exp2Op::create(b, x).getResult() : math::ExpOp::create(b, x).getResult();
}

/// The larger of two, `x` where `y` is not a number: a maximum of scores always is one, and
/// their exponentials bring the NaN into the result.
Value OnlineSoftmax::larger(Value x, Value y) {
  Value isLarger = arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, y, x);
  return arith::SelectOp::create(b, isLarger, y, x);
}

OnlineSoftmax::Values OnlineSoftmax::update(Value row, ValueRange scores,
                                            function_ref<void(Value)> rescale) {
  Value most = hidden();
  for (Value score : scores)
    most = larger(most, score);
  Value before = memref::LoadOp::create(b, maxima, row);
  // None of the lanes is a NaN.
  Value maximum = vector::ReductionOp::create(b, vector::CombiningKind::MAXNUMF, most,
                                              arith::FastMathFlags::nnan);
  maximum = larger(before, maximum);
  // A row that has seen nothing yet has no maximum: exp(-inf - 0) is 0, where
  // exp(-inf - -inf) would not be a number.
  Value nothing = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, maximum, infinity());
  Value zero = b.zero(type.getElementType());
  Value base = b.splat(arith::SelectOp::create(b, nothing, zero, maximum), type);
  Value grew = arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, maximum, before);
  b.when(grew, [&] {
    memref::StoreOp::create(b, maximum, maxima, row);
    Value factor = exponential(arith::SubFOp::create(b, b.splat(before, type), base));
    Value sum = b.load(type, sums, {row, b.index(0)});
    b.store(arith::MulFOp::create(b, sum, factor), sums, {row, b.index(0)});
    rescale(factor);
  });
  Values weights;
  Value sum = b.load(type, sums, {row, b.index(0)});
  for (Value score : scores) {
    weights.push_back(exponential(arith::SubFOp::create(b, score, base)));
    sum = arith::AddFOp::create(b, sum, weights.back());
  }
  b.store(sum, sums, {row, b.index(0)});
  return weights;
}

Value OnlineSoftmax::normalizer(Value row) {
  Value lanes = b.load(type, sums, {row, b.index(0)}), zero = b.zero(type.getElementType());
  Value total = vector::ReductionOp::create(b, vector::CombiningKind::ADD, lanes,
                                            arith::FastMathFlags::reassoc);
  Value one = arith::ConstantOp::create(b, b.getFloatAttr(type.getElementType(), 1.0));
  Value empty = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, total, zero);
  Value inverse = arith::DivFOp::create(b, one, arith::SelectOp::create(b, empty, one, total));
  return b.splat(inverse, type);
}
