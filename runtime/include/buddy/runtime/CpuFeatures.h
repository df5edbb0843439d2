// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef BUDDY_RUNTIME_CPUFEATURES_H
#define BUDDY_RUNTIME_CPUFEATURES_H

#include <string>
#include <vector>

namespace buddy::runtime {

/// Features of this CPU that this process may use, under LLVM's names, sorted. A feature whose
/// registers the operating system does not save (XCR0), or refuses when asked for them (AMX's
/// tiles), is not there. Detected once, and then asked for.
const std::vector<std::string> &cpuFeatures();

/// The members of `required` that this CPU lacks, in order. "+avx2" and "avx2" mean the same,
/// "-avx2" requires nothing. A name this runtime does not know counts as lacking.
std::vector<std::string> missingFeatures(const std::vector<std::string> &required);

/// Refuses code for another CPU with a ModelError naming `origin` and the missing features. Call
/// it before any of the code runs: it also gets the process its AMX tile registers.
void requireFeatures(const std::vector<std::string> &required, const std::string &origin);

} // namespace buddy::runtime

#endif // BUDDY_RUNTIME_CPUFEATURES_H
