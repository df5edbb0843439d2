// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Every pass of Buddy, in alphabetical order.

#ifndef BUDDY_PASSES_TD
#define BUDDY_PASSES_TD

include "mlir/Pass/PassBase.td"

#endif
