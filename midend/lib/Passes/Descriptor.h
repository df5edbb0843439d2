// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Memrefs across the border to pointers: what the calling conventions are made of.

#ifndef BUDDY_LIB_PASSES_DESCRIPTOR_H
#define BUDDY_LIB_PASSES_DESCRIPTOR_H

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace buddy {

/// The LLVM struct that MLIR makes of a memref of this type.
mlir::LLVM::LLVMStructType descriptorType(mlir::MemRefType type);

/// The row-major memref whose elements begin at `pointer`, with a size (index) for
/// each dynamic dimension.
mlir::Value memrefAt(mlir::ImplicitLocOpBuilder &b, mlir::MemRefType type, mlir::Value pointer,
                     mlir::ValueRange dynamicSizes);

/// Where the elements of a row-major memref begin. Reshapes are looked through, so that
/// no descriptor is made for them.
mlir::Value addressOf(mlir::ImplicitLocOpBuilder &b, mlir::Value memref);

} // namespace buddy

#endif // BUDDY_LIB_PASSES_DESCRIPTOR_H
