// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The environment's variables are those of frontend/buddy/knobs.py.

#include "Profiling.h"
#include "buddy/runtime/Profile.h"

#include <cstdlib>
#include <iostream>
#include <string>

using namespace buddy::runtime;

static std::string variable(const char *name) {
  const char *value = std::getenv(name);
  return value ? value : "";
}

void startProfileIfAsked() {
  std::string asked = variable("BUDDY_PROFILE"), directory = variable("BUDDY_PROFILE_DIR");
  if (asked.empty() || asked == "0")
    return;
  startProfile(directory.empty() ? "buddy-profile" : directory);
}

void reportProfile() {
  if (!isProfiling())
    return;
  ProfileResult result = finishProfile();
  std::cerr << "\n"
            << result.table << "\n"
            << result.page << "\n"
            << result.trace << " (open it at ui.perfetto.dev)\n";
}
