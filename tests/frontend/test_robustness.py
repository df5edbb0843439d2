# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Use as programs do: threads, processes, forks, copies, submodules, resets, and nothing left."""

from __future__ import annotations

import copy
import gc
import io
import multiprocessing
import os
import pickle
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import buddy
import pytest
import torch
from buddy import _runtime, driver
from checking import assert_same, compiled
from torch import nn

MANY = 60  # graphs; what leaks at each of them shows


class Model(nn.Module):
    """[N, 8] → [N, 8]."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(8, 16), nn.Linear(16, 8)

    def forward(self, x):
        return self.second(torch.relu(self.first(x)))


def check_model(run, model, rows: int = 5) -> None:
    x = torch.randn(rows, 8)
    with torch.no_grad():
        assert_same(run(x), model(x))


def in_threads(task, count: int = 4) -> None:
    """Run `task(number)` in several threads; the first error of any of them is raised."""
    errors = []

    def attempt(number: int) -> None:
        try:
            task(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=attempt, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_threads_compile_at_once():
    """The first call of one model, and other functions, from several threads."""
    model = Model()
    run = torch.compile(model, backend="buddy")

    def task(number: int) -> None:
        check_model(run, model)
        with torch.no_grad():
            x = torch.randn(3, 7)
            assert_same(compiled(lambda x: x * (number + 0.5))(x), x * (number + 0.5))

    in_threads(task)


def test_threads_with_sizes_of_their_own():
    model = Model()
    run = torch.compile(model, backend="buddy", dynamic=True)
    check_model(run, model)
    in_threads(lambda number: [check_model(run, model, 2 + number + i) for i in range(20)])
    assert buddy.stats()["graphs"] == 1


def test_processes_compile_at_once(tmp_path):
    """One of them compiles, the others wait and load what it made."""
    program = (
        "import torch, buddy, conftest\n"
        "from checking import compiled\n"
        "with torch.no_grad():\n"
        "    assert compiled(lambda x: x @ x + 3)(torch.ones(6, 6))[0, 0] == 9\n"
        "print(buddy.stats()['cache_misses'])"
    )
    here = str(Path(__file__).parent)
    paths = os.pathsep.join([here, str(Path(buddy.__file__).parents[1])])
    environment = os.environ | {"PYTHONPATH": paths, "BUDDY_CACHE_DIR": str(tmp_path)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    misses = sorted(process.communicate()[0].strip() for process in processes)
    assert misses == ["0", "0", "1"]


def test_threads_are_those_of_torch():
    """torch.set_num_threads holds for compiled code, which brings no threads of its own."""
    x = torch.rand(1000, 1000)
    run = compiled(lambda x: x.exp().sum(1))
    before = torch.get_num_threads()
    _runtime.set_num_threads(0)  # no option of another test
    try:
        torch.set_num_threads(1)
        run(x)
        assert _runtime.num_threads() == 1
        torch.set_num_threads(2)
        x.exp()  # has threads from here on
        threads = os.listdir("/proc/self/task")
        assert_same(run(x), x.exp().sum(1))
        assert _runtime.num_threads() == 2
        assert os.listdir("/proc/self/task") == threads
    finally:
        torch.set_num_threads(before)


def test_fork_after_compile():
    """A forked process calls what its parent compiled, and compiles; the parent goes on.

    Its eager operators are small: large ones wait for threads that are gone.
    """
    model = Model()
    run = torch.compile(model, backend="buddy")
    check_model(run, model)
    x = torch.rand(1000, 1000)
    shared = compiled(lambda x: x.exp().sum(1))  # among threads
    expected = x.exp().sum(1)
    assert_same(shared(x), expected)

    def child() -> None:
        assert_same(shared(x), expected)
        check_model(run, model)
        check_model(run, model, rows=9)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(300)
    assert process.exitcode == 0
    check_model(run, model)
    check_model(run, model, rows=11)


def test_copies():
    """A copy of a compiled model has weights of its own; so has the copy of its original."""
    model = Model()
    run = torch.compile(model, backend="buddy")
    check_model(run, model)
    twin, original = copy.deepcopy(run), copy.deepcopy(model)
    with torch.no_grad():
        twin.first.weight.zero_()
    check_model(twin, twin._orig_mod)
    check_model(run, model)
    check_model(torch.compile(original, backend="buddy"), model)


def test_pickled_weights_and_models():
    """What was compiled is not in the way of saving and loading."""
    model = Model()
    run = torch.compile(model, backend="buddy")
    check_model(run, model)
    restored = pickle.loads(pickle.dumps(model))
    check_model(torch.compile(restored, backend="buddy"), model)
    file = io.BytesIO()
    torch.save(run.state_dict(), file)
    file.seek(0)
    other = torch.compile(Model(), backend="buddy")
    other.load_state_dict(torch.load(file))
    check_model(other, model)


def test_compiled_submodules():
    """Parts compiled each, in place, and under a model that is compiled as well."""
    model = nn.Sequential(Model(), nn.Tanh(), Model())
    parts = copy.deepcopy(model)
    parts[0] = torch.compile(parts[0], backend="buddy")
    parts[2].compile(backend="buddy")
    check_model(parts, model)
    check_model(torch.compile(parts, backend="buddy"), model)


def test_weights_replaced_after_compile():
    model = Model()
    run = torch.compile(model, backend="buddy")
    for _ in range(2):
        check_model(run, model)
        with torch.no_grad():
            model.first.weight.mul_(-2)
        check_model(run, model)
        model.second = nn.Linear(16, 8)


def test_reset_of_dynamo():
    model = Model()
    run = torch.compile(model, backend="buddy")
    for _ in range(3):
        check_model(run, model)
        torch._dynamo.reset()
    assert buddy.stats()["cache_misses"] <= 1 and buddy.stats()["graphs"] == 3


def count(directory: str) -> int:
    return len(os.listdir(directory))


def loaded_modules() -> int:
    """Compiled modules in this process's memory map."""
    cache = os.path.realpath(os.environ["BUDDY_CACHE_DIR"])
    maps = Path("/proc/self/maps").read_text().splitlines()
    return len({line.split()[-1] for line in maps if cache in line})


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def growth_of_graphs(number: int, run) -> tuple[int, tuple[int, ...]]:
    """Bytes by which memory grows with `number` graphs, and the threads, files and modules then."""
    memory = resident_bytes()
    for i in range(number):
        torch._dynamo.reset()
        x = torch.ones(2 + i % 4, 3)
        with torch.no_grad():
            assert_same(run(lambda x: torch.relu(x) + x.sum())(x), x + x.numel())
    torch._dynamo.reset()
    gc.collect()
    now = count("/proc/self/task"), count("/proc/self/fd"), loaded_modules()
    return resident_bytes() - memory, now


