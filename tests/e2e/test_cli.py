# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The command `buddy`: one JSON object with --json, errors as one sentence, honest statuses."""

import json
import subprocess
import sys

import pytest
from packages import COMMAND, buddy


@pytest.fixture(scope="module")
def package(tiny_model, tmp_path_factory):
    path = tmp_path_factory.mktemp("cli") / "tiny"
    done = buddy("compile", tiny_model, "-o", path, "--max-seq-len", 96, "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert list(figures["seconds"]) == [
        "load", "capture", "import", "compile", "weights", "manifest",
    ]  # fmt: skip
    assert figures["kernels"] > 0
    assert "compiling" in done.stderr
    return path


def test_help_names_the_commands():
    text = buddy("--help").stdout
    for command in ("compile", "run", "chat", "bench", "profile", "doctor"):
        assert command in text
    assert "--max-seq-len" in buddy("compile", "--help").stdout


def test_run_prints_the_answer(package):
    done = buddy("run", package, "-p", "Hello", "--max-tokens", 5)
    answer = json.loads(buddy("run", package, "-p", "Hello", "--max-tokens", 5, "--json").stdout)
    assert done.returncode == 0
    assert done.stdout == answer["text"] + "\n"
    assert "tok/s" in done.stderr
    assert 1 <= len(answer["ids"]) <= 5
    assert answer["finish_reason"] in ("stop", "length")


def test_sampling_follows_the_seed(package):
    def sampled(seed):
        flags = ["--max-tokens", 12, "--temperature", 1.5, "--seed", seed, "--raw", "--json"]
        return json.loads(buddy("run", package, "-p", "The", *flags).stdout)["ids"]

    assert sampled(1) == sampled(1)
    assert len({tuple(sampled(seed)) for seed in range(3)}) > 1


def test_bench_measures(package):
    done = buddy("bench", package, "-p", 16, "-n", 8, "--json")
    figures = json.loads(done.stdout)
    assert figures["prompt_tokens"] == 16
    assert figures["new_tokens"] == 8
    for name in ("prefill_tok_s", "decode_tok_s", "ttft_s", "load_s", "peak_rss_bytes", "threads"):
        assert figures[name] > 0, name


def test_chat_reads_lines(package):
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, "chat", str(package), "--max-tokens", "4"],
        input="Hello\n/stats\n/reset\nHello\n/exit\n",
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert '"answers": 1' in done.stderr


def test_errors_are_sentences(tmp_path):
    for arguments, words in (
        (["compile", tmp_path / "none.gguf", "-o", tmp_path / "out"], "no such file"),
        (["compile", tmp_path, "-o", tmp_path / "out"], "config.json"),
        (["compile", tmp_path, "-o", tmp_path / "out", "--quant", "q9"], "'q9' does not exist"),
        (["run", tmp_path, "-p", "x"], "manifest.json"),
    ):
        done = buddy(*arguments)
        assert done.returncode == 1
        assert words in done.stderr
        assert "Traceback" not in done.stderr
        assert not done.stdout
    debugged = buddy("compile", tmp_path / "none.gguf", "-o", tmp_path / "out", BUDDY_DEBUG="1")
    assert "Traceback" in debugged.stderr


def test_wrong_usage_has_its_own_status():
    assert buddy("compile").returncode == 2
    assert buddy("nonsense").returncode == 2


def test_doctor_finds_a_missing_tool(tmp_path):
    report = json.loads(buddy("doctor", "--json").stdout)
    assert {check["name"] for check in report["checks"]} >= {"python", "torch", "openmp", "cache"}
    locked = tmp_path / "file"
    locked.write_text("")
    done = buddy("doctor", BUDDY_CACHE_DIR=str(locked / "cache"))
    assert done.returncode == 1
    assert "WRONG cache" in done.stdout
    assert "BUDDY_CACHE_DIR" in done.stdout
