// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef BUDDY_TESTS_RUNTIME_TESTSUPPORT_H
#define BUDDY_TESTS_RUNTIME_TESTSUPPORT_H

#include "buddy/runtime/Error.h"

#include <filesystem>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <string>

namespace buddy::runtime::test {

using Json = nlohmann::ordered_json;

/// A directory that disappears with the object.
class TemporaryDirectory {
public:
  TemporaryDirectory();
  ~TemporaryDirectory() { std::filesystem::remove_all(path); }

  std::string file(const std::string &name) const { return (path / name).string(); }
  std::string str() const { return path.string(); }

private:
  std::filesystem::path path;
};

void writeFile(const std::string &path, const std::string &bytes);
std::string readFile(const std::string &path);

/// A file of tests/runtime/data.
std::string dataFile(const std::string &name);

/// A module of this directory, built by CMake.
std::string modulePath(const std::string &name);

/// A safetensors file: length, header, data.
std::string safetensors(const std::string &header, const std::string &data);

/// The bytes of floats.
std::string floatBytes(const std::vector<float> &values);

/// The manifest.json of a package around LanguageModule.c.
Json packageManifest();

/// Writes a whole package around LanguageModule.c. Returns its path, which is the directory's.
std::string writePackage(const TemporaryDirectory &directory, const Json &manifest,
                         const std::string &module = "language_module");

/// The message of the Exception that `action` must throw.
template <typename Exception, typename Action> std::string messageOf(Action action) {
  try {
    action();
  } catch (const Exception &error) {
    return error.what();
  } catch (const std::exception &error) {
    ADD_FAILURE() << "threw another exception: " << error.what();
    return "";
  }
  ADD_FAILURE() << "threw nothing";
  return "";
}

inline bool contains(const std::string &text, const std::string &part) {
  return text.find(part) != std::string::npos;
}

/// Constants of LanguageModule.c.
constexpr int64_t languageVocabulary = 300, languageCapacity = 64;

} // namespace buddy::runtime::test

#endif // BUDDY_TESTS_RUNTIME_TESTSUPPORT_H
