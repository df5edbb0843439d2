# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The real model: SmolLM2's greedy ids and logits equal transformers' eager float32."""

import json

import pytest
import torch
from packages import Module, answer, greedy, without_stop

PROMPTS = [
    "What is the capital of France?",
    "Write a haiku about the sea.",
    "Explain in one sentence why the sky is blue.",
    "List three prime numbers greater than 10.",
    "Translate 'good morning' into Spanish.",
    "Who wrote Romeo and Juliet?",
    "Give me a recipe for pancakes.",
    "def fibonacci(n):",
]
TOKENS = 48
MOST_KERNELS = 40


@pytest.fixture(scope="module")
def package(smollm2, tmp_path_factory):
    from buddy.llm.package import compile_package

    path = tmp_path_factory.mktemp("packages") / "smollm2"
    compile_package(smollm2, path, max_seq_len=512)
    return path


@pytest.fixture(scope="module")
def reference(smollm2):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(
        smollm2.parent, gguf_file=smollm2.name, dtype=torch.float32
    ).eval()


@pytest.fixture(scope="module")
def tokenizer(smollm2):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(smollm2.parent, gguf_file=smollm2.name)


@pytest.mark.parametrize("prompt", PROMPTS)
def test_greedy_ids_equal_transformers(package, reference, tokenizer, prompt):
    messages = [{"role": "user", "content": prompt}]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    prompt_ids = tokenizer(text, add_special_tokens=False).input_ids
    got = answer(package, prompt, TOKENS)
    assert got["prompt_ids"] == prompt_ids
    stop = [tokenizer.eos_token_id]
    assert without_stop(got["ids"], stop) == greedy(reference, prompt_ids, TOKENS, stop)


def test_kernels_do_not_grow_with_the_layers(package):
    assert json.loads((package / "manifest.json").read_text())["kernels"] <= MOST_KERNELS


def test_knows_the_capital_of_france(package):
    assert "Paris" in answer(package, PROMPTS[0], TOKENS)["text"]


def test_prefill_logits_equal_transformers(package, reference, tokenizer):
    module = Module(package)
    for prompt in PROMPTS:
        ids = tokenizer(prompt).input_ids
        with torch.no_grad():
            expected = reference(torch.tensor([ids]), logits_to_keep=1).logits[0, 0]
        assert (module.logits(ids, 0) - expected).abs().max() <= 1e-3
