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
    LoweringFailed,
    ModelError,
    OptionError,
    OutOfRangeError,
    UnsupportedOpError,
)

# The extension `_runtime` stands in the package once installed, in build/lib in a checkout.
__path__.extend(str(directory) for directory in driver.library_directories())

# What needs transformers or the launcher is loaded on first use.
_LAZY = {"compile_package": "buddy.llm.package", "ChatModule": "buddy.llm.chat"}

__all__ = [
    "BuddyError",
    "ChatModule",
    "CompilerError",
    "LoweringFailed",
    "ModelError",
    "OptionError",
    "OutOfRangeError",
    "UnsupportedOpError",
    "compile_package",
    "reset",
    "stats",
]


def __getattr__(name: str):
    if name not in _LAZY:
        raise AttributeError(f"module 'buddy' has no attribute '{name}'")
    return getattr(importlib.import_module(_LAZY[name]), name)
