# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Workloads of `compare_inductor.py`: models of published sizes, parts of them, training steps.

Weights and inputs are random and the same in every process: both are drawn in f32 from one seed
and then converted. Batch size is one unless the name of the builder's argument says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import convolutions
import torch
import transformers
from torch import nn

TOKENS = 128
IMAGE = (3, 224, 224)
CLASSES = 1000
MEL_FRAMES = 3000


class Workload:
    """Inference of a module."""

    def __init__(self, module: nn.Module, *inputs: torch.Tensor, **keywords: Any):
        self.module, self.inputs, self.keywords = module.eval(), inputs, keywords

    def to(self, dtype: torch.dtype) -> Workload:
        self.module.to(dtype)
        self.inputs = tuple(x.to(dtype) if x.is_floating_point() else x for x in self.inputs)
        return self

    def reset(self) -> None:
        """Untimed, ahead of each call: every call does the same."""

    @torch.no_grad()
    def run(self, function: Callable) -> Any:
        """One call of `function`, which is the module or a compiled form of it."""
        return function(*self.inputs, **self.keywords)

    def results(self, output: Any) -> list[torch.Tensor]:
        """What is compared between backends: of a transformers model its first output."""
        return [output if isinstance(output, torch.Tensor) else output[0]]


class CachedGeneration(Workload):
    """A step of generation after `past` tokens, with a cache of twice the prompt's length."""

    def __init__(self, model: nn.Module, ids: torch.Tensor, past: int):
        self.past = past
        self.cache = transformers.StaticCache(config=model.config, max_cache_len=2 * TOKENS)
        super().__init__(model, ids, past_key_values=self.cache, logits_to_keep=1)

    @torch.no_grad()
    def to(self, dtype: torch.dtype) -> Workload:
        super().to(dtype)
        # Allocates the cache, which a compiled prefill cannot, and fills it for a decode step.
        self.module(token_ids(self.module), past_key_values=self.cache)
        return self

    def reset(self) -> None:
        for layer in self.cache.layers:
            layer.cumulative_length.fill_(self.past)


class TrainingStep(Workload):
    """Forward, loss and backward; no optimizer."""

    def __init__(self, module: nn.Module, *inputs: torch.Tensor, **keywords: Any):
        super().__init__(module, *inputs, **keywords)
        self.module.train()

    def reset(self) -> None:
        self.module.zero_grad()

    def run(self, function: Callable) -> Any:
        output = function(*self.inputs, **self.keywords)
        output.loss.backward()
        return output

    def results(self, output: Any) -> list[torch.Tensor]:
        gradients = [p.grad for p in self.module.parameters() if p.grad is not None]
        return [output.loss.detach(), *gradients]


@dataclass
class Entry:
    kind: str
    build: Callable[[], Workload]


WORKLOADS: dict[str, Entry] = {}


def workload(name: str, kind: str) -> Callable:
    """Enter the decorated builder as `name`; geometric means are taken within a kind."""

    def enter(build: Callable[[], Workload]) -> Callable[[], Workload]:
        assert name not in WORKLOADS, name
        WORKLOADS[name] = Entry(kind, build)
        return build

    return enter


def build(name: str, dtype: torch.dtype) -> Workload:
    torch.manual_seed(0)
    return WORKLOADS[name].build().to(dtype)


def token_ids(model: nn.Module, length: int = TOKENS) -> torch.Tensor:
    return torch.arange(length).remainder(model.config.vocab_size).unsqueeze(0)


# Models. The defaults of transformers' configurations are the sizes that the names say.


@workload("bert-base", "model")
def bert_base() -> Workload:
    model = transformers.BertModel(transformers.BertConfig())
    return Workload(model, token_ids(model))


@workload("gpt2-prefill", "model")
def gpt2_prefill() -> Workload:
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(use_cache=False))
    return Workload(model, token_ids(model), logits_to_keep=1)


def llama_135m() -> nn.Module:
    """SmolLM2-135M."""
    config = transformers.LlamaConfig(
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        vocab_size=49152,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
    )
    return transformers.LlamaForCausalLM(config)


@workload("llama-135m-prefill", "model")
def llama_prefill() -> Workload:
    model = llama_135m()
    return CachedGeneration(model, token_ids(model), past=0)


@workload("llama-135m-decode", "model")
def llama_decode() -> Workload:
    model = llama_135m()
    return CachedGeneration(model, token_ids(model, length=1), past=TOKENS)


@workload("vit-b16", "model")
def vit_b16() -> Workload:
    config = transformers.ViTConfig(num_labels=CLASSES)
    return Workload(transformers.ViTForImageClassification(config), torch.randn(1, *IMAGE))


def resnet50_model() -> nn.Module:
    config = transformers.ResNetConfig(num_labels=CLASSES)
    return transformers.ResNetForImageClassification(config)


@workload("resnet50", "model")
def resnet50() -> Workload:
    return Workload(resnet50_model(), torch.randn(1, *IMAGE))


