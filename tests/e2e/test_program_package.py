# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`buddy compile model.pt2`: from torch.export.save to a package that answers as eager does."""

import json
import subprocess
import sys

import buddy
import pytest
import torch
from packages import buddy as command
from torch import nn
from torch.export import Dim, export, save
from transformers import BertConfig, BertModel


class Pooled(nn.Module):
    """Weights, a buffer that calls update, and as many rows as the caller likes."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(6, 16), nn.Linear(16, 5)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls.add_(1)
        made = self.second(nn.functional.gelu(self.first(x)))
        return {"each": made.softmax(-1), "mean": made.mean(0), "calls": self.calls.clone()}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The module, and the file of its exported program."""
    torch.manual_seed(0)
    module = Pooled().eval()
    path = tmp_path_factory.mktemp("exported") / "pooled.pt2"
    save(export(module, (torch.randn(4, 6),), dynamic_shapes={"x": {0: Dim.AUTO}}), path)
    return module, path


def test_package_answers_as_eager(saved, tmp_path):
    module, path = saved
    package = tmp_path / "package"
    package.mkdir()
    (package / "manifest.json").write_text("of an old package, which is replaced")
    done = command("compile", path, "-o", package, "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["package"] == str(package) and figures["weights_bytes"] > 0
    files = ["manifest.json", "model.so", "weights.safetensors"]
    assert sorted(p.name for p in package.iterdir()) == files
    loaded = buddy.load_package(package)
    for rows in (4, 1, 37):
        x = torch.randn(rows, 6)
        with torch.no_grad():
            torch.testing.assert_close(loaded(x), module(x))
    with pytest.raises(buddy.InputError, match=r"'x' must be f32\[\?,6\]"):
        loaded(torch.randn(4, 7))


class Filled(nn.Module):
    """A write through an expansion, which PyTorch's graph makes a sum with what was there."""

    def forward(self, x):
        made = x / 0
        made.expand(1, *made.shape).fill_(0.1)
        return made


def test_writes_through_an_expansion(tmp_path):
    x = torch.randn(3, 5)
    save(export(Filled(), (x,)), tmp_path / "filled.pt2")
    done = command("compile", tmp_path / "filled.pt2", "-o", tmp_path / "package")
    assert done.returncode == 0, done.stderr
    assert torch.equal(buddy.load_package(tmp_path / "package")(x), Filled()(x))


IN_A_NEW_PROCESS = """
import sys, buddy, torch
made = buddy.load_package(sys.argv[1])(torch.arange(12)[None])
torch.save(dict(made), sys.argv[2])
print(type(made).__name__)
"""


def test_results_of_a_type_of_transformers(tmp_path):
    """Which neither the command nor the process that loads the package has imported."""
    config = BertConfig(
        hidden_size=32, intermediate_size=64, num_attention_heads=2, num_hidden_layers=1
    )
    model, x = BertModel(config).eval(), torch.arange(12)[None]
    save(export(model, (x,)), tmp_path / "bert.pt2")
    done = command("compile", tmp_path / "bert.pt2", "-o", tmp_path / "package")
    assert done.returncode == 0, done.stderr
    arguments = [sys.executable, "-c", IN_A_NEW_PROCESS, tmp_path / "package", tmp_path / "made"]
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with torch.no_grad():
        expected = model(x)
    assert done.stdout.split() == [type(expected).__name__]
    torch.testing.assert_close(torch.load(tmp_path / "made"), dict(expected))


def test_what_is_no_package_is_not_replaced(saved, tmp_path):
    other = tmp_path / "notes"
    other.mkdir()
    (other / "note.txt").write_text("mine")
    refused(command("compile", saved[1], "-o", other), f"{other} exists and is not a package")
    assert [p.name for p in tmp_path.rglob("*")] == ["notes", "note.txt"]


def test_bad_programs_leave_nothing(saved, tmp_path):
    content = saved[1].read_bytes()
    (tmp_path / "half.pt2").write_bytes(content[: len(content) // 2])
    for name, words in (
        ("half.pt2", "half.pt2: not a program that torch.export.save wrote"),
        ("none.pt2", "none.pt2: no such file"),
    ):
        refused(command("compile", tmp_path / name, "-o", tmp_path / "out" / "package"), words)
    assert [p.name for p in tmp_path.rglob("*")] == ["half.pt2"]


def refused(done, words: str) -> None:
    """One line that says why, after what the command was about to do."""
    assert done.returncode == 1
    assert not done.stdout
    lines = [line for line in done.stderr.splitlines() if not line.startswith("Compiling ")]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("buddy: error: ") and words in lines[0]
