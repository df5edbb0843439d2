# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a row of the table of architectures is, and the inputs that models take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from torch import nn

VOCABULARY = 128
CHANNELS = 3

Inputs = dict[str, Any]


@dataclass(frozen=True)
class Architecture:
    """One model with random weights, and how to call it.

    `inputs(batch, size)` makes keyword arguments; `size` is the sequence length, the image side
    or the number of audio samples, the default one and those of the dynamic test. A model that
    `generates` continues `input_ids`. Fields with a reason say why a check does not apply.
    """

    name: str
    family: str
    build: Callable[[], nn.Module]
    inputs: Callable[[int, int], Inputs]
    size: int = 12
    step: int = 1
    generates: bool = False
    fixed_size: str = ""  # why the size cannot be dynamic
    fixed_batch: str = ""
    eager: tuple[str, ...] = ()  # overloads known to have no lowering: they are counted
    no_gradients: str = ""

    def model(self) -> nn.Module:
        """The model in evaluation mode, the same weights at every call."""
        torch.manual_seed(0)
        model = self.build().eval()
        spread_weights(model)
        settle_statistics(model, self.example(batch=8))
        return model

    def example(self, batch: int = 2, size: int | None = None) -> Inputs:
        """Inputs of that batch and size, the same at every call."""
        torch.manual_seed(1)
        return self.inputs(batch, self.size if size is None else size)


def hugging_face(
    family: str,
    name: str,
    model: str,
    *,
    inputs: Callable[[int, int], Inputs],
    config: dict[str, Any],
    **row,
) -> Architecture:
    """A row for the class `model` of transformers with the arguments of its configuration."""

    def build() -> nn.Module:
        kind = getattr(transformers, model)
        settings = kind.config_class(**config)
        without_randomness(settings)
        return kind(settings)

    return Architecture(name, family, build, inputs, **row)


def spread_weights(model: nn.Module) -> None:
    """Weights that keep activations near 1: with those of a first day little is left of them
    after some layers, and a wrong answer is as near to 0 as a right one. Vectors move a little
    from 0 or 1, where a forgotten bias or scale would not show."""
    with torch.no_grad():
        for weight in model.parameters():
            if not weight.is_floating_point():
                continue
            if weight.dim() >= 2:
                gain = 2 if weight.dim() == 4 else 1  # kernels stand before rectifiers
                weight.normal_(0, (gain / weight[0].numel()) ** 0.5)
            elif weight.dim() == 1:
                weight.add_(torch.randn_like(weight), alpha=0.1)


def settle_statistics(model: nn.Module, inputs: Inputs) -> None:
    """Batch norms know the inputs' statistics, as they do after training."""
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
        norm.train()
    with torch.no_grad():
        model(**inputs)
    for norm, momentum in zip(norms, momenta):
        norm.momentum = momentum
        norm.eval()


def without_randomness(config: transformers.PreTrainedConfig) -> None:
    """No dropout, no layer dropped, no masked spectrum: what is random is eager's, and shows nothing."""
    for key, value in list(vars(config).items()):
        if isinstance(value, transformers.PreTrainedConfig):
            without_randomness(value)
        elif isinstance(value, float) and "drop" in key:
            setattr(config, key, 0.0)
        elif key == "apply_spec_augment":
            setattr(config, key, False)


def ids(batch: int, length: int) -> torch.Tensor:
    """Token ids [batch, length], none of the special ones."""
    return torch.randint(4, VOCABULARY, (batch, length))


def text(batch: int, length: int) -> Inputs:
    return {"input_ids": ids(batch, length)}


def masked_text(batch: int, length: int) -> Inputs:
    """Token ids of which the first row ends in padding."""
    mask = torch.ones(batch, length, dtype=torch.int64)
    mask[0, -2:] = 0
    return {"input_ids": ids(batch, length), "attention_mask": mask}


def text_to_text(batch: int, length: int) -> Inputs:
    """An encoder's ids and a decoder's, of different lengths."""
    return {"input_ids": ids(batch, length), "decoder_input_ids": ids(batch, length - 3)}


def image(batch: int, side: int) -> Inputs:
    return {"pixel_values": torch.randn(batch, CHANNELS, side, side)}


def waveform(batch: int, samples: int) -> Inputs:
    return {"input_values": torch.randn(batch, samples)}
