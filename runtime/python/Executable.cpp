// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Launching compiled graphs from Python. A call costs one pass over the unbound arguments: frames
// with the bound ones in place are kept and reused, one for each thread that calls at a time.

#include "Bindings.h"

#include "buddy/runtime/Error.h"
#include "buddy/runtime/Frame.h"
#include "buddy/runtime/KernelTimer.h"

#include <memory>
#include <mutex>
#include <pybind11/stl.h>

namespace py = pybind11;
using namespace buddy::runtime;

namespace {

constexpr size_t maxRank = 16;

/// Binds argument `index` to a Python (data_ptr, shape) or, for a symbol, int.
void bindFromPython(Frame &frame, size_t index, py::handle value) {
  if (PyLong_Check(value.ptr()))
    return frame.bindSymbol(index, value.cast<int64_t>());
  if (!PyTuple_Check(value.ptr()) || PyTuple_GET_SIZE(value.ptr()) != 2)
    throw ArgumentError("argument " + std::to_string(index) + " of '" + frame.signature().name +
                        "' must be (data_ptr, shape), or an int for a symbol");
  auto address = py::handle(PyTuple_GET_ITEM(value.ptr(), 0)).cast<uintptr_t>();
  auto sizes = py::reinterpret_borrow<py::sequence>(PyTuple_GET_ITEM(value.ptr(), 1));
  size_t rank = sizes.size();
  if (rank > maxRank)
    throw ArgumentError("tensors of rank " + std::to_string(rank) + " are not supported");
  int64_t shape[maxRank];
  for (size_t i = 0; i < rank; ++i)
    shape[i] = py::object(sizes[i]).cast<int64_t>();
  frame.bind(index, reinterpret_cast<void *>(address), shape, rank);
}

/// An entry point with some arguments, usually the weights, in place. Calls may come from several
/// threads at once. The caller keeps the bound buffers alive.
class BoundEntry {
public:
  BoundEntry(std::shared_ptr<Library> library, const EntryPoint &entry, const py::dict &bound)
      : library(std::move(library)), prototype(entry) {
    for (auto [index, value] : bound)
      bindFromPython(prototype, index.cast<size_t>(), value);
    for (size_t i = 0; i < prototype.size(); ++i)
      if (!prototype.isBound(i))
        unbound.push_back(i);
  }

  void call(const py::sequence &arguments) {
    if (arguments.size() != unbound.size())
      throw ArgumentError("'" + prototype.signature().name + "' takes " +
                          std::to_string(unbound.size()) + " unbound arguments, got " +
                          std::to_string(arguments.size()));
    FrameLease frame(*this);
    fill(*frame, arguments, unbound.size());
    py::gil_scoped_release release;
    frame->invoke();
  }

  /// Reads the unbound graph arguments, which come first; outputs may be missing.
  int64_t workspaceSize(const py::sequence &arguments) {
    size_t needed = 0;
    while (needed < unbound.size() && unbound[needed] < prototype.signature().graphArguments)
      ++needed;
    if (arguments.size() < needed)
      throw ArgumentError("'" + prototype.signature().name + "' needs its " +
                          std::to_string(needed) + " unbound graph arguments, got " +
                          std::to_string(arguments.size()));
    FrameLease frame(*this);
    fill(*frame, arguments, needed);
    return frame->workspaceSize();
  }

private:
  /// A frame of the pool for the time of one call.
  class FrameLease {
  public:
    explicit FrameLease(BoundEntry &owner) : owner(owner), frame(owner.takeFrame()) {}
    ~FrameLease() { owner.giveBack(std::move(frame)); }
    Frame &operator*() { return *frame; }
    Frame *operator->() { return frame.get(); }

  private:
    BoundEntry &owner;
    std::unique_ptr<Frame> frame;
  };

  std::unique_ptr<Frame> takeFrame() {
    std::lock_guard<std::mutex> lock(mutex);
    if (idle.empty())
      return std::make_unique<Frame>(prototype);
    std::unique_ptr<Frame> frame = std::move(idle.back());
    idle.pop_back();
    return frame;
  }

  void giveBack(std::unique_ptr<Frame> frame) {
    std::lock_guard<std::mutex> lock(mutex);
    idle.push_back(std::move(frame));
  }

  void fill(Frame &frame, const py::sequence &arguments, size_t count) {
    for (size_t i = 0; i < count; ++i)
      bindFromPython(frame, unbound[i], py::object(arguments[i]));
  }

  std::shared_ptr<Library> library; // keeps the code loaded
  Frame prototype;
  std::vector<size_t> unbound; // positions, in order
  std::mutex mutex;
  std::vector<std::unique_ptr<Frame>> idle;
};

/// One entry point of a module.
struct Entry {
  std::shared_ptr<Library> library;
  const EntryPoint *point;

  std::unique_ptr<BoundEntry> bind(const py::dict &bound) const {
    return std::make_unique<BoundEntry>(library, *point, bound);
  }
};

/// A compiled module.
struct Executable {
  explicit Executable(const std::string &path) : library(std::make_shared<Library>(path)) {}

  std::map<std::string, double> timeKernels() const { return library->timeKernels().seconds(); }

  Entry entry(const std::string &name) const { return {library, &library->entry(name)}; }

  std::shared_ptr<Library> library;
};

} // namespace

void buddy::runtime::bindExecutable(py::module_ &module) {
  py::class_<Executable>(module, "Executable", "A compiled module (model.so).")
      .def(py::init<const std::string &>(), py::arg("path"))
      .def_property_readonly("manifest",
                             [](const Executable &self) { return self.library->manifestText(); })
      .def("entry", &Executable::entry, py::arg("name"))
      .def("time_kernels", &Executable::timeKernels,
           "Time the kernels of entries bound from now on; the seconds so far, by kernel.");
  py::class_<Entry>(module, "Entry", "A function of a compiled module.")
      .def_property_readonly("name", [](const Entry &self) { return self.point->signature->name; })
      .def("bind", &Entry::bind, py::arg("arguments") = py::dict(),
           "Put the arguments {position: (data_ptr, shape) | int} in place for all calls to come.");
  py::class_<BoundEntry>(module, "BoundEntry", "A function with some of its arguments in place.")
      .def("__call__", &BoundEntry::call, py::arg("arguments"),
           "Run with the unbound arguments, in order: (data_ptr, shape), or an int for a symbol.")
      .def("workspace", &BoundEntry::workspaceSize, py::arg("arguments"),
           "Bytes of workspace a call with these graph arguments needs.");
}
