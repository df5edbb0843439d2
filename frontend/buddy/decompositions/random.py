# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What uses random numbers: they are drawn by eager's own ops, so that a seed gives the same."""

from __future__ import annotations

import torch

from .registry import decomposes

aten = torch.ops.aten


@decomposes(aten.native_dropout.default)
def native_dropout(x, p, train):
    """Eager draws what stays; torch's own decomposition would draw what goes, another stream."""
    if train is False:
        return x.clone(), torch.ones_like(x, dtype=torch.bool)
    stays = aten.bernoulli.p(torch.empty_like(x, dtype=torch.bool), 1 - p)
    return x * stays * (1 / (1 - p) if p < 1 else 0.0), stays
