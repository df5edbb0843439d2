# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

"""Block formats of GGUF tensors and their expansion to float32.

A quantized tensor is a row-major array whose innermost dimension is cut into blocks; each
block holds a few scales and packed small integers. Sources: the block structures in ggml
(``ggml-common.h``: ``block_q4_0`` ... ``block_q6_K``) and the formulas of
``dequantize_row_*`` in ``ggml-quants.c``. Arithmetic is float32, in ggml's order, so that
the values are bit-equal to llama.cpp's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Expand = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class BlockFormat:
    """How one GGUF tensor type stores its elements.

    ``expand`` takes uint8 ``[blocks, bytes]`` and returns float32 ``[blocks, elements]``.
    """

    name: str
    elements: int
    bytes: int
    expand: Expand


# Blocks handled at once: intermediates stay at a few MB whatever the tensor's size.
CHUNK_ELEMENTS = 1 << 21


def dequantize(data: np.ndarray, form: BlockFormat, out: np.ndarray | None = None) -> np.ndarray:
    """Expand ``data`` (uint8, whole blocks) to flat float32, into ``out`` if it is given."""
    blocks = data.reshape(-1, form.bytes)
    if out is None:
        out = np.empty(blocks.shape[0] * form.elements, np.float32)
    rows = out.reshape(-1, form.elements)
    step = max(1, CHUNK_ELEMENTS // form.elements)
    for start in range(0, len(blocks), step):
        rows[start : start + step] = form.expand(blocks[start : start + step])
    return out


def _half(block: np.ndarray, offset: int) -> np.ndarray:
    """The f16 number at byte ``offset`` of each block, as float32 ``[blocks, 1]``."""
    return np.ascontiguousarray(block[:, offset : offset + 2]).view("<f2").astype(np.float32)


def _nibbles(packed: np.ndarray) -> np.ndarray:
    """uint8 ``[..., n]`` to ``[..., 2n]``: all low halves first, then all high halves."""
    return np.concatenate([packed & 0x0F, packed >> 4], axis=-1)


def _fifth_bits(block: np.ndarray, offset: int) -> np.ndarray:
    """The 32 bits stored little-endian at ``offset``, each as 0 or 16: uint8 ``[blocks, 32]``."""
    bits = np.unpackbits(block[:, offset : offset + 4], axis=1, bitorder="little")
    return bits << 4


def _f32(block: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(block).view("<f4")


def _f16(block: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(block).view("<f2").astype(np.float32)


def _bf16(block: np.ndarray) -> np.ndarray:
    return (np.ascontiguousarray(block).view("<u2").astype(np.uint32) << 16).view(np.float32)


def _q4_0(block: np.ndarray) -> np.ndarray:
    """f16 scale, 16 bytes of nibbles: d * (q - 8)."""
    return _half(block, 0) * (_nibbles(block[:, 2:18]).astype(np.float32) - np.float32(8))


def _q4_1(block: np.ndarray) -> np.ndarray:
    """f16 scale, f16 minimum, 16 bytes of nibbles: d * q + m."""
    return _half(block, 0) * _nibbles(block[:, 4:20]).astype(np.float32) + _half(block, 2)


def _q5_0(block: np.ndarray) -> np.ndarray:
    """f16 scale, 32 fifth bits, 16 bytes of nibbles: d * (q - 16)."""
    quants = _nibbles(block[:, 6:22]) | _fifth_bits(block, 2)
    return _half(block, 0) * (quants.astype(np.float32) - np.float32(16))


def _q5_1(block: np.ndarray) -> np.ndarray:
    """f16 scale, f16 minimum, 32 fifth bits, 16 bytes of nibbles: d * q + m."""
    quants = _nibbles(block[:, 8:24]) | _fifth_bits(block, 4)
    return _half(block, 0) * quants.astype(np.float32) + _half(block, 2)


def _q8_0(block: np.ndarray) -> np.ndarray:
    """f16 scale, 32 signed bytes: d * q."""
    return _half(block, 0) * block[:, 2:34].view(np.int8).astype(np.float32)


def _k_scales(packed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unpack 12 bytes into 8 six-bit scales and 8 six-bit minimums (``get_scale_min_k4``).

    Bytes 0-3 hold scales 0-3 and bytes 4-7 minimums 0-3 in their low six bits; scales and
    minimums 4-7 have their low four bits in bytes 8-11 and their top two bits above the others.
    """
    low, middle, high = packed[:, 0:4], packed[:, 4:8], packed[:, 8:12]
    scales = np.concatenate([low & 63, (high & 0x0F) | ((low >> 6) << 4)], axis=1)
    minimums = np.concatenate([middle & 63, (high >> 4) | ((middle >> 6) << 4)], axis=1)
    return scales.astype(np.float32), minimums.astype(np.float32)


