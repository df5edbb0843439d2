# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Names of graphs in the graph cache: two graphs that may mean something else have two."""

from __future__ import annotations

import contextlib
import operator
import os

import pytest
import torch
import torch.nn.functional as F
from buddy import driver, graph_cache
from buddy.graph_cache import key_of
from buddy.options import Options


def key(fn, *args, **options):
    """The key of the graph that Dynamo captures."""
    keys = []

    def backend(graph_module, example_inputs):
        keys.append(key_of(Options.parse(options), graph_module, example_inputs))
        return graph_module

    torch._dynamo.reset()
    with torch.no_grad():
        torch.compile(fn, backend=backend, fullgraph=True)(*args)
    return keys[0]


@pytest.mark.parametrize("options", [{"cache": False}, {"profile": True}, {"dump_dir": "dump"}])
def test_compiles_that_the_user_wants_to_see(options, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x = torch.ones(3)
    assert key(torch.exp, x) and not key(torch.exp, x, **options)


def test_environment_that_asks_for_a_compile(monkeypatch):
    x = torch.ones(3)
    for name in ("BUDDY_PROFILE", "BUDDY_DUMP"):
        with monkeypatch.context() as patch:
            patch.setenv(name, "1")
            assert not key(torch.exp, x)
    assert key(torch.exp, x)


def scaled(factor):
    return lambda x: x * factor


def test_constants_have_their_keys():
    x = torch.ones(3)
    factors = (2, 2.0, 3.0, True, 0.0, -0.0, float("inf"), 1 << 40, 2j)
    keys = [key(scaled(factor), x) for factor in factors]
    assert None not in keys and len(set(keys)) == len(factors)
    assert key(scaled(2), x) == keys[0]
    sizes = [key(lambda x, s=s: x.reshape(s), torch.ones(12)) for s in ((3, 4), (4, 3), (12, 1))]
    assert None not in sizes and len(set(sizes)) == 3


def test_calls_have_their_keys():
    """Of one line that calls one thing or another, on one argument or the other, this way or that."""

    def calling(function, first, keepdim):
        return lambda *xs: function(xs[0] * xs[1], xs[first]).sum(0, keepdim=keepdim)

    aten = torch.ops.aten
    calls = [(torch.sub, 0, True), (torch.sub, 1, True), (torch.sub, 0, False)]
    calls += [(f, 0, True) for f in (torch.add, operator.sub, F.mse_loss, aten.add, aten.mul)]
    keys = [key(calling(*call), torch.ones(3), torch.ones(3)) for call in calls]
    keys += [key(lambda x, name=name: getattr(x, name)(), torch.ones(3)) for name in ("sin", "cos")]
    assert None not in keys and len(set(keys)) == len(calls) + 2


def test_inputs_have_their_keys():
    """Each is like the first one but for one property."""
    base = torch.ones(6, 6)
    with torch.inference_mode():
        untracked = torch.ones(4, 4)
    static = torch.ones(4, 4)  # as parameters and buffers of modules are
    torch._dynamo.mark_static_address(static)
    inputs = [
        (torch.ones(4, 4),),
        (torch.ones(4, 4)[:3],),
        (torch.ones(4, 4).t(),),
        (torch.ones(4, 4, dtype=torch.int32),),
        (torch.ones(4, 4).requires_grad_(),),
        (torch.ones(5, 4)[:4],),
        (base[:4, :4],),
        (base[1:5, :4],),
        (untracked,),
        (static,),
        (torch.nn.Parameter(torch.ones(4, 4), requires_grad=False),),
        (torch.ones(4, 4), torch.ones(4, 4)),
        (shared := torch.ones(4, 4), shared[:]),
    ]

    def sum_of(*xs):
        return sum(xs)

    keys = [key(sum_of, *xs) for xs in inputs]
    assert None not in keys and len(set(keys)) == len(inputs)
    assert key(sum_of, torch.zeros(4, 4)) == keys[0]


def test_options_have_their_keys():
    x = torch.ones(3)
    chosen = ({}, {"freeze": False}, {"dialect": "tosa"}, {"fallback": False})
    keys = {key(torch.exp, x, **options) for options in chosen}
    assert None not in keys and len(keys) == len(chosen)


def test_state_has_its_key():
    x, y = torch.ones(3, 3), torch.ones(3, 3)
    states = [
        contextlib.nullcontext(),
        torch.autocast("cpu", torch.bfloat16),
        torch.autocast("cpu", torch.float16),
        torch._functorch.config.patch(debug_assert=True),
        torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH),
        during(torch._C._set_mkldnn_enabled, False, True),
        during(torch.use_deterministic_algorithms, True, False),
        during(torch.set_default_dtype, torch.float64, torch.float32),
    ]
    keys = []
    for state in states:
        with state:
            keys.append(key(torch.mm, x, y))
    assert None not in keys and len(set(keys)) == len(states)
    assert key(torch.mm, x, y) == keys[0]


