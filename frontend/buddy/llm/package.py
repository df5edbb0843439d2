# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

"""Compiling a causal LM into a model package: a directory that runs without Python.

manifest.json  model.so  weights.safetensors  tokenizer.json | tokenizer.model
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

from buddy.errors import OptionError
from buddy.llm import chat_template
from buddy.llm.capture import CapturedGraph, cache_shape, capture
from buddy.llm.model import DTYPES, LoadedModel, load_model
from buddy.packaging.directory import (
    TARGETS,
    Report,
    check_choice,
    check_destination,
    compile_library,
    temporary_sibling,
    write_manifest,
)
from buddy.packaging.weights import room_for_weights, write_weights

QUANTIZATIONS = ("none",)
ENTRIES = ("prefill", "decode")
# Context of a package unless asked otherwise: a cache of the model's full context can be huge.
DEFAULT_MAX_SEQ_LEN = 2048
# Tokens per prefill call: long enough to reuse each weight, short enough to bound the workspace.
PREFILL_CHUNK = 512
log = logging.getLogger("buddy")


def compile_package(
    model: str | Path,
    out_dir: str | Path,
    quant: str = "none",
    dtype: str = "f32",
    max_seq_len: int | None = None,
    target: str = "cpu",
    num_shards: int = 1,
    *,
    features: str = "host",
    dump_dir: str | Path | None = None,
    profile: bool = False,
    on_stage: Callable[[str], None] = lambda stage: None,
) -> Report:
    """Compile ``model`` (Hugging Face directory or ``.gguf``) into the package ``out_dir``.

    With ``profile`` the package can be profiled, as well as run. An existing package at
    ``out_dir`` is replaced; anything else there is an error. Raises OptionError, ModelError,
    UnsupportedOpError or CompilerError.
    """
    _check_options(quant, dtype, target, num_shards)
    out_dir = Path(out_dir)
    check_destination(out_dir)
    report = Report(out_dir, on_stage=on_stage)
    with report.stage("load"):
        loaded = load_model(model, dtype)
        length = _context_length(loaded, max_seq_len)
    with temporary_sibling(out_dir) as directory:
        with room_for_weights(directory, _weights_bytes(loaded)):
            with _collection_paused():
                with report.stage("capture"):
                    captured = capture(loaded.module, length)
                with report.stage("import"):
                    bytecode = import_module(captured)
            with report.stage("compile"):
                compile_library(
                    bytecode,
                    directory,
                    target=target,
                    features=features,
                    dump_dir=dump_dir,
                    profile=profile,
                )
        complete_package(directory, loaded, length, report)
    return report


@contextlib.contextmanager
def _collection_paused() -> Iterator[None]:
    """No garbage collection: it would walk all of torch again and again, and find nothing."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def complete_package(
    directory: Path, loaded: LoadedModel, max_seq_len: int, report: Report
) -> None:
    """Write everything but ``model.so``, which must stand in ``directory`` already."""
    with report.stage("weights"):
        library = write_weights(directory, loaded.load, ENTRIES, report)
    with report.stage("manifest"):
        _write_tokenizer(directory, loaded)
        write_manifest(directory, _manifest(loaded, max_seq_len), library, report)


def _weights_bytes(loaded: LoadedModel) -> int:
    sizes = (parameter.numel() for parameter in loaded.module.parameters())
    return sum(sizes) * loaded.dtype.itemsize


def _check_options(quant: str, dtype: str, target: str, num_shards: int) -> None:
    check_choice("quant", quant, QUANTIZATIONS)
    check_choice("dtype", dtype, tuple(DTYPES))
    check_choice("target", target, TARGETS)
    if num_shards != 1:
        raise OptionError(f"num_shards {num_shards} is not supported; it may be 1")


def _context_length(loaded: LoadedModel, max_seq_len: int | None) -> int:
    limit = loaded.config.max_position_embeddings
    if max_seq_len is None:
        return min(limit, DEFAULT_MAX_SEQ_LEN)
    if not 2 <= max_seq_len <= limit:
        raise OptionError(f"max_seq_len {max_seq_len} is not possible; it may be 2 to {limit}")
    return max_seq_len


def import_module(captured: CapturedGraph) -> bytes:
    """MLIR bytecode with the entry points ``prefill`` (T dynamic) and ``decode`` (T = 1)."""
    from io import BytesIO

    from buddy import importer

    module = importer.new_module()
    arguments = [
        importer.Argument(argument.name, argument.kind, argument.mutable)
        for argument in captured.arguments
    ]
    graph = captured.graph_module
    importer.import_graph(graph, module, "prefill", arguments)
    importer.import_graph(graph, module, "decode", arguments, bind={captured.length: 1})
    buffer = BytesIO()
    module.operation.write_bytecode(buffer)
    return buffer.getvalue()


def _write_tokenizer(directory: Path, loaded: LoadedModel) -> None:
    (directory / loaded.tokenizer.file_name).write_bytes(loaded.tokenizer.content)


def _manifest(loaded: LoadedModel, max_seq_len: int) -> dict:
    """What ``manifest.json`` says about a language model."""
    config, tokenizer = loaded.config, loaded.tokenizer
    heads, layers = config.num_attention_heads, config.num_hidden_layers
    dtype = next(name for name, kind in DTYPES.items() if kind == loaded.dtype)
    shape = cache_shape(config, max_seq_len)
    names = [f"{kind}_cache.{layer}" for layer in range(layers) for kind in "kv"]
    return {
        "kind": "language_model",
        "architecture": config.model_type,
        "name": loaded.name,
        "dtype": dtype,
        "quantization": "none",
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "num_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": shape[1],
        "head_dim": shape[3],
        "max_seq_len": max_seq_len,
        "kv_cache": {"dtype": dtype, "shape": list(shape), "names": names},
        "prefill_chunk": min(PREFILL_CHUNK, max_seq_len),
        "special_tokens": tokenizer.special_tokens(),
        "chat_template": _chat_template(tokenizer.hf),
        "tokenizer": {
            "kind": tokenizer.kind,
            "file": tokenizer.file_name,
            "sha256": hashlib.sha256(tokenizer.content).hexdigest(),
        },
    }


def _chat_template(tokenizer) -> dict | None:
    try:
        template = chat_template.derive(tokenizer)
    except chat_template.NotDerivable as error:
        log.warning("%s: the package completes text but does not chat", error)
        return None
    return template.manifest() if template else None
