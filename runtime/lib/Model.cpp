// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "buddy/runtime/Model.h"
#include "buddy/runtime/Error.h"

#include <algorithm>

using namespace buddy::runtime;

namespace {

/// Whether an argument is part of the model's state between calls.
bool isCache(const Argument &argument) {
  return argument.kind == ArgumentKind::Input && argument.isMutable;
}

int64_t byteCount(const Argument &argument, const std::string &file) {
  int64_t bytes = byteSize(argument.type);
  for (int64_t size : argument.shape) {
    if (size == dynamicSize)
      throw ModelError(file, "cache '" + argument.name + "' has no static shape");
    bytes *= size;
  }
  return bytes;
}

} // namespace

Model::Model(const LanguagePackage &description)
    : package(description), library(package.libraryPath), weights(package.weightsPath),
      cacheMemory({0}), workspace({0}), inputIds({1, chunk()}), logits({1, 1, package.vocabSize}),
      prefill((allocateCaches(), bindEntry("prefill"))), decode(bindEntry("decode")) {
  setTokenCount(decode, 1);
  allocateWorkspace();
}

void Model::allocateCaches() {
  if (!library.hasEntry("prefill") || !library.hasEntry("decode"))
    throw ModelError(library.path(), "is not a language model: it lacks prefill or decode");
  std::map<std::string, int64_t> sizes;
  for (const char *name : {"prefill", "decode"})
    for (const Argument &argument : library.entry(name).signature->arguments)
      if (isCache(argument))
        sizes[argument.name] = byteCount(argument, library.path());
  int64_t total = 0;
  for (const auto &[name, bytes] : sizes)
    total += alignUp(bytes);
  cacheMemory = MemRef<std::byte, 1>({total});
  std::byte *next = cacheMemory.data();
  for (const auto &[name, bytes] : sizes) {
    caches[name] = next;
    next += alignUp(bytes);
  }
}

Frame Model::bindEntry(std::string_view name) {
  Frame frame(library.entry(name));
  for (size_t i = 0; i < frame.size(); ++i)
    bindArgument(frame, i);
  return frame;
}

void Model::bindArgument(Frame &frame, size_t index) {
  const Argument &argument = frame.signature().arguments[index];
  switch (argument.kind) {
  case ArgumentKind::Parameter:
  case ArgumentKind::Prepared:
    return frame.bindWeight(index, weights);
  case ArgumentKind::Input:
    return isCache(argument) ? bindCache(frame, index) : bindInput(frame, index);
  case ArgumentKind::Output:
    if (argument.type != DataType::F32)
      throw ModelError(library.path(), "returns logits that are not f32");
    return frame.bind(index, logits.data(), {1, 1, package.vocabSize});
  case ArgumentKind::Symbol:    // the number of tokens, known with the call
  case ArgumentKind::Workspace: // its size is known when all else is bound
    return;
  }
}

void Model::bindCache(Frame &frame, size_t index) {
  const Argument &argument = frame.signature().arguments[index];
  frame.bind(index, caches.at(argument.name), argument.shape);
}

void Model::bindInput(Frame &frame, size_t index) {
  const Argument &argument = frame.signature().arguments[index];
  if (argument.name == "position" && argument.type == DataType::I64)
    return frame.bind(index, &filled, {1});
  if (argument.name == "input_ids" && argument.type == DataType::I64)
    return; // bound with the number of tokens
  throw ModelError(library.path(), "has an input '" + argument.name + "' of '" +
                                       frame.signature().name +
                                       "' that this runtime does not know");
}

void Model::setTokenCount(Frame &frame, int64_t count) {
  const std::vector<Argument> &arguments = frame.signature().arguments;
  const int64_t shape[] = {1, count};
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i].kind == ArgumentKind::Symbol)
      frame.bindSymbol(i, count);
    else if (arguments[i].name == "input_ids")
      frame.bind(i, inputIds.data(), shape, 2);
  }
}

/// The largest chunk needs the most; both entry points share the one workspace.
void Model::allocateWorkspace() {
  setTokenCount(prefill, chunk());
  int64_t bytes = std::max(prefill.workspaceSize(), decode.workspaceSize());
  workspace = MemRef<std::byte, 1>({bytes});
  for (Frame *frame : {&prefill, &decode})
    frame->bind(frame->indexOf("workspace"), workspace.data(), {bytes});
}

const float *Model::evaluate(const TokenId *tokens, int64_t count) {
  if (count < 1 || count > chunk())
    throw ArgumentError("one call takes 1 to " + std::to_string(chunk()) + " tokens, not " +
                        std::to_string(count));
  if (count > capacity() - filled)
    throw ArgumentError("the context of " + std::to_string(capacity()) + " tokens is full");
  for (int64_t i = 0; i < count; ++i)
    if (tokens[i] < 0 || tokens[i] >= package.vocabSize)
      throw ArgumentError("token id " + std::to_string(tokens[i]) +
                          " is not in the vocabulary of " + std::to_string(package.vocabSize));
  std::copy_n(tokens, count, inputIds.data());
  // A single token always takes `decode`: `prefill` was captured for two or more.
  Frame &frame = count == 1 ? decode : prefill;
  if (count > 1)
    setTokenCount(prefill, count);
  frame.invoke();
  filled += count;
  return logits.data();
}

void Model::rewind(int64_t count) { filled = std::min(filled, count); }