@contextlib.contextmanager
def during(change, to, back):
    change(to)
    yield
    change(back)


def test_compiler_and_machine_have_their_keys(monkeypatch, tmp_path):
    tool = tmp_path / "buddy-compile"
    tool.write_text("another")
    x = torch.ones(3)
    keys = {key(torch.exp, x)}
    for owner, name, value in (
        (driver, "find_tool", lambda name: tool),
        (driver, "cpu_fingerprint", lambda: "another"),
        (os, "sched_getaffinity", lambda process: range(77)),
        (graph_cache, "_sources", lambda: "another"),
        (torch, "__version__", "another"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, value)
            keys.add(key(torch.exp, x))
    assert None not in keys and len(keys) == 6


def test_lines_have_their_keys():
    """A check that fails names the line."""
    x = torch.ones(3)
    assert key(lambda x: x.exp(), x) != key(lambda x: x.exp() if True else x, x)


def test_sources_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(graph_cache, "__file__", str(tmp_path / "graph_cache.py"))
    known = set()
    for name, text in (("a.py", "1"), ("a.py", "2"), ("lowering/b.py", "1")):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        known.add(graph_cache._sources.__wrapped__())
    assert len(known) == 3


def relu_of_the_users(x):
    return x


relu_of_the_users.__module__, relu_of_the_users.__name__ = "torch.nn.functional", "relu"


def test_graphs_without_a_key():
    """Not all of what they mean stands in them."""
    x = torch.ones(3)

    @torch.library.custom_op("buddy_test_graph_cache::twice", mutates_args=())
    def twice(x: torch.Tensor) -> torch.Tensor:
        return x * 2

    twice.register_fake(torch.empty_like)
    assert key(torch.exp, x)
    assert not key(twice, x)
    assert not key(lambda x: torch.cond(x.sum() > 0, torch.sin, torch.cos, (x,)), x)
    with torch._dynamo.config.patch(capture_dynamic_output_shape_ops=True):
        assert not key(lambda x: x.nonzero().float().sum(), x)
    assert not key(torch.exp, torch.nn.Buffer(torch.ones(3)).as_subclass(Marked))
    assert not key(torch.exp, torch.ones(3, device="meta"))


def test_what_is_not_torchs(monkeypatch):
    """A mode that is on, or a function in the place of one of torch's."""
    graph = torch.fx.symbolic_trace(lambda x: F.relu(x))
    given = Options.parse({}), graph, [torch.ones(3)]
    with torch.no_grad():
        assert key_of(*given)
        with torch.device("cpu"):
            assert not key_of(*given)
        call = next(iter(graph.graph.find_nodes(op="call_function", target=F.relu)))
        monkeypatch.setattr(F, "relu", relu_of_the_users)
        assert not key_of(*given)
        call.target = F.relu
        assert not key_of(*given)


class Marked(torch.Tensor):
    """A subclass."""


def test_constant_tensor_has_no_key():
    graph = torch.fx.Graph()
    graph.placeholder("x")
    graph.output((graph.get_attr("constant"),))
    for constant in (torch.ones(3), torch.zeros(3)):
        module = torch.fx.GraphModule({"constant": constant}, graph)
        assert not key_of(Options.parse({}), module, [torch.ones(3)])
