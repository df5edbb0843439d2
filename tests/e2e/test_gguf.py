# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""GGUF files: block expansion against the `gguf` package, and refusals of broken files."""

import struct

import numpy as np
import pytest
from buddy.errors import ModelError
from buddy.quantization.blocks import CHUNK_ELEMENTS, FORMATS, dequantize
from buddy.quantization.gguf import GGUFFile

gguf = pytest.importorskip("gguf")


def random_blocks(form, count: int) -> np.ndarray:
    """Random bytes whose f16 scales are finite, for any block format."""
    rng = np.random.default_rng(0)
    data = rng.integers(0, 256, (count, form.bytes), dtype=np.uint8)
    offsets = {"Q6_K": [208], "F16": [0]}.get(form.name, [0, 2])
    if form.name == "F32":
        return rng.standard_normal(count).astype("<f4").view(np.uint8).reshape(count, 4)
    if form.name == "BF16":
        return data & 0x7F
    for offset in offsets:
        halves = rng.standard_normal((count, 1)).astype("<f2").view(np.uint8)
        data[:, offset : offset + 2] = halves
    return data


@pytest.mark.parametrize("kind", FORMATS, ids=lambda kind: FORMATS[kind].name)
def test_blocks_equal_the_gguf_package(kind):
    form = FORMATS[kind]
    data = random_blocks(form, 33)
    expected = gguf.quants.dequantize(data.reshape(-1), gguf.GGMLQuantizationType(kind))
    got = dequantize(data.reshape(-1), form)
    np.testing.assert_array_equal(got, np.asarray(expected, np.float32).reshape(-1))


def test_chunks_do_not_show():
    form = FORMATS[8]
    count = CHUNK_ELEMENTS // form.elements + 5
    data = random_blocks(form, count)
    whole = form.expand(data).reshape(-1)
    np.testing.assert_array_equal(dequantize(data.reshape(-1), form), whole)


@pytest.fixture
def small_gguf(tmp_path):
    """A valid file of two tensors, one of them Q8_0."""
    path = tmp_path / "small.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_uint32("llama.block_count", 1)
    writer.add_array("tokenizer.ggml.tokens", ["a", "b", "é"])
    writer.add_array("numbers", [1, 2, 3])
    writer.add_tensor("plain", np.arange(6, dtype=np.float32).reshape(2, 3))
    blocks = gguf.quants.quantize(np.ones((2, 64), np.float32), gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor("packed", blocks, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_reads_metadata_and_tensors(small_gguf):
    file = GGUFFile(small_gguf)
    assert file.metadata["general.architecture"] == "llama"
    assert file.metadata["tokenizer.ggml.tokens"] == ["a", "b", "é"]
    assert file.metadata["numbers"] == [1, 2, 3]
    np.testing.assert_array_equal(file.load("plain"), np.arange(6.0).reshape(2, 3))
    assert file.tensors["packed"].shape == (2, 64)
    np.testing.assert_allclose(file.load("packed"), np.ones((2, 64)), atol=1e-3)


def refuse(path, match: str):
    with pytest.raises(ModelError, match=match) as caught:
        GGUFFile(path)
    assert str(path) in str(caught.value)


def test_refuses_what_is_not_gguf(tmp_path):
    path = tmp_path / "bad.gguf"
    refuse(path, "cannot be read")
    path.write_bytes(b"")
    refuse(path, "empty")
    path.write_bytes(b"PK\x03\x04" + bytes(100))
    refuse(path, "not a GGUF file")
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 99, 0, 0))
    refuse(path, "version 99")
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 5))
    refuse(path, "cannot fit")


def test_every_truncation_is_refused(small_gguf, tmp_path):
    data = small_gguf.read_bytes()
    path = tmp_path / "cut.gguf"
    for size in [*range(1, 400, 7), len(data) // 2, len(data) - 40]:
        path.write_bytes(data[:size])
        with pytest.raises(ModelError):
            GGUFFile(path)


def test_no_flipped_byte_escapes_as_another_error(small_gguf, tmp_path):
    data = bytearray(small_gguf.read_bytes())
    path = tmp_path / "flipped.gguf"
    for at in range(4, min(len(data), 500)):
        broken = bytearray(data)
        broken[at] ^= 0xFF
        path.write_bytes(broken)
        try:
            file = GGUFFile(path)
            for name in file.tensors:
                file.load(name)
        except ModelError:
            pass


def test_unknown_block_type_is_named(small_gguf, tmp_path):
    data = small_gguf.read_bytes()
    at = data.index(b"packed") + len(b"packed") + 4 + 16
    path = tmp_path / "type.gguf"
    path.write_bytes(data[:at] + struct.pack("<I", 77) + data[at + 4 :])
    refuse(path, "'packed' has block type 77; supported are F32")
