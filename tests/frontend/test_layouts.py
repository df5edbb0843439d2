# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Arguments and results whose dimensions are in another order in memory."""

import pytest
import torch
from buddy.compilation import compile_graph
from buddy.decompose import decompositions
from buddy.options import Options
from checking import assert_same
from torch import nn
from torch.fx.experimental.proxy_tensor import make_fx

LAST = torch.channels_last


def copies(function, *args) -> int:
    """Of whole tensors by PyTorch, in one call."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        function(*args)
    return sum(event.name == "aten::copy_" for event in profile.events())


def compiled(function, **options):
    return torch.compile(function, backend="buddy", fullgraph=True, **options)


def test_channels_last_is_not_copied():
    conv = nn.Conv2d(3, 5, 3)
    model = nn.Sequential(conv, nn.BatchNorm2d(5), nn.ReLU()).eval()
    step, x = compiled(model), torch.randn(2, 3, 9, 8).to(memory_format=LAST)
    with torch.no_grad():
        assert_same(step(x), model(x), (1e-4, 1e-4))
        assert step(x).is_contiguous(memory_format=LAST)
        assert copies(step, x) == 0


def test_a_training_step_copies_no_transposed_weights():
    model = nn.Sequential(nn.Linear(6, 7), nn.GELU(), nn.Linear(7, 5))
    step, x, g = compiled(model), torch.randn(4, 6), torch.randn(4, 5)

    def gradients(function):
        return torch.autograd.grad(function(x), list(model.parameters()), g)

    assert_same(gradients(step), gradients(model), (1e-4, 1e-4))
    assert copies(gradients, step) == 0


@pytest.mark.parametrize("dynamic", [False, True])
def test_permuted_arguments_and_results(dynamic):
    def program(x, y):
        z = x.permute(2, 0, 1) @ y.mT
        return z.mT, x + 1, torch.exp(x).permute(1, 0, 2).sum(0), x

    step = compiled(program, dynamic=dynamic)
    with torch.no_grad():
        for a, b, c in ((3, 4, 5), (5, 2, 4)):
            x, y = torch.randn(c, a, b).permute(1, 2, 0), torch.randn(b, 6).t()
            actual, expected = step(x, y), program(x, y)
            assert_same(actual, expected, (1e-5, 1e-5))
            assert [t.stride() for t in actual] == [t.stride() for t in expected]
            assert actual[-1] is x


def test_an_argument_that_is_not_as_the_graph_was_traced():
    """Nothing guards strides in a graph that is compiled without Dynamo."""

    def program(x):
        return (x * torch.arange(12.0).view(3, 4),)

    graph = make_fx(program, decompositions(), tracing_mode="fake")(torch.randn(4, 3).t())
    call = compile_graph(Options.parse({}), graph, frozenset())
    for x in (torch.randn(4, 3).t(), torch.randn(3, 4), torch.randn(6, 8)[::2, ::2]):
        torch.testing.assert_close(call((x,)), program(x), check_stride=False)


@pytest.mark.filterwarnings("ignore:.*runs eagerly:RuntimeWarning")
def test_window_of_what_another_part_computed():
    """A view of a dense result has its strides, whatever runs eagerly between."""

    def program(x):
        column = x.cosh().unbind(1)[0]
        draw = torch.igamma(column, torch.ones(()))
        return column.view(3, 3) + 0 * draw.sum(), column[1:], draw.exp()

    with torch.no_grad():
        x = torch.randn(9, 2)
        actual, expected = compiled(program)(x), program(x)
    assert_same(actual, expected, (1e-5, 1e-5))
    assert [t.stride() for t in actual] == [t.stride() for t in expected]


@pytest.mark.filterwarnings("ignore:.*runs eagerly:RuntimeWarning")
def test_window_into_gaps_of_what_was_written():
    """Writes keep what lies between an argument's elements, and views may show it."""

    def update(x, y):
        window = x.as_strided((2, 2), (1, 2))
        x[:] = y
        return window.clone()

    def arguments():
        return torch.arange(32.0).view(1, 4, 8)[..., ::2], torch.full((4, 4), 0.5)

    with torch.no_grad():
        assert_same(compiled(update)(*arguments()), update(*arguments()))


@pytest.mark.parametrize(
    "op",
    [
        lambda x: nn.functional.adaptive_avg_pool2d(x, (5, 3)),
        lambda x: nn.functional.interpolate(x, (4, 3), mode="bilinear", antialias=True),
        lambda x: nn.functional.grid_sample(x, x[:, :2].movedim(1, -1), align_corners=False),
        nn.functional.logsigmoid,
        lambda x: nn.functional.max_pool2d(x, 2, return_indices=True)[1],
    ],
    ids=["pool", "interpolate", "grid_sample", "logsigmoid", "max_pool"],
)
def test_what_is_taken_apart_lies_as_the_whole_would(op):
    step = compiled(op, dynamic=False)
    x = torch.randn(2, 3, 8, 9)
    with torch.no_grad():
        for permuted in (x.to(memory_format=LAST), x.permute(0, 1, 3, 2), x.permute(3, 2, 1, 0)):
            assert_same(step(permuted), op(permuted), (1e-5, 1e-5))
            assert step(permuted).stride() == op(permuted).stride()
