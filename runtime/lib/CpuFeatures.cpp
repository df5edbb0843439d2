// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "buddy/runtime/CpuFeatures.h"
#include "HostFeatures.h"
#include "buddy/runtime/Error.h"

#include <algorithm>

using namespace buddy::runtime;

const std::vector<std::string> &buddy::runtime::cpuFeatures() {
  static const std::vector<std::string> features = [] {
    std::vector<std::string> found = detectHostFeatures();
    std::sort(found.begin(), found.end());
    return found;
  }();
  return features;
}

std::vector<std::string> buddy::runtime::missingFeatures(const std::vector<std::string> &required) {
  std::vector<std::string> missing;
  for (const std::string &feature : required) {
    if (feature.empty() || feature.front() == '-')
      continue;
    std::string name = feature.substr(feature.front() == '+' ? 1 : 0);
    if (!std::binary_search(cpuFeatures().begin(), cpuFeatures().end(), name))
      missing.push_back(name);
  }
  return missing;
}

void buddy::runtime::requireFeatures(const std::vector<std::string> &required,
                                     const std::string &origin) {
  std::vector<std::string> missing = missingFeatures(required);
  if (!missing.empty()) {
    std::string names;
    for (const std::string &name : missing)
      names += (names.empty() ? "" : ", ") + name;
    throw ModelError(origin, "was built for CPU features that this machine lacks, or refuses to "
                             "this process: " +
                                 names + "; compile the model again on this machine");
  }
}
