// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "buddy/runtime/Program.h"
#include "buddy/runtime/Error.h"

#include <algorithm>
#include <cstring>

using namespace buddy::runtime;

static bool isDynamic(const Shape &shape) {
  return std::count(shape.begin(), shape.end(), dynamicSize) != 0;
}

static int64_t byteCount(const WeightTensor &tensor) {
  int64_t bytes = byteSize(tensor.type);
  for (int64_t size : tensor.shape)
    bytes *= size;
  return bytes;
}

Program::Program(const std::string &directory)
    : package(readProgramPackage(directory)), library(package.libraryPath),
      weights(package.weightsPath), forward(library.entry("forward")), sizeValues({0}),
      stateMemory({0}), workspace({0}) {
  planArguments();
  if (library.hasEntry("sizes"))
    planSizes();
}

void Program::planArguments() {
  std::vector<size_t> state, results;
  for (size_t i = 0; i < forward.size(); ++i) {
    const Argument &argument = forward.signature().arguments[i];
    bool kept = std::count(package.state.begin(), package.state.end(), argument.name) != 0;
    if (argument.kind == ArgumentKind::Parameter || argument.kind == ArgumentKind::Prepared)
      forward.bindWeight(i, weights);
    else if (argument.kind == ArgumentKind::Output)
      results.push_back(i);
    else if (argument.kind == ArgumentKind::Input && kept)
      state.push_back(i);
    else if (argument.kind != ArgumentKind::Workspace)
      inputBindings.push_back({argument, i, {}});
  }
  loadState(state);
  if (results.size() != package.outputs.size() + !package.messages.empty())
    throw ModelError(package.directory, "its manifest and its library do not go together: compile "
                                        "the model again");
  for (size_t i = 0; i < package.outputs.size(); ++i) {
    Argument argument = forward.signature().arguments[results[i]];
    argument.name = package.outputs[i];
    outputBindings.push_back({argument, results[i], {}});
  }
  if (!package.messages.empty())
    forward.bind(results.back(), &failure, Shape{});
  for (const Binding &binding : inputBindings)
    inputList.push_back(binding.argument);
  for (const Binding &binding : outputBindings)
    outputList.push_back(binding.argument);
}

/// Buffers that calls write to are copies of the file's, which every process shares.
void Program::loadState(const std::vector<size_t> &indices) {
  int64_t total = 0;
  for (size_t index : indices)
    total += alignUp(byteCount(weights.tensorFor(forward.signature().arguments[index])));
  stateMemory = MemRef<std::byte, 1>({total});
  std::byte *next = stateMemory.data();
  for (size_t index : indices) {
    const WeightTensor &tensor = weights.tensorFor(forward.signature().arguments[index]);
    std::memcpy(next, tensor.data, byteCount(tensor));
    forward.bind(index, next, tensor.shape);
    next += alignUp(byteCount(tensor));
  }
}

/// `sizes` reads the shapes of its arguments only, so what is not an input may point nowhere.
void Program::planSizes() {
  sizes.emplace(library.entry("sizes"));
  size_t needed = package.conditions.size();
  for (const std::vector<Binding> *bindings : {&inputBindings, &outputBindings})
    for (const Binding &binding : *bindings)
      needed +=
          std::count(binding.argument.shape.begin(), binding.argument.shape.end(), dynamicSize);
  for (size_t i = 0; i < sizes->size(); ++i) {
    const Argument &argument = sizes->signature().arguments[i];
    if (argument.kind == ArgumentKind::Output) {
      if (argument.type != DataType::I64 || argument.shape.size() != 1 ||
          argument.shape[0] < static_cast<int64_t>(needed))
        throw ModelError(library.path(), "says less about sizes than its manifest needs");
      sizeValues = MemRef<int64_t, 1>({argument.shape[0]});
      sizes->bind(i, sizeValues.data(), argument.shape);
    } else if (argument.kind == ArgumentKind::Parameter ||
               (argument.kind == ArgumentKind::Input && !isDynamic(argument.shape))) {
      sizes->bind(i, nullptr, argument.shape);
    }
  }
}

