# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Graphs that were compiled before are launched as they are; all others are compiled."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import buddy
import pytest
import torch
import torch.nn.functional as F
from buddy import cache, graph_cache
from buddy.graph_cache import key_of
from checking import assert_same, compiled, make

PROGRAM = """
import json, sys, torch
from buddy.backend import buddy as backend
import buddy
torch.manual_seed(int(sys.argv[1]))
model = torch.nn.Sequential(
    torch.nn.Linear(9, 33), torch.nn.BatchNorm1d(33), torch.nn.GELU(), torch.nn.Linear(33, 5)
).eval()
x = torch.randn(7, 9)
with torch.no_grad():
    error = (torch.compile(model, backend=backend)(x) - model(x)).abs().max().item()
traced = torch._dynamo.utils.counters["aot_autograd"]["total"]
print(json.dumps([error, traced, "mlir" in sys.modules, buddy.stats()]))
"""


@pytest.fixture(autouse=True)
def own_entries(tmp_path, monkeypatch):
    """A cache of the test's own, and the graph cache that other tests do without."""
    monkeypatch.setenv("BUDDY_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(graph_cache, "key_of", key_of)
    return tmp_path / "cache"


def run(fn, *args, grad=False, **options):
    """The answer, and whether it took a trace of the graph."""
    torch._dynamo.reset()
    buddy.reset()
    with torch.set_grad_enabled(grad):
        answer = compiled(fn, **options)(*args)
    return answer, "import" in buddy.stats()["seconds"]


def check_hit(fn, *args, **options):
    """Traced the first time, not the second; with eager's answers."""
    for traced in (True, False):
        with torch.no_grad():
            expected = fn(*args)
        answer, was_traced = run(fn, *args, **options)
        assert was_traced == traced
        assert_same(answer, expected)
    return answer


def check_traced(fn, *args):
    """Right, but not kept."""
    for _ in range(2):
        answer, traced = run(fn, *args)
        assert traced
    return answer


def run_program(seed: int) -> list:
    paths = [str(Path(buddy.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return json.loads(
        subprocess.run(
            [sys.executable, "-W", "error::RuntimeWarning", "-c", PROGRAM, str(seed)],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    )


def test_second_process_traces_nothing():
    """Nor does it load MLIR; its own weights count, and it counts as much as the first."""
    error, traced, mlir, cold = run_program(1)
    assert error < 2e-5 and traced == 1 and mlir
    error, traced, mlir, warm = run_program(2)
    assert error < 2e-5 and traced == 0 and not mlir
    assert (warm["cache_hits"], warm["cache_misses"]) == (1, 0)
    same = ("graphs", "nodes_lowered", "nodes_fallback", "linalg_ops")
    assert cold["nodes_lowered"] > 0 and all(cold[name] == warm[name] for name in same)


def test_what_is_told_of_coverage():
    check_hit(lambda x: x.cumsum(0), make((4, 5), torch.float32), dialect="tosa")
    assert buddy.stats()["linalg_ops"] == {"aten.cumsum.default": 1}


def test_outputs():
    """Several, in one memory, permuted, of other dtypes."""

    def many(x, i):
        y = x @ x
        return y, y.t(), y[::2], (i + 1).to(torch.uint8), x > 0, y.half(), (y * 2).permute(1, 0), 3

    check_hit(many, make((4, 4), torch.float32), make((3,), torch.int64))
    image = make((2, 3, 8, 8), torch.float32).to(memory_format=torch.channels_last)
    answer = check_hit(lambda x, w: F.conv2d(x, w).relu(), image, make((4, 3, 3, 3), torch.float32))
    assert answer.is_contiguous(memory_format=torch.channels_last)


def test_attention():
    q = make((1, 2, 16, 8), torch.float32)
    check_hit(lambda q: F.scaled_dot_product_attention(q, q, q, is_causal=True), q)


def test_errors_of_compiled_code():
    def look_up(table, i):
        return F.embedding(i, table)

    table = make((5, 3), torch.float32)
    check_hit(look_up, table, torch.tensor([1, 4]))
    with pytest.raises(buddy.OutOfRangeError, match="test_graph_cache.py"):
        run(look_up, table, torch.tensor([1, 5]))


def test_buffers_that_are_written_to_between_calls():
    """Frozen ones are read again, of a graph from the cache too."""
    model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.BatchNorm1d(64)).eval()
    x = make((16, 64), torch.float32)
    check_hit(model, x)
    call = compiled(model)
    with torch.no_grad():
        for _ in range(2):
            assert_same(call(x), model(x))
            model[0].weight.mul_(2)
            model[1].running_mean.add_(1)


def test_writes_to_inputs_are_traced():
    """AOTAutograd tells autograd of them, which a launcher does not."""

    def write(x):
        x.add_(1)
        return x * 2

    x = torch.zeros(5)
    assert_same(check_traced(write, x), torch.full((5,), 4.0))
    assert_same(x, torch.full((5,), 2.0))
    assert x._version == 2


def test_views_of_inputs_are_traced():
    x = make((4, 5), torch.float32)
    view, same, new = check_traced(lambda x: (x.t(), x, x + 1), x)
    assert view.data_ptr() == x.data_ptr() and same is x
    assert_same([view, new], [x.t(), x + 1])


def test_inputs_in_one_memory():
    def write(x, y):
        x.add_(1)
        return y * 2

    x = make((6,), torch.float32)
    check_hit(lambda x, y: x + y, x, x[:])
    for other in (x.clone(), x[:]):
        expected = write(x.clone(), other) if other.data_ptr() != x.data_ptr() else (x + 1) * 2
        assert_same(run(write, x, other)[0], expected)


def test_training_is_traced():
    w = make((3, 3), torch.float32).requires_grad_()
    x = make((4, 3), torch.float32)

    def loss(x):
        return (x @ w).tanh().sum()

    expected = torch.autograd.grad(loss(x), w)
    check_hit(loss, x)
    for _ in range(2):
        answer, traced = run(loss, x, grad=True)
        assert traced
        assert_same(torch.autograd.grad(answer, w), expected)
        run(loss, x)  # without gradients in between


def test_calls_left_to_eager_are_traced():
    x = torch.ones(64)
    for _ in range(2):
        torch._dynamo.reset()
        buddy.reset()
        with torch.no_grad(), pytest.warns(RuntimeWarning, match="has no lowering"):
            torch.compile(lambda x: x + torch.rand_like(x), backend="buddy")(x)
        assert buddy.stats()["nodes_fallback"] == 1


def test_dynamic_sizes_are_traced():
    def step(x):
        return x * x.shape[0]

    for _ in range(2):
        torch._dynamo.reset()
        buddy.reset()
        call = torch.compile(step, backend="buddy", fullgraph=True, dynamic=True)
        with torch.no_grad():
            for n in (5, 6):
                assert_same(call(torch.ones(n)), torch.full((n,), float(n)))
        assert "import" in buddy.stats()["seconds"]


@pytest.mark.parametrize("damage", ["", "half", "digit", "gone"])
def test_damaged_entry_is_replaced(own_entries, damage):
    def step(x):
        return x.exp() - 3

    x = torch.ones(5)
    check_hit(step, x)
    (entry,), (library,) = own_entries.glob("*/*.json"), own_entries.glob("*/*.so")
    whole = entry.read_bytes()
    if damage == "gone":
        library.unlink()
    elif damage == "digit":
        entry.write_bytes(whole.replace(b'"shape": [5]', b'"shape": [4]'))
        assert entry.read_bytes() != whole
    else:
        entry.write_bytes(whole[: len(whole) // 2] if damage else b"")
    answer, traced = run(step, x)
    assert traced and entry.read_bytes() == whole and library.exists()
    assert_same(answer, step(x))
    check = run(step, x)
    assert not check[1]


def test_entry_that_cannot_be_written(own_entries, monkeypatch, recwarn):
    """The library is kept already, as in a directory that others may only read: nobody is told."""

    def no_space(source, target):
        raise OSError(28, "No space left on device")

    def step(x):
        return x.exp() + 3

    run(step, torch.ones(5))
    for entry in own_entries.glob("*/*.json"):
        entry.unlink()
    monkeypatch.setattr(cache.shutil, "copyfile", no_space)
    for _ in range(2):
        answer, traced = run(step, torch.ones(5))
        assert traced
        assert_same(answer, step(torch.ones(5)))
    assert not any(w.category is RuntimeWarning for w in recwarn)
