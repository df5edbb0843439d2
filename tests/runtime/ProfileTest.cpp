// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The profiler, on ForwardModule.c with hooks: a kernel of 2n operations and 16n + 8 bytes.

#include "buddy/runtime/Profile.h"
#include "TestSupport.h"
#include "buddy/runtime/Frame.h"
#include "buddy/runtime/KernelTimer.h"
#include "buddy/runtime/MemRef.h"

#include <sched.h>

using namespace buddy::runtime;
using namespace buddy::runtime::test;

namespace {

struct ProfileTest : testing::Test {
  TemporaryDirectory directory;
  MemRef<float, 2> x{{2, 3}}, weight{{2, 1}}, output{{2, 3}};
  MemRef<float, 1> workspace{{3}};

  void SetUp() override { startProfile(directory.file("new/profile")); }
  void TearDown() override { clearProfile(); }

  void run(const Library &library, int times) {
    Frame frame(library.entry("forward"));
    frame.bindSymbol(0, 3);
    frame.bind(1, x.data(), {2, 3});
    frame.bind(2, weight.data(), {2, 1});
    frame.bind(3, output.data(), {2, 3});
    frame.bind(4, workspace.data(), {12});
    for (int call = 0; call < times; ++call)
      frame.invoke();
  }
};

int usableCpus() {
  cpu_set_t allowed;
  return sched_getaffinity(0, sizeof(allowed), &allowed) == 0 ? CPU_COUNT(&allowed) : 1;
}

/// A profile's rules that hold for each of its complete events.
void checkEvent(const Json &event) {
  EXPECT_EQ(event["cat"], "forward");
  EXPECT_GE(event["ts"].get<double>(), 0);
  EXPECT_GE(event["dur"].get<double>(), 0);
  EXPECT_TRUE(event["pid"].is_number_integer() && event["tid"].is_number_integer());
}

} // namespace

TEST_F(ProfileTest, CountsCallsAndWork) {
  Library library(modulePath("forward_profile"));
  run(library, 1);
  clearProfile(); // a warm-up
  weight[1] = 10;
  run(library, 4);
  EXPECT_EQ(output(1, 0), 10) << "the profiled code computes the same";
  ProfileResult result = finishProfile();
  Json kernels = Json::parse(readFile(result.kernels)), entries = kernels["entries"];
  double roundTrip = kernels["machine"]["round_trip_ns"];
  EXPECT_EQ(roundTrip > 0, contains(result.table, "goes to another core and back"));
  EXPECT_EQ(roundTrip > 0, kernels["machine"]["threads"] > 1 && usableCpus() > 1);
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0]["entry"], "forward");
  EXPECT_EQ(entries[0]["calls"], 4);
  Json kernel = entries[0]["kernels"][0];
  EXPECT_EQ(kernel["kernel"], "add_0");
  EXPECT_EQ(kernel["calls"], 4);
  EXPECT_EQ(kernel["operations"], 4 * 6);
  EXPECT_EQ(kernel["bytes"], 4 * 56);
  EXPECT_EQ(kernel["line"], "b/model.py:7");
  EXPECT_GT(kernel["fastest_seconds"].get<double>(), 0);
  EXPECT_LE(4 * kernel["fastest_seconds"].get<double>(), kernel["seconds"].get<double>());
  EXPECT_LE(entries[0]["kernel_seconds"].get<double>(), entries[0]["seconds"].get<double>());
  auto limit = [](const Json &row) {
    return row["share_of_roofline"].get<double>() * row["seconds"].get<double>();
  };
  EXPECT_NEAR(limit(entries[0]), limit(kernel), 1e-3 * limit(kernel)) << "it is all that counts";
  for (const char *part :
       {"GFLOP/s f32", "forward: 4 calls", "% of the roofline", "add_0", "add <b>", "b/model.py:7"})
    EXPECT_TRUE(contains(result.table, part)) << result.table;
}

