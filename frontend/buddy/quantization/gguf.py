# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

"""Reading GGUF files, versions 2 and 3 (layout: ``docs/gguf.md`` of the ggml repository).

The file is mapped, not read: metadata is parsed when it is opened, tensors are expanded one
at a time when they are asked for. Nothing in the file is believed: every count, length and
offset is checked against the file's size, and a bad one raises ModelError with the file, the
byte where it stands and what is wrong.
"""

from __future__ import annotations

import math
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from buddy.errors import ModelError
from buddy.quantization.blocks import FORMATS, BlockFormat, dequantize

MAGIC = b"GGUF"
VERSIONS = (2, 3)
DEFAULT_ALIGNMENT = 32
# Values of metadata: type number -> struct format (enum gguf_metadata_value_type).
SCALARS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
STRING, ARRAY = 8, 9
# ggml's own limits, and what keeps a corrupt count from filling memory.
MAX_DIMENSIONS = 4
MAX_KEY_LENGTH = 1 << 16


@dataclass(frozen=True)
class TensorInfo:
    """One tensor of the file; ``shape`` is row-major (the file stores it innermost first)."""

    name: str
    shape: tuple[int, ...]
    format: BlockFormat
    offset: int  # from the start of the file
    nbytes: int


class _Cursor:
    """A position in the mapped file that cannot leave it."""

    def __init__(self, path: Path, data: mmap.mmap):
        self.path, self.data, self.at = path, data, 0

    def fail(self, what: str, at: int | None = None) -> ModelError:
        return ModelError(f"{self.path}: {what} (byte {self.at if at is None else at})")

    def take(self, size: int, what: str) -> bytes:
        if size > len(self.data) - self.at:
            left = len(self.data) - self.at
            raise self.fail(f"truncated GGUF: {what} needs {size} bytes, {left} are left")
        start, self.at = self.at, self.at + size
        return self.data[start : self.at]

    def scalar(self, form: str, what: str) -> Any:
        return struct.unpack("<" + form, self.take(struct.calcsize("<" + form), what))[0]

    def string(self, what: str) -> str:
        start = self.at
        raw = self.take(self.scalar("Q", f"the length of {what}"), what)
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.fail(f"{what} is not UTF-8: {error.reason}", start) from None

    def value(self, kind: int, key: str) -> Any:
        if kind in SCALARS:
            return self.scalar(SCALARS[kind], key)
        if kind == STRING:
            return self.string(key)
        if kind == ARRAY:
            return self.array(key)
        raise self.fail(f"metadata {key!r} has unknown type {kind}", self.at - 4)

    def array(self, key: str) -> list:
        kind = self.scalar("I", f"the element type of {key}")
        count = self.scalar("Q", f"the length of {key}")
        if kind in SCALARS:
            form = SCALARS[kind]
            raw = self.take(count * struct.calcsize(form), key)
            return list(struct.unpack(f"<{count}{form}", raw))
        if kind != STRING:
            raise self.fail(
                f"metadata {key!r} is an array of unsupported type {kind}", self.at - 12
            )
        if count * 8 > len(self.data) - self.at:
            raise self.fail(f"truncated GGUF: {key!r} claims {count} strings", self.at - 8)
        return [self.string(key) for _ in range(count)]


