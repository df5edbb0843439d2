# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Windows of signals, as functions of where a sample lies between the first one and the last."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from .registry import decomposes

aten = torch.ops.aten


def _window(shape: Callable, length, periodic: bool, dtype, layout, device):
    """`shape` of 0…1; a periodic window is one sample longer than what it gives."""
    if layout not in (None, torch.strided):
        return NotImplemented
    dtype = dtype or torch.get_default_dtype()
    if isinstance(length, int) and length < 2:
        return torch.ones(length, dtype=dtype, device=device)
    wide = torch.promote_types(dtype, torch.float32)
    place = torch.arange(length, dtype=wide, device=device) / (length if periodic else length - 1)
    return shape(place).to(dtype)


@decomposes(
    aten.hamming_window.default,
    aten.hamming_window.periodic,
    aten.hamming_window.periodic_alpha,
    aten.hamming_window.periodic_alpha_beta,
)
def hamming(window_length, periodic=True, alpha=0.54, beta=0.46, *, dtype=None, layout=None,
            device=None, pin_memory=None):  # fmt: skip
    def shape(place):
        return alpha - beta * torch.cos(2 * math.pi * place)

    return _window(shape, window_length, periodic, dtype, layout, device)


@decomposes(aten.blackman_window.default, aten.blackman_window.periodic)
def blackman(window_length, periodic=True, *, dtype=None, layout=None, device=None,
             pin_memory=None):  # fmt: skip
    def shape(place):
        angle = 2 * math.pi * place
        return 0.42 - 0.5 * torch.cos(angle) + 0.08 * torch.cos(2 * angle)

    return _window(shape, window_length, periodic, dtype, layout, device)


@decomposes(aten.bartlett_window.default, aten.bartlett_window.periodic)
def bartlett(window_length, periodic=True, *, dtype=None, layout=None, device=None,
             pin_memory=None):  # fmt: skip
    def shape(place):
        return 1 - (2 * place - 1).abs()

    return _window(shape, window_length, periodic, dtype, layout, device)


@decomposes(aten.kaiser_window.default, aten.kaiser_window.periodic, aten.kaiser_window.beta)
def kaiser(window_length, periodic=True, beta=12.0, *, dtype=None, layout=None, device=None,
           pin_memory=None):  # fmt: skip
    def shape(place):
        height = (1 - (2 * place - 1) ** 2).clamp(min=0).sqrt()
        return torch.i0(beta * height) / torch.i0(torch.full_like(place, beta))

    return _window(shape, window_length, periodic, dtype, layout, device)
