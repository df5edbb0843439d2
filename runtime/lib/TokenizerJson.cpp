// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// tokenizer.json of Hugging Face `tokenizers`, as far as byte-level BPE uses it. A part that is
// not understood is an error: ignoring it would give other ids than the model was trained on.

#include "ByteLevelBPE.h"
#include "Json.h"
#include "buddy/runtime/Weights.h"

using namespace buddy::runtime;

namespace {

// The pattern of GPT-2's pre-tokenizer.
const char gpt2Pattern[] =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

std::string typeOf(const Json &json) {
  return json.is_null() ? "" : json.at("type").get<std::string>();
}

[[noreturn]] void refuse(const std::string &part, const std::string &type) {
  throw JsonError(part + " '" + type + "' is not supported by this runtime");
}

SplitBehavior parseBehavior(const std::string &word) {
  if (word == "Removed")
    return SplitBehavior::Removed;
  if (word == "Isolated")
    return SplitBehavior::Isolated;
  if (word == "MergedWithPrevious")
    return SplitBehavior::MergedWithPrevious;
  if (word == "MergedWithNext")
    return SplitBehavior::MergedWithNext;
  if (word == "Contiguous")
    return SplitBehavior::Contiguous;
  refuse("split behavior", word);
}

/// A literal as a pattern.
std::string quote(const std::string &literal) {
  std::string pattern;
  for (char c : literal) {
    bool plain = (c & 0x80) || std::isalnum(static_cast<unsigned char>(c));
    pattern += plain ? std::string(1, c) : std::string("\\") + c;
  }
  return pattern;
}

SplitStep parseSplit(const Json &json) {
  const Json &pattern = json.at("pattern");
  std::string source = pattern.contains("Regex") ? pattern["Regex"].get<std::string>()
                                                 : quote(pattern.at("String").get<std::string>());
  SplitStep step{Regex(source)};
  step.behavior = parseBehavior(json.at("behavior").get<std::string>());
  step.invert = json.value("invert", false);
  return step;
}

SplitStep parseByteLevel(const Json &json) {
  SplitStep step{Regex(gpt2Pattern)};
  step.addPrefixSpace = json.value("add_prefix_space", true);
  step.split = json.value("use_regex", true);
  return step;
}

/// Appends the steps of one pre-tokenizer. Nothing may follow ByteLevel, which changes alphabet.
void parsePreTokenizer(const Json &json, PreTokenizer &result, bool &isByteLevel) {
  std::string type = typeOf(json);
  if (isByteLevel)
    refuse("after ByteLevel, pre-tokenizer", type);
  if (type == "Sequence") {
    for (const Json &step : json.at("pretokenizers"))
      parsePreTokenizer(step, result, isByteLevel);
  } else if (type == "ByteLevel") {
    result.steps.push_back(parseByteLevel(json));
    isByteLevel = true;
  } else if (type == "Split") {
    result.steps.push_back(parseSplit(json));
  } else if (type == "Digits") {
    bool individual = json.value("individual_digits", false);
    result.steps.push_back(SplitStep{Regex(individual ? "\\p{N}" : "\\p{N}+")});
  } else {
    refuse("pre-tokenizer", type);
  }
}

std::vector<AddedToken> parseAddedTokens(const Json &json) {
  std::vector<AddedToken> tokens;
  for (const Json &entry : json) {
    AddedToken token;
    token.id = entry.at("id").get<TokenId>();
    token.content = entry.at("content").get<std::string>();
    token.special = entry.value("special", false);
    token.singleWord = entry.value("single_word", false);
    token.stripLeft = entry.value("lstrip", false);
    token.stripRight = entry.value("rstrip", false);
    tokens.push_back(std::move(token));
  }
  return tokens;
}

/// A merge is "left right", or in newer files ["left", "right"].
std::pair<std::string, std::string> parseMerge(const Json &json) {
  if (json.is_array())
    return {json.at(0).get<std::string>(), json.at(1).get<std::string>()};
  std::string text = json.get<std::string>();
  size_t space = text.find(' ');
  if (space == std::string::npos)
    throw JsonError("merge '" + text + "' is not a pair");
  return {text.substr(0, space), text.substr(space + 1)};
}

void parseMerges(const Json &json, ByteLevelVocabulary &vocabulary) {
  auto idOf = [&](const std::string &token) {
    auto found = vocabulary.ids.find(token);
    if (found == vocabulary.ids.end())
      throw JsonError("a merge uses '" + token + "', which is not in the vocabulary");
    return found->second;
  };
  int64_t rank = 0;
  for (const Json &entry : json) {
    auto [left, right] = parseMerge(entry);
    ByteLevelVocabulary::Merge merge{rank++, idOf(left + right)};
    vocabulary.merges[ByteLevelVocabulary::pair(idOf(left), idOf(right))] = merge;
  }
}

void parseModel(const Json &json, ByteLevelVocabulary &vocabulary) {
  // Old files have no type; BPE is the one that has merges.
  std::string type = json.value("type", json.contains("merges") ? "BPE" : "");
  if (type != "BPE")
    refuse("tokenizer model", type);
  for (const char *option : {"continuing_subword_prefix", "end_of_word_suffix", "dropout"})
    if (json.contains(option) && !json[option].is_null() && json[option] != "")
      refuse("BPE option", option);
  if (json.value("byte_fallback", false))
    refuse("BPE option", "byte_fallback");
  for (const auto &[token, id] : json.at("vocab").items()) {
    constexpr TokenId limit = 1 << 28; // far beyond any model; ids become table indices
    TokenId value = id.get<TokenId>();
    if (value < 0 || value >= limit)
      throw JsonError("token '" + token + "' has impossible id " + std::to_string(value));
    vocabulary.ids[token] = value;
  }
  parseMerges(json.at("merges"), vocabulary);
  vocabulary.ignoreMerges = json.value("ignore_merges", false);
}

ByteLevelVocabulary parseTokenizer(const Json &json) {
  if (const Json &normalizer = json.value("normalizer", Json()); !normalizer.is_null())
    refuse("normalizer", typeOf(normalizer));
  ByteLevelVocabulary vocabulary;
  bool isByteLevel = false;
  parsePreTokenizer(json.at("pre_tokenizer"), vocabulary.preTokenizer, isByteLevel);
  if (!isByteLevel)
    throw JsonError("is not a byte-level tokenizer: its pre-tokenizer has no ByteLevel");
  if (std::string decoder = typeOf(json.value("decoder", Json())); decoder != "ByteLevel")
    refuse("decoder", decoder);
  parseModel(json.at("model"), vocabulary);
  vocabulary.added = parseAddedTokens(json.value("added_tokens", Json::array()));
  return vocabulary;
}

} // namespace

ByteLevelVocabulary buddy::runtime::readTokenizerJson(const std::string &path) {
  MappedFile file(path);
  std::string_view text(reinterpret_cast<const char *>(file.data()), file.size());
  return readJson(text, path, [&](const Json &json) {
    try {
      return parseTokenizer(json);
    } catch (const ArgumentError &error) { // a pattern that PCRE2 refuses
      throw JsonError(error.what());
    }
  });
}
