# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Models for the tests: a tiny random Llama made on the spot, and the real SmolLM2 if fetched."""

import os
from pathlib import Path

import pytest
from tiny_models import tiny_llama, train_tokenizer

ROOT = Path(__file__).parents[2]


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
