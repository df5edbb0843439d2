// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "buddy/Passes.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;

namespace buddy {
#define GEN_PASS_DEF_INTEGERBF16PASS
#include "buddy/Passes.h.inc"
namespace {

bool isOfBF16(Type type) { return getElementTypeOrSelf(type).isBF16(); }

Type withElement(Type type, Type element) {
  auto vector = dyn_cast<VectorType>(type);
  return vector ? Type(vector.clone(element)) : element;
}

/// The bits of a constant of bf16.
Attribute bitsOf(Attribute value) {
  Type i16 = IntegerType::get(value.getContext(), 16);
  if (auto scalar = dyn_cast<FloatAttr>(value))
    return scalar.getType().isBF16() ? IntegerAttr::get(i16, scalar.getValue().bitcastToAPInt())
                                     : value;
  auto elements = dyn_cast<DenseElementsAttr>(value);
  return elements && elements.getElementType().isBF16() ? elements.bitcast(i16) : value;
}

/// The upper half of an f32 is its bf16.
void expand(LLVM::FPExtOp op) {
  ImplicitLocOpBuilder b(op.getLoc(), op);
  Type type = op.getArg().getType(), f32 = withElement(type, b.getF32Type());
  Type half = withElement(type, b.getI16Type()), word = withElement(type, b.getI32Type());
  TypedAttr sixteen = b.getI32IntegerAttr(16);
  if (auto vector = dyn_cast<VectorType>(word))
    sixteen = DenseElementsAttr::get(vector, Attribute(sixteen));
  Value bits = LLVM::ZExtOp::create(b, word, LLVM::BitcastOp::create(b, half, op.getArg()));
  Value upper = LLVM::ShlOp::create(b, bits, LLVM::ConstantOp::create(b, word, sixteen));
  Value result = LLVM::BitcastOp::create(b, f32, upper);
  if (op.getType() != f32)
    result = LLVM::FPExtOp::create(b, op.getType(), result);
  op.replaceAllUsesWith(result);
  op.erase();
}

struct IntegerBF16Pass : impl::IntegerBF16PassBase<IntegerBF16Pass> {
  using Base::Base;

  void runOnOperation() override {
    getOperation()->walk([](Operation *op) {
      if (auto constant = dyn_cast<LLVM::ConstantOp>(op))
        constant.setValueAttr(bitsOf(constant.getValue()));
      else if (auto global = dyn_cast<LLVM::GlobalOp>(op); global && global.getValueAttr())
        global.setValueAttr(bitsOf(global.getValueAttr()));
      else if (auto extension = dyn_cast<LLVM::FPExtOp>(op))
        if (isOfBF16(extension.getArg().getType()))
          expand(extension);
    });
    AttrTypeReplacer integers;
    integers.addReplacement(
        [](BFloat16Type type) { return IntegerType::get(type.getContext(), 16); });
    integers.recursivelyReplaceElementsIn(getOperation(), /*replaceAttrs=*/true,
                                          /*replaceLocs=*/false, /*replaceTypes=*/true);
    getOperation()->walk([](LLVM::BitcastOp op) {
      if (op.getArg().getType() != op.getType())
        return;
      op.replaceAllUsesWith(op.getArg());
      op.erase();
    });
  }
};
} // namespace
} // namespace buddy
