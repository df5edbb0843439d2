# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`buddy.load_package`: the package of an exported program as a callable, run by the C++ runtime."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from .. import counters
from ..errors import InputError, ModelError
from ..results import empty_result
from ..types import dtype_named
from .calling import CallingConvention


def load_package(path: str | Path) -> LoadedProgram:
    """Load what `buddy.compile_package` made of an exported program.

    The callable takes and returns what the program does. Packages of language models are run by
    `buddy.ChatModule`. Raises ModelError for a package that is damaged or for another machine, or
    whose program takes or returns types that nobody has registered (those of transformers will be).
    """
    return LoadedProgram(path)


class LoadedProgram:
    """A loaded package: its weights are mapped, its mutated buffers are its own.

    Calls from several threads take turns. Results are contiguous tensors, or arguments themselves
    where the program returns what it wrote to.
    """

    def __init__(self, path: str | Path):
        from .. import _runtime

        with counters.stage("load"):
            self._runtime = _runtime.Program(str(path))
        manifest = Path(path) / "manifest.json"
        try:
            description = json.loads(manifest.read_text())
            self._convention = CallingConvention.from_manifest(description)
            self._results = description["results"]
            self._dtypes = [dtype_named(output["dtype"]) for output in description["outputs"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelError(f"{manifest}: has unexpected content: {error}") from error
        except NotImplementedError as error:  # pytree's, of a type that it has not heard of
            raise ModelError(f"{manifest}: {error} Import the module that has it first.") from error
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        return self._runtime.name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Raises InputError for arguments that the program was not exported for."""
        leaves, wanted = self._convention.flatten(args, kwargs), self._convention.leaves
        held = [x.contiguous() if isinstance(x, torch.Tensor) else x for x in leaves]
        with self._lock, torch.no_grad():
            outputs, sizes = self._run(
                [x for x, leaf in zip(held, wanted) if leaf.kind != "constant"]
            )
            for original, copy, leaf in zip(leaves, held, wanted):
                if leaf.mutable and copy is not original:
                    original.copy_(copy)
        sources = {"output": outputs, "argument": leaves, "size": sizes}
        return self._convention.unflatten(
            [
                r["value"] if r["kind"] == "constant" else sources[r["kind"]][r["index"]]
                for r in self._results
            ]
        )

    def _run(self, inputs: Sequence[Any]) -> tuple[list[torch.Tensor], list[int]]:
        from .. import _runtime

        pointers = [(x.data_ptr(), x.shape) if isinstance(x, torch.Tensor) else x for x in inputs]
        try:
            shapes, sizes = self._runtime.bind_inputs(pointers)
            outputs = [empty_result(s, d) for s, d in zip(shapes, self._dtypes)]
            self._runtime.run([(x.data_ptr(), x.shape) for x in outputs])
        except _runtime.ArgumentError as error:
            raise InputError(str(error)) from None
        return outputs, sizes
