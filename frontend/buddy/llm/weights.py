# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

"""The weights of a package: prepared once by the compiled module, in their place in the file.

What depends on parameters alone (packed or converted weights) is computed here by the module's
entry point ``prepare``; the file holds those results and the parameters that are still read.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from buddy.llm.model import LoadedModel
from buddy.llm.safetensors_file import TensorSpec, create, reserve

if TYPE_CHECKING:
    from buddy.llm.package import Report

FILE_NAME = "weights.safetensors"
ENTRIES = ("prefill", "decode")


@contextlib.contextmanager
def room_for_weights(directory: Path, loaded: LoadedModel) -> Iterator[None]:
    """Reserve the file's room while the body runs; a full disk is an OSError at its end."""
    sizes = (parameter.numel() for parameter in loaded.module.parameters())
    with ThreadPoolExecutor(1) as pool:
        reserved = pool.submit(reserve, directory / FILE_NAME, sum(sizes) * loaded.dtype.itemsize)
        yield
        reserved.result()


def write_weights(directory: Path, loaded: LoadedModel, report: Report) -> dict:
    """Write the weights' file beside ``model.so``; return the module's own manifest."""
    from buddy import _runtime

    executable = _runtime.Executable(str(directory / "model.so"))
    manifest = json.loads(executable.manifest)
    path = directory / FILE_NAME
    tensors = create(path, _used_tensors(manifest["entries"]))
    prepared = _prepare(executable, manifest["entries"], loaded, tensors)
    for name in tensors.keys() - prepared:
        tensors[name].copy_(loaded.load(name))
    report.weights_bytes = path.stat().st_size
    report.kernels = manifest.get("kernels", 0)
    return manifest


def _used_tensors(entries: dict) -> list[TensorSpec]:
    """Parameters and prepared weights that prefill or decode read, each once, in order."""
    specs: dict[str, TensorSpec] = {}
    for entry in ENTRIES:
        for argument in entries[entry]["arguments"]:
            if argument["kind"] in ("parameter", "prepared") and argument.get("used", True):
                spec = TensorSpec(argument["name"], argument["dtype"], tuple(argument["shape"]))
                specs[spec.name] = spec
    return list(specs.values())


def _prepare(
    executable, entries: dict, loaded: LoadedModel, tensors: dict[str, torch.Tensor]
) -> set[str]:
    """Run ``prepare`` with its results in ``tensors``; the names of what it prepared, if any."""
    if "prepare" not in entries:
        return set()
    arguments = entries["prepare"]["arguments"][:-1]
    prepared = {argument["name"] for argument in arguments if argument["kind"] == "prepared"}
    held = [
        tensors[argument["name"]] if argument["name"] in prepared else loaded.load(argument["name"])
        for argument in arguments
    ]
    pointers = [(tensor.data_ptr(), tuple(tensor.shape)) for tensor in held]
    entry = executable.entry("prepare").bind({})
    workspace = torch.empty(entry.workspace(pointers), dtype=torch.uint8)
    entry([*pointers, (workspace.data_ptr(), tuple(workspace.shape))])
    return prepared
