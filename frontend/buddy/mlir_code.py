# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""MLIR's shared libraries, which take 80 MiB of memory while they are at work.

Loading them touches as much of them as a graph's import does. To be imported before other modules
that bring MLIR, so that they are loaded into memory that is given back before it is needed.
"""

from mlir import ir  # noqa: F401 - loads them

from .memory import give_back_code


def give_back() -> None:
    """Until the next graph: neither tracing nor a compiled model needs them."""
    give_back_code("libLLVM.so", "libMLIRPythonCAPI.so")


give_back()
