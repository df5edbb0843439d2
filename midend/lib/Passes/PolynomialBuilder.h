// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef BUDDY_LIB_PASSES_POLYNOMIALBUILDER_H
#define BUDDY_LIB_PASSES_POLYNOMIALBUILDER_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/PatternMatch.h"

namespace buddy {

/// Writes the arithmetic of one polynomial on vectors of f32.
struct PolynomialBuilder : mlir::ImplicitLocOpBuilder {
  using Value = mlir::Value;

  PolynomialBuilder(mlir::Operation *op, mlir::PatternRewriter &rewriter)
      : ImplicitLocOpBuilder(op->getLoc(), rewriter),
        type(mlir::cast<mlir::VectorType>(op->getResult(0).getType())) {}

  Value splat(double value) {
    mlir::Attribute element = getF32FloatAttr(static_cast<float>(value));
    return mlir::arith::ConstantOp::create(*this, mlir::DenseElementsAttr::get(type, element));
  }
  Value add(Value x, Value y) { return mlir::arith::AddFOp::create(*this, x, y); }
  Value sub(Value x, Value y) { return mlir::arith::SubFOp::create(*this, x, y); }
  Value mul(Value x, Value y) { return mlir::arith::MulFOp::create(*this, x, y); }
  Value fma(Value x, Value y, Value z) { return mlir::math::FmaOp::create(*this, x, y, z); }
  Value exp(Value x) { return mlir::math::ExpOp::create(*this, x); }
  Value less(Value x, Value y) {
    return mlir::arith::CmpFOp::create(*this, mlir::arith::CmpFPredicate::OLT, x, y);
  }
  Value select(Value condition, Value x, Value y) {
    return mlir::arith::SelectOp::create(*this, condition, x, y);
  }

  /// The smaller or larger of a limit and `x`, where a NaN of x passes through: one instruction of
  /// x86.
  Value atMost(Value x, double limit) { return select(less(splat(limit), x), splat(limit), x); }
  Value atLeast(Value x, double limit) { return select(less(x, splat(limit)), splat(limit), x); }

  /// c[0] + c[1] x + c[2] x^2 + ...
  Value polynomial(llvm::ArrayRef<double> c, Value x) {
    Value sum = splat(c.back());
    for (double coefficient : llvm::reverse(c.drop_back()))
      sum = fma(sum, x, splat(coefficient));
    return sum;
  }

  mlir::VectorType type;
};

/// Whether the op's result is a vector of f32.
inline bool isFloatVector(mlir::Operation *op) {
  auto type = mlir::dyn_cast<mlir::VectorType>(op->getResult(0).getType());
  return type && type.getElementType().isF32();
}

} // namespace buddy

#endif // BUDDY_LIB_PASSES_POLYNOMIALBUILDER_H
