// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The part of the CPU feature check that each architecture writes for itself.

#ifndef BUDDY_RUNTIME_LIB_HOSTFEATURES_H
#define BUDDY_RUNTIME_LIB_HOSTFEATURES_H

#include <string>
#include <vector>

namespace buddy::runtime {

/// Usable features under LLVM's names, in any order.
std::vector<std::string> detectHostFeatures();

/// Asks the kernel for AMX's tile registers; false when it refuses.
bool requestTileRegisters();

} // namespace buddy::runtime

#endif // BUDDY_RUNTIME_LIB_HOSTFEATURES_H
