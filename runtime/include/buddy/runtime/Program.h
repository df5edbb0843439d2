// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef BUDDY_RUNTIME_PROGRAM_H
#define BUDDY_RUNTIME_PROGRAM_H

#include "buddy/runtime/Frame.h"
#include "buddy/runtime/MemRef.h"
#include "buddy/runtime/Package.h"
#include "buddy/runtime/Weights.h"

#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace buddy::runtime {

/// A compiled torch.export program in memory: the package's code and weights, and the buffers
/// that it keeps from call to call. To call it, bind the inputs, then the outputs, and run:
///
///   Program program("resnet");
///   MemRef<float, 4> image({1, 3, 224, 224});
///   MemRef<float, 2> logits({1, 1000});
///   program.bindInput("image", image);
///   program.bindOutput("logits", logits);
///   program.run();
///
/// Memory stays the caller's and must live until run() is over; what is bound stays bound for the
/// next run. After the first call of a size nothing is allocated. One thread at a time.
class Program {
public:
  /// Maps and loads; reads no weights yet, but copies the state's first values. Throws ModelError
  /// for a package that is damaged, for another CPU, or no program.
  explicit Program(const std::string &directory);
  Program(const Program &) = delete;
  Program &operator=(const Program &) = delete;

  const std::string &name() const { return package.name; }
  /// What the caller gives, in order: tensors (Input; mutable ones are updated) and sizes (Symbol).
  const std::vector<Argument> &inputs() const { return inputList; }
  /// What the caller receives, under the names that the manifest gives to results.
  const std::vector<Argument> &outputs() const { return outputList; }

  /// Binds input `name` to contiguous row-major memory. Throws ArgumentError when there is no such
  /// input, or its element type, rank or a static size differs.
  void bindInput(std::string_view name, DataType type, void *data, const Shape &shape);
  template <typename T, int N> void bindInput(std::string_view name, const MemRef<T, N> &tensor) {
    bindInput(name, dataTypeOf<T>(), data(tensor), shapeOf(tensor));
  }
  /// Sets an input that is a size.
  void bindSize(std::string_view name, int64_t value);

  /// The shape of output `name` for the inputs bound now, which must be all. Throws ArgumentError
  /// when their sizes do not go together.
  Shape outputShape(std::string_view name);
  /// Sizes among the program's results, in order.
  std::vector<int64_t> resultSizes();

  /// Binds output `name`, as bindInput does.
  void bindOutput(std::string_view name, DataType type, void *data, const Shape &shape);
  template <typename T, int N> void bindOutput(std::string_view name, const MemRef<T, N> &tensor) {
    bindOutput(name, dataTypeOf<T>(), data(tensor), shapeOf(tensor));
  }

  /// Runs `forward`. Throws ArgumentError when something is not bound, sizes do not go together, or
  /// the program finds an index out of range or a matrix that cannot be factored.
  void run();

private:
  template <typename T, int N> static void *data(const MemRef<T, N> &tensor) {
    return const_cast<std::remove_const_t<T> *>(tensor.data());
  }
  template <typename T, int N> static Shape shapeOf(const MemRef<T, N> &tensor) {
    auto sizes = tensor.sizes();
    return Shape(sizes.begin(), sizes.end());
  }

  /// What the caller binds, in the order of `forward`, whose argument `index` each one is.
  struct Binding {
    Argument argument;
    size_t index;
    Shape given; // what it is bound to
  };

  void planArguments();
  void loadState(const std::vector<size_t> &indices);
  void planSizes();
  Binding &find(std::vector<Binding> &bindings, std::string_view name, const char *what);
  void bind(Binding &binding, DataType type, void *data, const Shape &shape);
  void computeSizes();
  void checkOutputs() const;
  void reserveWorkspace(Frame &frame);

  ProgramPackage package;
  Library library;
  Weights weights;
  Frame forward;
  std::optional<Frame> sizes; // present where a size differs from call to call
  std::vector<Binding> inputBindings, outputBindings;
  std::vector<Argument> inputList, outputList;
  std::vector<Shape> outputShapes; // of this call
  MemRef<int64_t, 1> sizeValues;   // what `sizes` gives
  size_t resultSizesAt = 0;        // where sizes among the results begin in it
  bool sizesAreKnown = false;
  MemRef<std::byte, 1> stateMemory, workspace;
  int64_t failure = 0; // what `forward` returns last, where it checks indices
};

} // namespace buddy::runtime

#endif // BUDDY_RUNTIME_PROGRAM_H
