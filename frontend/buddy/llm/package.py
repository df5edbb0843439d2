# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

"""Compiling a causal LM into a model package: a directory that runs without Python.

    manifest.json  model.so  weights.safetensors  tokenizer.json | tokenizer.model

The package is built in a sibling directory and renamed when it is complete, so a compile that is
killed leaves nothing that looks like a package.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import hashlib
import json
import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from buddy import driver
from buddy.errors import BuddyError, OptionError
from buddy.llm import chat_template
from buddy.llm.capture import CapturedGraph, cache_shape, capture
from buddy.llm.model import DTYPES, LoadedModel, load_model
from buddy.llm.weights import FILE_NAME, room_for_weights, write_weights

MANIFEST_VERSION = 1
QUANTIZATIONS = ("none",)
TARGETS = ("cpu",)
# Context of a package unless asked otherwise: a cache of the model's full context can be huge.
DEFAULT_MAX_SEQ_LEN = 2048
# Tokens per prefill call: long enough to reuse each weight, short enough to bound the workspace.
PREFILL_CHUNK = 512
log = logging.getLogger("buddy")


@dataclass
class Report:
    """What a compile took: seconds by stage, in order; ``kernels``: unique kernels."""

    directory: Path
    seconds: dict[str, float] = field(default_factory=dict)
    kernels: int = 0
    weights_bytes: int = 0
    on_stage: Callable[[str], None] = lambda stage: None

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self.on_stage(name)
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start


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
    _check_destination(out_dir)
    report = Report(out_dir, on_stage=on_stage)
    with report.stage("load"):
        loaded = load_model(model, dtype)
        length = _context_length(loaded, max_seq_len)
    with _temporary_sibling(out_dir) as directory:
        with room_for_weights(directory, loaded):
            with _collection_paused():
                with report.stage("capture"):
                    captured = capture(loaded.module, length)
                with report.stage("import"):
                    bytecode = import_module(captured)
            with report.stage("compile"):
                dump = Path(dump_dir) if dump_dir else None
                with driver.compiled_module(
                    bytecode, target=target, features=features, dump_dir=dump, profile=profile
                ) as library:
                    shutil.copyfile(library, directory / "model.so")
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
        library = write_weights(directory, loaded, report)
    with report.stage("manifest"):
        seconds = round(sum(report.seconds.values()), 3)
        _write_manifest(directory, loaded, max_seq_len, library, seconds)


def _check_options(quant: str, dtype: str, target: str, num_shards: int) -> None:
    for name, value, known in (
        ("quant", quant, QUANTIZATIONS),
        ("dtype", dtype, tuple(DTYPES)),
        ("target", target, TARGETS),
    ):
        if value not in known:
            raise OptionError(f"{name} {value!r} does not exist; it may be {' or '.join(known)}")
    if num_shards != 1:
        raise OptionError(f"num_shards {num_shards} is not supported; it may be 1")


def _check_destination(out_dir: Path) -> None:
    """Refuse to replace a directory that is not a package."""
    if out_dir.is_dir():
        if any(out_dir.iterdir()) and not (out_dir / "manifest.json").exists():
            raise OptionError(f"{out_dir} exists and is not a package; choose another directory")
    elif out_dir.exists():
        raise OptionError(f"{out_dir} exists and is not a directory; choose another path")


def _context_length(loaded: LoadedModel, max_seq_len: int | None) -> int:
    limit = loaded.config.max_position_embeddings
    if max_seq_len is None:
        return min(limit, DEFAULT_MAX_SEQ_LEN)
    if not 2 <= max_seq_len <= limit:
        raise OptionError(f"max_seq_len {max_seq_len} is not possible; it may be 2 to {limit}")
    return max_seq_len


@contextlib.contextmanager
def _temporary_sibling(out_dir: Path) -> Iterator[Path]:
    """A directory beside ``out_dir`` that takes its place at the end, or vanishes."""
    try:
        out_dir.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{out_dir.name}.", dir=out_dir.parent))
    except OSError as error:
        raise BuddyError(f"{out_dir}: cannot be created: {error.strerror}") from error
    try:
        yield temporary
        temporary.chmod(0o755)
        if out_dir.exists():
            shutil.rmtree(out_dir)
        temporary.rename(out_dir)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise BuddyError(
                f"{out_dir.parent}: the disk is full; nothing was left behind"
            ) from error
        raise BuddyError(f"{error.filename or out_dir}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


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


def _write_manifest(
    directory: Path, loaded: LoadedModel, max_seq_len: int, library: dict, seconds: float
) -> None:
    """Write the tokenizer and ``manifest.json`` (schema: docs, "Model package")."""
    config, tokenizer = loaded.config, loaded.tokenizer
    (directory / tokenizer.file_name).write_bytes(tokenizer.content)
    heads, layers = config.num_attention_heads, config.num_hidden_layers
    dtype = next(name for name, kind in DTYPES.items() if kind == loaded.dtype)
    shape = cache_shape(config, max_seq_len)
    names = [f"{kind}_cache.{layer}" for layer in range(layers) for kind in "kv"]
    manifest = {
        "version": MANIFEST_VERSION,
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
        "target": library["target"],
        "features": library["features"],
        "kernels": library.get("kernels"),
        "kv_cache": {"dtype": dtype, "shape": list(shape), "names": names},
        "entries": library["entries"],
        "prefill_chunk": min(PREFILL_CHUNK, max_seq_len),
        "special_tokens": tokenizer.special_tokens(),
        "chat_template": _chat_template(tokenizer.hf),
        "tokenizer": {
            "kind": tokenizer.kind,
            "file": tokenizer.file_name,
            "sha256": hashlib.sha256(tokenizer.content).hexdigest(),
        },
        "weights": FILE_NAME,
        "library": "model.so",
        "compile_seconds": seconds,
    }
    (directory / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")


def _chat_template(tokenizer) -> dict | None:
    try:
        template = chat_template.derive(tokenizer)
    except chat_template.NotDerivable as error:
        log.warning("%s: the package completes text but does not chat", error)
        return None
    return template.manifest() if template else None
