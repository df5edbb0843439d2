# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Running packages from the tests: buddy-llama, module entry points, and transformers' answer."""

import json
import os
import subprocess
import sys
from pathlib import Path

import torch

COMMAND = "import sys; sys.argv[0] = 'buddy'; from buddy.cli import main; main()"
TORCH_DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


def buddy(*arguments, **environment: str) -> subprocess.CompletedProcess:
    """Run the command `buddy` with more environment variables."""
    return subprocess.run(
        [sys.executable, "-c", COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | environment,
        timeout=600,
    )


def buddy_llama(
    package: Path, *arguments: str, check: bool = True, **environment: str
) -> subprocess.CompletedProcess:
    """Run the native executable; greedy unless told otherwise."""
    from buddy.driver import find_tool

    command = [str(find_tool("buddy-llama")), str(package), "--temperature", "0", *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | environment, timeout=600
    )
    assert not check or done.returncode == 0, done.stderr
    return done


def answer(package: Path, prompt: str, max_tokens: int, *arguments: str) -> dict:
    """The JSON object of one generation."""
    done = buddy_llama(package, "-p", prompt, "--max-tokens", str(max_tokens), "--json", *arguments)
    return json.loads(done.stdout)


def greedy(model, prompt_ids: list[int], count: int, stop: list[int]) -> list[int]:
    """transformers' greedy continuation, without the token that ends it."""
    with torch.no_grad():
        out = model.generate(
            torch.tensor([prompt_ids]),
            attention_mask=torch.ones(1, len(prompt_ids), dtype=torch.int64),
            max_new_tokens=count,
            do_sample=False,
            eos_token_id=stop,
            pad_token_id=stop[0],
        )
    ids = out[0, len(prompt_ids) :].tolist()
    return ids[:-1] if ids and ids[-1] in stop else ids


def without_stop(ids: list[int], stop: list[int]) -> list[int]:
    """Ids of an answer without the token that ends it, however the tool reports it."""
    return ids[:-1] if ids and ids[-1] in stop else ids


class Module:
    """The entry points of a package's model.so with its weights, called as the runtime does."""

    def __init__(self, package: Path):
        from buddy import _runtime
        from safetensors import safe_open

        self.manifest = json.loads((package / "manifest.json").read_text())
        self.executable = _runtime.Executable(str(package / "model.so"))
        self.weights = {}
        with safe_open(package / "weights.safetensors", "pt") as file:
            for name in file.keys():
                self.weights[name] = file.get_tensor(name)
        cache = self.manifest["kv_cache"]
        dtype = TORCH_DTYPES[cache["dtype"]]
        self.caches = {name: torch.zeros(cache["shape"], dtype=dtype) for name in cache["names"]}

    def logits(self, ids: list[int], position: int, entry: str = "prefill") -> torch.Tensor:
        """Float32 logits ``[vocab]`` of the last of ``ids``, with the caches updated."""
        out = torch.empty(1, 1, self.manifest["vocab_size"])
        held = {
            **self.weights,
            **self.caches,
            "input_ids": torch.tensor([ids]),
            "position": torch.tensor([position]),
            "output.0": out,
        }
        values = []
        for argument in self.manifest["entries"][entry]["arguments"][:-1]:
            if argument["kind"] == "symbol":
                values.append(len(ids))
                continue
            tensor = held.get(argument["name"])
            if tensor is None:  # a parameter that only `prepare` reads
                tensor = torch.empty(0)
                values.append((0, tuple(argument["shape"])))
            else:
                values.append((tensor.data_ptr(), tuple(tensor.shape)))
        bound = self.executable.entry(entry).bind({})
        workspace = torch.empty(max(bound.workspace(values), 64) + 64, dtype=torch.uint8)
        start = workspace.data_ptr() + -workspace.data_ptr() % 64
        bound([*values, (start, (workspace.numel() - 64,))])
        return out[0, 0]