@workload("mobilenet-v2", "model")
def mobilenet_v2() -> Workload:
    config = transformers.MobileNetV2Config(num_labels=CLASSES)
    model = transformers.MobileNetV2ForImageClassification(config)
    return Workload(model, torch.randn(1, *IMAGE))


@workload("convnext-tiny", "model")
def convnext_tiny() -> Workload:
    config = transformers.ConvNextConfig(num_labels=CLASSES)
    return Workload(transformers.ConvNextForImageClassification(config), torch.randn(1, *IMAGE))


@workload("t5-small-encoder", "model")
def t5_small_encoder() -> Workload:
    model = transformers.T5EncoderModel(transformers.T5Config())
    return Workload(model, token_ids(model))


@workload("whisper-tiny-encoder", "model")
def whisper_tiny_encoder() -> Workload:
    config = transformers.WhisperConfig()
    encoder = transformers.WhisperModel(config).get_encoder()
    return Workload(encoder, torch.randn(1, config.num_mel_bins, MEL_FRAMES))


# Models of other convolutions, apart: of groups and of volumes.


@workload("resnext50", "convolutional")
def resnext50() -> Workload:
    return Workload(convolutions.resnext50(CLASSES), torch.randn(1, *IMAGE))


@workload("regnet-y-4gf", "convolutional")
def regnet_y() -> Workload:
    config = transformers.RegNetConfig(num_labels=CLASSES)
    return Workload(transformers.RegNetForImageClassification(config), torch.randn(1, *IMAGE))


@workload("r3d-18", "convolutional")
def r3d18() -> Workload:
    return Workload(convolutions.r3d18(400), torch.randn(1, 3, 16, 112, 112))


# Parts.


@workload("mlp", "part")
def mlp(batch: int = 64) -> Workload:
    layers = (nn.Linear(1024, 4096), nn.GELU(), nn.Linear(4096, 1024))
    return Workload(nn.Sequential(*layers), torch.randn(batch, 1024))


class Gemm(nn.Module):
    """Both operands are inputs: no backend can rearrange one ahead of the call."""

    def forward(self, a, b):
        return a @ b


class SoftmaxChain(nn.Module):
    def forward(self, scores, mask):
        return torch.softmax(scores * 0.125 + mask, dim=-1)


class LayerNormChain(nn.Module):
    """Residual sums with layer norms, as between the blocks of a transformer."""

    def __init__(self, width: int):
        super().__init__()
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x, y):
        hidden = self.first(x + y)
        return self.second(hidden + y) * 0.5


class GeluChain(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.bias = nn.Parameter(torch.randn(width))

    def forward(self, x, gate):
        return nn.functional.gelu(x + self.bias) * gate


# M, N, K: squares, odd sizes, the shapes of a transformer's layers.
GEMM_SIZES = [(n, n, n) for n in (64, 127, 128, 255, 256, 509, 512, 1000, 1024, 2048, 4096)]
GEMM_SIZES += [(1, 4096, 4096), (128, 3072, 768), (128, 768, 3072), (333, 777, 555)]


def enter_gemm(m: int, n: int, k: int) -> None:
    name = f"gemm-{m}" if m == n == k else f"gemm-{m}x{n}x{k}"

    @workload(name, "part")
    def gemm() -> Workload:
        return Workload(Gemm(), torch.randn(m, k), torch.randn(k, n))


for size in GEMM_SIZES:
    enter_gemm(*size)


# Chains of a size that a layer of a small model has, and of 24 MiB a tensor: those come from memory.


@workload("softmax-chain", "part")
def softmax_chain(heads: int = 12, length: int = 512) -> Workload:
    mask = torch.full((length, length), -1e9).triu(1)
    return Workload(SoftmaxChain(), torch.randn(1, heads, length, length), mask)


@workload("softmax-chain-24MiB", "part")
def large_softmax_chain() -> Workload:
    return softmax_chain(heads=6, length=1024)


@workload("layer-norm-chain", "part")
def layer_norm_chain(shape: tuple[int, int] = (512, 768)) -> Workload:
    return Workload(LayerNormChain(shape[-1]), torch.randn(shape), torch.randn(shape))


@workload("layer-norm-chain-24MiB", "part")
def large_layer_norm_chain() -> Workload:
    return layer_norm_chain((8192, 768))


@workload("gelu-chain", "part")
def gelu_chain(shape: tuple[int, int] = (512, 3072)) -> Workload:
    return Workload(GeluChain(shape[-1]), torch.randn(shape), torch.randn(shape))


@workload("gelu-chain-24MiB", "part")
def large_gelu_chain() -> Workload:
    return gelu_chain((2048, 3072))


# Training steps. Without dropout, whose random numbers differ between backends.


@workload("bert-base-training", "training")
def bert_base_training() -> Workload:
    config = transformers.BertConfig(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    model = transformers.BertForSequenceClassification(config)
    return TrainingStep(model, token_ids(model), labels=torch.tensor([1]))


@workload("resnet50-training", "training")
def resnet50_training(batch: int = 2) -> Workload:
    labels = torch.randint(0, CLASSES, (batch,))
    return TrainingStep(resnet50_model(), torch.randn(batch, *IMAGE), labels=labels)
