// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The Python extension `buddy._runtime`.

#include "Bindings.h"

#include "buddy/runtime/CpuFeatures.h"
#include "buddy/runtime/Error.h"
#include "buddy/runtime/Library.h"
#include "buddy/runtime/Profile.h"

#include <pybind11/stl.h>

namespace py = pybind11;
using namespace buddy::runtime;

namespace {

/// The Python classes that C++ errors become. Leaked on purpose: the interpreter may be gone when
/// static objects are destroyed.
struct Exceptions {
  py::object error, argumentError;
};
Exceptions *exceptions = nullptr;

/// buddy.errors.ModelError where the Python package is there, Error where the extension is alone.
py::object modelErrorClass() {
  try {
    return py::module_::import("buddy.errors").attr("ModelError");
  } catch (py::error_already_set &) {
    return exceptions->error;
  }
}

void translate(std::exception_ptr pointer) {
  try {
    if (pointer)
      std::rethrow_exception(pointer);
  } catch (const ModelError &error) {
    py::object type = modelErrorClass();
    PyErr_SetString(type.ptr(), error.what());
  } catch (const ArgumentError &error) {
    PyErr_SetString(exceptions->argumentError.ptr(), error.what());
  } catch (const Error &error) {
    PyErr_SetString(exceptions->error.ptr(), error.what());
  }
}

void bindExceptions(py::module_ &module) {
  exceptions = new Exceptions;
  exceptions->error = py::exception<Error>(module, "Error", PyExc_RuntimeError);
  exceptions->argumentError =
      py::exception<ArgumentError>(module, "ArgumentError", exceptions->error);
  py::register_local_exception_translator(&translate);
}

void bindProfile(py::module_ &module) {
  py::class_<ProfileResult>(module, "ProfileResult", "What finish_profile wrote.")
      .def_readonly("table", &ProfileResult::table, "Text for people, a line per kernel.")
      .def_readonly("trace", &ProfileResult::trace)
      .def_readonly("page", &ProfileResult::page)
      .def_readonly("kernels", &ProfileResult::kernels);
  module.def("start_profile", &startProfile, py::arg("directory"),
             "Profile every module opened from now on that was compiled for it.");
  module.def("clear_profile", &clearProfile, "Forget what was recorded.");
  module.def("finish_profile", &finishProfile, py::call_guard<py::gil_scoped_release>(),
             "Write what was recorded so far to the directory.");
}

} // namespace

PYBIND11_MODULE(_runtime, module) {
  module.doc() = "Buddy's C++ runtime: compiled modules and LLM sessions.";
  bindExceptions(module);
  bindExecutable(module);
  bindProgram(module);
  bindSession(module);
  bindProfile(module);
  module.def("set_num_threads", &setThreadCount, py::arg("count"),
             "Threads that compiled modules use from now on; 0 is OpenMP's default.");
  module.def("num_threads", &threadCount);
  module.def("cpu_features", &cpuFeatures, "Features of this CPU, under LLVM's names.");
  module.def("missing_features", &missingFeatures, py::arg("required"),
             "Those of the required CPU features that this machine lacks.");
}
