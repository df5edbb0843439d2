// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef BUDDY_RUNTIME_PYTHON_BINDINGS_H
#define BUDDY_RUNTIME_PYTHON_BINDINGS_H

#include <pybind11/pybind11.h>

namespace buddy::runtime {

/// Executable, Entry, BoundEntry: how buddy.executable launches compiled graphs.
void bindExecutable(pybind11::module_ &module);

/// Program: what buddy.load_package runs on.
void bindProgram(pybind11::module_ &module);

/// Session and Tokenizer: what ChatModule runs on.
void bindSession(pybind11::module_ &module);

} // namespace buddy::runtime

#endif // BUDDY_RUNTIME_PYTHON_BINDINGS_H
