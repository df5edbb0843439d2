// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// CPU features as a user describes them, as LLVM takes them.

#include "buddy/Backend/Compile.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/Triple.h"
#include "llvm/TargetParser/X86TargetParser.h"

using namespace llvm;

/// The features of this CPU, or of one that LLVM knows by name.
static Expected<StringMap<bool>> featuresOf(StringRef cpu) {
  if (cpu == "host")
    return sys::getHostCPUFeatures();
  bool isX86 = Triple(sys::getDefaultTargetTriple()).isX86();
  if (!isX86 || X86::parseArchX86(cpu, /*Only64Bit=*/true) == X86::CK_None)
    return createStringError("unknown CPU `" + cpu +
                             "`; there are `host`, LLVM's names of x86-64 CPUs on x86-64, and "
                             "lists of features like +avx2,+fma");
  SmallVector<StringRef> names;
  X86::getFeaturesForCPU(cpu, names);
  StringMap<bool> features;
  for (StringRef name : names)
    features[name] = true;
  return features;
}

Expected<std::string> buddy::resolveFeatures(StringRef described) {
  auto [cpu, changes] = described.split(',');
  if (cpu.empty() || cpu.starts_with("+") || cpu.starts_with("-"))
    return described.str();
  Expected<StringMap<bool>> features = featuresOf(cpu);
  if (!features)
    return features.takeError();
  for (StringRef change : split(changes, ',')) {
    bool enabled = change.consume_front("+");
    if (!enabled && !change.consume_front("-"))
      continue;
    (*features)[change] = enabled;
    X86::updateImpliedFeatures(change, enabled, *features);
  }
  std::vector<std::string> enabled;
  for (const auto &feature : *features)
    if (feature.second)
      enabled.push_back("+" + feature.first().str());
  sort(enabled); // a StringMap has no order
  return join(enabled, ",");
}
