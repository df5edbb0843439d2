# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Loading models, and the captured graph run eagerly against transformers."""

import json
import operator
import shutil

import pytest
import torch
from buddy.errors import ModelError, OptionError
from buddy.llm.capture import cache_shape, capture
from buddy.llm.model import load_model
from buddy.llm.repeat import repeated_layers
from tiny_models import tiny_llama, train_tokenizer

CONTEXT = 64


class EagerSession:
    """Runs a captured graph with torch, keeping the cache between calls."""

    def __init__(self, model, context: int = CONTEXT):
        self.captured = capture(model.module, context)
        shape = cache_shape(model.config, context)
        self.held = {}
        for argument in self.captured.arguments:
            if argument.kind == "parameter":
                self.held[argument.name] = model.load(argument.name)
            elif argument.mutable:
                self.held[argument.name] = torch.zeros(shape, dtype=model.dtype)

    def __call__(self, ids, position):
        given = {"input_ids": torch.tensor([ids]), "position": torch.tensor([position])}
        values = self.held | given
        arguments = [values.get(a.name, len(ids)) for a in self.captured.arguments]
        with torch.no_grad():
            return self.captured.graph_module(*arguments)[0]


def reference(path, dtype=torch.float32):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(path, dtype=dtype).eval()


def test_captured_graph_equals_transformers(tiny_model):
    session = EagerSession(load_model(tiny_model))
    ids = torch.randint(2, 400, (23,)).tolist()
    with torch.no_grad():
        expected = reference(tiny_model)(torch.tensor([ids])).logits
    assert torch.allclose(session(ids[:9], 0)[0, -1], expected[0, 8], atol=1e-4)
    assert torch.allclose(session(ids[9:22], 9)[0, -1], expected[0, 21], atol=1e-4)
    assert torch.allclose(session(ids[22:], 22)[0, -1], expected[0, 22], atol=1e-4)


def test_captured_graph_in_bfloat16(tiny_model):
    session = EagerSession(load_model(tiny_model, "bf16"))
    ids = torch.randint(2, 400, (12,)).tolist()
    with torch.no_grad():
        expected = reference(tiny_model, torch.bfloat16)(torch.tensor([ids])).logits.float()
    got = session(ids, 0)
    assert got.dtype == torch.float32
    assert torch.allclose(got[0, -1], expected[0, -1], atol=0.25, rtol=0.05)


def test_repeated_layers_equal_traced_ones(tiny_model, monkeypatch):
    model = load_model(tiny_model)
    repeated = capture(model.module, CONTEXT)
    monkeypatch.setattr("buddy.llm.capture.repeated_layers", lambda module: None)
    traced = capture(model.module, CONTEXT)
    assert {a.name for a in repeated.arguments} == {a.name for a in traced.arguments}
    assert operators(repeated.graph_module) == operators(traced.graph_module)
    calls = [node for node in repeated.graph_module.graph.nodes if node.op == "call_module"]
    assert len(calls) == model.config.num_hidden_layers


def operators(graph_module) -> list[str]:
    """Names of the operators that run, in order, with those of called submodules."""
    names = []
    for node in graph_module.graph.nodes:
        if node.op == "call_module":
            names += operators(graph_module.get_submodule(node.target))
        elif node.op == "call_function" and node.target is not operator.getitem:
            names.append(str(node.target))
    return names


def test_layers_that_differ_are_not_repeated(tiny_model):
    module = load_model(tiny_model).module
    assert repeated_layers(module) is not None
    module.model.layers[2].self_attn.scaling = 0.5
    assert repeated_layers(module) is None