class GGUFFile:
    """An opened GGUF file: ``metadata`` (key -> value) and ``tensors`` (name -> TensorInfo)."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._data = _map(self.path)
        cursor = _Cursor(self.path, self._data)
        tensors, pairs = _read_header(cursor)
        self.metadata = _read_metadata(cursor, pairs)
        self.tensors = self._read_tensor_infos(cursor, tensors)

    def _read_tensor_infos(self, cursor: _Cursor, count: int) -> dict[str, TensorInfo]:
        raw = [_read_tensor_info(cursor) for _ in range(count)]
        alignment = self.metadata.get("general.alignment", DEFAULT_ALIGNMENT)
        if not isinstance(alignment, int) or alignment <= 0 or alignment % 8:
            raise ModelError(
                f"{self.path}: general.alignment is {alignment!r}, not a multiple of 8"
            )
        start = -(-cursor.at // alignment) * alignment
        infos: dict[str, TensorInfo] = {}
        for at, name, shape, form, offset in raw:
            nbytes = math.prod(shape) // form.elements * form.bytes
            if name in infos:
                raise cursor.fail(f"tensor {name!r} appears twice", at)
            if offset % alignment:
                raise cursor.fail(f"tensor {name!r} has an unaligned offset {offset}", at)
            if start + offset + nbytes > len(self._data):
                end = start + offset + nbytes
                raise cursor.fail(
                    f"truncated GGUF: tensor {name!r} ends at byte {end}, "
                    f"the file has {len(self._data)}",
                    at,
                )
            infos[name] = TensorInfo(name, shape, form, start + offset, nbytes)
        return infos

    def get(self, key: str, kind: type | tuple[type, ...], default: Any = ...) -> Any:
        """Metadata ``key``, checked to be of ``kind``; without a default it must be there."""
        value = self.metadata.get(key, default)
        if value is ...:
            raise ModelError(f"{self.path}: metadata {key!r} is missing")
        if value is not default and not isinstance(value, kind):
            names = kind.__name__ if isinstance(kind, type) else "/".join(k.__name__ for k in kind)
            raise ModelError(f"{self.path}: metadata {key!r} is {value!r}, expected {names}")
        return value

    def raw(self, name: str) -> np.ndarray:
        """The bytes of tensor ``name``: a read-only uint8 view of the mapped file."""
        info = self.tensors[name]
        return np.frombuffer(self._data, np.uint8, info.nbytes, info.offset)

    def load(self, name: str) -> np.ndarray:
        """Tensor ``name`` expanded to float32, in row-major ``info.shape``."""
        if name not in self.tensors:
            raise ModelError(f"{self.path}: tensor {name!r} is missing")
        info = self.tensors[name]
        return dequantize(self.raw(name), info.format).reshape(info.shape)


def _map(path: Path) -> mmap.mmap:
    try:
        with open(path, "rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except ValueError:
        raise ModelError(f"{path}: the file is empty, not a GGUF file") from None
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from None


def _read_header(cursor: _Cursor) -> tuple[int, int]:
    """Check magic and version; return the numbers of tensors and of metadata pairs."""
    magic = cursor.take(4, "the magic number")
    if magic != MAGIC:
        raise cursor.fail(f"not a GGUF file: it begins with {magic!r}, not {MAGIC!r}", 0)
    version = cursor.scalar("I", "the version")
    if version not in VERSIONS:
        swapped = version & 0xFFFF == 0
        hint = " (a big-endian file?)" if swapped else ""
        raise cursor.fail(f"GGUF version {version}{hint} is not supported, only 2 and 3", 4)
    tensors = cursor.scalar("Q", "the tensor count")
    pairs = cursor.scalar("Q", "the metadata count")
    # A tensor info takes at least 24 bytes and a pair 13, so absurd counts show at once.
    if tensors * 24 + pairs * 13 > len(cursor.data):
        raise cursor.fail(
            f"corrupt GGUF: {tensors} tensors and {pairs} metadata pairs cannot fit", 8
        )
    return tensors, pairs


def _read_metadata(cursor: _Cursor, count: int) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    for _ in range(count):
        start = cursor.at
        key = cursor.string("a metadata key")
        if not key or len(key) > MAX_KEY_LENGTH:
            raise cursor.fail(f"corrupt GGUF: a metadata key of {len(key)} characters", start)
        if key in metadata:
            raise cursor.fail(f"metadata {key!r} appears twice", start)
        metadata[key] = cursor.value(cursor.scalar("I", f"the type of {key}"), key)
    return metadata


def _read_tensor_info(cursor: _Cursor) -> tuple[int, str, tuple[int, ...], BlockFormat, int]:
    """One entry of the tensor table: where it stands, name, row-major shape, format, offset."""
    start = cursor.at
    name = cursor.string("a tensor name")
    rank = cursor.scalar("I", f"the rank of {name}")
    if not 0 < rank <= MAX_DIMENSIONS:
        raise cursor.fail(f"tensor {name!r} has {rank} dimensions", start)
    shape = struct.unpack(f"<{rank}Q", cursor.take(8 * rank, f"the shape of {name}"))[::-1]
    kind = cursor.scalar("I", f"the type of {name}")
    form = FORMATS.get(kind)
    if form is None:
        known = ", ".join(f.name for f in FORMATS.values())
        raise cursor.fail(f"tensor {name!r} has block type {kind}; supported are {known}", start)
    if shape[-1] % form.elements:
        raise cursor.fail(
            f"tensor {name!r}: rows of {shape[-1]} do not divide into {form.name} blocks", start
        )
    return start, name, shape, form, cursor.scalar("Q", f"the offset of {name}")
