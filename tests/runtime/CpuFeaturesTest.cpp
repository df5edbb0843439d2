// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "buddy/runtime/CpuFeatures.h"
#include "TestSupport.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <sstream>

using namespace buddy::runtime;
using namespace buddy::runtime::test;

static bool has(const std::string &feature) { return missingFeatures({feature}).empty(); }

TEST(CpuFeatures, AreSortedAndUnique) {
  const std::vector<std::string> &features = cpuFeatures();
  EXPECT_TRUE(std::is_sorted(features.begin(), features.end()));
  EXPECT_EQ(std::adjacent_find(features.begin(), features.end()), features.end());
}

TEST(CpuFeatures, SignsMeanWhatTheyMeanToLLVM) {
  ASSERT_FALSE(cpuFeatures().empty());
  std::string present = cpuFeatures().front();
  EXPECT_EQ(missingFeatures({"+" + present, present, "-" + present, "-nonsense"}).size(), 0u);
  EXPECT_EQ(missingFeatures({"+nonsense", present, "other"}),
            (std::vector<std::string>{"nonsense", "other"}));
}

TEST(CpuFeatures, RequireNamesWhatIsMissing) {
  std::string message =
      messageOf<ModelError>([] { requireFeatures({"+warp-drive", "+flux"}, "p/model.so"); });
  EXPECT_TRUE(contains(message, "p/model.so: ")) << message;
  EXPECT_TRUE(contains(message, "warp-drive, flux")) << message;
  requireFeatures({}, "p");
}

#if defined(__x86_64__)
TEST(CpuFeatures, AgreeWithTheKernel) {
  // The kernel's word and LLVM's.
  const std::pair<const char *, const char *> names[] = {
      {"avx", "avx"},
      {"avx2", "avx2"},
      {"fma", "fma"},
      {"f16c", "f16c"},
      {"bmi2", "bmi2"},
      {"movbe", "movbe"},
      {"abm", "lzcnt"},
      {"gfni", "gfni"},
      {"vaes", "vaes"},
      {"avx_vnni", "avxvnni"},
      {"avx512f", "avx512f"},
      {"avx512bw", "avx512bw"},
      {"avx512dq", "avx512dq"},
      {"avx512vl", "avx512vl"},
      {"avx512_vnni", "avx512vnni"},
      {"avx512_bf16", "avx512bf16"},
      {"avx512_fp16", "avx512fp16"},
      {"amx_tile", "amx-tile"},
      {"amx_int8", "amx-int8"},
      {"amx_bf16", "amx-bf16"},
  };
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line) && line.compare(0, 5, "flags") != 0)
    ;
  if (line.empty())
    GTEST_SKIP() << "/proc/cpuinfo has no flags";
  std::istringstream words(line);
  std::vector<std::string> flags(std::istream_iterator<std::string>(words), {});
  for (auto [kernel, llvm] : names)
    EXPECT_EQ(has(llvm), std::find(flags.begin(), flags.end(), kernel) != flags.end()) << llvm;
}
#endif
