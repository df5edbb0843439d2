// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A table of flags read by getopt_long: the help text comes from the same table, and there is no
// library to find on machines without one.

#include "Options.h"
#include "buddy/runtime/Error.h"

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <getopt.h>
#include <iostream>
#include <iterator>
#include <limits>

using buddy::runtime::ArgumentError;

namespace {

struct Flag {
  const char *name;
  char letter;       // 0: none
  const char *value; // how help calls its value; null: it has none
  const char *help;
  std::function<void(const std::string &value)> set;
};

int64_t parseInteger(const std::string &flag, const std::string &text, int64_t least,
                     int64_t most = std::numeric_limits<int64_t>::max()) {
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < least || value > most)
    throw ArgumentError(flag + " takes an integer of at least " + std::to_string(least) +
                        ", not '" + text + "'");
  return value;
}

double parseNumber(const std::string &flag, const std::string &text) {
  char *end = nullptr;
  double value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end)
    throw ArgumentError(flag + " takes a number, not '" + text + "'");
  return value; // the sampler knows the range
}

std::string readAll(const std::string &path) {
  auto contents = [](std::istream &stream) {
    return std::string(std::istreambuf_iterator<char>(stream), {});
  };
  if (path == "-")
    return contents(std::cin);
  std::ifstream file(path, std::ios::binary);
  if (!file)
    throw ArgumentError(path + ": the prompt file cannot be read");
  return contents(file);
}

/// Reads one command line.
class Parser {
public:
  Parser(int argc, char **argv) : argc(argc), argv(argv), flags(declare()) {}

  Options parse(int &exitStatus) {
    readFlags();
    exitStatus = goOn;
    if (wantsHelp || wantsVersion) {
      std::cout << (wantsHelp ? help() : std::string("buddy-llama " BUDDY_VERSION "\n"));
      exitStatus = 0;
      return options;
    }
    if (argc - optind != 1)
      throw ArgumentError("give one model package: buddy-llama DIR …, or see --help");
    options.package = argv[optind];
    check();
    return options;
  }

private:
  std::vector<Flag> declare() {
    auto text = [](std::string &to) { return [&to](const std::string &value) { to = value; }; };
    auto on = [](bool &to) { return [&to](const std::string &) { to = true; }; };
    auto number = [](const char *flag, double &to) {
      return [flag, &to](const std::string &value) { to = parseNumber(flag, value); };
    };
    constexpr int64_t maxThreads = 4096;
    return {
        {"prompt", 'p', "TEXT", "the question, or text to complete",
         [this](const std::string &value) { setPrompt(value); }},
        {"file", 'f', "FILE", "read the prompt from a file, - is standard input",
         [this](const std::string &value) { setPrompt(readAll(value)); }},
        {"interactive", 'i', nullptr, "chat on the terminal", on(options.interactive)},
        {"bench", 0, "P N", "measure with P synthetic prompt tokens and N new ones",
         [this](const std::string &value) { setBench(value); }},
        {"system", 0, "TEXT", "system message of the conversation", text(options.system)},
        {"raw", 0, nullptr, "complete the text as it is, without the chat template",
         on(options.raw)},
        {"max-tokens", 0, "N", "most tokens to generate (256)",
         [this](const std::string &v) { options.maxTokens = parseInteger("--max-tokens", v, 1); }},
        {"temperature", 0, "T", "0 (default) takes the likeliest token",
         number("--temperature", options.sampler.temperature)},
        {"top-k", 0, "K", "draw from the K likeliest tokens; 0 (default): from all",
         [this](const std::string &v) { options.sampler.topK = parseInteger("--top-k", v, 0); }},
        {"top-p", 0, "P", "draw from the likeliest tokens of probability P (1)",
         number("--top-p", options.sampler.topP)},
        {"seed", 0, "N", "of the drawing (0)",
         [this](const std::string &v) { options.sampler.seed = parseInteger("--seed", v, 0); }},
        {"threads", 0, "N", "0 (default): as many as OpenMP finds",
         [this](const std::string &v) {
           options.threads = static_cast<int>(parseInteger("--threads", v, 0, maxThreads));
         }},
        {"json", 0, nullptr, "print one JSON object and nothing else", on(options.json)},
        {"version", 0, nullptr, "print the version", on(wantsVersion)},
        {"help", 'h', nullptr, "print this", on(wantsHelp)},
    };
  }

  void readFlags() {
    std::vector<option> table;
    std::string letters;
    for (const Flag &flag : flags) {
      int id = static_cast<int>(table.size());
      table.push_back({flag.name, flag.value ? required_argument : no_argument, nullptr, id});
      if (flag.letter)
        letters += std::string(1, flag.letter) + (flag.value ? ":" : "");
    }
    table.push_back({});
    int id;
    while ((id = getopt_long(argc, argv, letters.c_str(), table.data(), nullptr)) != -1) {
      const Flag *flag = find(id);
      if (!flag) // getopt has said what is wrong
        throw ArgumentError("see buddy-llama --help");
      flag->set(flag->value ? optarg : "");
    }
  }

  const Flag *find(int id) const {
    if (id < static_cast<int>(flags.size()))
      return &flags[id];
    for (const Flag &flag : flags)
      if (flag.letter == id)
        return &flag;
    return nullptr;
  }

  void setPrompt(const std::string &text) {
    options.prompt = text;
    ++tasks;
  }

  /// --bench takes two values, of which getopt knows one.
  void setBench(const std::string &first) {
    if (optind >= argc)
      throw ArgumentError("--bench takes two numbers: prompt tokens and new tokens");
    options.bench = {parseInteger("--bench", first, 1), parseInteger("--bench", argv[optind++], 1)};
  }

  void check() const {
    int wanted = tasks + options.interactive + !options.bench.empty();
    if (wanted == 0)
      throw ArgumentError(
          "nothing to do: give a prompt with -p or -f, or choose -i or --bench P N");
    if (wanted > 1)
      throw ArgumentError("choose one of -p, -f, -i and --bench");
    if (options.interactive && options.json)
      throw ArgumentError("--json prints one object, which does not go with --interactive");
  }

  std::string help() const {
    std::string text = "Usage: buddy-llama DIR [options]\n\n"
                       "Runs a model package that `buddy compile` wrote. The answer goes to "
                       "standard output,\neverything else to standard error.\n\n";
    for (const Flag &flag : flags) {
      char line[160];
      std::string left = (flag.letter ? std::string("-") + flag.letter + ", " : "    ") + "--" +
                         flag.name + (flag.value ? std::string(" ") + flag.value : "");
      std::snprintf(line, sizeof(line), "  %-24s %s\n", left.c_str(), flag.help);
      text += line;
    }
    return text;
  }

  int argc;
  char **argv;
  Options options;
  bool wantsHelp = false, wantsVersion = false;
  int tasks = 0;           // prompts given
  std::vector<Flag> flags; // last: its functions point at the members above
};

} // namespace

Options parseOptions(int argc, char **argv, int &exitStatus) {
  return Parser(argc, argv).parse(exitStatus);
}
