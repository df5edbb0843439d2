# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

"""The weights of a package: prepared once by the compiled module, in their place in the file.

What depends on parameters alone (packed or converted weights) is computed here by the module's
entry point ``prepare``; the file holds those results and the parameters that are still read.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from buddy.packaging.directory import LIBRARY, WEIGHTS, Report
from buddy.packaging.safetensors_file import TensorSpec, create, reserve

Load = Callable[[str], torch.Tensor]


@contextlib.contextmanager
def room_for_weights(directory: Path, nbytes: int) -> Iterator[None]:
    """Reserve the file's room while the body runs; a full disk is an OSError at its end."""
    with ThreadPoolExecutor(1) as pool:
        reserved = pool.submit(reserve, directory / WEIGHTS, nbytes)
        yield
        reserved.result()


def write_weights(
    directory: Path,
    load: Load,
    entries: Sequence[str],
    report: Report,
    state: Collection[str] = (),
) -> dict:
    """Write the weights that the entry points read; return the module's own manifest.

    ``load(name)`` gives a parameter, contiguous and on the CPU, in the dtype of the module.
    Arguments named in ``state`` are stored too, with the values they have at first.
    """
    from buddy import _runtime

    executable = _runtime.Executable(str(directory / LIBRARY))
    manifest = json.loads(executable.manifest)
    path = directory / WEIGHTS
    tensors = create(path, _stored_tensors(manifest["entries"], entries, state))
    prepared = _prepare(executable, manifest["entries"], load, tensors)
    for name in tensors.keys() - prepared:
        tensors[name].copy_(load(name))
    report.weights_bytes = path.stat().st_size
    report.kernels = manifest.get("kernels", 0)
    return manifest


def _stored_tensors(
    signatures: dict, entries: Sequence[str], state: Collection[str]
) -> list[TensorSpec]:
    """Parameters and prepared weights that the entries read, and state, each once, in order."""
    specs: dict[str, TensorSpec] = {}
    for entry in entries:
        for argument in signatures[entry]["arguments"]:
            weight = argument["kind"] in ("parameter", "prepared") and argument.get("used", True)
            if weight or (argument["kind"] == "input" and argument["name"] in state):
                spec = TensorSpec(argument["name"], argument["dtype"], tuple(argument["shape"]))
                specs[spec.name] = spec
    return list(specs.values())


def _prepare(executable, signatures: dict, load: Load, tensors: dict[str, torch.Tensor]) -> set:
    """Run ``prepare`` with its results in ``tensors``; the names of what it prepared, if any."""
    if "prepare" not in signatures:
        return set()
    arguments = signatures["prepare"]["arguments"][:-1]
    prepared = {argument["name"] for argument in arguments if argument["kind"] == "prepared"}
    held = [
        tensors[argument["name"]] if argument["name"] in prepared else load(argument["name"])
        for argument in arguments
    ]
    pointers = [(tensor.data_ptr(), tuple(tensor.shape)) for tensor in held]
    entry = executable.entry("prepare").bind({})
    workspace = torch.empty(entry.workspace(pointers), dtype=torch.uint8)
    entry([*pointers, (workspace.data_ptr(), tuple(workspace.shape))])
    return prepared
