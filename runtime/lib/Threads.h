// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef BUDDY_RUNTIME_LIB_THREADS_H
#define BUDDY_RUNTIME_LIB_THREADS_H

#include "buddy/runtime/ModelABI.h"

namespace buddy::runtime {

/// OpenMP's threads; null where there is no OpenMP.
TeamRunner *teamRunner();

} // namespace buddy::runtime

#endif // BUDDY_RUNTIME_LIB_THREADS_H
