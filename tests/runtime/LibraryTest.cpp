// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "TestSupport.h"
#include "buddy/runtime/Frame.h"
#include "buddy/runtime/MemRef.h"

#include <array>
#include <atomic>
#include <dlfcn.h>
#include <numeric>
#include <thread>

using namespace buddy::runtime;
using namespace buddy::runtime::test;

TEST(Library, ReadsTheManifest) {
  Library library(modulePath("forward_module"));
  const Signature &signature = *library.entry("forward").signature;
  ASSERT_EQ(signature.arguments.size(), 5u);
  EXPECT_EQ(signature.graphArguments, 3u);
  EXPECT_EQ(signature.arguments[1].name, "x");
  EXPECT_EQ(signature.arguments[1].shape, (Shape{2, dynamicSize}));
  EXPECT_EQ(signature.arguments[4].kind, ArgumentKind::Workspace);
}

TEST(Library, RefusesWhatIsNoModule) {
  TemporaryDirectory directory;
  auto open = [](const std::string &path) {
    return messageOf<ModelError>([&] { Library library(path); });
  };
  EXPECT_TRUE(contains(open(directory.file("missing.so")), "no such file"));
  writeFile(directory.file("text.so"), "not an ELF file");
  EXPECT_TRUE(contains(open(directory.file("text.so")), "cannot be loaded"));
  EXPECT_TRUE(contains(open(modulePath("plain_library")), "no symbol 'buddy_manifest'"));
  EXPECT_TRUE(contains(open(modulePath("forward_no_workspace")), "buddy_workspace_forward"));
}

TEST(Library, SurvivesEveryTruncation) {
  TemporaryDirectory directory;
  std::string whole = readFile(modulePath("forward_module"));
  std::string half = directory.file("half.so");
  writeFile(half, whole.substr(0, whole.size() / 2));
  EXPECT_TRUE(contains(messageOf<ModelError>([&] { Library library(half); }), "truncated"));
  for (size_t bytes = 0; bytes < whole.size(); bytes += 509) {
    std::string path = directory.file(std::to_string(bytes) + ".so");
    writeFile(path, whole.substr(0, bytes));
    try {
      Library library(path); // what follows the last segment is not needed
    } catch (const ModelError &) {
    }
  }
}

TEST(Library, RefusesAnotherABIVersion) {
  std::string message =
      messageOf<ModelError>([] { Library library(modulePath("forward_new_abi")); });
  EXPECT_TRUE(contains(message, "ABI version 99")) << message;
  EXPECT_TRUE(contains(message, "compile the model again")) << message;
}

TEST(Library, RefusesMissingFeatures) {
  std::string message =
      messageOf<ModelError>([] { Library library(modulePath("forward_other_cpu")); });
  EXPECT_TRUE(contains(message, "quantum512")) << message;
  EXPECT_FALSE(contains(message, "sse2")) << message;
}

TEST(Library, NamesTheEntriesThereAre) {
  Library library(modulePath("forward_module"));
  std::string message = messageOf<ArgumentError>([&] { library.entry("decode"); });
  EXPECT_TRUE(contains(message, "'decode'") && contains(message, "forward")) << message;
}

TEST(Manifest, RefusesDamage) {
  for (const char *text :
       {"", "{", "[]", "{}", R"({"abi": "1"})", R"({"abi": 1})",
        R"({"abi": 1, "entries": {"f": {}}})",
        R"({"abi": 1, "entries": {"f": {"arguments": [], "graph_arguments": 3}}})",
        R"({"abi": 1, "entries": {"f": {"arguments": [{"kind": "input",
                               "name": "x", "dtype": "f7", "shape": []}], "graph_arguments": 0}}})"})
    EXPECT_TRUE(contains(messageOf<ModelError>([&] { parseManifest(text, "m.so"); }), "m.so: "));
}

namespace {

/// x + weight by ForwardModule.c.
struct ForwardTest : testing::Test {
  Library library{modulePath("forward_module")};
  Frame frame{library.entry("forward")};
  MemRef<float, 2> x{{2, 3}}, weight{{2, 1}}, output{{2, 3}};
  MemRef<float, 1> workspace{{3}};

  void bindAll(Frame &target) {
    target.bindSymbol(0, 3);
    target.bind(1, x.data(), {2, 3});
    target.bind(2, weight.data(), {2, 1});
    target.bind(3, output.data(), {2, 3});
    target.bind(4, workspace.data(), {12});
  }
};

} // namespace

TEST_F(ForwardTest, Runs) {
  std::iota(x.begin(), x.end(), 0.0f);
  weight[1] = 10;
  bindAll(frame);
  EXPECT_EQ(frame.workspaceSize(), 12);
  frame.invoke();
  EXPECT_EQ(output(0, 2), 2);
  EXPECT_EQ(output(1, 2), 15);
}

