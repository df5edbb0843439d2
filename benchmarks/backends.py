# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What is compared: from a module to a callable, by name."""

from __future__ import annotations

import functools

import torch
import torch._inductor.config


def inductor_max(module: torch.nn.Module) -> torch.nn.Module:
    torch._inductor.config.freezing = True
    return torch.compile(module, mode="max-autotune")


class CopyOfSameBytes(torch.nn.Module):
    """Not a backend but a limit: copies as many bytes as the inputs and outputs have together."""

    def __init__(self, module: torch.nn.Module):
        super().__init__()
        self.module = module
        self.outputs = self.source = None

    def forward(self, *inputs):
        if self.outputs is None:
            self.outputs = self.module(*inputs)
            tensors = [*inputs, self.outputs]
            self.source = torch.ones(sum(t.nbytes for t in tensors) // 8, dtype=torch.float32)
            self.target = torch.empty_like(self.source)
        self.target.copy_(self.source)
        return self.outputs


class Exported(torch.nn.Module):
    """`buddy.compile`, for inference: without Dynamo's share of a short call."""

    def __init__(self, module: torch.nn.Module):
        super().__init__()
        self.module = module
        self.compiled = None

    def forward(self, *inputs):
        if self.compiled is None:
            import buddy

            self.compiled = buddy.compile(torch.export.export(self.module, inputs))
        return self.compiled(*inputs)


LIMITED = ("copy", "buddy-exported")  # to some kinds of workloads
BACKENDS = {
    "eager": lambda module: module,
    "inductor": torch.compile,
    "inductor-max": inductor_max,
    "buddy": lambda module: torch.compile(module, backend="buddy"),
    "buddy-autotune": functools.partial(torch.compile, backend="buddy", options={"autotune": True}),
    "buddy-unfrozen": functools.partial(torch.compile, backend="buddy", options={"freeze": False}),
    "buddy-exported": Exported,
    "copy": CopyOfSameBytes,
}
