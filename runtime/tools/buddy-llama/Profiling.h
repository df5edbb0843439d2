// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef BUDDY_LLAMA_PROFILING_H
#define BUDDY_LLAMA_PROFILING_H

/// With BUDDY_PROFILE=1, profiles every kernel from now on into BUDDY_PROFILE_DIR (default
/// buddy-profile/). Throws ArgumentError where that cannot be written.
void startProfileIfAsked();

/// Writes the files and prints the table to standard error, if a profile was started.
void reportProfile();

#endif // BUDDY_LLAMA_PROFILING_H
