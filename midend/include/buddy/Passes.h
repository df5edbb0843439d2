// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef BUDDY_PASSES_H
#define BUDDY_PASSES_H

#include "mlir/Pass/Pass.h"

namespace buddy {
#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "buddy/Passes.h.inc"
} // namespace buddy

#endif
