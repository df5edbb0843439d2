# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Decode and prefill speed of Buddy's f32 and bf16 packages beside transformers eager.

Each round measures, one after the other, the machine's read bandwidth, transformers eager (f32,
static cache) and both packages, so that a drifting machine hits all alike. Figures are medians.
`share` is decode speed x bytes of weights that one token reads / read bandwidth.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from transformers import AutoModelForCausalLM, StaticCache

TOOLS = Path(sys.executable).parent
ITEM_BYTES = {"f32": 4, "bf16": 2}


def load_eager(model: Path) -> torch.nn.Module:
    where = {"pretrained_model_name_or_path": model}
    if model.suffix == ".gguf":
        where = {"pretrained_model_name_or_path": model.parent, "gguf_file": model.name}
    return AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32).eval()


def parameters_per_token(model: torch.nn.Module) -> int:
    """Parameters that one decode step reads: all, but of an untied embedding only one row."""
    count = sum(parameter.numel() for parameter in model.parameters())
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    return count if embedding.weight is head.weight else count - embedding.weight.numel()


@torch.inference_mode()
def measure_eager(model: torch.nn.Module, prompt: int, new: int) -> dict[str, float]:
    """Seconds of a second run: the first one touches the memory."""
    for _ in range(2):
        cache = StaticCache(config=model.config, max_cache_len=prompt + new)
        ids = torch.arange(prompt).remainder(1000).unsqueeze(0)
        start = time.perf_counter()
        ids = step(model, ids, cache, 0)
        prefilled = time.perf_counter()
        for position in range(prompt, prompt + new - 1):
            ids = step(model, ids, cache, position)
        end = time.perf_counter()
    decode = (new - 1) / (end - prefilled)
    return {"prefill_tok_s": prompt / (prefilled - start), "decode_tok_s": decode}


def step(model, ids: torch.Tensor, cache: StaticCache, position: int) -> torch.Tensor:
    """Logits of the last position alone, as in a generation loop; the greedy next token."""
    positions = torch.arange(position, position + ids.shape[1])
    logits = model(
        ids, past_key_values=cache, position_ids=positions.unsqueeze(0), logits_to_keep=1
    ).logits
    return logits[:, -1:].argmax(-1)


def measure_package(package: Path, prompt: int, new: int, threads: int) -> dict[str, float]:
    command = [TOOLS / "buddy", "bench", package, "-p", prompt, "-n", new]
    command += ["--threads", threads, "--repeat", "2", "--json"]
    return json.loads(subprocess.check_output([str(part) for part in command]))


def compile_package(model: Path, folder: Path, dtype: str) -> Path:
    package = folder / dtype
    command = [TOOLS / "buddy", "compile", model, "-o", package, "--dtype", dtype]
    subprocess.run([str(part) for part in command], check=True)
    return package


def build_bandwidth_probe(folder: Path) -> Path:
    source, program = Path(__file__).with_name("read_bandwidth.cpp"), folder / "read_bandwidth"
    flags = ["-O3", "-march=native", "-std=c++17", "-pthread"]
    subprocess.run(["c++", *flags, str(source), "-o", str(program)], check=True)
    return program


def measure(options: argparse.Namespace, folder: Path) -> dict:
    model = load_eager(options.model)
    packages = {dtype: compile_package(options.model, folder, dtype) for dtype in ITEM_BYTES}
    probe = build_bandwidth_probe(folder)
    rounds: dict[str, list[dict[str, float]]] = {}
    for _ in range(options.rounds):
        rate = float(subprocess.check_output([probe, str(options.threads)]))
        rounds.setdefault("bandwidth", []).append({"bytes_s": rate})
        eager = measure_eager(model, options.prompt_tokens, options.new_tokens)
        rounds.setdefault("eager", []).append(eager)
        for dtype, package in packages.items():
            figures = measure_package(
                package, options.prompt_tokens, options.new_tokens, options.threads
            )
            rounds.setdefault(dtype, []).append(figures)
    return summarize(rounds, parameters_per_token(model))


def summarize(rounds: dict[str, list[dict[str, float]]], parameters: int) -> dict:
    def median(who: str, figure: str) -> float:
        return statistics.median(run[figure] for run in rounds[who])

    bandwidth = median("bandwidth", "bytes_s")
    result = {"read_bandwidth_bytes_s": bandwidth, "parameters_per_token": parameters}
    for who, size in {"eager": 4, **ITEM_BYTES}.items():
        decode = median(who, "decode_tok_s")
        result[who] = {
            "prefill_tok_s": median(who, "prefill_tok_s"),
            "decode_tok_s": decode,
            "prefill_vs_eager": median(who, "prefill_tok_s") / median("eager", "prefill_tok_s"),
            "decode_vs_eager": decode / median("eager", "decode_tok_s"),
            "share_of_bandwidth": decode * parameters * size / bandwidth,
        }
    return result


def show(result: dict, options: argparse.Namespace) -> None:
    table = Table(title=f"{options.model.name}, {options.threads} threads")
    for heading in ("", "prefill tok/s", "x eager", "decode tok/s", "x eager", "share"):
        table.add_column(heading, justify="right")
    names = {"eager": "transformers eager f32", "f32": "Buddy f32", "bf16": "Buddy bf16"}
    for who, name in names.items():
        row = result[who]
        table.add_row(
            name,
            f"{row['prefill_tok_s']:.0f}",
            f"{row['prefill_vs_eager']:.2f}",
            f"{row['decode_tok_s']:.1f}",
            f"{row['decode_vs_eager']:.2f}",
            f"{row['share_of_bandwidth']:.0%}",
        )
    console = Console(stderr=True)
    console.print(table)
    console.print(f"read bandwidth {result['read_bandwidth_bytes_s'] / 1e9:.1f} GB/s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="a .gguf file or a Hugging Face directory")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--prompt-tokens", type=int, default=128)
    parser.add_argument("--new-tokens", type=int, default=64)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        result = measure(options, Path(folder))
    show(result, options)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
