# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A tiny model all the way: compiled, run by buddy-llama, compared with transformers."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch
from buddy.errors import BuddyError, ModelError, OptionError
from packages import Module, answer, buddy_llama, greedy, without_stop

PROMPTS = [
    "The quick brown fox",
    "def main():",
    "Déjà vu: naïve café",
    "It's 3.14 times",
    "日本語",
    "x",
]
CONTEXT = 128


def compile_package(*arguments, **keywords):
    from buddy.llm.package import compile_package

    return compile_package(*arguments, **keywords)


@pytest.fixture(scope="module")
def package(tiny_model, tmp_path_factory):
    path = tmp_path_factory.mktemp("packages") / "tiny"
    report = compile_package(tiny_model, path, max_seq_len=CONTEXT)
    assert report.kernels > 0
    return path


@pytest.fixture(scope="module")
def reference(tiny_model):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def tokenizer(tiny_model):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_model)


@pytest.mark.parametrize("prompt", PROMPTS)
def test_greedy_ids_equal_transformers(package, reference, tokenizer, prompt):
    got = answer(package, prompt, 32, "--raw")
    assert got["prompt_ids"] == tokenizer(prompt).input_ids
    expected = greedy(reference, got["prompt_ids"], 32, [1])
    assert without_stop(got["ids"], [1]) == expected
    assert got["finish_reason"] == ("length" if len(expected) == 32 else "stop")


def test_chat_prompt_equals_the_template(package, tokenizer):
    got = answer(package, "Hello", 4)
    messages = [{"role": "user", "content": "Hello"}]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert got["prompt_ids"] == tokenizer(text, add_special_tokens=False).input_ids


def test_chunked_prefill_changes_nothing(package, tmp_path):
    chunked = tmp_path / "chunked"
    shutil.copytree(package, chunked)
    manifest = json.loads((chunked / "manifest.json").read_text())
    (chunked / "manifest.json").write_text(json.dumps(manifest | {"prefill_chunk": 5}))
    prompt = " ".join(PROMPTS)
    assert (
        answer(chunked, prompt, 16, "--raw")["ids"] == answer(package, prompt, 16, "--raw")["ids"]
    )


def test_conversation_equals_transformers(package, reference, tokenizer):
    from buddy.llm.chat import ChatModule

    module = ChatModule(package)
    messages = []
    for text in ("Hello", "And more?", "x"):
        got = module.generate(text, max_tokens=8)
        messages.append({"role": "user", "content": text})
        prompt = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        ids = tokenizer(prompt, add_special_tokens=False).input_ids
        expected = greedy(reference, ids, 8, [1])
        assert without_stop(got.ids, [1]) == expected
        messages.append({"role": "assistant", "content": tokenizer.decode(expected)})
    module.reset_chat()
    first = module.generate("Hello", max_tokens=8)
    again = answer(package, "Hello", 8)
    assert first.ids == again["ids"]


def test_logits_are_close(package, reference):
    ids = torch.randint(2, 400, (40,)).tolist()
    with torch.no_grad():
        expected = reference(torch.tensor([ids])).logits[0]
    module = Module(package)
    assert (module.logits(ids[:17], 0) - expected[16]).abs().max() <= 1e-3
    assert (module.logits(ids[17:39], 17) - expected[38]).abs().max() <= 1e-3
    assert (module.logits(ids[39:], 39, "decode") - expected[39]).abs().max() <= 1e-3


def test_bfloat16_package(tiny_model, tmp_path):
    from transformers import AutoModelForCausalLM

    compile_package(tiny_model, tmp_path / "bf16", dtype="bf16", max_seq_len=32)
    model = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.bfloat16).eval()
    ids = torch.randint(2, 400, (9,)).tolist()
    with torch.no_grad():
        expected = model(torch.tensor([ids])).logits[0, -1].float()
    got = Module(tmp_path / "bf16").logits(ids, 0)
    assert (got - expected).abs().max() <= 0.05 * expected.abs().max()


FORBIDDEN = re.compile(r"python|torch|c10|blas|lapack|mkl|dnnl|onednn|libMLIR|libLLVM", re.I)


def test_native_parts_link_nothing_of_python_or_torch(package):
    from buddy.driver import find_tool

    for path in (find_tool("buddy-llama"), package / "model.so"):
        for command in (["ldd", str(path)], ["readelf", "-d", str(path)]):
            text = subprocess.run(command, capture_output=True, text=True).stdout
            libraries = re.findall(r"(?:^\s*|\[)([\w.+-]+\.so[\w.]*)", text, re.M)
            assert not [name for name in libraries if FORBIDDEN.search(name)], text


