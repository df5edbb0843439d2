// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef BUDDY_RUNTIME_PROFILE_H
#define BUDDY_RUNTIME_PROFILE_H

#include <string>

namespace buddy::runtime {

/// Profiles every module opened from now on that was compiled for it. Results go to `directory`,
/// which is created now, so that a place that cannot be written is known before the work starts:
/// throws ArgumentError. A call of a kernel costs some 100 ns then; memory for the trace is
/// taken as it fills.
void startProfile(const std::string &directory);

bool isProfiling();

/// Forgets what was recorded, so that a warm-up does not count.
void clearProfile();

/// What finishProfile wrote.
struct ProfileResult {
  std::string table;                // for people, one line per kernel
  std::string trace, page, kernels; // files: trace.json, roofline.html, kernels.json
};

/// Measures the machine, which takes a second, and writes what was recorded so far. Throws Error
/// saying what to do when no kernel has run.
ProfileResult finishProfile();

} // namespace buddy::runtime

#endif // BUDDY_RUNTIME_PROFILE_H
