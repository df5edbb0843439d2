// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "TestSupport.h"

#include <cstring>
#include <fstream>
#include <iterator>
#include <stdlib.h>

using namespace buddy::runtime::test;
namespace fs = std::filesystem;

TemporaryDirectory::TemporaryDirectory() {
  std::string pattern = (fs::temp_directory_path() / "buddy-test-XXXXXX").string();
  if (!mkdtemp(pattern.data()))
    throw std::runtime_error("no temporary directory");
  path = pattern;
}

void buddy::runtime::test::writeFile(const std::string &path, const std::string &bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

std::string buddy::runtime::test::readFile(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

std::string buddy::runtime::test::dataFile(const std::string &name) {
  return std::string(BUDDY_TEST_DATA "/") + name;
}

std::string buddy::runtime::test::modulePath(const std::string &name) {
  return std::string(BUDDY_TEST_MODULES "/") + name + ".so";
}

std::string buddy::runtime::test::safetensors(const std::string &text, const std::string &data) {
  constexpr size_t alignment = 8; // of the data; writers fill the header up with spaces
  std::string header = text + std::string(-text.size() % alignment, ' ');
  uint64_t length = header.size();
  std::string prefix(sizeof(length), '\0');
  std::memcpy(prefix.data(), &length, sizeof(length));
  return prefix + header + data;
}

std::string buddy::runtime::test::floatBytes(const std::vector<float> &values) {
  return std::string(reinterpret_cast<const char *>(values.data()), values.size() * sizeof(float));
}

Json buddy::runtime::test::packageManifest() {
  return {{"version", 1},
          {"architecture", "llama"},
          {"name", "one-liner"},
          {"dtype", "f32"},
          {"vocab_size", languageVocabulary},
          {"max_seq_len", languageCapacity},
          {"prefill_chunk", 8},
          {"features", Json::array()},
          {"special_tokens", {{"bos", 0}, {"eos", {2}}, {"add_bos", false}}},
          {"chat_template",
           {{"default_system", "Be brief."},
            {"roles",
             {{"system", {"<|im_start|>system\n", "<|im_end|>\n"}},
              {"user", {"<|im_start|>user\n", "<|im_end|>\n"}},
              {"assistant", {"<|im_start|>assistant\n", "<|im_end|>\n"}}}},
            {"generation_prefix", "<|im_start|>assistant\n"}}},
          {"tokenizer", {{"kind", "byte-bpe"}, {"file", "tokenizer.json"}}},
          {"weights", "weights.safetensors"},
          {"library", "model.so"}};
}

std::string buddy::runtime::test::writePackage(const TemporaryDirectory &directory,
                                               const Json &manifest, const std::string &module) {
  writeFile(directory.file("manifest.json"), manifest.dump());
  fs::copy_file(modulePath(module), directory.file("model.so"));
  fs::copy_file(dataFile("tokenizer.json"), directory.file("tokenizer.json"));
  std::vector<float> prepared(languageVocabulary, 0.5f);
  std::string data = floatBytes({3}) + floatBytes(prepared);
  writeFile(directory.file("weights.safetensors"),
            safetensors(R"({"bias": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
                           "prepared.0": {"dtype": "F32", "shape": [300],
                                          "data_offsets": [4, 1204]}})",
                        data));
  return directory.str();
}
