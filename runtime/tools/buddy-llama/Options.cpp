// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Options.h"
#include "buddy/runtime/Error.h"

#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>
#include <iterator>

using buddy::runtime::ArgumentError;

static std::string readAll(const std::string &path) {
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

static void declare(CLI::App &app, Options &options, std::string &file) {
  app.option_defaults()->always_capture_default(); // --help shows them
  app.add_option("DIR", options.package, "Model package, written by `buddy compile`")->required();
  auto *prompt = app.add_option("-p,--prompt", options.prompt, "The question, or text to complete");
  auto *fromFile = app.add_option("-f,--file", file, "Read the prompt from a file, - is stdin");
  auto *chat = app.add_flag("-i,--interactive", options.interactive, "Chat on the terminal");
  auto *bench = app.add_option("--bench", options.bench,
                               "Measure with P synthetic prompt tokens and N new ones")
                    ->type_name("P N")
                    ->expected(2)
                    ->check(CLI::PositiveNumber);
  prompt->excludes(fromFile)->excludes(chat)->excludes(bench);
  fromFile->excludes(chat)->excludes(bench);
  chat->excludes(bench);
  app.add_option("--system", options.system, "System message of the conversation");
  app.add_flag("--raw", options.raw, "Complete the text as it is, without the chat template");
  app.add_option("--max-tokens", options.maxTokens, "Most tokens to generate")
      ->check(CLI::PositiveNumber);
  app.add_option("--temperature", options.sampler.temperature, "0 takes the likeliest token");
  app.add_option("--top-k", options.sampler.topK, "Draw from the K likeliest tokens; 0: all");
  app.add_option("--top-p", options.sampler.topP, "Draw from the likeliest of probability P");
  app.add_option("--seed", options.sampler.seed, "Of the drawing");
  app.add_option("--threads", options.threads, "0: as many as OpenMP finds")
      ->check(CLI::NonNegativeNumber);
  app.add_flag("--json", options.json, "Print one JSON object and nothing else");
  app.set_version_flag("--version", "buddy-llama " BUDDY_VERSION);
}

Options parseOptions(int argc, char **argv, int &exitStatus) {
  Options options;
  std::string file;
  CLI::App app("Run a compiled language model: the answer goes to standard output, everything "
               "else to standard error.",
               "buddy-llama");
  declare(app, options, file);
  exitStatus = goOn;
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    exitStatus = app.exit(error, std::cout, std::cerr);
    return options;
  }
  if (!file.empty())
    options.prompt = readAll(file);
  bool hasPrompt = app.count("--prompt") || app.count("--file");
  if (!hasPrompt && !options.interactive && options.bench.empty())
    throw ArgumentError("nothing to do: give a prompt with -p or -f, or choose -i or --bench P N");
  if (options.interactive && options.json)
    throw ArgumentError("--json prints one object, which does not go with --interactive");
  return options;
}
