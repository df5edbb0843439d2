// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Descriptor.h"

#include "mlir/Conversion/LLVMCommon/MemRefBuilder.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace buddy;

LLVM::LLVMStructType buddy::descriptorType(MemRefType type) {
  return cast<LLVM::LLVMStructType>(LLVMTypeConverter(type.getContext()).convertType(type));
}

Value buddy::memrefAt(ImplicitLocOpBuilder &b, MemRefType type, Value pointer,
                      ValueRange dynamicSizes) {
  auto word = [&](int64_t value) -> Value {
    return LLVM::ConstantOp::create(b, b.getI64IntegerAttr(value));
  };
  auto descriptor = MemRefDescriptor::poison(b, b.getLoc(), descriptorType(type));
  descriptor.setConstantOffset(b, b.getLoc(), 0);
  Value stride = word(1);
  for (int64_t dim = type.getRank() - 1; dim >= 0; --dim) {
    Value size;
    if (type.isDynamicDim(dim)) {
      size = arith::IndexCastOp::create(b, b.getI64Type(), dynamicSizes.back());
      dynamicSizes = dynamicSizes.drop_back();
    } else {
      size = word(type.getDimSize(dim));
    }
    descriptor.setSize(b, b.getLoc(), dim, size);
    descriptor.setStride(b, b.getLoc(), dim, stride);
    stride = b.createOrFold<LLVM::MulOp>(stride, size);
  }
  // Last, so that everything else is one constant in LLVM.
  descriptor.setAllocatedPtr(b, b.getLoc(), pointer);
  descriptor.setAlignedPtr(b, b.getLoc(), pointer);
  return UnrealizedConversionCastOp::create(b, type, Value(descriptor)).getResult(0);
}

Value buddy::addressOf(ImplicitLocOpBuilder &b, Value memref) {
  while (isa_and_present<memref::ExpandShapeOp, memref::CollapseShapeOp, memref::CastOp>(
      memref.getDefiningOp()))
    memref = memref.getDefiningOp()->getOperand(0);
  if (auto view = memref.getDefiningOp<memref::ViewOp>()) {
    Value shift = arith::IndexCastOp::create(b, b.getI64Type(), view.getByteShift());
    Value base = addressOf(b, view.getSource());
    return LLVM::GEPOp::create(b, base.getType(), b.getI8Type(), base, LLVM::GEPArg(shift));
  }
  Value descriptor;
  if (auto rebuilt = memref.getDefiningOp<UnrealizedConversionCastOp>())
    descriptor = rebuilt.getOperand(0);
  else
    descriptor = UnrealizedConversionCastOp::create(
                     b, descriptorType(cast<MemRefType>(memref.getType())), memref)
                     .getResult(0);
  return b.createOrFold<LLVM::ExtractValueOp>(descriptor, ArrayRef<int64_t>{1});
}
