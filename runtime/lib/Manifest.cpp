// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "buddy/runtime/Manifest.h"
#include "buddy/runtime/Error.h"
#include "buddy/runtime/ModelABI.h"

#include "Json.h"

using namespace buddy::runtime;

namespace {

ArgumentKind parseKind(const std::string &word) {
  static const std::map<std::string, ArgumentKind> kinds = {
      {"input", ArgumentKind::Input},   {"parameter", ArgumentKind::Parameter},
      {"symbol", ArgumentKind::Symbol}, {"prepared", ArgumentKind::Prepared},
      {"output", ArgumentKind::Output}, {"workspace", ArgumentKind::Workspace},
  };
  auto found = kinds.find(word);
  if (found == kinds.end())
    throw JsonError("unknown argument kind '" + word + "'");
  return found->second;
}

Argument parseArgument(const Json &json) {
  Argument argument;
  argument.kind = parseKind(json.at("kind").get<std::string>());
  argument.name = json.at("name").get<std::string>();
  if (argument.kind == ArgumentKind::Symbol)
    return argument; // an int64_t, whatever the module calls its type
  std::string type = json.at("dtype").get<std::string>();
  std::optional<DataType> known = dataTypeNamed(type);
  if (!known)
    throw JsonError("argument '" + argument.name + "' has unknown dtype '" + type + "'");
  argument.type = *known;
  argument.shape = json.at("shape").get<Shape>();
  argument.isMutable = json.value("mutable", false);
  argument.isUsed = json.value("used", true);
  return argument;
}

Signature parseSignature(const std::string &name, const Json &json) {
  Signature signature;
  signature.name = name;
  for (const Json &argument : json.at("arguments"))
    signature.arguments.push_back(parseArgument(argument));
  signature.graphArguments = json.at("graph_arguments").get<size_t>();
  if (signature.graphArguments > signature.arguments.size())
    throw JsonError("entry '" + name + "' has fewer arguments than graph_arguments");
  return signature;
}

ProfileTable parseProfile(const Json &json) {
  ProfileTable table;
  for (const auto &[name, kernel] : json.at("kernels").items())
    table.kernels[name] = {kernel.value("arithmetic", "f32"),
                           kernel.value("sources", std::vector<std::string>())};
  for (const Json &site : json.at("sites"))
    table.sites.push_back(
        {site.at("entry").get<std::string>(), site.value("kernel", ""), site.value("where", "")});
  for (const CallSite &site : table.sites)
    if (!site.kernel.empty() && !table.kernels.count(site.kernel))
      throw JsonError("profile names a kernel '" + site.kernel + "' that it does not describe");
  return table;
}

} // namespace

Manifest buddy::runtime::parseManifest(std::string_view text, const std::string &origin) {
  return readJson(text, origin, [&](const Json &json) {
    int64_t version = json.at("abi").get<int64_t>();
    if (version != abiVersion)
      throw JsonError("has module ABI version " + std::to_string(version) +
                      ", this runtime understands " + std::to_string(abiVersion) +
                      "; compile the model again with this version of Buddy");
    Manifest manifest;
    manifest.target = json.value("target", "cpu");
    manifest.features = json.value("features", std::vector<std::string>());
    for (const auto &[name, entry] : json.at("entries").items())
      manifest.entries.emplace(name, parseSignature(name, entry));
    if (auto profile = json.find("profile"); profile != json.end())
      manifest.profile = parseProfile(*profile);
    return manifest;
  });
}

std::string buddy::runtime::describe(DataType type, const Shape &shape) {
  std::string text = std::string(name(type)) + "[";
  for (size_t i = 0; i < shape.size(); ++i) {
    text += i ? "," : "";
    text += shape[i] == dynamicSize ? "?" : std::to_string(shape[i]);
  }
  return text + "]";
}
