# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

"""The tokenizer inside a GGUF file, rebuilt in Hugging Face's format.

Metadata: ``tokenizer.ggml.model`` ("gpt2": byte-level BPE, "llama": SentencePiece), ``.tokens``,
``.token_type`` (3: control, 4: user defined), and ``.pre`` (how text is split before merging) and
``.merges`` or ``.scores``.
"""

from __future__ import annotations

from buddy.errors import ModelError
from buddy.llm.sentencepiece_file import serialize
from buddy.llm.tokenizer import Tokenizer, eos_ids, wrap
from buddy.quantization.gguf import GGUFFile

CONTROL, USER_DEFINED = 3, 4
LLAMA3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2_SPLIT = LLAMA3_SPLIT.replace(r"\p{N}{1,3}", r"\p{N}")
# Names of pre-tokenizers in the file -> a pattern, or None for GPT-2's own.
SPLITS = {
    "default": None,
    "gpt-2": None,
    "llama-bpe": LLAMA3_SPLIT,
    "llama3": LLAMA3_SPLIT,
    "llama-v3": LLAMA3_SPLIT,
    "qwen2": QWEN2_SPLIT,
}
# Digits one by one, then GPT-2's pattern. (transformers drops the digits when it reads these
# files, which differs where several spaces stand before a digit; the model's own does not.)
DIGITS_FIRST = ("smollm", "starcoder", "refact", "command-r")


def read_tokenizer(file: GGUFFile) -> Tokenizer:
    """Build the tokenizer; ModelError if it is damaged or of a kind we do not have."""
    model = file.get("tokenizer.ggml.model", str)
    readers = {"gpt2": _read_byte_level, "llama": _read_sentencepiece}
    if model not in readers:
        raise ModelError(
            f"{file.path}: tokenizer {model!r} is not supported; supported are {', '.join(readers)}"
        )
    tokens = _strings(file, "tokenizer.ggml.tokens")
    kind, content, hf = readers[model](file, tokens)
    return Tokenizer(
        kind=kind,
        content=content,
        hf=hf,
        bos=hf.bos_token_id,
        eos=eos_ids(hf, file.get("tokenizer.ggml.eot_token_id", int, None)),
        add_bos=file.get("tokenizer.ggml.add_bos_token", bool, model == "llama"),
    )


def _read_byte_level(file: GGUFFile, tokens: list[str]) -> tuple[str, bytes, object]:
    """Byte-level BPE: kind, tokenizer.json, and the same in transformers."""
    merges = [tuple(merge.split(" ")) for merge in _strings(file, "tokenizer.ggml.merges")]
    hf = _transformers_tokenizer(file, _byte_level_bpe(file, tokens, merges), tokens)
    return "byte-bpe", hf.backend_tokenizer.to_str().encode(), hf


def _read_sentencepiece(file: GGUFFile, tokens: list[str]) -> tuple[str, bytes, object]:
    """SentencePiece: kind, tokenizer.model, and special tokens and chat template in transformers.

    Text is encoded by SentencePiece alone; what transformers gets knows the vocabulary, no merges.
    """
    from tokenizers import Tokenizer as Backend
    from tokenizers import models

    scores = file.get("tokenizer.ggml.scores", list)
    kinds = file.get("tokenizer.ggml.token_type", list)
    if not len(tokens) == len(scores) == len(kinds):
        raise ModelError(f"{file.path}: tokens, scores and token types differ in number")
    prefix = file.get("tokenizer.ggml.add_space_prefix", bool, True)
    vocab = {token: index for index, token in enumerate(tokens)}
    backend = Backend(models.WordLevel(vocab, unk_token=tokens[0]))
    hf = _transformers_tokenizer(file, backend, tokens)
    return "sentencepiece", serialize(tokens, scores, kinds, prefix), hf


def _strings(file: GGUFFile, key: str) -> list[str]:
    values = file.get(key, list)
    if not values or not all(isinstance(value, str) for value in values):
        raise ModelError(f"{file.path}: metadata {key!r} is not a list of strings")
    return values


def _byte_level_bpe(file: GGUFFile, tokens: list[str], merges: list[tuple[str, ...]]):
    """A `tokenizers.Tokenizer` of the file's vocabulary, merges and special tokens."""
    from tokenizers import AddedToken, decoders, models
    from tokenizers import Tokenizer as Backend

    vocab = {token: index for index, token in enumerate(tokens)}
    if len(vocab) != len(tokens):
        raise ModelError(
            f"{file.path}: the vocabulary has {len(tokens) - len(vocab)} repeated tokens"
        )
    try:
        backend = Backend(models.BPE(vocab=vocab, merges=merges))
    except Exception as error:  # tokenizers raises plain Exception and TypeError
        raise ModelError(f"{file.path}: the merges do not fit the vocabulary: {error}") from None
    backend.pre_tokenizer = _pre_tokenizer(file)
    backend.decoder = decoders.ByteLevel()
    kinds = file.get("tokenizer.ggml.token_type", list, [])
    for wanted, special in ((CONTROL, True), (USER_DEFINED, False)):
        chosen = [token for token, kind in zip(tokens, kinds, strict=False) if kind == wanted]
        added = [AddedToken(token, normalized=False, special=special) for token in chosen]
        (backend.add_special_tokens if special else backend.add_tokens)(added)
    return backend


def _pre_tokenizer(file: GGUFFile):
    from tokenizers import Regex, pre_tokenizers

    name = file.get("tokenizer.ggml.pre", str, "default")
    if name in DIGITS_FIRST:
        return pre_tokenizers.Sequence(
            [
                pre_tokenizers.Digits(individual_digits=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
            ]
        )
    if name not in SPLITS:
        known = ", ".join([*SPLITS, *DIGITS_FIRST])
        raise ModelError(f"{file.path}: pre-tokenizer {name!r} is not supported; known are {known}")
    split = SPLITS[name]
    if split is None:
        return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(split), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def _transformers_tokenizer(file: GGUFFile, backend, tokens: list[str]):
    """The tokenizer as transformers knows it, with the file's special tokens and chat template."""
    from transformers import PreTrainedTokenizerFast

    names = {"bos": "bos_token", "eos": "eos_token", "unknown": "unk_token", "padding": "pad_token"}
    special = {}
    for name, argument in names.items():
        key = f"tokenizer.ggml.{name}_token_id"
        index = file.get(key, int, None)
        if index is None:
            continue
        if not 0 <= index < len(tokens):
            raise ModelError(f"{file.path}: {key} is {index}, the vocabulary has {len(tokens)}")
        special[argument] = tokens[index]
    template = file.get("tokenizer.chat_template", str, None)
    return wrap(
        PreTrainedTokenizerFast(tokenizer_object=backend, chat_template=template, **special)
    )
