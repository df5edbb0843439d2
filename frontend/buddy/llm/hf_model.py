# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

"""A Hugging Face directory as a model: ``config.json``, safetensors files, tokenizer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from buddy.errors import ModelError
from buddy.llm.model import ModelFiles
from buddy.llm.tokenizer import Tokenizer, add_bos, eos_ids, wrap

SINGLE_FILE, INDEX_FILE = "model.safetensors", "model.safetensors.index.json"


def read_directory(path: Path) -> ModelFiles:
    """Open a directory as ``save_pretrained`` writes it; ModelError if it is not complete."""
    config = _read_config(path)
    return ModelFiles(
        name=Path(config.name_or_path).name or path.name,
        config=config,
        weights=SafetensorsWeights(path),
        tokenizer=_read_tokenizer(path, config),
    )


def read_json(path: Path) -> dict:
    """The object in a JSON file; ModelError says what is wrong with it."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ModelError(f"{path}: not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise ModelError(f"{path}: expected a JSON object")
    return value


def _read_config(path: Path):
    from transformers import AutoConfig

    read_json(path / "config.json")
    try:
        return AutoConfig.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # transformers raises whatever a field's check raises
        raise ModelError(f"{path / 'config.json'}: not a usable configuration: {error}") from error


def _read_tokenizer(path: Path, config) -> Tokenizer:
    """The directory's own tokenizer: SentencePiece model if there is one, else tokenizer.json."""
    from transformers import AutoTokenizer

    source = path / "tokenizer.model"
    kind = "sentencepiece"
    if not source.exists():
        source, kind = path / "tokenizer.json", "byte-bpe"
        model = read_json(source).get("model", {})
        if not isinstance(model, dict) or model.get("type") != "BPE":
            raise ModelError(f"{source}: only BPE tokenizers are supported")
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
    except Exception as error:  # the tokenizers library raises plain Exception
        raise ModelError(f"{source}: not a usable tokenizer: {error}") from error
    tokenizer = wrap(tokenizer)
    generation = {}
    if (path / "generation_config.json").exists():
        generation = read_json(path / "generation_config.json")
    return Tokenizer(
        kind=kind,
        content=source.read_bytes(),
        hf=tokenizer,
        bos=tokenizer.bos_token_id,
        eos=eos_ids(tokenizer, config.eos_token_id, generation.get("eos_token_id")),
        add_bos=add_bos(tokenizer),
    )


class SafetensorsWeights:
    """The tensors of one or several safetensors files, mapped; each is read when asked for."""

    def __init__(self, path: Path):
        self.files: dict[str, Any] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        for file_path in _weight_files(path):
            file = _open(file_path)
            for name in file.keys():
                self.files[name] = file
                self.shapes[name] = tuple(file.get_slice(name).get_shape())

    def load(self, name: str) -> torch.Tensor:
        return self.files[name].get_tensor(name)


def _weight_files(path: Path) -> list[Path]:
    if (path / INDEX_FILE).exists():
        index = read_json(path / INDEX_FILE).get("weight_map", {})
        return [path / name for name in sorted(set(index.values()))]
    if (path / SINGLE_FILE).exists():
        return [path / SINGLE_FILE]
    raise ModelError(f"{path}: no {SINGLE_FILE} or {INDEX_FILE} (other weight files are not read)")


def _open(file: Path):
    from safetensors import SafetensorError, safe_open

    try:
        return safe_open(file, framework="pt")
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{file}: not a usable safetensors file: {error}") from error