TEST_F(ForwardTest, CopiesAreIndependent) {
  bindAll(frame);
  Frame copy(frame);
  MemRef<float, 2> other({2, 3});
  weight[0] = 5;
  copy.bind(3, other.data(), {2, 3});
  copy.invoke();
  EXPECT_EQ(other(0, 0), 5);
  EXPECT_EQ(output(0, 0), 0);
}

TEST_F(ForwardTest, WorkspaceNeedsOnlyGraphArguments) {
  frame.bindSymbol(0, 3);
  frame.bind(1, x.data(), {2, 3});
  EXPECT_TRUE(contains(messageOf<ArgumentError>([&] { frame.workspaceSize(); }), "'weight'"));
  frame.bind(2, weight.data(), {2, 1});
  EXPECT_EQ(frame.workspaceSize(), 12);
}

TEST_F(ForwardTest, ChecksArguments) {
  auto bind = [&](size_t index, Shape shape) {
    return messageOf<ArgumentError>([&] { frame.bind(index, x.data(), shape); });
  };
  EXPECT_TRUE(contains(bind(1, {3, 3}), "'x' of 'forward' must be f32[2,?], got f32[3,3]"));
  EXPECT_TRUE(contains(bind(1, {2}), "got f32[2]"));
  EXPECT_TRUE(contains(bind(1, {2, -3}), "must be"));
  EXPECT_TRUE(contains(bind(0, {}), "must be an integer"));
  EXPECT_TRUE(contains(bind(5, {}), "no number 5"));
  EXPECT_THROW(frame.bindSymbol(1, 3), ArgumentError);
  EXPECT_THROW(frame.indexOf("y"), ArgumentError);
  EXPECT_EQ(frame.indexOf("output.0"), 3u);
  EXPECT_TRUE(contains(messageOf<ArgumentError>([&] { frame.invoke(); }), "was not given"));
}

TEST(Threads, AreSetAndReset) {
  EXPECT_THROW(setThreadCount(-1), ArgumentError);
  int standard = threadCount();
  EXPECT_GE(standard, 1);
  setThreadCount(3);
  EXPECT_EQ(threadCount(), 3);
  setThreadCount(0);
  EXPECT_EQ(threadCount(), standard);
}

/// A module is given the threads of the process, as many as are set, and only while it runs.
TEST(Threads, RunWhatAModuleShares) {
  std::string path = modulePath("forward_module");
  Library library(path);
  void *handle = dlopen(path.c_str(), RTLD_NOW | RTLD_NOLOAD);
  ASSERT_TRUE(handle);
  auto run = static_cast<TeamRunner **>(dlsym(handle, runnerSymbol));
  ASSERT_TRUE(run && *run);
  using Seen = std::array<std::atomic<int64_t>, 8>;
  auto teams = [&] {
    Seen seen{}; // each thread's team
    (*run)([](void *data, int64_t thread,
              int64_t team) { (*static_cast<Seen *>(data))[thread] += team; },
           &seen);
    return std::vector<int64_t>(seen.begin(), seen.end());
  };
  auto caller = [&] {
    ThreadScope scope;
    EXPECT_EQ(teams(), (std::vector<int64_t>{3, 3, 3, 0, 0, 0, 0, 0}));
  };
  std::vector<int64_t> before = teams();
  setThreadCount(3);
  caller();
  std::thread(caller).join();
  setThreadCount(0);
  EXPECT_EQ(teams(), before);
  dlclose(handle);
}

/// All kernels of an invocation share one region: between them its threads wait within it, and no
/// result of one is missing in the next.
TEST(Threads, StayInOneRegion) {
  std::string path = modulePath("forward_module");
  Library module(path);
  void *handle = dlopen(path.c_str(), RTLD_NOW | RTLD_NOLOAD);
  TeamRunner *run = *static_cast<TeamRunner **>(dlsym(handle, runnerSymbol));
  void *openMP = dlopen(BUDDY_OPENMP_SONAME, RTLD_NOW | RTLD_NOLOAD);
  ASSERT_TRUE(run && openMP);
  auto isInRegion = reinterpret_cast<int (*)()>(dlsym(openMP, "omp_in_parallel"));
  setThreadCount(4);
  struct Sums {
    std::array<int64_t, 4> parts{};
    int64_t total = 0;
  } sums;
  {
    ThreadScope scope;
    EXPECT_FALSE(isInRegion());
    for (int64_t round = 1; round <= 2000; ++round) {
      run([](void *data, int64_t thread,
             int64_t) { static_cast<Sums *>(data)->parts[thread] += thread + 1; },
          &sums);
      ASSERT_TRUE(isInRegion());
      run(
          [](void *data, int64_t thread, int64_t) {
            auto &sums = *static_cast<Sums *>(data);
            if (thread == 3)
              sums.total = sums.parts[0] + sums.parts[1] + sums.parts[2] + sums.parts[3];
          },
          &sums);
      ASSERT_EQ(sums.total, 10 * round);
    }
  }
  setThreadCount(0);
  EXPECT_FALSE(isInRegion());
  dlclose(openMP);
  dlclose(handle);
}
