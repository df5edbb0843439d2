# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The disk cache, with every way it can be in trouble."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import buddy
import pytest
import torch
from buddy import cache, driver
from checking import assert_same, compiled

PROGRAM = """
import torch, buddy
from checking import compiled
import conftest
with torch.no_grad():
    compiled(lambda x: torch.tanh(x @ x) * 0.125)(torch.ones(9, 9))
stats = buddy.stats()
print(stats["cache_hits"], stats["cache_misses"])
"""


@pytest.fixture
def cache_dir(tmp_path, monkeypatch):
    monkeypatch.setenv("BUDDY_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def run_program() -> str:
    """A fresh process that compiles one function: its hits and misses."""
    here = Path(__file__).parent
    paths = [str(here), str(Path(buddy.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-W", "error::RuntimeWarning", "-c", PROGRAM]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_second_process_compiles_nothing(cache_dir):
    assert run_program() == "0 1"
    assert run_program() == "1 0"


def test_equal_graphs_share_an_entry(cache_dir):
    def step(x):
        return x.exp() - 3

    with torch.no_grad():
        compiled(step)(torch.ones(5))
        torch._dynamo.reset()
        compiled(step)(torch.ones(5))
    assert (buddy.stats()["cache_hits"], buddy.stats()["cache_misses"]) == (1, 1)
    assert len(list(cache_dir.glob("*/*.so"))) == 1


def test_cache_can_be_off(cache_dir):
    with torch.no_grad():
        assert_same(compiled(lambda x: x - 1, cache=False)(torch.ones(5)), torch.zeros(5))
    assert not list(cache_dir.glob("*/*.so"))


def test_killed_compile_leaves_no_entry(cache_dir, monkeypatch, tmp_path):
    """The compiler dies half way through its output: an error now, a good entry next time."""
    dying = tmp_path / "buddy-compile"
    dying.write_text("#!/bin/sh\nprintf half > $3\nkill -9 $$\n")
    dying.chmod(0o755)
    with monkeypatch.context() as patch, pytest.raises(buddy.CompilerError) as caught:
        patch.setattr(driver, "find_tool", lambda name: dying)
        with torch.no_grad():
            compiled(lambda x: x * 17)(torch.ones(5))
    assert "killed by signal 9" in str(caught.value)
    assert caught.value.reproducer.exists() and "to repeat: " in str(caught.value)
    assert not list(cache_dir.glob("*/*.so"))
    torch._dynamo.reset()
    with torch.no_grad():
        assert_same(compiled(lambda x: x * 17)(torch.ones(5)), torch.full((5,), 17.0))


def test_compile_that_does_not_end(cache_dir, monkeypatch, tmp_path):
    endless = tmp_path / "buddy-compile"
    endless.write_text("#!/bin/sh\nexec sleep 600\n")
    endless.chmod(0o755)
    monkeypatch.setattr(driver, "find_tool", lambda name: endless)
    monkeypatch.setenv("BUDDY_COMPILE_SECONDS", "0.5")
    with pytest.raises(buddy.CompilerError, match="did not end within 0.5 seconds") as caught:
        with driver.compiled_module(b"anything"):
            pass
    assert caught.value.reproducer.exists() and not list(cache_dir.glob("*/*.so"))


def test_process_killed_while_it_stores(cache_dir):
    """What it left behind is neither used nor in the way, and goes with the next entry."""
    entry = cache_dir / "ab" / "abcd.so"
    entry.parent.mkdir(parents=True)
    stale = entry.with_suffix(".1234.tmp")
    stale.write_text("half")

    def build(directory):
        (directory / "module.so").write_text("whole")
        return directory / "module.so"

    with cache.get_or_build("abcd.so", build) as made:
        assert made == (entry, False)
    assert entry.read_text() == "whole" and not stale.exists()
    with cache.get_or_build("abcd.so", build) as found:
        assert found == (entry, True)


def test_unusable_directory_warns_once(tmp_path, monkeypatch):
    """A file where the directory should be: what a read-only one is to root as well."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BUDDY_CACHE_DIR", str(tmp_path / "file" / "cache"))
    with torch.no_grad(), pytest.warns(RuntimeWarning, match="cannot be written") as caught:
        for factor in (3.25, 4.25):
            step = compiled(lambda x, factor=factor: x * factor)
            assert_same(step(torch.ones(5)), torch.full((5,), factor))
    assert sum("cannot be written" in str(w.message) for w in caught) == 1


def test_full_directory(cache_dir, monkeypatch):
    def no_space(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.shutil, "copyfile", no_space)
    with torch.no_grad(), pytest.warns(RuntimeWarning, match="No space left"):
        assert_same(compiled(lambda x: x * 5.5)(torch.ones(5)), torch.full((5,), 5.5))


def test_compiler_errors_name_a_reproducer(cache_dir):
    with pytest.raises(buddy.CompilerError) as caught:
        with driver.compiled_module(b"not bytecode"):
            pass
    error = caught.value
    assert error.reproducer.exists() and error.command[0].endswith("buddy-compile")


def test_missing_tool_is_named():
    with pytest.raises(buddy.CompilerError, match="buddy-nothing was not found in"):
        driver.find_tool("buddy-nothing")
