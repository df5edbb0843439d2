// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "buddy/runtime/Frame.h"
#include "buddy/runtime/Error.h"

using namespace buddy::runtime;

/// Words of a descriptor before the sizes: allocated, aligned, offset.
static constexpr size_t headWords = 3;

static size_t wordsOf(const Argument &argument) {
  return argument.kind == ArgumentKind::Symbol ? 1 : headWords + 2 * argument.shape.size();
}

Frame::Frame(const EntryPoint &entry) : entry(entry) {
  size_t count = 0;
  for (const Argument &argument : signature().arguments) {
    slots.push_back({count, false});
    count += wordsOf(argument);
  }
  words.resize(count);
  layOut();
}

Frame::Frame(const Frame &other) : entry(other.entry), slots(other.slots), words(other.words) {
  layOut();
}

void Frame::layOut() {
  pointers.resize(slots.size());
  for (size_t i = 0; i < slots.size(); ++i)
    pointers[i] = &words[slots[i].word];
}

void Frame::bind(size_t index, void *data, const int64_t *shape, size_t rank) {
  if (index >= slots.size())
    throw ArgumentError("'" + signature().name + "' has " + std::to_string(slots.size()) +
                        " arguments, there is no number " + std::to_string(index));
  checkShape(signature().arguments[index], shape, rank);
  int64_t *word = &words[slots[index].word];
  word[0] = word[1] = reinterpret_cast<int64_t>(data);
  word[2] = 0;
  int64_t *sizes = word + headWords, *strides = sizes + rank;
  int64_t stride = 1;
  for (size_t i = rank; i-- > 0;) {
    sizes[i] = shape[i];
    strides[i] = stride;
    stride *= shape[i];
  }
  slots[index].bound = true;
}

void Frame::bindWeight(size_t index, const Weights &weights) {
  const Argument &argument = signature().arguments[index];
  if (!argument.isUsed)
    return bind(index, nullptr, argument.shape);
  const WeightTensor &tensor = weights.tensorFor(argument);
  bind(index, const_cast<void *>(tensor.data), tensor.shape);
}

void Frame::bindSymbol(size_t index, int64_t value) {
  if (index >= slots.size() || signature().arguments[index].kind != ArgumentKind::Symbol)
    throw ArgumentError("argument " + std::to_string(index) + " of '" + signature().name +
                        "' is not a symbol");
  words[slots[index].word] = value;
  slots[index].bound = true;
}

void Frame::checkShape(const Argument &argument, const int64_t *shape, size_t rank) const {
  bool fits = argument.kind != ArgumentKind::Symbol && rank == argument.shape.size();
  for (size_t i = 0; fits && i < rank; ++i)
    fits = shape[i] >= 0 && (argument.shape[i] == dynamicSize || argument.shape[i] == shape[i]);
  if (fits)
    return;
  std::string wanted = argument.kind == ArgumentKind::Symbol
                           ? "an integer"
                           : describe(argument.type, argument.shape);
  throw ArgumentError("argument '" + argument.name + "' of '" + signature().name + "' must be " +
                      wanted + ", got " + describe(argument.type, Shape(shape, shape + rank)));
}

size_t Frame::indexOf(std::string_view name) const {
  const std::vector<Argument> &arguments = signature().arguments;
  for (size_t i = 0; i < arguments.size(); ++i)
    if (arguments[i].name == name)
      return i;
  throw ArgumentError("'" + signature().name + "' has no argument '" + std::string(name) + "'");
}

void Frame::requireBound(size_t count) const {
  for (size_t i = 0; i < count; ++i)
    if (!slots[i].bound)
      throw ArgumentError("argument '" + signature().arguments[i].name + "' of '" +
                          signature().name + "' was not given");
}

int64_t Frame::workspaceSize() const {
  requireBound(signature().graphArguments);
  return entry.workspace(pointers.data());
}

void Frame::invoke() const {
  requireBound(slots.size());
  ThreadScope threads;
  entry.invoke(pointers.data());
}