def test_weights_are_not_in_the_library(package):
    weights = (package / "weights.safetensors").stat().st_size
    module = Module(package)
    parameters = sum(tensor.nbytes for tensor in module.weights.values())
    assert parameters <= weights <= parameters + 64 * len(module.weights) + 64 * 1024


# What goes wrong.


def broken(package, tmp_path, name, change):
    copy = tmp_path / "broken"
    shutil.copytree(package, copy)
    path = copy / name
    path.write_bytes(change(path.read_bytes()))
    done = buddy_llama(copy, "-p", "x", check=False)
    assert done.returncode not in (0, -signal.SIGSEGV, -signal.SIGILL, -signal.SIGABRT), done
    return done.stderr


@pytest.mark.parametrize(
    "name", ["model.so", "weights.safetensors", "tokenizer.json", "manifest.json"]
)
def test_truncated_files_are_named(package, tmp_path, name):
    assert name in broken(package, tmp_path, name, lambda data: data[: len(data) // 2])


def test_missing_cpu_features_are_named(package, tmp_path):
    def need_more(data):
        manifest = json.loads(data)
        manifest["features"] = [*manifest["features"], "+quantum"]
        return json.dumps(manifest).encode()

    assert "quantum" in broken(package, tmp_path, "manifest.json", need_more)


def test_prompt_longer_than_the_context(package):
    done = buddy_llama(package, "--raw", "-p", "x y z " * CONTEXT, check=False)
    assert done.returncode != 0
    assert str(CONTEXT) in done.stderr


def test_no_such_package(tmp_path):
    done = buddy_llama(tmp_path / "nothing", "-p", "x", check=False)
    assert done.returncode != 0
    assert "nothing" in done.stderr


def test_options_that_do_not_exist(tiny_model, tmp_path):
    for keywords, match in (
        ({"quant": "q3"}, "quant 'q3' does not exist; it may be none"),
        ({"dtype": "f8"}, "it may be f32 or bf16"),
        ({"target": "tpu"}, "it may be cpu"),
        ({"num_shards": 2}, "num_shards 2 is not supported"),
        ({"max_seq_len": 100000}, "it may be 2 to 256"),
    ):
        with pytest.raises(OptionError, match=match):
            compile_package(tiny_model, tmp_path / "out", **keywords)
        assert not list(tmp_path.iterdir())


def test_output_directory_that_cannot_be_used(tiny_model, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OptionError, match="not a directory"):
        compile_package(tiny_model, tmp_path / "file")
    with pytest.raises(BuddyError, match="cannot be created"):
        compile_package(tiny_model, tmp_path / "file" / "inside", max_seq_len=16)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("keep me")
    with pytest.raises(OptionError, match="is not a package"):
        compile_package(tiny_model, tmp_path / "mine")
    with pytest.raises(BuddyError, match="cannot be created"):
        compile_package(tiny_model, "/proc/nowhere/package", max_seq_len=16)


def test_full_disk_leaves_nothing(tiny_model, tmp_path, monkeypatch):
    import buddy.llm.package as package_module

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(package_module, "write_weights", full)
    with pytest.raises(BuddyError, match="disk is full"):
        compile_package(tiny_model, tmp_path / "out", max_seq_len=16)
    assert not list(tmp_path.iterdir())


def test_truncated_gguf_is_refused(smollm2, tmp_path):
    cut = tmp_path / "cut.gguf"
    with open(smollm2, "rb") as file:
        cut.write_bytes(file.read(10_000_000))
    with pytest.raises(ModelError, match=r"cut\.gguf: truncated GGUF: tensor"):
        compile_package(cut, tmp_path / "out")


def test_killed_compile_leaves_no_package(tiny_model, tmp_path):
    out = tmp_path / "out"
    script = "import sys; from buddy.cli import main; sys.argv[0] = 'buddy'; main()"
    command = [sys.executable, "-c", script, "compile", str(tiny_model), "-o", str(out)]
    environment = os.environ | {"BUDDY_CACHE_DIR": str(tmp_path / "cache")}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob(".out.*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1)
    process.kill()
    process.wait()
    assert not out.exists() or (out / "manifest.json").exists()
    compile_package(tiny_model, out, max_seq_len=16)
    assert answer(out, "x", 2, "--raw")["ids"]