Program::Binding &Program::find(std::vector<Binding> &bindings, std::string_view name,
                                const char *what) {
  std::string known;
  for (Binding &binding : bindings) {
    if (binding.argument.name == name)
      return binding;
    known += (known.empty() ? "" : ", ") + binding.argument.name;
  }
  throw ArgumentError(package.name + " has no " + what + " '" + std::string(name) +
                      "'; it has: " + known);
}

void Program::bind(Binding &binding, DataType type, void *data, const Shape &shape) {
  const Argument &argument = binding.argument;
  if (argument.type != type || argument.kind == ArgumentKind::Symbol)
    throw ArgumentError("argument '" + argument.name + "' of " + package.name + " must be " +
                        (argument.kind == ArgumentKind::Symbol
                             ? "a size"
                             : describe(argument.type, argument.shape)) +
                        ", got " + describe(type, shape));
  forward.bind(binding.index, data, shape);
  binding.given = shape;
}

void Program::bindInput(std::string_view name, DataType type, void *data, const Shape &shape) {
  Binding &binding = find(inputBindings, name, "input");
  bind(binding, type, data, shape);
  if (sizes)
    sizes->bind(sizes->indexOf(binding.argument.name), data, shape);
  sizesAreKnown = false;
}

void Program::bindSize(std::string_view name, int64_t value) {
  Binding &binding = find(inputBindings, name, "input");
  forward.bindSymbol(binding.index, value);
  if (sizes)
    sizes->bindSymbol(sizes->indexOf(binding.argument.name), value);
  sizesAreKnown = false;
}

void Program::bindOutput(std::string_view name, DataType type, void *data, const Shape &shape) {
  bind(find(outputBindings, name, "output"), type, data, shape);
}

/// The order of what `sizes` gives: dynamic sizes of inputs, of outputs; conditions; the rest.
void Program::computeSizes() {
  if (sizesAreKnown)
    return;
  outputShapes.clear();
  for (const Binding &output : outputBindings)
    outputShapes.push_back(output.argument.shape);
  if (sizes) {
    reserveWorkspace(*sizes);
    sizes->invoke();
    const int64_t *next = sizeValues.data();
    for (const Binding &input : inputBindings)
      for (size_t d = 0; d < input.argument.shape.size(); ++d)
        if (input.argument.shape[d] == dynamicSize && *next++ != input.given[d])
          throw ArgumentError("size " + std::to_string(d) + " of '" + input.argument.name +
                              "' must be " + std::to_string(next[-1]) + " in this call, got " +
                              describe(input.argument.type, input.given));
    for (Shape &shape : outputShapes)
      for (int64_t &size : shape)
        size = size == dynamicSize ? *next++ : size;
    for (const std::string &condition : package.conditions)
      if (!*next++)
        throw ArgumentError(package.name + " needs " + condition);
    resultSizesAt = next - sizeValues.data();
  }
  sizesAreKnown = true;
}

Shape Program::outputShape(std::string_view name) {
  Binding &binding = find(outputBindings, name, "output");
  computeSizes();
  return outputShapes[&binding - outputBindings.data()];
}

std::vector<int64_t> Program::resultSizes() {
  computeSizes();
  return std::vector<int64_t>(sizeValues.begin() + resultSizesAt, sizeValues.end());
}

void Program::checkOutputs() const {
  for (size_t i = 0; i < outputBindings.size(); ++i) {
    const Binding &output = outputBindings[i];
    if (!forward.isBound(output.index))
      throw ArgumentError("output '" + output.argument.name + "' of " + package.name +
                          " was not bound");
    if (output.given != outputShapes[i])
      throw ArgumentError("output '" + output.argument.name + "' must be " +
                          describe(output.argument.type, outputShapes[i]) + " in this call, got " +
                          describe(output.argument.type, output.given));
  }
}

/// Both entry points run in the same workspace, one after the other.
void Program::reserveWorkspace(Frame &frame) {
  int64_t bytes = std::max<int64_t>(frame.workspaceSize(), 1);
  if (bytes > workspace.size(0))
    workspace = MemRef<std::byte, 1>({bytes});
  frame.bind(frame.indexOf("workspace"), workspace.data(), {workspace.size(0)});
}

void Program::run() {
  computeSizes();
  checkOutputs();
  reserveWorkspace(forward);
  forward.invoke();
  if (!package.messages.empty() && failure != 0)
    throw ArgumentError(package.messages[std::min<size_t>(failure, package.messages.size()) - 1]);
}
