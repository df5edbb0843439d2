# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What is asked of an architecture: forward, generation, gradients, and one graph for all shapes.

Everything is f32. A tensor equals eager's when no element is farther from it than TOLERANCE times
the largest element; ids are equal exactly.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import buddy
import torch
from functorch.compile import make_boxed_func
from registry import Architecture, Inputs
from torch import nn
from torch._dynamo.backends.common import aot_autograd
from torch.utils import _pytree as pytree

TOLERANCE = 1e-4
GRADIENT_TOLERANCE = 1e-3
NEW_TOKENS = 6
SHAPES = 10


def difference(actual: torch.Tensor, expected: torch.Tensor) -> float:
    """The largest distance of two tensors of one shape and dtype, as a part of the largest
    element; infinity where one is finite and the other is not."""
    assert (actual.shape, actual.dtype) == (expected.shape, expected.dtype)
    if expected.numel() == 0:
        return 0.0
    if not expected.is_floating_point():
        return 0.0 if torch.equal(actual, expected) else torch.inf
    same = (actual == expected) | (actual.isnan() & expected.isnan())
    distance = torch.where(same, 0.0, (actual - expected).abs())
    largest = expected[expected.isfinite()].abs().amax() if expected.isfinite().any() else 1.0
    return (distance.amax() / max(float(largest), 1e-6)).nan_to_num(torch.inf).item()


def tensors_of(outputs) -> list[torch.Tensor]:
    return [x for x in pytree.tree_leaves(outputs) if isinstance(x, torch.Tensor)]


def farthest(actual: list[torch.Tensor], expected: list[torch.Tensor]) -> float:
    assert len(actual) == len(expected)
    return max(difference(a, b) for a, b in zip(actual, expected))


def forward(architecture: Architecture) -> float:
    """The compiled model's largest difference from eager without gradients."""
    model, inputs = architecture.model(), architecture.example()
    with torch.no_grad():
        expected = outputs(model, inputs)
        actual = outputs(torch.compile(model, backend="buddy", dynamic=False), inputs)
    assert float(expected[0].abs().amax()) > 1e-2, "nothing is left of the inputs"
    return farthest(actual, expected)


def outputs(run: Callable, inputs: Inputs) -> list[torch.Tensor]:
    """What it answers; a model that draws numbers, of patches say, draws the same ones."""
    torch.manual_seed(2)
    return tensors_of(run(**inputs))


def generated(architecture: Architecture, compiled: bool) -> torch.Tensor:
    """Ids that the model says greedily, with its key-value cache or state."""
    model, inputs = architecture.model(), architecture.example()
    inputs.pop("decoder_input_ids", None)
    if compiled:
        model.forward = torch.compile(model.forward, backend="buddy")
    return model.generate(
        **inputs,
        max_new_tokens=NEW_TOKENS,
        min_new_tokens=NEW_TOKENS,
        do_sample=False,
        num_beams=1,
    )


def loss_of(outputs) -> torch.Tensor:
    """A number that every float output has a part in."""
    floats = [x for x in tensors_of(outputs) if x.is_floating_point() and x.requires_grad]
    weights = (torch.linspace(-1, 1, x.numel()).reshape(x.shape) for x in floats)
    # Scores of masked places are −∞ or close to it: they say nothing.
    return sum((torch.where(x.abs() < 1e9, x, 0) * w).mean() for x, w in zip(floats, weights))


def gradients(model: nn.Module, inputs: Inputs, backend: str) -> dict[str, torch.Tensor]:
    """Gradients of one step in training mode, by parameter; those that are None are left out."""
    model = copy.deepcopy(model).train()
    run = torch.compile(model, backend=backend, dynamic=False) if backend else model
    torch.manual_seed(2)
    loss_of(run(**inputs)).backward()
    return {n: p.grad for n, p in model.named_parameters() if p.grad is not None}


def training(architecture: Architecture) -> float:
    """The largest difference of a gradient from eager's, or where that is too large, from f64's.

    MobileViT's in eager, for one, are 1.4e-3 from those in f64, and 8e-4 with one thread.
    """
    model, inputs = architecture.model(), architecture.example()
    expected = gradients(model, inputs, backend="")
    actual = gradients(model, inputs, backend="buddy")
    assert_none_where_eager_has_none(model, inputs, expected, actual)
    from_eager = farthest_gradient(actual, expected)
    if from_eager <= GRADIENT_TOLERANCE:
        return from_eager
    wide = {name: x.double() if x.is_floating_point() else x for name, x in inputs.items()}
    return farthest_gradient(actual, gradients(copy.deepcopy(model).double(), wide, backend=""))


def farthest_gradient(actual: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> float:
    """As parts of the largest element of any gradient: one that is zero but for rounding says
    nothing."""
    largest = max(float(g.abs().amax()) for g in expected.values())
    assert largest > 0

    def part(name: str) -> float:
        floor = max(float(expected[name].abs().amax()), 1e-3 * largest)
        return float((actual[name] - expected[name]).abs().amax()) / floor

    return max(map(part, expected))


def assert_none_where_eager_has_none(
    model: nn.Module, inputs: Inputs, expected: dict, actual: dict
) -> None:
    """The same parameters have gradients, but for zeros that AOTAutograd makes with any backend.

    It gives zeros for the gradient of a graph's output that nobody uses, and so what feeds only
    such an output has a gradient of zeros where eager has none: of the same parameters then as a
    backend that compiles nothing.
    """
    assert expected.keys() <= actual.keys()
    more = actual.keys() - expected.keys()
    if more:
        torch._dynamo.reset()
        uncompiled = gradients(model, inputs, backend="aot_eager")
        assert more == uncompiled.keys() - expected.keys()
        assert not any(actual[name].any() for name in more)


def shapes(architecture: Architecture) -> Iterator[tuple[int, int]]:
    """Ten pairs of batch and size, both changing where the model allows it, none of them 1."""
    for i in range(SHAPES):
        batch = 2 if architecture.fixed_batch else 2 + i % 4
        steps = 0 if architecture.fixed_size else 1 + (3 * i) % 7
        yield batch, architecture.size + steps * architecture.step


def dynamic(architecture: Architecture) -> tuple[int, int, float]:
    """Graphs compiled for the first shape and for the nine others, and the largest difference."""
    model = architecture.model()
    compiled = torch.compile(model, backend="buddy", dynamic=True)
    first, worst = 0, 0.0
    with torch.no_grad():
        for number, (batch, size) in enumerate(shapes(architecture)):
            inputs = architecture.example(batch, size)
            worst = max(worst, farthest(outputs(compiled, inputs), outputs(model, inputs)))
            if number == 0:
                first = buddy.stats()["graphs"]
    return first, buddy.stats()["graphs"] - first, worst


def graphs_of_dynamo(architecture: Architecture) -> tuple[int, int]:
    """The same counts for a backend that compiles nothing: what Dynamo itself asks for."""
    torch._dynamo.reset()
    model, count, first = architecture.model(), 0, 0

    def compiler(graph_module, example_inputs):
        nonlocal count
        count += 1
        return make_boxed_func(graph_module.forward)

    run = torch.compile(model, backend=aot_autograd(fw_compiler=compiler), dynamic=True)
    with torch.no_grad():
        for number, (batch, size) in enumerate(shapes(architecture)):
            outputs(run, architecture.example(batch, size))
            first = first if number else count
    return first, count - first
