# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

"""A SentencePiece model file (``tokenizer.model``) written from a list of pieces.

The file is a protocol buffer, ``ModelProto`` of ``sentencepiece_model.proto``; only the fields
that encoding and decoding read are written. Numbers below are that file's field numbers.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

BPE = 2  # TrainerSpec.ModelType
BYTE = 6  # SentencePiece.Type: a byte of a character without a piece
VARINT, FIXED32, BYTES = 0, 5, 2  # wire types


def serialize(
    pieces: Sequence[str], scores: Sequence[float], kinds: Sequence[int], add_dummy_prefix: bool
) -> bytes:
    """The model as bytes; ``kinds`` are SentencePiece.Type numbers, which GGUF files share.

    ``add_dummy_prefix``: a space is put before every text, as in Llama 2.
    """
    messages = [
        _field(1, _piece(piece, score, kind))
        for piece, score, kind in zip(pieces, scores, kinds, strict=True)
    ]
    trainer = _number(3, BPE) + _number(35, int(BYTE in kinds)) + _specials(kinds)
    normalizer = (
        _field(1, b"identity")
        + _number(3, int(add_dummy_prefix))
        + _number(4, 0)  # remove_extra_whitespaces
        + _number(5, 1)  # escape_whitespaces
    )
    return b"".join([*messages, _field(2, trainer), _field(3, normalizer)])


def _specials(kinds: Sequence[int]) -> bytes:
    """The id of the unknown piece; those of bos, eos and pad are the package's business."""
    unknown = kinds.index(2) if 2 in kinds else 0
    return _number(40, unknown)


def _piece(piece: str, score: float, kind: int) -> bytes:
    return (
        _field(1, piece.encode("utf-8"))
        + _key(2, FIXED32)
        + struct.pack("<f", score)
        + _number(3, kind)
    )


def _varint(value: int) -> bytes:
    """Seven bits a byte, lowest first, the top bit set on all but the last."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _key(field: int, wire: int) -> bytes:
    return _varint(field << 3 | wire)


def _number(field: int, value: int) -> bytes:
    return _key(field, VARINT) + _varint(value)


def _field(field: int, data: bytes) -> bytes:
    return _key(field, BYTES) + _varint(len(data)) + data
