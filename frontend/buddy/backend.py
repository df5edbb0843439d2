# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`torch.compile(model, backend="buddy")`: a graph from the graph cache, or compiled."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import fx
from torch._dynamo.exc import ShortenTraceback

from . import graph_cache
from .attention_capture import capture_attention
from .errors import BuddyError
from .options import Options


def buddy(
    graph_module: fx.GraphModule,
    example_inputs: Sequence[Any],
    *,
    options: Mapping[str, Any] | None = None,
    mode: str | None = None,
) -> Callable:
    """The Dynamo backend: a callable with the meaning of `graph_module`.

    Raises OptionError for options it does not know, UnsupportedOpError with fallback=False,
    CompilerError when the native compiler fails.
    """
    del mode  # levels of effort that other backends have
    with _errors_as_they_are():
        chosen = Options.parse(options)
        training = has_gradients(graph_module, example_inputs)
        key = None if training else graph_cache.key_of(chosen, graph_module, example_inputs)
        if key is not None and (launch := graph_cache.load(key, chosen)):
            return launch
        if not training:
            capture_attention(graph_module)
        from .compilation import compile_captured  # not on top: it brings MLIR with it

        return compile_captured(chosen, training, key, graph_module, example_inputs)


def has_gradients(graph_module: fx.GraphModule, example_inputs: Sequence[Any]) -> bool:
    """Whether anything that the graph reads has a gradient, as AOTAutograd decides it: not where
    all tensors and parameters are plain, even if gradients are enabled."""
    tensors = (*example_inputs, *graph_module.parameters(), *graph_module.buffers())
    return torch.is_grad_enabled() and any(
        isinstance(x, torch.Tensor) and x.requires_grad for x in tensors
    )


class _errors_as_they_are:  # noqa: N801 - used like a function
    """Lets our errors through Dynamo unwrapped, so that `except buddy.BuddyError` works."""

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback) -> None:
        if isinstance(error, BuddyError) and not isinstance(error, ShortenTraceback):
            raise _unwrapped(error).with_traceback(traceback) from error.__cause__


def _unwrapped(error: BuddyError) -> BuddyError:
    """The error, also of the kind that Dynamo re-raises as it is."""
    kind = type(error)
    both = _unwrapped_class(kind)
    copy = both.__new__(both, *error.args)
    copy.__dict__.update(error.__dict__, args=error.args)
    copy.first_useful_frame = None
    return copy


@functools.cache
def _unwrapped_class(kind: type) -> type:
    return type(kind.__name__, (kind, ShortenTraceback), {"__module__": kind.__module__})
