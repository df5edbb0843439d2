// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef BUDDY_LIB_PASSES_MATHPIECES_H
#define BUDDY_LIB_PASSES_MATHPIECES_H

#include "mlir/IR/PatternMatch.h"

namespace buddy {

/// erf and tanh of 16 f32 as short polynomials, one of 32 for each lane, which AVX-512 looks up.
void populateMathInPieces(mlir::RewritePatternSet &patterns);

} // namespace buddy

#endif // BUDDY_LIB_PASSES_MATHPIECES_H