def test_qwen2_needs_no_code_of_its_own(tmp_path):
    from transformers import Qwen2Config, Qwen2ForCausalLM

    config = Qwen2Config(
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=400,
        max_position_embeddings=128,
    )
    model = Qwen2ForCausalLM(config).eval()
    model.save_pretrained(tmp_path)
    train_tokenizer().save_pretrained(tmp_path)
    session = EagerSession(load_model(tmp_path))
    ids = torch.randint(2, 400, (10,)).tolist()
    with torch.no_grad():
        expected = model(torch.tensor([ids])).logits[0, -1]
    assert torch.allclose(session(ids, 0)[0, -1], expected, atol=1e-4)


def test_gguf_equals_transformers(smollm2):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    loaded = load_model(smollm2)
    expected = AutoModelForCausalLM.from_pretrained(
        smollm2.parent, gguf_file=smollm2.name, dtype=torch.float32
    )
    tensors = dict(expected.named_parameters()) | dict(expected.named_buffers())
    for name, _ in loaded.module.named_parameters():
        assert torch.equal(loaded.load(name), tensors[name]), name
    for name, value in loaded.buffers.items():
        assert torch.equal(value, tensors[name]), name
    ours = loaded.tokenizer.hf
    theirs = AutoTokenizer.from_pretrained(smollm2.parent, gguf_file=smollm2.name)
    for text in (
        "Hello 123 world",
        "a  b\n\n c\tdéjà 日本 I'll 3.14",
        "<|im_start|>user\nHi<|im_end|>",
    ):
        assert ours(text).input_ids == theirs(text).input_ids
        assert ours.decode(ours(text).input_ids) == text


@pytest.fixture
def broken_copy(tiny_model, tmp_path):
    path = tmp_path / "broken"
    shutil.copytree(tiny_model, path)
    return path


def refused(path, match: str):
    with pytest.raises(ModelError, match=match) as caught:
        load_model(path)
    return str(caught.value)


def test_refuses_damaged_directories(broken_copy, tmp_path):
    refused(tmp_path / "nothing", "no such file")
    weights = broken_copy / "model.safetensors"
    whole = weights.read_bytes()
    for size in (0, 5, 100, len(whole) - 10):
        weights.write_bytes(whole[:size])
        assert "model.safetensors" in refused(broken_copy, "not a usable safetensors file")
    weights.unlink()
    refused(broken_copy, "no model.safetensors")
    weights.write_bytes(whole)
    tokenizer = broken_copy / "tokenizer.json"
    text = tokenizer.read_text()
    tokenizer.write_text(text[: len(text) // 2])
    assert "tokenizer.json" in refused(broken_copy, "not valid JSON")
    tokenizer.write_text(text)
    config = json.loads((broken_copy / "config.json").read_text())
    (broken_copy / "config.json").write_text(
        json.dumps(config | {"hidden_size": 32, "head_dim": 8})
    )
    refused(broken_copy, "has shape")
    (broken_copy / "config.json").write_text("{")
    assert "config.json" in refused(broken_copy, "not valid JSON")


def test_refuses_a_missing_weight(broken_copy):
    from safetensors.torch import load_file, save_file

    tensors = load_file(broken_copy / "model.safetensors")
    del tensors["model.layers.2.mlp.up_proj.weight"]
    save_file(tensors, broken_copy / "model.safetensors")
    refused(broken_copy, r"model\.layers\.2\.mlp\.up_proj\.weight.* is missing")


def test_refuses_unknown_dtype(tiny_model):
    with pytest.raises(OptionError, match="'f8' does not exist; it may be one of f32, bf16"):
        load_model(tiny_model, "f8")


def test_sliding_window_is_refused_where_it_matters(tmp_path):
    from transformers import MistralConfig, MistralForCausalLM

    config = MistralConfig(
        **tiny_llama(3).config.to_dict() | {"sliding_window": 32, "model_type": "mistral"}
    )
    MistralForCausalLM(config).save_pretrained(tmp_path)
    train_tokenizer().save_pretrained(tmp_path)
    module = load_model(tmp_path).module
    capture(module, 32)
    with pytest.raises(ModelError, match="--max-seq-len 32"):
        capture(module, 64)