def test_many_graphs_leave_nothing():
    """Threads, files and modules stay where they were, and memory where it is without Buddy."""

    def eager(fn):
        return torch.compile(fn, backend="aot_eager", fullgraph=True, dynamic=False)

    growth_of_graphs(MANY // 4, eager)  # caches fill
    _, before = growth_of_graphs(MANY // 4, compiled)
    others, _ = growth_of_graphs(MANY, eager)
    own, after = growth_of_graphs(MANY, compiled)
    assert after == before
    # Dynamo keeps some 100 kB of a graph, whatever the backend.
    assert own - max(others, 0) < MANY * 40_000


@pytest.fixture
def own_temporary(tmp_path, monkeypatch):
    """An empty directory for temporary files."""
    directory = tmp_path / "tmp"
    directory.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    return directory


@pytest.mark.parametrize("options", [{}, {"cache": False}, {"dump_dir": True}], ids=str)
def test_no_temporary_files_are_left(own_temporary, tmp_path, options):
    if "dump_dir" in options:
        options = {"dump_dir": tmp_path / "dump"}
    x = torch.randn(4, 5)
    with torch.no_grad():
        assert_same(compiled(lambda x: x * 0.625 - 1, **options)(x), x * 0.625 - 1)
    assert not list(own_temporary.iterdir())


def test_failures_of_one_module_are_kept_once(own_temporary, tmp_path, monkeypatch):
    """Beside the cache, where the error says; nothing among the temporary files."""
    monkeypatch.setenv("BUDDY_CACHE_DIR", str(tmp_path / "cache"))
    reproducers = set()
    for _ in range(3):
        with pytest.raises(buddy.CompilerError) as caught, driver.compiled_module(b"no module"):
            pass
        reproducers.add(caught.value.reproducer)
    assert len(reproducers) == 1 and reproducers.pop().exists()
    assert len(list((tmp_path / "cache" / "failures").iterdir())) == 1
    assert not list(own_temporary.iterdir())