TEST_F(ProfileTest, ATimerKeepsTheFastestRun) {
  Library library(modulePath("forward_profile"));
  const KernelTimer &timer = library.timeKernels();
  EXPECT_TRUE(timer.seconds().empty()) << "nothing has run";
  run(library, 1);
  double once = timer.seconds().at("add_0");
  run(library, 100);
  EXPECT_LE(timer.seconds().at("add_0"), once);
  EXPECT_GT(timer.seconds().at("add_0"), 0);
  EXPECT_EQ(timer.seconds().size(), 1u) << "an entry point as a whole is no kernel";
  EXPECT_EQ(&library.timeKernels(), &timer);
}

TEST_F(ProfileTest, TheTraceNestsKernelsInEntryPoints) {
  Library library(modulePath("forward_profile"));
  run(library, 2);
  Json trace = Json::parse(readFile(finishProfile().trace));
  std::map<std::string, std::vector<Json>> named;
  for (const Json &event : trace["traceEvents"]) {
    named[event["name"]].push_back(event);
    ASSERT_TRUE(event["ph"] == "X" || event["ph"] == "M");
    if (event["ph"] == "X")
      checkEvent(event);
  }
  ASSERT_EQ(named["add_0"].size(), 2u);
  ASSERT_EQ(named["forward"].size(), 2u);
  const Json &inner = named["add_0"][1], &outer = named["forward"][1];
  double slack = 1e-3; // of a microsecond: decimals
  EXPECT_GE(inner["ts"].get<double>() + slack, outer["ts"].get<double>());
  EXPECT_LE(inner["ts"].get<double>() + inner["dur"].get<double>(),
            outer["ts"].get<double>() + outer["dur"].get<double>() + slack);
  EXPECT_EQ(inner["args"]["line"], "a/b/model.py:7");
}

TEST_F(ProfileTest, ThePageNeedsNothingElse) {
  Library library(modulePath("forward_profile"));
  run(library, 1);
  std::string page = readFile(finishProfile().page);
  for (const char *part : {"<svg", "roofline", "<circle", "add_0", "&lt;b&gt;"})
    EXPECT_TRUE(contains(page, part)) << part;
  for (const char *part :
       {"http", "src=", "<script", "<link", "@import", "url(", "<b>", "nan", "inf"})
    EXPECT_FALSE(contains(page, part)) << part;
}

TEST_F(ProfileTest, ModulesOutliveTheirLibraries) {
  for (int number = 0; number < 2; ++number) {
    Library library(modulePath("forward_profile"));
    run(library, 1);
  }
  std::string table = finishProfile().table;
  EXPECT_TRUE(contains(table, "forward 1: 1 call,") && contains(table, "forward 2:")) << table;
}

TEST_F(ProfileTest, SaysWhyThereIsNothing) {
  EXPECT_TRUE(contains(messageOf<Error>(finishProfile), "no kernel was run"));
  Library library(modulePath("forward_module"));
  run(library, 1);
  EXPECT_EQ(output(0, 0), 0);
  EXPECT_TRUE(contains(messageOf<Error>(finishProfile), "buddy compile --profile"));
}

TEST(Profile, RefusesADirectoryThatCannotBeWritten) {
  TemporaryDirectory directory;
  writeFile(directory.file("file"), "");
  auto start = [&] { startProfile(directory.file("file/profile")); };
  EXPECT_TRUE(contains(messageOf<ArgumentError>(start), "BUDDY_PROFILE_DIR"));
}

TEST(Profile, RefusesASiteOfAnUnknownKernel) {
  std::string text = R"({"abi": 1, "entries": {}, "profile": {"kernels": {},
                         "sites": [{"entry": "forward", "kernel": "add_0"}]}})";
  EXPECT_TRUE(contains(messageOf<ModelError>([&] { parseManifest(text, "m.so"); }), "'add_0'"));
}

TEST_F(ProfileTest, ATimerNeedsHooks) {
  Library library(modulePath("forward_module"));
  EXPECT_THROW(library.timeKernels(), ModelError);
}
