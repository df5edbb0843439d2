# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Small transformers models whole: static, and with one artifact for all lengths."""

from __future__ import annotations

import buddy
import pytest
import torch
import transformers
from checking import assert_same, compiled
from mlir import ir

SMALL = {"vocab_size": 128, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
         "num_attention_heads": 4}  # fmt: skip
TOLERANCE = (2e-5, 1e-4)
DIALECTS = pytest.mark.parametrize("dialect", ["linalg", "tosa"])


def llama():
    config = transformers.LlamaConfig(**SMALL, num_key_value_heads=2, use_cache=False)
    return transformers.LlamaForCausalLM(config)


def gpt2():
    sizes = {"vocab_size": 128, "n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 64}
    special = {"bos_token_id": 0, "eos_token_id": 0}
    return transformers.GPT2LMHeadModel(
        transformers.GPT2Config(**sizes, **special, use_cache=False)
    )


def bert():
    return transformers.BertModel(transformers.BertConfig(**SMALL))


def vit():
    sizes = {k: v for k, v in SMALL.items() if k != "vocab_size"}
    return transformers.ViTModel(transformers.ViTConfig(**sizes, image_size=32, patch_size=8))


def resnet():
    sizes = {"embedding_size": 16, "hidden_sizes": [16, 32], "depths": [1, 2]}
    config = transformers.ResNetConfig(**sizes, layer_type="basic")
    return transformers.ResNetForImageClassification(config)


class Perceptron(torch.nn.Sequential):
    def __init__(self):
        layers = (torch.nn.Linear(20, 33), torch.nn.GELU(), torch.nn.LayerNorm(33))
        super().__init__(*layers, torch.nn.Linear(33, 7), torch.nn.Softmax(-1))


LANGUAGE = [llama, gpt2, bert]
OTHERS = [(vit, (1, 3, 32, 32)), (resnet, (2, 3, 32, 32)), (Perceptron, (5, 20))]


# What a model leaves to linalg that was to be TOSA; nothing else may.
LEFT_TO_LINALG = {
    llama: {"aten.cumsum.default"},  # of token positions: TOSA has no running sum
    gpt2: {"aten.cumsum.default"},
}


def assert_dialect(make, dialect: str, dumped) -> None:
    """With TOSA its words and no other, by our own count and in the module that was compiled."""
    left = LEFT_TO_LINALG.get(make, set()) if dialect == "tosa" else set()
    assert set(buddy.stats()["linalg_ops"]) == left
    if dialect == "tosa" and make not in LANGUAGE:  # whose indices are checked in linalg
        (graph,) = dumped.glob("*/00-graph.mlirbc")
        assert words_of(graph) == {"builtin", "func", "tosa"}


def words_of(bytecode) -> set[str]:
    """The dialects of all operations of a module."""
    found = set()

    def note(operation):
        found.add(operation.name.split(".")[0])
        return ir.WalkResult.ADVANCE

    with ir.Context() as context:
        context.allow_unregistered_dialects = True
        ir.Module.parse(bytecode.read_bytes()).operation.walk(note)
    return found


def tensors(output):
    values = output.to_tuple() if hasattr(output, "to_tuple") else (output,)
    return [v for v in values if isinstance(v, torch.Tensor)]


def ids(length: int) -> torch.Tensor:
    return torch.randint(0, 128, (1, length))


@DIALECTS
@pytest.mark.parametrize("make", LANGUAGE)
def test_language_model(make, dialect, tmp_path):
    model, tokens = make().eval(), ids(7)
    step = compiled(model, dialect=dialect)
    with torch.no_grad():
        assert_same(tensors(step(tokens)), tensors(model(tokens)), TOLERANCE)
    assert buddy.stats()["nodes_fallback"] == 0
    assert_dialect(make, dialect, tmp_path)


@pytest.mark.parametrize("make", LANGUAGE)
def test_dynamic_length_compiles_once(make):
    model, step = make().eval(), None
    step = torch.compile(model, backend="buddy", fullgraph=True, options={"fallback": False})
    with torch.no_grad():
        for length in (7, 3, 19, 64):
            tokens = ids(length)
            torch._dynamo.mark_dynamic(tokens, 1)
            assert_same(tensors(step(tokens)), tensors(model(tokens)), TOLERANCE)
    assert buddy.stats()["graphs"] == 1


@DIALECTS
@pytest.mark.parametrize("make,shape", OTHERS, ids=lambda v: getattr(v, "__name__", ""))
def test_other_models(make, shape, dialect, tmp_path):
    model, x = make().eval(), torch.randn(shape)
    step = compiled(model, dialect=dialect, dump_dir=tmp_path)
    with torch.inference_mode():
        assert_same(tensors(step(x)), tensors(model(x)), TOLERANCE)
    assert_dialect(make, dialect, tmp_path)


def test_without_freezing():
    model, x = Perceptron().eval(), torch.randn(5, 20)
    with torch.no_grad():
        assert_same(compiled(model, freeze=False)(x), model(x))


def test_half_precision_model():
    model, x = Perceptron().eval().bfloat16(), torch.randn(5, 20, dtype=torch.bfloat16)
    with torch.no_grad():
        assert_same(compiled(model)(x), model(x))


@DIALECTS
def test_training_step(dialect):
    """Forward and backward of an MLP: gradients equal eager's."""
    model, x = Perceptron(), torch.randn(5, 20)
    model(x).square().sum().backward()
    expected = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    compiled(model, dialect=dialect)(x).square().sum().backward()
    assert buddy.stats()["linalg_ops"] == {}
    assert_same([p.grad for p in model.parameters()], expected, TOLERANCE)


def test_buffers_that_the_model_writes_to():
    class Counter(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("seen", torch.zeros(4, 3).t())
            self.register_buffer("scale", torch.randn(4, 3).t())

        def forward(self, x):
            self.seen.add_(x)
            return self.seen * self.scale

    model, x = Counter(), torch.randn(3, 4)
    with torch.no_grad():
        step = compiled(model)
        for count in (1, 2, 3):
            torch.testing.assert_close(step(x), x * count * model.scale)
        model.scale.mul_(2)
        torch.testing.assert_close(step(x), x * 4 * model.scale)
    torch.testing.assert_close(model.seen, x * 4)


def test_changed_parameters_are_seen():
    """Frozen parameters that are written to or replaced are bound again."""
    model, x = Perceptron().eval(), torch.randn(5, 20)
    with torch.no_grad():
        step = compiled(model)
        assert_same(step(x), model(x))
        model[0].weight.mul_(2)
        assert_same(step(x), model(x))
        model[3].bias = torch.nn.Parameter(torch.ones(7))
        assert_same(step(x), model(x))