def _k_affine(block: np.ndarray, quants: np.ndarray) -> np.ndarray:
    """d * scale * q - dmin * minimum for 8 sub-blocks of 32: the tail of Q4_K and Q5_K."""
    scales, minimums = _k_scales(block[:, 4:16])
    scale = (_half(block, 0) * scales)[:, :, None]
    minimum = (_half(block, 2) * minimums)[:, :, None]
    values = scale * quants.reshape(-1, 8, 32).astype(np.float32) - minimum
    return values.reshape(-1, 256)


def _q4_k(block: np.ndarray) -> np.ndarray:
    """f16 d, f16 dmin, 12 bytes of scales, 128 bytes: each 32 hold two sub-blocks of 32."""
    return _k_affine(block, _nibbles(block[:, 16:144].reshape(-1, 4, 32)))


def _q5_k(block: np.ndarray) -> np.ndarray:
    """Q4_K with 32 bytes of fifth bits before the nibbles: bit s of byte l is for [s, l]."""
    fifth = block[:, None, 16:48] >> np.arange(8, dtype=np.uint8)[None, :, None]
    low = _nibbles(block[:, 48:176].reshape(-1, 4, 32)).reshape(-1, 8, 32)
    return _k_affine(block, low | ((fifth & 1) << 4))


def _q6_k(block: np.ndarray) -> np.ndarray:
    """128 bytes of low nibbles, 64 of two high bits, 16 signed scales, f16 d.

    Each half of the block (128 elements) is 4 rows of 32; row r takes its low bits from
    nibble r // 2 of bytes 32 * (r % 2) and its high bits from bits 2r of the shared bytes.
    """
    low = block[:, 0:128].reshape(-1, 2, 2, 32)
    low = np.stack([low & 0x0F, low >> 4], axis=2).reshape(-1, 2, 4, 32)
    shifts = np.array([0, 2, 4, 6], np.uint8)[None, None, :, None]
    high = (block[:, 128:192].reshape(-1, 2, 1, 32) >> shifts) & 3
    quants = (low | (high << 4)).astype(np.float32) - np.float32(32)
    scales = block[:, 192:208].view(np.int8).astype(np.float32) * _half(block, 208)
    return (quants.reshape(-1, 16, 16) * scales[:, :, None]).reshape(-1, 256)


# Keyed by the type number in the file (enum ggml_type).
FORMATS: dict[int, BlockFormat] = {
    0: BlockFormat("F32", 1, 4, _f32),
    1: BlockFormat("F16", 1, 2, _f16),
    2: BlockFormat("Q4_0", 32, 18, _q4_0),
    3: BlockFormat("Q4_1", 32, 20, _q4_1),
    6: BlockFormat("Q5_0", 32, 22, _q5_0),
    7: BlockFormat("Q5_1", 32, 24, _q5_1),
    8: BlockFormat("Q8_0", 32, 34, _q8_0),
    12: BlockFormat("Q4_K", 256, 144, _q4_k),
    13: BlockFormat("Q5_K", 256, 176, _q5_k),
    14: BlockFormat("Q6_K", 256, 210, _q6_k),
    30: BlockFormat("BF16", 1, 2, _bf16),
}
