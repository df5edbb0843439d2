# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Chat templates as prefixes and suffixes, and the safetensors writer."""

import pytest
import torch
from buddy.llm import chat_template
from buddy.packaging.safetensors_file import ALIGNMENT, PAGE, TensorSpec, create, reserve
from tiny_models import train_tokenizer

HEADERS = (
    "{{ bos_token }}{% for m in messages %}{{ '<|h|>' + m['role'] + '\n\n' + m['content'] + '<|e|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|h|>assistant\n\n' }}{% endif %}"
)
NO_SYSTEM = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no') }}{% endif %}"
    "{% for m in messages %}{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + ' [/INST]' }}"
    "{% else %}{{ m['content'] + eos_token }}{% endif %}{% endfor %}"
)
NUMBERED = "{% for m in messages %}{{ loop.index }}: {{ m['content'] }}\n{% endfor %}"


def derive(template):
    tokenizer = train_tokenizer()
    tokenizer.chat_template = template
    return chat_template.derive(tokenizer)


def test_default_system_message():
    template = chat_template.derive(train_tokenizer())
    assert template.manifest() == {
        "start": "",
        "default_system": "Be brief.",
        "roles": {
            "user": ["<|start|>user\n", "<|end|>\n"],
            "assistant": ["<|start|>assistant\n", "<|end|>\n"],
            "system": ["<|start|>system\n", "<|end|>\n"],
        },
        "generation_prefix": "<|start|>assistant\n",
    }


def test_text_before_everything():
    template = derive(HEADERS)
    assert template.start == "<|start|>"  # the tokenizer's bos
    assert template.roles["system"] == ("<|h|>system\n\n", "<|e|>")
    assert template.default_system is None


def test_without_system_role():
    template = derive(NO_SYSTEM)
    assert set(template.roles) == {"user", "assistant"}
    assert template.roles["assistant"] == ("", "<|end|>")


def test_what_cannot_be_derived_is_refused():
    assert derive("") is None
    for template in (NUMBERED, "{{ messages[0]['content'] }}", "{{ undefined_function() }}"):
        with pytest.raises(chat_template.NotDerivable):
            derive(template)


@pytest.mark.parametrize("reserved", [None, 0, 100, 1 << 20])
def test_safetensors_are_aligned_and_readable(tmp_path, reserved):
    from safetensors import safe_open

    tensors = {
        "a": torch.randn(3, 5),
        "b": torch.randn(7).bfloat16(),
        "flags": torch.tensor([True, False, True]),
        "scalar": torch.tensor(3),
        "empty": torch.empty(0, 4),
    }
    kinds = {"a": "f32", "b": "bf16", "flags": "i1", "scalar": "i64", "empty": "f32"}
    specs = [TensorSpec(n, kinds[n], tuple(t.shape)) for n, t in tensors.items()]
    path = tmp_path / "weights.safetensors"
    if reserved is not None:
        reserve(path, reserved)
    for name, place in create(path, specs).items():
        place.copy_(tensors[name])
    header = int.from_bytes(path.read_bytes()[:8], "little")
    assert (header + 8) % PAGE == 0
    with safe_open(path, "pt") as file:
        for name, tensor in tensors.items():
            assert torch.equal(file.get_tensor(name), tensor)
    assert path.stat().st_size % ALIGNMENT == 0
