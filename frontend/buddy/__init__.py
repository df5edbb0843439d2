# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Buddy compiles PyTorch models through MLIR into native code.

`torch.compile(model, backend="buddy")` needs no import of this package.
"""

from __future__ import annotations

import importlib

from . import driver
from .counters import reset, stats
from .errors import (
    BuddyError,
    CompilerError,
    InputError,
    LoweringFailed,
    ModelError,
    OptionError,
    OutOfRangeError,
    UnsupportedOpError,
)

# The extension `_runtime` stands in the package once installed, in build/lib in a checkout.
__path__.extend(str(directory) for directory in driver.library_directories())

# What needs transformers or the launcher is loaded on first use.
_LAZY = {
    "ChatModule": "buddy.llm.chat",
    "LinearAlgebraError": "buddy.failures",
    "compile": "buddy.exported.compiled",
    "compile_package": "buddy.packages",
    "load_package": "buddy.exported.loaded",
}

__all__ = [
    "BuddyError",
    "ChatModule",
    "CompilerError",
    "InputError",
    "LinearAlgebraError",
    "LoweringFailed",
    "ModelError",
    "OptionError",
    "OutOfRangeError",
    "UnsupportedOpError",
    "compile",
    "compile_package",
    "load_package",
    "reset",
    "stats",
]


def __getattr__(name: str):
    if name not in _LAZY:
        raise AttributeError(f"module 'buddy' has no attribute '{name}'")
    return getattr(importlib.import_module(_LAZY[name]), name)
