# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

"""New safetensors files, mapped so that tensors are computed in their place in the file.

Format: u64 length of the header, JSON header, data (the safetensors README). The data begins on
a page and every tensor on 64 bytes; the format forbids gaps, so what fills them is a tensor of
its own, named ``padding.N``.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch

ALIGNMENT, PAGE = 64, 4096
# Bytes of a reserved file that are worth having in memory ahead of their use.
POPULATED = 2 << 30
# A compiled module's names of dtypes -> (torch, safetensors).
DTYPES: dict[str, tuple[torch.dtype, str]] = {
    "f64": (torch.float64, "F64"),
    "f32": (torch.float32, "F32"),
    "bf16": (torch.bfloat16, "BF16"),
    "f16": (torch.float16, "F16"),
    "i64": (torch.int64, "I64"),
    "i32": (torch.int32, "I32"),
    "i16": (torch.int16, "I16"),
    "i8": (torch.int8, "I8"),
    "i1": (torch.bool, "BOOL"),
}


@dataclass(frozen=True)
class TensorSpec:
    """A tensor to be written; ``dtype`` is a key of DTYPES."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        return torch.Size(self.shape).numel() * DTYPES[self.dtype][0].itemsize


def reserve(path: Path, nbytes: int) -> None:
    """Make room for about ``nbytes`` on the disk, and for what comes first in memory.

    A machine may take longer to give out memory than we take to compute what goes there, so
    this is worth doing while something else runs. OSError where the disk refuses.
    """
    with open(path, "w+b", buffering=0) as file:
        os.posix_fallocate(file.fileno(), 0, max(nbytes, 1))
        chunk = bytearray(1 << 22)
        for _ in range(0, min(nbytes, POPULATED), len(chunk)):
            file.readinto(chunk)  # zeros: the pages stay in the system's cache


def create(path: Path, specs: Iterable[TensorSpec]) -> dict[str, torch.Tensor]:
    """Create a file of zeros for ``specs``; return its tensors, by name, as shared mappings.

    The file may be there already, reserved.

    What is written into them is in the file. OSError where the disk refuses: its room is
    reserved here, because a full disk under a mapping would be a signal and not an error.
    """
    specs = list(specs)
    layout = _header(specs)
    header = json.dumps(layout, separators=(",", ":")).encode()
    header += b" " * (-(len(header) + 8) % PAGE)
    start = 8 + len(header)
    size = start + max((entry["data_offsets"][1] for entry in layout.values()), default=0)
    with open(path, "r+b" if path.exists() else "w+b") as file:
        os.posix_fallocate(file.fileno(), 0, size)
        file.truncate(size)
        file.write(struct.pack("<Q", len(header)) + header)
        file.flush()
        mapping = mmap.mmap(file.fileno(), size)
    return {spec.name: _view(mapping, spec, start, layout) for spec in specs}


def _view(mapping: mmap.mmap, spec: TensorSpec, start: int, layout: dict) -> torch.Tensor:
    dtype = DTYPES[spec.dtype][0]
    if spec.nbytes == 0:
        return torch.empty(spec.shape, dtype=dtype)
    offset = start + layout[spec.name]["data_offsets"][0]
    count = spec.nbytes // dtype.itemsize
    return torch.frombuffer(mapping, dtype=dtype, count=count, offset=offset).view(spec.shape)


def _header(specs: list[TensorSpec]) -> dict:
    header: dict = {}
    at = 0
    for spec in specs:
        kind = DTYPES[spec.dtype][1]
        end = at + spec.nbytes
        header[spec.name] = {"dtype": kind, "shape": list(spec.shape), "data_offsets": [at, end]}
        at = end + -end % ALIGNMENT
        if at != end:
            header[f"padding.{len(header)}"] = {
                "dtype": "U8",
                "shape": [at - end],
                "data_offsets": [end, at],
            }
    return header
