// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "buddy/runtime/Program.h"
#include "TestSupport.h"

using namespace buddy::runtime;
using namespace buddy::runtime::test;

namespace {

/// output.0 = x + weight over [2, n], where n is an argument too.
struct ProgramTest : testing::Test {
  TemporaryDirectory directory;
  Json manifest = {{"version", 1},
                   {"kind", "program"},
                   {"name", "adder"},
                   {"outputs", {{{"name", "sum"}, {"dtype", "f32"}}}},
                   {"state", Json::array()},
                   {"messages", Json::array()},
                   {"conditions", Json::array()},
                   {"weights", "weights.safetensors"},
                   {"library", "model.so"}};

  std::string write() {
    writeFile(directory.file("manifest.json"), manifest.dump());
    writeFile(directory.file("weights.safetensors"),
              safetensors(R"({"weight": {"dtype": "F32", "shape": [2, 1],
                                         "data_offsets": [0, 8]}})",
                          floatBytes({10, 20})));
    std::filesystem::copy_file(modulePath("forward_module"), directory.file("model.so"),
                               std::filesystem::copy_options::overwrite_existing);
    return directory.str();
  }

  std::string refusal() {
    return messageOf<ModelError>([&] { Program program(write()); });
  }
};

} // namespace

TEST_F(ProgramTest, SaysWhatItTakesAndGives) {
  Program program(write());
  EXPECT_EQ(program.name(), "adder");
  ASSERT_EQ(program.inputs().size(), 2u);
  EXPECT_EQ(program.inputs()[0].kind, ArgumentKind::Symbol);
  EXPECT_EQ(program.inputs()[1].name, "x");
  ASSERT_EQ(program.outputs().size(), 1u);
  EXPECT_EQ(program.outputs()[0].name, "sum");
}

TEST_F(ProgramTest, ArgumentsAreChecked) {
  Program program(write());
  MemRef<float, 2> x({2, 3}), wide({3, 3});
  MemRef<double, 2> precise({2, 3});
  auto message = [](auto call) { return messageOf<ArgumentError>(call); };
  EXPECT_TRUE(contains(message([&] { program.bindInput("y", x); }), "it has: n, x"));
  EXPECT_TRUE(contains(message([&] { program.bindInput("x", precise); }), "got f64[2,3]"));
  EXPECT_TRUE(contains(message([&] { program.bindInput("x", wide); }), "must be f32[2,?]"));
  EXPECT_TRUE(contains(message([&] { program.bindInput("n", x); }), "must be a size"));
  EXPECT_TRUE(contains(message([&] { program.bindSize("x", 3); }), "not a symbol"));
  program.bindSize("n", 3);
  program.bindInput("x", x);
  EXPECT_TRUE(contains(message([&] { program.run(); }), "output 'sum' of adder was not bound"));
}

TEST_F(ProgramTest, RefusesWhatIsNoProgram) {
  manifest["kind"] = "language_model";
  EXPECT_TRUE(contains(refusal(), "is the package of a language_model, not of a program"));
  manifest["kind"] = "program";
  for (const char *key : {"outputs", "state", "messages", "conditions"}) {
    Json whole = manifest;
    manifest.erase(key);
    EXPECT_TRUE(contains(refusal(), key)) << key;
    manifest = whole;
  }
  manifest["outputs"] = Json::array();
  EXPECT_TRUE(contains(refusal(), "do not go together"));
}
