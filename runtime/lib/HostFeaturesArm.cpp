// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// AArch64 features, as Linux tells them in the auxiliary vector.

#if defined(__aarch64__)

#include "HostFeatures.h"

#include <asm/hwcap.h>
#include <sys/auxv.h>

using namespace buddy::runtime;

namespace {

struct Feature {
  const char *name;
  unsigned long vector; // AT_HWCAP or AT_HWCAP2
  unsigned long bit;
};

constexpr Feature table[] = {
    {"fp-armv8", AT_HWCAP, HWCAP_FP},      {"neon", AT_HWCAP, HWCAP_ASIMD},
    {"aes", AT_HWCAP, HWCAP_AES},          {"sha2", AT_HWCAP, HWCAP_SHA2},
    {"crc", AT_HWCAP, HWCAP_CRC32},        {"lse", AT_HWCAP, HWCAP_ATOMICS},
    {"fullfp16", AT_HWCAP, HWCAP_ASIMDHP}, {"dotprod", AT_HWCAP, HWCAP_ASIMDDP},
    {"fp16fml", AT_HWCAP, HWCAP_ASIMDFHM}, {"sve", AT_HWCAP, HWCAP_SVE},
    {"sve2", AT_HWCAP2, HWCAP2_SVE2},      {"i8mm", AT_HWCAP2, HWCAP2_I8MM},
    {"bf16", AT_HWCAP2, HWCAP2_BF16},
};

} // namespace

std::vector<std::string> buddy::runtime::detectHostFeatures() {
  std::vector<std::string> found;
  for (const Feature &feature : table)
    if (getauxval(feature.vector) & feature.bit)
      found.push_back(feature.name);
  return found;
}

#endif // __aarch64__
