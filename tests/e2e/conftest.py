# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Models for the tests: a tiny random Llama made on the spot, and the real SmolLM2 if fetched."""

import os
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if loop.first and messages[0]['role'] != 'system' %}<|start|>system\nBe brief.<|end|>\n"
    "{% endif %}{{ '<|start|>' + message['role'] + '\n' + message['content'] + '<|end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)
CORPUS = [
    "The quick brown fox jumps over the lazy dog. It's 3.14 times faster!",
    "def main():\n    return {'key': [1, 2, 3]}\n\n# comment\t\ttabs and  spaces",
    "Déjà vu: naïve café, 日本語のテキスト, emoji 🙂 and Ελληνικά.",
]


def train_tokenizer():
    """A byte-level BPE tokenizer of 400 tokens, trained on a few sentences."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|start|>", "<|end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS * 10, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|start|>",
        eos_token="<|end|>",
        chat_template=CHAT_TEMPLATE,
    )


def tiny_llama(layers: int = 4, **changes):
    """A Llama with random weights, large enough that its greedy choices are clear."""
    from transformers import LlamaConfig, LlamaForCausalLM

    settings = {
        "hidden_size": 64,
        "intermediate_size": 160,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 400,
        "max_position_embeddings": 256,
        "initializer_range": 0.2,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "tie_word_embeddings": True,
    }
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(**(settings | changes))).eval()


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory) -> Path:
    """A Hugging Face directory with a tiny Llama and its tokenizer."""
    path = tmp_path_factory.mktemp("models") / "tiny-llama"
    tiny_llama().save_pretrained(path)
    train_tokenizer().save_pretrained(path)
    return path


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """SmolLM2's GGUF file: BUDDY_TEST_MODEL, or what `make` fetched to build/models/."""
    named = os.environ.get("BUDDY_TEST_MODEL")
    found = [Path(named)] if named else sorted((ROOT / "build" / "models").glob("*.gguf"))
    if not found or not found[0].exists():
        pytest.skip("no model: run `make demo` once, or set BUDDY_TEST_MODEL to a .gguf file")
    return found[0]
