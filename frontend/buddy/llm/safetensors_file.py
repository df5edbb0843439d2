# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

"""Writing safetensors files tensor by tensor, with data placed for mapping.

Format: u64 length of the header, JSON header, data (the safetensors README). The data begins on
a page and every tensor on 64 bytes; the format forbids gaps, so what fills them is a tensor of
its own, named ``padding.N``.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import torch

ALIGNMENT, PAGE = 64, 4096
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


def write(path: Path, specs: Iterable[TensorSpec], load: Callable[[str], torch.Tensor]) -> int:
    """Write the tensors of ``specs``, asking ``load`` for one at a time; return the file's size.

    ``load(name)`` must give the shape and dtype of its spec. OSError where the disk refuses.
    """
    specs = list(specs)
    with open(path, "wb") as file:
        header = json.dumps(_header(specs), separators=(",", ":")).encode()
        header += b" " * (-(len(header) + 8) % PAGE)
        file.write(struct.pack("<Q", len(header)))
        file.write(header)
        for spec in specs:
            _write_tensor(file, spec, load(spec.name))
        return file.tell()


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


def _write_tensor(file: BinaryIO, spec: TensorSpec, tensor: torch.Tensor) -> None:
    if tuple(tensor.shape) != spec.shape or tensor.dtype != DTYPES[spec.dtype][0]:
        raise ValueError(f"{spec.name}: got {tensor.dtype}{tuple(tensor.shape)}, expected {spec}")
    file.write(memoryview(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy()))
    file.write(b"\0" * (-spec.nbytes % ALIGNMENT))
