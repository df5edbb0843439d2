# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What goes wrong, in sentences about the user's program.

Every error that Buddy raises on purpose is a `BuddyError`; `except buddy.BuddyError` is enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


class BuddyError(RuntimeError):
    """Base of all errors that Buddy raises on purpose."""


@dataclass(frozen=True)
class UnsupportedOp:
    """One call that has no lowering: what, where in the user's program, with which arguments."""

    name: str  # node of the FX graph
    target: str  # "aten.upsample_nearest2d.vec"
    where: str  # "model.py:118 in forward"
    arguments: str  # "f32[1,64,32,32], None, [2.0, 2.0]"
    reason: str = ""  # why a lowering refused; empty when there is none

    def __str__(self) -> str:
        line = f"{self.target}   {self.where}   args: ({self.arguments})"
        return f"{line}   {self.reason}" if self.reason else line


class UnsupportedOpError(BuddyError):
    """Some operators of a graph cannot be compiled; all of them are in `ops`."""

    def __init__(self, ops: Sequence[UnsupportedOp]):
        self.ops = tuple(ops)
        subject = "1 operator has" if len(ops) == 1 else f"{len(ops)} operators have"
        lines = [f"{subject} no lowering", *(f"  {op}" for op in ops)]
        lines.append(
            "Compile with options={'fallback': True} to run them eagerly, or add a function to "
            "buddy/lowering/, or a decomposition (buddy/decompose.py)."
        )
        super().__init__("\n".join(lines))


class LoweringFailed(BuddyError):
    """A lowering is wrong: it raised, or its result has another type than the graph says."""


class OutOfRangeError(BuddyError, IndexError):
    """A computed index lies outside of the tensor that it reads or writes: which op, and where."""

    subject = "index out of range"


class InputError(BuddyError):
    """A call of an exported program with arguments that it was not exported for."""


class OptionError(BuddyError):
    """An option that does not exist, or a value it cannot take."""


class CompilerError(BuddyError):
    """`buddy-compile` failed: `command` repeats the failure, `reproducer` is what to report."""

    def __init__(self, message: str, command: Sequence[str] = (), reproducer: Path | None = None):
        self.command = tuple(command)
        self.reproducer = reproducer
        super().__init__(message)


class ModelError(BuddyError):
    """A model, weights, tokenizer or package file is missing, damaged or not for this machine."""
