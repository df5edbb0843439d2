# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

"""The tokenizer that goes into a package, and what the runtime must know about it."""

from __future__ import annotations

from dataclasses import dataclass

FILE_NAMES = {"byte-bpe": "tokenizer.json", "sentencepiece": "tokenizer.model"}


@dataclass
class Tokenizer:
    """``content`` is the file the package carries; ``hf`` the same tokenizer in transformers.

    ``eos`` are all ids that end a generation; ``add_bos``: text begins with ``bos``.
    """

    kind: str  # key of FILE_NAMES
    content: bytes
    hf: object
    bos: int | None
    eos: list[int]
    add_bos: bool

    @property
    def file_name(self) -> str:
        return FILE_NAMES[self.kind]

    def special_tokens(self) -> dict:
        """The manifest's entry."""
        return {"bos": self.bos, "eos": self.eos, "add_bos": self.add_bos}


def wrap(tokenizer):
    """Settings that keep ids and text exact: no padding, truncation or cleaning of spaces."""
    tokenizer.clean_up_tokenization_spaces = False
    return tokenizer


def add_bos(tokenizer) -> bool:
    """Whether this tokenizer puts the bos token before a text."""
    ids = tokenizer("a").input_ids
    return tokenizer.bos_token_id is not None and ids[:1] == [tokenizer.bos_token_id]


def eos_ids(tokenizer, *sources) -> list[int]:
    """The ids that end a text: the tokenizer's and those of ``sources`` (None, id or list)."""
    found: list[int] = []
    for source in (tokenizer.eos_token_id, *sources):
        for token in source if isinstance(source, list) else [source]:
            if token is not None and token not in found:
                found.append(token)
    return found
