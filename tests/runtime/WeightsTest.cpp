// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "buddy/runtime/Weights.h"
#include "TestSupport.h"

#include <random>

using namespace buddy::runtime;
using namespace buddy::runtime::test;

namespace {

const char header[] = R"({"__metadata__": {"format": "pt"},
  "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
  "b": {"dtype": "BF16", "shape": [1, 3], "data_offsets": [64, 70]}})";

struct WeightsTest : testing::Test {
  TemporaryDirectory directory;
  std::string path = directory.file("weights.safetensors");
  std::string data = floatBytes({1, 2}) + std::string(62, '\0');

  std::string refusal(const std::string &bytes) {
    writeFile(path, bytes);
    std::string message = messageOf<ModelError>([&] { Weights weights(path); });
    EXPECT_TRUE(contains(message, path)) << message;
    return message;
  }

  std::string refusalOfTensor(const std::string &description) {
    return refusal(safetensors("{\"t\": " + description + "}", data));
  }
};

} // namespace

TEST_F(WeightsTest, MapsTensors) {
  writeFile(path, safetensors(header, data));
  Weights weights(path);
  ASSERT_EQ(weights.tensors().size(), 2u);
  const WeightTensor &a = weights.tensors().find("a")->second;
  EXPECT_EQ(a.shape, Shape{2});
  EXPECT_EQ(static_cast<const float *>(a.data)[1], 2);
  EXPECT_EQ(weights.tensors().find("b")->second.type, DataType::BF16);
}

TEST_F(WeightsTest, FindsTheTensorOfAnArgument) {
  writeFile(path, safetensors(header, data));
  Weights weights(path);
  Argument argument{ArgumentKind::Parameter, "a", DataType::F32, {2}};
  EXPECT_EQ(weights.tensorFor(argument).shape, Shape{2});
  argument.shape = {3};
  EXPECT_TRUE(contains(messageOf<ModelError>([&] { weights.tensorFor(argument); }),
                       "'a' is f32[2], the model needs f32[3]"));
  argument.name = "c";
  EXPECT_TRUE(contains(messageOf<ModelError>([&] { weights.tensorFor(argument); }), "'c'"));
}

TEST_F(WeightsTest, RefusesDamage) {
  EXPECT_TRUE(contains(refusal(""), "truncated"));
  EXPECT_TRUE(contains(refusal("1234567"), "truncated"));
  EXPECT_TRUE(contains(refusal(std::string("\xff\xff\0\0\0\0\0\0{}", 10)), "inside its header"));
  EXPECT_TRUE(contains(refusal(std::string(16, '\xff')), "not a safetensors file"));
  EXPECT_TRUE(contains(refusal(safetensors("{\"a\": ", "")), "not valid JSON"));
  EXPECT_TRUE(contains(refusal(safetensors("[]", "")), "not a JSON object"));
}

TEST_F(WeightsTest, RefusesWrongTensors) {
  EXPECT_TRUE(contains(refusalOfTensor("3"), "'t'"));
  EXPECT_TRUE(contains(refusalOfTensor(R"({"dtype": "F32"})"), "shape"));
  EXPECT_TRUE(contains(refusalOfTensor(R"({"dtype": "F99", "shape": [], "data_offsets": [0, 4]})"),
                       "'F99'"));
  for (const char *offsets : {"[0, 71]", "[9, 8]", "[100, 104]", "[0, 18446744073709551615]"})
    EXPECT_TRUE(contains(refusalOfTensor(std::string(R"({"dtype": "F32", "shape": [2],
        "data_offsets": )") + offsets + "}"),
                         "beyond the file"));
  for (const char *offsets : {"[-8, 0]", "[0]", "[0, 4, 8]", "[\"0\", 8]", "8", "[0.5, 8]"})
    EXPECT_TRUE(contains(refusalOfTensor(std::string(R"({"dtype": "F32", "shape": [2],
        "data_offsets": )") + offsets + "}"),
                         "data_offsets"));
  EXPECT_TRUE(contains(refusalOfTensor(R"({"dtype": "F32", "shape": [3], "data_offsets": [0, 8]})"),
                       "not the size of f32[3]"));
  EXPECT_TRUE(contains(
      refusalOfTensor(
          R"({"dtype": "F32", "shape": [4294967296, 4294967296], "data_offsets": [0, 0]})"),
      "impossible shape"));
  EXPECT_TRUE(
      contains(refusalOfTensor(R"({"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]})"),
               "impossible shape"));
}

TEST_F(WeightsTest, RefusesMisalignedTensors) {
  EXPECT_TRUE(contains(refusalOfTensor(R"({"dtype": "F32", "shape": [1], "data_offsets": [2, 6]})"),
                       "not aligned"));
}

TEST_F(WeightsTest, RefusesOverlap) {
  std::string overlapping = R"({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
    "b": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]}})";
  EXPECT_TRUE(contains(refusal(safetensors(overlapping, data)), "'a' and 'b' overlap"));
}

TEST_F(WeightsTest, EveryTruncationIsAnError) {
  std::string whole = safetensors(header, data);
  for (size_t length = 0; length < whole.size(); ++length)
    refusal(whole.substr(0, length));
}

/// Whatever the header says, the file opens with every tensor inside it, or is refused.
TEST_F(WeightsTest, SurvivesRandomDamage) {
  std::mt19937 random(1);
  std::string whole = safetensors(header, data);
  for (int i = 0; i < 300; ++i) {
    std::string damaged = whole;
    for (int hits = 1 + random() % 3; hits > 0; --hits)
      damaged[random() % (whole.size() - data.size())] = static_cast<char>(random());
    writeFile(path, damaged);
    try {
      Weights weights(path);
      for (const auto &[name, tensor] : weights.tensors()) {
        int64_t bytes = byteSize(tensor.type);
        for (int64_t size : tensor.shape)
          bytes *= size;
        volatile char last = bytes ? static_cast<const char *>(tensor.data)[bytes - 1] : 0;
        (void)last;
      }
    } catch (const ModelError &) {
    }
  }
}

TEST_F(WeightsTest, MissingFile) {
  EXPECT_TRUE(contains(messageOf<ModelError>([&] { Weights weights(path); }), "cannot be read"));
}
