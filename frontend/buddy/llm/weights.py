# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

"""The weights of a package: prepared once by the compiled module, then written aligned.

What depends on parameters alone (packed or converted weights) is computed here by the module's
entry point ``prepare``; the file holds those results and the parameters that are still read.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from buddy.llm.model import LoadedModel
from buddy.llm.safetensors_file import DTYPES, TensorSpec, write

if TYPE_CHECKING:
    from buddy.llm.package import Report

ENTRIES = ("prefill", "decode")


def write_weights(directory: Path, loaded: LoadedModel, report: Report) -> dict:
    """Write ``weights.safetensors`` beside ``model.so``; return the module's own manifest."""
    from buddy import _runtime

    executable = _runtime.Executable(str(directory / "model.so"))
    manifest = json.loads(executable.manifest)
    prepared = _prepare(executable, manifest["entries"], loaded)
    specs = _used_tensors(manifest["entries"])

    def load(name: str) -> torch.Tensor:
        tensor = prepared.pop(name, None)
        return loaded.load(name) if tensor is None else tensor

    report.weights_bytes = write(directory / "weights.safetensors", specs, load)
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


def _prepare(executable, entries: dict, loaded: LoadedModel) -> dict[str, torch.Tensor]:
    """Run ``prepare``: prepared weights by name; nothing where the module prepares nothing."""
    if "prepare" not in entries:
        return {}
    arguments = entries["prepare"]["arguments"]
    tensors = [_allocate(argument, loaded) for argument in arguments[:-1]]
    pointers = [(tensor.data_ptr(), tuple(tensor.shape)) for tensor in tensors]
    entry = executable.entry("prepare").bind({})
    workspace = torch.empty(entry.workspace(pointers), dtype=torch.uint8)
    entry([*pointers, (workspace.data_ptr(), tuple(workspace.shape))])
    return {
        argument["name"]: tensor
        for argument, tensor in zip(arguments, tensors, strict=False)
        if argument["kind"] == "prepared"
    }


def _allocate(argument: dict, loaded: LoadedModel) -> torch.Tensor:
    """The parameter an argument of ``prepare`` names, or room for a result."""
    if argument["kind"] == "parameter":
        return loaded.load(argument["name"])
    return torch.empty(argument["shape"], dtype=DTYPES[argument["dtype"]][0])
