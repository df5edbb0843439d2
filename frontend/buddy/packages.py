# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`buddy.compile_package`: whatever can be compiled ahead of time, into a package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import OptionError
from .packaging.directory import Report

if TYPE_CHECKING:
    from torch.export import ExportedProgram

EXPORTED_SUFFIX = ".pt2"  # of what torch.export.save writes
LANGUAGE_MODELS_ONLY = ("quant", "dtype", "max_seq_len", "num_shards")


def compile_package(
    model: str | Path | ExportedProgram, out_dir: str | Path, *arguments: Any, **options: Any
) -> Report:
    """Compile `model` into the package `out_dir`, which runs without Python.

    A Hugging Face directory or .gguf file is a causal language model: see
    `buddy.llm.package.compile_package` for its options (quant, dtype, max_seq_len, ...). An
    ExportedProgram, or a .pt2 file that torch.export.save wrote, is a program: see
    `buddy.exported.package.compile_program`.
    """
    if isinstance(model, (str, Path)) and Path(model).suffix != EXPORTED_SUFFIX:
        from .llm.package import compile_package as compile_language_model

        return compile_language_model(model, out_dir, *arguments, **options)
    from .exported.package import compile_program

    given = [*LANGUAGE_MODELS_ONLY[: len(arguments)], *options.keys() & {*LANGUAGE_MODELS_ONLY}]
    if given:
        raise OptionError(f"option '{given[0]}' is for language models, not for exported programs")
    return compile_program(model, out_dir, **options)
