# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

"""A GGUF file as a Hugging Face model: configuration, names and layouts of the weights.

Names and the order of rows follow llama.cpp's ``convert_hf_to_gguf.py``, which wrote the file:
what it renamed and permuted is undone here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import torch

from buddy.errors import ModelError
from buddy.llm.gguf_tokenizer import read_tokenizer
from buddy.llm.model import ModelFiles
from buddy.quantization.gguf import GGUFFile


@dataclass(frozen=True)
class Architecture:
    """``config_class`` of transformers; ``permuted``: rows of q and k are interleaved (_unpermute)."""

    config_class: str
    permuted: bool = False


ARCHITECTURES = {
    "llama": Architecture("LlamaConfig", permuted=True),
    "qwen2": Architecture("Qwen2Config"),
    "qwen3": Architecture("Qwen3Config"),
}
TOP_NAMES = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
ROPE_FACTORS = "rope_freqs.weight"


def read_gguf(path: Path) -> ModelFiles:
    """Open ``path``; ModelError if it is damaged or its architecture is not supported."""
    file = GGUFFile(path)
    kind = file.get("general.architecture", str)
    if kind not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise ModelError(f"{path}: architecture {kind!r} is not supported; supported are {known}")
    architecture = ARCHITECTURES[kind]
    config = read_config(file, kind, architecture)
    factors = None
    if ROPE_FACTORS in file.tensors:
        factors = torch.from_numpy(file.load(ROPE_FACTORS))
    weights = GGUFWeights(file, config, architecture.permuted)
    name = file.get("general.name", str, path.stem)
    return ModelFiles(name, config, weights, read_tokenizer(file), factors)


def read_config(file: GGUFFile, kind: str, architecture: Architecture):
    """The transformers configuration that the file's metadata describes."""
    import transformers

    hidden, heads = (
        file.get(f"{kind}.{key}", int) for key in ("embedding_length", "attention.head_count")
    )
    if hidden <= 0 or heads <= 0:
        raise ModelError(f"{file.path}: {hidden} channels in {heads} attention heads make no model")
    head_dim = file.get(f"{kind}.attention.key_length", int, None) or hidden // heads
    if "token_embd.weight" not in file.tensors:
        raise ModelError(f"{file.path}: tensor 'token_embd.weight' is missing")
    return getattr(transformers, architecture.config_class)(
        vocab_size=file.tensors["token_embd.weight"].shape[0],
        hidden_size=hidden,
        intermediate_size=file.get(f"{kind}.feed_forward_length", int),
        num_hidden_layers=file.get(f"{kind}.block_count", int),
        num_attention_heads=heads,
        num_key_value_heads=file.get(f"{kind}.attention.head_count_kv", int, heads),
        head_dim=head_dim,
        max_position_embeddings=file.get(f"{kind}.context_length", int),
        rms_norm_eps=file.get(f"{kind}.attention.layer_norm_rms_epsilon", float),
        rope_parameters=_rope(file, kind),
        tie_word_embeddings="output.weight" not in file.tensors,
        attention_bias="blk.0.attn_output.bias" in file.tensors,
        bos_token_id=file.get("tokenizer.ggml.bos_token_id", int, None),
        eos_token_id=file.get("tokenizer.ggml.eos_token_id", int, None),
        pad_token_id=None,
    )


def _rope(file: GGUFFile, kind: str) -> dict:
    """Rotary parameters; scaling other than linear is refused rather than dropped."""
    rope = {
        "rope_type": "default",
        "rope_theta": file.get(f"{kind}.rope.freq_base", float, 10000.0),
    }
    scaling = file.get(f"{kind}.rope.scaling.type", str, "none")
    if scaling == "linear":
        factor = file.get(f"{kind}.rope.scaling.factor", float)
        rope |= {"rope_type": "linear", "factor": factor}
    elif scaling != "none":
        raise ModelError(f"{file.path}: rotary scaling {scaling!r} is not supported")
    return rope


class GGUFWeights:
    """Tensors of a GGUF file under Hugging Face names, expanded to float32 when loaded."""

    def __init__(self, file: GGUFFile, config, permuted: bool):
        self.file = file
        self.heads = {}
        if permuted:
            self.heads = {
                "q_proj": config.num_attention_heads,
                "k_proj": config.num_key_value_heads,
            }
        self.sources = {_hf_name(name): name for name in file.tensors if _hf_name(name)}
        self.shapes = {name: file.tensors[source].shape for name, source in self.sources.items()}

    def load(self, name: str) -> torch.Tensor:
        tensor = torch.from_numpy(self.file.load(self.sources[name]))
        heads = self.heads.get(name.split(".")[-2])
        return tensor if heads is None else _unpermute(tensor, heads)


def _hf_name(name: str) -> str | None:
    """``blk.3.attn_q.weight`` -> ``model.layers.3.self_attn.q_proj.weight``; None if unknown."""
    stem, _, suffix = name.rpartition(".")
    if stem in TOP_NAMES:
        return f"{TOP_NAMES[stem]}.{suffix}"
    match = re.fullmatch(r"blk\.(\d+)\.(\w+)", stem)
    if match and match[2] in LAYER_NAMES:
        return f"model.layers.{match[1]}.{LAYER_NAMES[match[2]]}.{suffix}"
    return None


def _unpermute(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """Undo the row order of q and k for ggml's rotary embedding, which pairs neighbours.

    ``[heads, head_dim/2, 2, ...]`` in the file is ``[heads, 2, head_dim/2, ...]`` in Hugging Face.
    """
    rows = weight.shape[0]
    split = weight.reshape(heads, rows // heads // 2, 2, *weight.shape[1:])
    return split.transpose(1, 2).reshape(weight.shape)
