# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Modules with what a torch.export program can have, and how each is exported."""

from __future__ import annotations

import torch
from torch import nn
from torch.export import Dim, ExportedProgram, export


class Everything(nn.Module):
    """Parameters, buffers of three kinds, nested arguments and results, an updated argument."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(8, 4)
        self.register_buffer("calls", torch.zeros(()))
        self.register_buffer("steps", torch.arange(8.0), persistent=False)
        self.register_buffer("bytes", torch.tensor([0, 100, 200], dtype=torch.uint8))
        self.weights = torch.rand(3, 300)  # larger than what is written into the code

    def forward(self, x, y, *, scaled=True, extra):
        self.calls.add_(1)
        y.mul_(2)
        key = extra["key"] + self.weights.sum(1)
        pair = (x.t(), x.shape[0], None, 3, self.calls.clone())
        return {"a": self.linear(x * self.steps) + self.calls, "b": pair, "key": key, "y": y,
                "bytes": self.bytes + 1, "bias": self.linear.bias}  # fmt: skip


def everything_arguments(batch: int = 3) -> tuple[tuple, dict]:
    args = (torch.randn(batch, 8), torch.randn(6))
    return args, {"scaled": True, "extra": {"key": torch.randn(3)}}


def export_everything() -> tuple[nn.Module, ExportedProgram]:
    module = Everything().eval()
    args, kwargs = everything_arguments()
    sizes = {"x": {0: Dim.AUTO}, "y": {0: Dim.AUTO}, "scaled": None, "extra": {"key": None}}
    return module, export(module, args, kwargs, dynamic_shapes=sizes)


class Guarded(nn.Module):
    """Right for some sizes only: the branch that tracing took."""

    def forward(self, x, y, index):
        if x.shape[0] % 4 == 0:
            x = x + 1
        return x.reshape(-1, 2) * 2, y.reshape(-1) + x[0], x[index]


def guarded_arguments(rows: int = 8) -> tuple:
    return torch.randn(rows), torch.randn(4, 3), torch.tensor([1, 2])


def export_guarded() -> ExportedProgram:
    sizes = {"x": {0: Dim.AUTO}, "y": {0: Dim.AUTO}, "index": None}
    return export(Guarded(), guarded_arguments(), dynamic_shapes=sizes)


class Ratio(nn.Module):
    """x has twice as many rows as y; results depend on real numbers made of sizes."""

    def forward(self, x, y):
        return x[: y.shape[0]] * (y.shape[0] / x.shape[1]) + y


def export_ratio() -> ExportedProgram:
    rows = Dim("rows", min=3, max=16)
    args = torch.randn(8, 3), torch.randn(4, 3)
    return export(Ratio(), args, dynamic_shapes={"x": {0: 2 * rows}, "y": {0: rows}})
