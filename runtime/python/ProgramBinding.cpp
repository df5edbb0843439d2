// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Packages of exported programs from Python. Tensors come as (data_ptr, shape); their element types
// are checked by the caller, who knows torch's.

#include "Bindings.h"

#include "buddy/runtime/Error.h"
#include "buddy/runtime/Program.h"

#include <pybind11/stl.h>

namespace py = pybind11;
using namespace buddy::runtime;

namespace {

using Tensor = std::pair<uintptr_t, Shape>;

void *address(const Tensor &tensor) { return reinterpret_cast<void *>(tensor.first); }

void requireCount(size_t given, size_t wanted, const char *what) {
  if (given != wanted)
    throw ArgumentError("the program has " + std::to_string(wanted) + " " + what + ", got " +
                        std::to_string(given));
}

/// Binds all inputs, a size as an int; gives the shapes of the outputs, and sizes among the
/// results.
std::pair<std::vector<Shape>, std::vector<int64_t>> bindInputs(Program &self,
                                                               const py::sequence &values) {
  requireCount(values.size(), self.inputs().size(), "inputs");
  for (size_t i = 0; i < values.size(); ++i) {
    const Argument &argument = self.inputs()[i];
    if (argument.kind == ArgumentKind::Symbol) {
      self.bindSize(argument.name, values[i].cast<int64_t>());
    } else {
      auto tensor = values[i].cast<Tensor>();
      self.bindInput(argument.name, argument.type, address(tensor), tensor.second);
    }
  }
  std::vector<Shape> shapes;
  for (const Argument &output : self.outputs())
    shapes.push_back(self.outputShape(output.name));
  return {shapes, self.resultSizes()};
}

void run(Program &self, const std::vector<Tensor> &outputs) {
  requireCount(outputs.size(), self.outputs().size(), "outputs");
  for (size_t i = 0; i < outputs.size(); ++i) {
    const Argument &argument = self.outputs()[i];
    self.bindOutput(argument.name, argument.type, address(outputs[i]), outputs[i].second);
  }
  py::gil_scoped_release release;
  self.run();
}

} // namespace

void buddy::runtime::bindProgram(py::module_ &module) {
  py::class_<Program>(module, "Program", "The package of an exported program.")
      .def(py::init<const std::string &>(), py::arg("directory"))
      .def_property_readonly("name", &Program::name)
      .def("bind_inputs", &bindInputs, py::arg("values"),
           "Take (data_ptr, shape) or an int for each input; give the outputs' shapes and sizes.")
      .def("run", &run, py::arg("outputs"), "Run into (data_ptr, shape) for each output.");
}
