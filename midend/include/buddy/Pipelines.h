// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef BUDDY_PIPELINES_H
#define BUDDY_PIPELINES_H

#include "buddy/Passes.h"
#include "mlir/Pass/PassOptions.h"

namespace buddy {
void registerPipelines();
} // namespace buddy

#endif
