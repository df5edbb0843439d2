// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// x86 features by CPUID, as the Intel and AMD manuals number them, under the names of LLVM 22. A
// test compares the answers with /proc/cpuinfo.

#if defined(__x86_64__)

#include "HostFeatures.h"

#include <cpuid.h>
#include <cstdint>
#include <sys/syscall.h>
#include <unistd.h>

using namespace buddy::runtime;

namespace {

enum Register { EAX, EBX, ECX, EDX };

/// Register state that the operating system must save before a feature can be used.
enum State { None, Xsave, Avx, Avx512, Amx, Apx };

struct Feature {
  const char *name;
  uint32_t leaf, subleaf;
  Register where;
  int bit;
  State state;
};

constexpr uint32_t extended1 = 0x80000001, extended8 = 0x80000008;

constexpr Feature table[] = {
    {"cx8", 1, 0, EDX, 8, None},
    {"cmov", 1, 0, EDX, 15, None},
    {"mmx", 1, 0, EDX, 23, None},
    {"fxsr", 1, 0, EDX, 24, None},
    {"sse", 1, 0, EDX, 25, None},
    {"sse2", 1, 0, EDX, 26, None},
    {"sse3", 1, 0, ECX, 0, None},
    {"pclmul", 1, 0, ECX, 1, None},
    {"ssse3", 1, 0, ECX, 9, None},
    {"fma", 1, 0, ECX, 12, Avx},
    {"cx16", 1, 0, ECX, 13, None},
    {"sse4.1", 1, 0, ECX, 19, None},
    {"sse4.2", 1, 0, ECX, 20, None},
    {"crc32", 1, 0, ECX, 20, None},
    {"movbe", 1, 0, ECX, 22, None},
    {"popcnt", 1, 0, ECX, 23, None},
    {"aes", 1, 0, ECX, 25, None},
    {"xsave", 1, 0, ECX, 26, Avx},
    {"avx", 1, 0, ECX, 28, Avx},
    {"f16c", 1, 0, ECX, 29, Avx},
    {"rdrnd", 1, 0, ECX, 30, None},
    {"fsgsbase", 7, 0, EBX, 0, None},
    {"sgx", 7, 0, EBX, 2, None},
    {"bmi", 7, 0, EBX, 3, None},
    {"avx2", 7, 0, EBX, 5, Avx},
    {"bmi2", 7, 0, EBX, 8, None},
    {"invpcid", 7, 0, EBX, 10, None},
    {"rtm", 7, 0, EBX, 11, None},
    {"avx512f", 7, 0, EBX, 16, Avx512},
    {"avx512dq", 7, 0, EBX, 17, Avx512},
    {"rdseed", 7, 0, EBX, 18, None},
    {"adx", 7, 0, EBX, 19, None},
    {"avx512ifma", 7, 0, EBX, 21, Avx512},
    {"clflushopt", 7, 0, EBX, 23, None},
    {"clwb", 7, 0, EBX, 24, None},
    {"avx512cd", 7, 0, EBX, 28, Avx512},
    {"sha", 7, 0, EBX, 29, None},
    {"avx512bw", 7, 0, EBX, 30, Avx512},
    {"avx512vl", 7, 0, EBX, 31, Avx512},
    {"avx512vbmi", 7, 0, ECX, 1, Avx512},
    {"pku", 7, 0, ECX, 4, None},
    {"waitpkg", 7, 0, ECX, 5, None},
    {"avx512vbmi2", 7, 0, ECX, 6, Avx512},
    {"shstk", 7, 0, ECX, 7, None},
    {"gfni", 7, 0, ECX, 8, None},
    {"vaes", 7, 0, ECX, 9, Avx},
    {"vpclmulqdq", 7, 0, ECX, 10, Avx},
    {"avx512vnni", 7, 0, ECX, 11, Avx512},
    {"avx512bitalg", 7, 0, ECX, 12, Avx512},
    {"avx512vpopcntdq", 7, 0, ECX, 14, Avx512},
    {"rdpid", 7, 0, ECX, 22, None},
    {"kl", 7, 0, ECX, 23, None},
    {"cldemote", 7, 0, ECX, 25, None},
    {"movdiri", 7, 0, ECX, 27, None},
    {"movdir64b", 7, 0, ECX, 28, None},
    {"enqcmd", 7, 0, ECX, 29, None},
    {"uintr", 7, 0, EDX, 5, None},
    {"avx512vp2intersect", 7, 0, EDX, 8, Avx512},
    {"serialize", 7, 0, EDX, 14, None},
    {"tsxldtrk", 7, 0, EDX, 16, None},
    {"pconfig", 7, 0, EDX, 18, None},
    {"amx-bf16", 7, 0, EDX, 22, Amx},
    {"avx512fp16", 7, 0, EDX, 23, Avx512},
    {"amx-tile", 7, 0, EDX, 24, Amx},
    {"amx-int8", 7, 0, EDX, 25, Amx},
    {"sha512", 7, 1, EAX, 0, None},
    {"sm3", 7, 1, EAX, 1, None},
    {"sm4", 7, 1, EAX, 2, None},
    {"raoint", 7, 1, EAX, 3, None},
    {"avxvnni", 7, 1, EAX, 4, Avx},
    {"avx512bf16", 7, 1, EAX, 5, Avx512},
    {"cmpccxadd", 7, 1, EAX, 7, None},
    {"amx-fp16", 7, 1, EAX, 21, Amx},
    {"hreset", 7, 1, EAX, 22, None},
    {"avxifma", 7, 1, EAX, 23, Avx},
    {"movrs", 7, 1, EAX, 31, None},
    {"avxvnniint8", 7, 1, EDX, 4, Avx},
    {"avxneconvert", 7, 1, EDX, 5, Avx},
    {"amx-complex", 7, 1, EDX, 8, Amx},
    {"avxvnniint16", 7, 1, EDX, 10, Avx},
    {"prefetchi", 7, 1, EDX, 14, None},
    {"usermsr", 7, 1, EDX, 15, None},
    {"avx10.1", 7, 1, EDX, 19, Avx512},
    {"egpr", 7, 1, EDX, 21, Apx},
    {"push2pop2", 7, 1, EDX, 21, Apx},
    {"ppx", 7, 1, EDX, 21, Apx},
    {"ndd", 7, 1, EDX, 21, Apx},
    {"ccmp", 7, 1, EDX, 21, Apx},
    {"nf", 7, 1, EDX, 21, Apx},
    {"cf", 7, 1, EDX, 21, Apx},
    {"zu", 7, 1, EDX, 21, Apx},
    {"xsaveopt", 0xd, 1, EAX, 0, Xsave},
    {"xsavec", 0xd, 1, EAX, 1, Xsave},
    {"xsaves", 0xd, 1, EAX, 3, Xsave},
    {"ptwrite", 0x14, 0, EBX, 4, None},
    {"avx10.2", 0x24, 0, EBX, 1, Avx512}, // a version number; 2 and 3 have this bit
    {"widekl", 0x19, 0, EBX, 2, None},
    {"amx-fp8", 0x1e, 1, EAX, 4, Amx},
    {"amx-tf32", 0x1e, 1, EAX, 6, Amx},
    {"amx-avx512", 0x1e, 1, EAX, 7, Amx},
    {"amx-movrs", 0x1e, 1, EAX, 8, Amx},
    {"sahf", extended1, 0, ECX, 0, None},
    {"lzcnt", extended1, 0, ECX, 5, None},
    {"sse4a", extended1, 0, ECX, 6, None},
    {"prfchw", extended1, 0, ECX, 8, None},
    {"xop", extended1, 0, ECX, 11, Avx},
    {"lwp", extended1, 0, ECX, 15, None},
    {"fma4", extended1, 0, ECX, 16, Avx},
    {"tbm", extended1, 0, ECX, 21, None},
    {"mwaitx", extended1, 0, ECX, 29, None},
    {"64bit", extended1, 0, EDX, 29, None},
    {"clzero", extended8, 0, EBX, 0, None},
    {"rdpru", extended8, 0, EBX, 4, None},
    {"wbnoinvd", extended8, 0, EBX, 9, None},
};

constexpr uint64_t amxState = 0x60000; // TILECFG and TILEDATA

/// Asks Linux for AMX's tile registers, for all threads of the process. It refuses them to one
/// whose signal stacks are too small for them.
bool requestTileRegisters() {
  constexpr long requestPermission = 0x1023, tileData = 18; // ARCH_REQ_XCOMP_PERM, XTILEDATA
  return syscall(SYS_arch_prctl, requestPermission, tileData) == 0;
}

/// The registers that the operating system saves for this process: bits of XCR0. 0 without XSAVE.
uint64_t savedState() {
  unsigned a, b, c, d;
  constexpr unsigned osxsave = 1u << 27;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & osxsave))
    return 0;
  uint32_t low, high;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  uint64_t saved = uint64_t(high) << 32 | low;
  if ((saved & amxState) == amxState && !requestTileRegisters())
    saved &= ~amxState;
  return saved;
}

bool isSaved(State state, uint64_t saved) {
  constexpr uint64_t avx = 0x6, avx512 = avx | 0xe0, apx = 0x80000;
  auto all = [saved](uint64_t bits) { return (saved & bits) == bits; };
  switch (state) {
  case None:
    return true;
  case Xsave:
    return saved != 0;
  case Avx:
    return all(avx);
  case Avx512:
    return all(avx512);
  case Amx:
    return all(amxState);
  case Apx:
    return all(apx);
  }
  return false;
}

bool isPresent(const Feature &feature) {
  unsigned registers[4];
  return __get_cpuid_count(feature.leaf, feature.subleaf, &registers[0], &registers[1],
                           &registers[2], &registers[3]) &&
         (registers[feature.where] >> feature.bit & 1);
}

} // namespace

std::vector<std::string> buddy::runtime::detectHostFeatures() {
  uint64_t saved = savedState();
  std::vector<std::string> found = {"x87"}; // not in CPUID's answer to LLVM, in every x86-64
  for (const Feature &feature : table)
    if (isSaved(feature.state, saved) && isPresent(feature))
      found.push_back(feature.name);
  return found;
}

#endif // __x86_64__
