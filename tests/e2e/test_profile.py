# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Profiles of programs and packages: the work is exact, the times add up, the files can be read."""

import json
import os
import re
import subprocess
import sys

import pytest
from packages import buddy, buddy_llama

N, K = 64, 96
ROWS = (5, 9, 40)
PROGRAM = f"""
import sys, time, torch

def product(x, w):
    return x @ w

assert sys.argv[1:] in ([], ["--lr", "3", "-p", "x"]), sys.argv
compiled = torch.compile(product, backend="buddy", dynamic=True)
w = torch.nn.Parameter(torch.randn({K}, {N}))
with torch.no_grad():
    compiled(torch.randn(3, {K}), w)
    start = time.perf_counter()
    for rows in {ROWS}:
        compiled(torch.randn(rows, {K}), w)
print("wall", time.perf_counter() - start)
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """A cache of this file's own."""
    return {"BUDDY_CACHE_DIR": str(tmp_path_factory.mktemp("cache"))}


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    path = tmp_path_factory.mktemp("program") / "program.py"
    path.write_text(PROGRAM)
    return path


@pytest.fixture(scope="module")
def package(tiny_model, tmp_path_factory):
    path = tmp_path_factory.mktemp("profile") / "tiny"
    done = buddy("compile", tiny_model, "-o", path, "--max-seq-len", 256, "--profile")
    assert done.returncode == 0, done.stderr
    return path


def check_files(directory):
    """The trace is in the trace-event format, the page stands for itself; the table as data."""
    trace = json.loads((directory / "trace.json").read_text())
    calls = [event for event in trace["traceEvents"] if event["ph"] == "X"]
    assert calls
    assert {event["ph"] for event in trace["traceEvents"]} <= {"X", "M"}
    for event in calls:
        assert event.keys() >= {"name", "cat", "ts", "dur", "pid", "tid"}
        assert event["ts"] >= 0
        assert event["dur"] >= 0
    page = (directory / "roofline.html").read_text()
    assert "<svg" in page
    assert not re.search(r"https?:|src=|<script|<link|@import|url\(", page)
    data = json.loads((directory / "kernels.json").read_text())
    for entry in data["entries"]:
        assert sum(k["calls"] for k in entry["kernels"]) <= len(calls)
        assert sum(k["seconds"] for k in entry["kernels"]) <= entry["seconds"]
    return data


def test_environment_variable_profiles_a_program(program, environment, tmp_path):
    def run(**more):
        return subprocess.run(
            [sys.executable, str(program)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=os.environ | environment | more,
            timeout=600,
        )

    plain = run()
    assert plain.returncode == 0, plain.stderr
    assert not (tmp_path / "buddy-profile").exists()
    done = run(BUDDY_PROFILE="1")  # the cache holds code that cannot be profiled
    assert done.returncode == 0, done.stderr
    (entry,) = check_files(tmp_path / "buddy-profile")["entries"]
    (kernel,) = entry["kernels"]
    assert kernel["operators"] == "mm"
    assert kernel["line"].endswith("program.py:5")
    assert kernel["calls"] == len(ROWS) + 1
    rows = sum(ROWS) + 3
    assert kernel["operations"] == 2 * rows * N * K
    assert kernel["bytes"] == 4 * (rows * K + rows * N + kernel["calls"] * N * K)
    assert kernel["kernel"] in done.stderr
    assert "program.py:5" in done.stderr
    assert "GFLOP/s" in done.stderr
    # The first call stands outside of the program's own measurement.
    trace = json.loads((tmp_path / "buddy-profile" / "trace.json").read_text())["traceEvents"]
    times = [event["dur"] * 1e-6 for event in trace if event["name"] == kernel["kernel"]]
    assert sum(times[1:]) < float(done.stdout.split()[1])


def test_command_profiles_a_script(program, environment, tmp_path):
    out = tmp_path / "deep" / "out"
    flags = ["-o", out, "--json", "--", "--lr", "3", "-p", "x"]
    done = buddy("profile", program, *flags, **environment)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == check_files(out)
    assert "wall" in done.stderr  # what the script prints is not in the JSON's way


def test_command_profiles_a_package(package, tmp_path):
    tokens = 20
    done = buddy("profile", package, "-o", tmp_path, "--max-tokens", tokens, "--threads", 1)
    assert done.returncode == 0, done.stderr
    data = check_files(tmp_path)
    entries = {entry["entry"]: entry for entry in data["entries"]}
    assert set(entries) == {"prefill", "decode"}
    assert entries["prefill"]["calls"] == 1
    assert entries["decode"]["calls"] == tokens - 1
    assert data["machine"]["threads"] == 1
    assert data["machine"]["round_trip_ns"] == 0
    for entry in entries.values():
        assert entry["kernel_seconds"] > 0.1 * entry["seconds"]
        assert f"{entry['entry']}: {entry['calls']} call" in done.stdout
    assert any("cached_attention" in k["operators"] for k in entries["decode"]["kernels"])
    asked = buddy("profile", package, "-o", tmp_path, "-p", "Hello", "--max-tokens", 2, "--json")
    assert [e["entry"] for e in json.loads(asked.stdout)["entries"]] == ["prefill", "decode"]


def test_work_of_a_package_is_that_of_its_weights(package, tmp_path):
    done = buddy("profile", package, "-o", tmp_path, "--max-tokens", 3, "--json")
    decode = json.loads(done.stdout)["entries"][1]
    products = [k for k in decode["kernels"] if k["kernel"].startswith("matmul")]
    hidden, inner, kv, vocabulary, layers = 64, 160, 32, 400, 4
    layer = 2 * hidden * hidden + 2 * hidden * kv + 3 * hidden * inner
    least = 2 * decode["calls"] * (layers * layer + hidden * vocabulary)
    # Epilogues (activations, residuals) come on top.
    assert least <= sum(k["operations"] for k in products) < 1.05 * least


def test_native_executable_prints_the_table(package, tmp_path):
    out = tmp_path / "out"
    arguments = ["-p", "Hello", "--max-tokens", "4", "--raw"]
    plain = buddy_llama(package, *arguments)
    done = buddy_llama(package, *arguments, BUDDY_PROFILE="1", BUDDY_PROFILE_DIR=str(out))
    assert done.stdout == plain.stdout
    assert "decode: 3 calls" in done.stderr
    check_files(out)


def test_errors_say_what_to_do(package, program, tiny_model, environment, tmp_path):
    idle = tmp_path / "idle.py"
    idle.write_text("import torch")
    failing = tmp_path / "failing.py"
    failing.write_text("raise SystemExit(7)")
    unhooked = tmp_path / "unhooked"
    buddy("compile", tiny_model, "-o", unhooked, "--max-seq-len", 256)
    out = ["-o", tmp_path / "out"]
    for arguments, words in (
        ([idle, *out], "torch.compile(..., backend='buddy')"),
        ([failing, *out], "status 7"),
        ([tmp_path / "none.py", *out], "no such file"),
        ([tmp_path / "none", *out], "not a directory"),
        ([package, *out, "--", "more"], "only a script"),
        ([unhooked, *out], "buddy compile --profile"),
        ([package, "-o", idle / "x"], "BUDDY_PROFILE_DIR"),
        ([program, "-o", idle / "x"], "BUDDY_PROFILE_DIR"),
    ):
        done = buddy("profile", *arguments, **environment)
        assert done.returncode == 1, arguments
        assert words in done.stderr, done.stderr
        assert "Traceback" not in done.stderr
        assert not done.stdout
