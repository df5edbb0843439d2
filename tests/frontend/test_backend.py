# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Options, errors, fallback and calling conventions of the backend."""

from __future__ import annotations

import threading

import buddy
import pytest
import torch
from buddy import UnsupportedOpError, _runtime, driver
from buddy.compilation import compile_graph
from buddy.decompose import decompositions
from buddy.options import Options
from checking import assert_same, compiled
from torch.fx.experimental.proxy_tensor import make_fx

aten = torch.ops.aten


def affine(x):
    return x * 2 + 1


@pytest.mark.parametrize(
    "options,message",
    [
        ({"fallbak": True}, "unknown option 'fallbak': it may be one of fallback, freeze"),
        ({"dialect": "stablehlo"}, "'dialect' is 'stablehlo': it may be 'linalg' or 'tosa'"),
        ({"num_threads": -1}, "'num_threads' is -1: it may be a number of threads"),
        ({"fallback": 1}, "'fallback' is 1: it may be True or False"),
        ({"target": "abacus"}, "'target' is 'abacus'"),
        ({"cache": None}, "'cache' is None"),
        ({"dump_dir": 3}, "'dump_dir' is 3"),
        ({"freeze": "yes"}, "'freeze' is 'yes'"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(buddy.OptionError, match=message):
        torch.compile(affine, backend="buddy", options=options)(torch.ones(3))


def test_all_unsupported_ops_are_named():
    def unsupported(x):
        return torch.linalg.eigvalsh(x) + torch.igamma(x.abs(), x.abs()).sum() * 2

    with pytest.raises(buddy.UnsupportedOpError) as caught:
        compiled(unsupported)(torch.randn(3, 3))
    targets = {op.target for op in caught.value.ops}
    assert targets == {"aten._linalg_eigh.default", "aten.igamma.default"}
    assert "test_backend.py" in str(caught.value) and "in unsupported" in str(caught.value)
    assert "f32[3,3]" in str(caught.value)


def test_refused_arguments_say_why():
    with pytest.raises(buddy.UnsupportedOpError, match="positions among many equal"):
        compiled(lambda x: x.argsort())(torch.tensor([1, 0, 1]))


def test_unsupported_dtype():
    with pytest.raises(buddy.UnsupportedOpError, match="complex64"):
        compiled(lambda x: (x + 1) * 2)(torch.randn(3, dtype=torch.complex64))


def test_fallback_runs_the_rest_compiled():
    def mixed(x, w):
        q = torch.igamma(torch.relu(x @ w), torch.ones(4))
        return torch.exp(q) + 1, x + 1

    x, w = torch.randn(4, 4), torch.randn(4, 4)
    with torch.no_grad(), pytest.warns(RuntimeWarning, match="igamma.* runs eagerly"):
        assert_same(torch.compile(mixed, backend="buddy")(x, w), mixed(x, w), (1e-4, 1e-4))
    stats = buddy.stats()
    assert stats["fallback_ops"] == {"aten.igamma.default": 1}
    assert stats["nodes_fallback"] == 1 and stats["nodes_lowered"] >= 4


@pytest.mark.filterwarnings("ignore:.*runs eagerly:RuntimeWarning")
def test_view_of_what_another_part_computed():
    """The part computes it dense, and gives it with the gaps that the argument has."""

    def update(x):
        row = x.select(0, 0).add_(2)
        return row, torch.igamma(torch.cosh(x), torch.ones(())) + row

    def argument():
        return torch.arange(90.0).view(5, 3, 6)[..., ::2]

    functional = torch.func.functionalize(update, remove="mutations")
    graph = make_fx(functional, decompositions(), tracing_mode="fake")(argument())
    x, expected = argument(), argument()
    actual = compile_graph(Options.parse({}), graph, frozenset())((x,))
    torch.testing.assert_close(actual, update(expected))
    assert_same(x, expected)


def test_stats_and_reset():
    with torch.no_grad():
        compiled(affine)(torch.ones(3))
    stats = buddy.stats()
    assert (stats["graphs"], stats["nodes_lowered"], stats["nodes_fallback"]) == (1, 2, 0)
    assert stats["cache_hits"] + stats["cache_misses"] == 1 and stats["seconds"]["import"] > 0
    buddy.reset()
    assert buddy.stats()["graphs"] == 0 and buddy.stats()["seconds"] == {}


def test_dynamic_sizes_in_shapes_and_values():
    def sizes(x, y):
        n = x.shape[0]
        joined = torch.cat([x, y])
        return joined.reshape(-1), x.sum() * n, joined[1:].mean(0), n + y.shape[0], x[:, None] + n

    step = torch.compile(sizes, backend="buddy", fullgraph=True, options={"fallback": False})
    with torch.no_grad():
        for n, m in ((5, 3), (9, 2), (4, 7)):
            x, y = torch.randn(n, 6), torch.randn(m, 6)
            torch._dynamo.mark_dynamic(x, 0)
            torch._dynamo.mark_dynamic(y, 0)
            assert_same(step(x, y), sizes(x, y))
    assert buddy.stats()["graphs"] == 1


@pytest.mark.filterwarnings("ignore:.*overlap in memory:RuntimeWarning")
def test_in_place_update_of_an_argument_that_overlaps_itself():
    """A write through one of its windows is seen through all others."""

    def update(windows):
        windows[:, 1] = 7
        return windows.sum(0)

    memory, expected = torch.arange(6.0), torch.arange(6.0)
    with torch.no_grad():
        assert_same(
            compiled(update, fallback=True)(memory.unfold(0, 3, 1)),
            update(expected.unfold(0, 3, 1)),
        )
        assert_same(memory, expected)
        with pytest.raises(UnsupportedOpError, match="elements overlap in memory"):
            compiled(update)(memory.unfold(0, 3, 1))


def test_in_place_update_of_an_argument():
    def update(x, y):
        x.add_(y)
        return x * 2

    for make in (lambda: torch.zeros(3, 4), lambda: torch.zeros(4, 3).t()):
        x, expected, y = make(), make(), torch.randn(3, 4)
        with torch.no_grad():
            assert_same(compiled(update)(x, y), update(expected, y))
        assert_same(x, expected)


def test_threads_may_call_at_once():
    step, x = compiled(lambda x: (x @ x).softmax(-1)), torch.randn(64, 64)
    results = []
    with torch.no_grad():
        expected = step(x)

        def call():
            with torch.no_grad():
                results.extend(step(x) for _ in range(20))

        threads = [threading.Thread(target=call) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(results) == 80 and all(torch.equal(r, expected) for r in results)


def test_dump_and_threads_options(tmp_path):
    with torch.no_grad():
        result = compiled(affine, dump_dir=tmp_path, num_threads=2)(torch.ones(3))
    assert_same(result, affine(torch.ones(3)))
    assert len(list(tmp_path.glob("*/*.mlir*"))) >= 2


def test_registry_refuses_mistakes():
    from buddy.lowering.registry import lowers

    with pytest.raises(ValueError, match="already lowered"):
        lowers(aten.mm.default)(lambda e, a, b: a)
    with pytest.raises(TypeError, match="does not take every argument"):
        lowers(aten.histc.default)(lambda e, x: x)
    with pytest.raises(TypeError, match="would swallow"):
        lowers(aten.histc.default)(lambda e, x, bins, low, high, **rest: x)


def test_wrong_lowering_is_caught(monkeypatch):
    from buddy.lowering import LOWERINGS

    monkeypatch.setitem(LOWERINGS["linalg"], aten.exp.default, lambda e, x: e.reshape(x, (3, 1)))
    with pytest.raises(buddy.LoweringFailed, match=r"aten.exp.default .*made a tensor<3x1xf32>"):
        compiled(torch.exp)(torch.ones(3))


@pytest.mark.parametrize("granted", [True, False])
def test_tiles_are_used_where_the_kernel_grants_them(granted, monkeypatch):
    """A process that gets no AMX tile registers runs code without them."""
    features = ["avx2", "fma"] + ["amx-tile"] * granted
    monkeypatch.setattr(_runtime, "cpu_features", lambda: features)
    asked = []
    monkeypatch.setattr(driver, "_run", lambda tool, options, *_: asked.extend(options) or "m.so")
    with driver.compiled_module(b"", cache=False):
        pass
    assert ("--features=host" if granted else "--features=host,-amx-tile") in asked
