// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "buddy/runtime/Package.h"
#include "buddy/runtime/CpuFeatures.h"
#include "buddy/runtime/Error.h"
#include "buddy/runtime/Weights.h"

#include "Json.h"

#include <filesystem>

using namespace buddy::runtime;

namespace {

/// The path of a file that a manifest names: in the package's directory, and nowhere else.
std::string inside(const std::string &directory, const std::string &file) {
  std::filesystem::path path = file;
  if (file.empty() || path.has_parent_path() || file == "..")
    throw JsonError("'" + file + "' is not the name of a file in the package");
  return (std::filesystem::path(directory) / path).string();
}

std::string textOr(const Json &json, const char *key, const std::string &otherwise) {
  auto found = json.find(key);
  return found == json.end() || found->is_null() ? otherwise : found->get<std::string>();
}

std::optional<ChatTemplate> parseChatTemplate(const Json &json) {
  if (json.is_null())
    return std::nullopt;
  ChatTemplate chat;
  chat.start = textOr(json, "start", "");
  chat.defaultSystem = textOr(json, "default_system", "");
  chat.generationPrefix = textOr(json, "generation_prefix", "");
  for (const auto &[role, frame] : json.at("roles").items())
    if (!frame.is_null())
      chat.roles[role] = {frame.at(0).get<std::string>(), frame.at(1).get<std::string>()};
  return chat;
}

void parseSpecialTokens(const Json &json, LanguagePackage &package) {
  if (const Json &bos = json.value("bos", Json()); !bos.is_null())
    package.bos = bos.get<int64_t>();
  package.eos = json.value("eos", std::vector<int64_t>());
  package.addBos = json.value("add_bos", false);
  if (package.addBos && !package.bos)
    throw JsonError("special_tokens: add_bos without bos");
}

int64_t positive(const Json &json, const char *key) {
  int64_t value = json.at(key).get<int64_t>();
  if (value <= 0)
    throw JsonError(std::string(key) + " must be positive, it is " + std::to_string(value));
  return value;
}

/// What all packages say; refuses one that does not hold what `kind` says.
void parseCommon(const Json &json, const std::string &directory, const std::string &kind,
                 Package &package) {
  int64_t version = json.at("version").get<int64_t>();
  if (version != packageVersion)
    throw JsonError("is version " + std::to_string(version) + " of the package format, this " +
                    "runtime reads " + std::to_string(packageVersion) +
                    "; compile the model again with this version of Buddy");
  // Packages were language models before they said what they are.
  std::string found = textOr(json, "kind", "language_model");
  if (found != kind)
    throw JsonError("is the package of a " + found + ", not of a " + kind);
  package.directory = directory;
  package.name = textOr(json, "name", textOr(json, "architecture", ""));
  package.features = json.value("features", std::vector<std::string>());
  package.weightsPath = inside(directory, json.at("weights").get<std::string>());
  package.libraryPath = inside(directory, json.at("library").get<std::string>());
}

LanguagePackage parseLanguagePackage(const Json &json, const std::string &directory) {
  LanguagePackage package;
  parseCommon(json, directory, "language_model", package);
  package.architecture = textOr(json, "architecture", "");
  package.dtype = textOr(json, "dtype", "");
  package.vocabSize = positive(json, "vocab_size");
  package.maxSeqLen = positive(json, "max_seq_len");
  package.prefillChunk = positive(json, "prefill_chunk");
  parseSpecialTokens(json.at("special_tokens"), package);
  package.chatTemplate = parseChatTemplate(json.value("chat_template", Json()));
  const Json &tokenizer = json.at("tokenizer");
  package.tokenizerKind = tokenizer.at("kind").get<std::string>();
  package.tokenizerPath = inside(directory, tokenizer.at("file").get<std::string>());
  return package;
}

ProgramPackage parseProgramPackage(const Json &json, const std::string &directory) {
  ProgramPackage package;
  parseCommon(json, directory, "program", package);
  for (const Json &output : json.at("outputs"))
    package.outputs.push_back(output.at("name").get<std::string>());
  package.state = json.at("state").get<std::vector<std::string>>();
  package.messages = json.at("messages").get<std::vector<std::string>>();
  package.conditions = json.at("conditions").get<std::vector<std::string>>();
  return package;
}

template <typename Parser> auto read(const std::string &directory, Parser parse) {
  if (!std::filesystem::is_directory(directory))
    throw ModelError(directory, "is not a directory; give the package that `buddy compile` wrote");
  std::string path = (std::filesystem::path(directory) / "manifest.json").string();
  if (!std::filesystem::exists(path))
    throw ModelError(directory, "is not a model package: it has no manifest.json");
  MappedFile file(path);
  std::string_view text(reinterpret_cast<const char *>(file.data()), file.size());
  auto package = readJson(text, path, [&](const Json &json) { return parse(json, directory); });
  // Before the loader runs anything of the library.
  requireFeatures(package.features, directory);
  return package;
}

} // namespace

LanguagePackage buddy::runtime::readLanguagePackage(const std::string &directory) {
  return read(directory, parseLanguagePackage);
}

ProgramPackage buddy::runtime::readProgramPackage(const std::string &directory) {
  return read(directory, parseProgramPackage);
}
