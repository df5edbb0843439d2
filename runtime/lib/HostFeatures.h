// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The part of the CPU feature check that each architecture writes for itself.

#ifndef BUDDY_RUNTIME_LIB_HOSTFEATURES_H
#define BUDDY_RUNTIME_LIB_HOSTFEATURES_H

#include <string>
#include <vector>

namespace buddy::runtime {

/// Features that this process may use, under LLVM's names, in any order. AMX's tile registers
/// are asked for here, and its features left out where the kernel refuses them.
std::vector<std::string> detectHostFeatures();

} // namespace buddy::runtime

#endif // BUDDY_RUNTIME_LIB_HOSTFEATURES_H
