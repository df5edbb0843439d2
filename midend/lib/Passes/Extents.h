// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef BUDDY_LIB_PASSES_EXTENTS_H
#define BUDDY_LIB_PASSES_EXTENTS_H

#include "mlir/IR/BuiltinTypes.h"
#include "llvm/Support/MathExtras.h"

namespace buddy {

/// Stands for an extent that is not known: a sequence length, a batch.
constexpr int64_t kTypicalExtent = 256;

/// The extent, or what stands for it where it counts units of several elements.
inline int64_t typicalIfDynamic(int64_t extent, int64_t unit = 1) {
  return mlir::ShapedType::isDynamic(extent) ? llvm::divideCeil(kTypicalExtent, unit) : extent;
}

} // namespace buddy

#endif
