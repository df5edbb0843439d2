# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

"""From a model's files to an empty Hugging Face model and a stream of its weights.

The model itself is built on the meta device: compiling needs its code and shapes only. Weights
are read one at a time, when a package is written, and never all held twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import torch
from torch import nn

from buddy.errors import ModelError, OptionError
from buddy.llm import attention
from buddy.llm.tokenizer import Tokenizer

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


class WeightSource(Protocol):
    """Where a checkpoint's tensors come from, under the model's own parameter names."""

    shapes: Mapping[str, tuple[int, ...]]

    def load(self, name: str) -> torch.Tensor:
        """The tensor in the checkpoint's dtype; ModelError if it cannot be read."""
        ...


@dataclass
class LoadedModel:
    """A model ready to be captured.

    ``module``: on the meta device, attention "buddy"; ``buffers``: its buffers with their values
    (rotary frequencies); ``dtype``: of parameters, cache and activations.
    """

    name: str
    module: nn.Module
    weights: WeightSource
    buffers: dict[str, torch.Tensor]
    tokenizer: Tokenizer
    dtype: torch.dtype

    @property
    def config(self):
        return self.module.config

    def load(self, name: str) -> torch.Tensor:
        """Parameter or buffer ``name``: contiguous, on the CPU, in the dtype of the graph."""
        if name in self.buffers:
            return self.buffers[name]
        return self.weights.load(name).to(self.dtype).contiguous()


@dataclass
class ModelFiles:
    """What a format's reader (gguf_model.py, hf_model.py) finds in a model's files.

    ``frequency_factors`` divides the rotary frequencies (Llama 3.1's ``rope_freqs`` tensor).
    """

    name: str
    config: object
    weights: WeightSource
    tokenizer: Tokenizer
    frequency_factors: torch.Tensor | None = field(default=None)


def load_model(path: str | Path, dtype: str = "f32") -> LoadedModel:
    """Open a ``.gguf`` file or a Hugging Face directory; ModelError if it is not a usable model."""
    if dtype not in DTYPES:
        raise OptionError(f"dtype {dtype!r} does not exist; it may be one of {', '.join(DTYPES)}")
    path = Path(path)
    if path.is_dir():
        from buddy.llm.hf_model import read_directory

        files = read_directory(path)
    elif path.exists():
        from buddy.llm.gguf_model import read_gguf

        files = read_gguf(path)
    else:
        raise ModelError(f"{path}: no such file or directory (expected a .gguf or a HF directory)")
    module = build_module(files.config, DTYPES[dtype])
    buffers = _buffer_values(module)
    if files.frequency_factors is not None:
        _divide_frequencies(buffers, files.frequency_factors)
    check_weights(module, files.weights, path)
    return LoadedModel(files.name, module, files.weights, buffers, files.tokenizer, DTYPES[dtype])


def build_module(config, dtype: torch.dtype) -> nn.Module:
    """The model of ``config`` with no weights: parameters and buffers are on the meta device."""
    from transformers import AutoModelForCausalLM

    attention.register()
    try:
        with torch.device("meta"):
            module = AutoModelForCausalLM.from_config(
                config, dtype=dtype, attn_implementation=attention.IMPLEMENTATION
            )
    except (ValueError, TypeError, AttributeError) as error:
        raise ModelError(
            f"a model of type {config.model_type!r} cannot be built: {error}"
        ) from error
    if not getattr(module, "_supports_attention_backend", False):
        raise ModelError(
            f"{type(module).__name__} does not let its attention be replaced "
            "(transformers' AttentionInterface), so it cannot be compiled with a KV cache"
        )
    return module.eval()


def check_weights(module: nn.Module, weights: WeightSource, path: Path) -> None:
    """Refuse a checkpoint that lacks a parameter or has it in another shape."""
    for name, parameter in module.named_parameters():
        shape = weights.shapes.get(name)
        if shape is None:
            raise ModelError(f"{path}: the weight {name!r} of {type(module).__name__} is missing")
        if tuple(shape) != tuple(parameter.shape):
            raise ModelError(
                f"{path}: {name!r} has shape {tuple(shape)}, the model needs {tuple(parameter.shape)}"
            )


def _buffer_values(module: nn.Module) -> dict[str, torch.Tensor]:
    """Compute the buffers on the CPU with the model's own initialization; meta ones stay."""
    values: dict[str, torch.Tensor] = {}
    for path, child in module.named_modules():
        meta = dict(child._buffers)
        if not meta:
            continue
        for name, buffer in meta.items():
            child._buffers[name] = torch.full_like(buffer, -1, device="cpu")
        module._init_weights(child)
        for name, buffer in meta.items():
            value, child._buffers[name] = child._buffers[name], buffer
            full_name = f"{path}.{name}" if path else name
            if bool((value == -1).all()):
                raise ModelError(f"{type(module).__name__} does not say how to compute {full_name}")
            values[full_name] = value.contiguous()
    return values


def _divide_frequencies(buffers: dict[str, torch.Tensor], factors: torch.Tensor) -> None:
    for name, value in buffers.items():
        if name.endswith("inv_freq"):
            buffers[name] = value / factors
