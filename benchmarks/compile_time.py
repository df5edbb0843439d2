# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compile time, unique kernels and memory of a Llama with 30 and with 60 layers.

Weights are random, sizes are SmolLM2-135M's. The compile cache is empty: each compile starts cold.
`compile_s` is everything from reading the model to `model.so`; `weights_s` prepares the weights
and writes them, and grows with their bytes whatever compiles.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast


def write_model(folder: Path, layers: int) -> int:
    """A Hugging Face directory; returns the bytes of its weights."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=alphabet[0])
    fast.save_pretrained(folder)
    config = LlamaConfig(
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=layers,
        num_attention_heads=9,
        num_key_value_heads=3,
        vocab_size=49152,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    return sum(parameter.numel() * 4 for parameter in model.parameters())


def compile_once(layers: int, folder: Path) -> dict:
    """Runs in a process of its own: ru_maxrss of children never falls."""
    weights = write_model(folder / "model", layers)
    command = [Path(sys.executable).with_name("buddy"), "compile", folder / "model"]
    command += ["-o", folder / "package", "--json"]
    cold = os.environ | {"BUDDY_CACHE_DIR": str(folder / "cache")}
    report = json.loads(subprocess.check_output([str(part) for part in command], env=cold))
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    weights_s = report["seconds"]["weights"]
    return {
        "layers": layers,
        "compile_s": report["total_s"] - weights_s,
        "weights_s": weights_s,
        "seconds": report["seconds"],
        "kernels": report["kernels"],
        "peak_rss_beyond_weights": peak - weights,
    }


def median_of(rows: list[dict]) -> dict:
    """Key by key, within nested ones too."""
    return {
        key: median_of([row[key] for row in rows])
        if isinstance(value, dict)
        else statistics.median(row[key] for row in rows)
        for key, value in rows[0].items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", type=int, nargs="+", default=[30, 60])
    parser.add_argument("--repeat", type=int, default=3, help="turns of each, alternating; medians")
    parser.add_argument("--once", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.once:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(compile_once(options.once, Path(folder))))
        return
    turns: dict[int, list[dict]] = {layers: [] for layers in options.layers}
    for _ in range(options.repeat):
        for layers, rows in turns.items():
            command = [sys.executable, __file__, "--once", str(layers)]
            rows.append(json.loads(subprocess.check_output(command)))
    results = [median_of(rows) for rows in turns.values()]
    for row in results:
        print(
            f"{row['layers']} layers: {row['compile_s']:.1f} s and {row['weights_s']:.1f} s for the "
            f"weights, {row['kernels']} kernels, "
            f"{row['peak_rss_beyond_weights'] / 1e9:.2f} GB beyond the weights",
            file=sys.stderr,
        )
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
