# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

"""Capture of a Hugging Face causal LM as one graph of ATen operators.

Dynamo and AOTAutograd trace the whole forward pass with a dynamic sequence length. The model
stands on the meta device: no weight is touched or even loaded. Decoder layers that are alike
are traced once and repeated (repeat.py), so that the time does not grow with the depth.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import sympy
import torch
from torch import nn
from torch.fx import GraphModule, Node

from buddy.errors import ModelError
from buddy.llm.attention import CacheArguments
from buddy.llm.repeat import TRACED_LAYERS, repeat_layer, repeated_layers

# Lengths of the traced call: any value >= 2 gives the same graph (0 and 1 are special to Dynamo).
TRACED_LENGTH = 7


@dataclass(frozen=True)
class GraphArgument:
    """What one placeholder of the graph stands for.

    ``kind`` is "input", "parameter" or "symbol" (the sequence length); ``mutable`` marks the
    caches, which the call updates in place.
    """

    name: str
    kind: str
    mutable: bool = False


@dataclass(frozen=True)
class CapturedGraph:
    """``graph_module`` has one placeholder per entry of ``arguments`` and one output, the logits.

    ``length`` is the symbol of the sequence length.
    """

    graph_module: GraphModule
    arguments: tuple[GraphArgument, ...]
    length: sympy.Symbol


class CachedForward(nn.Module):
    """The calling convention of a package around a Hugging Face model.

    ``(input_ids i64 [1, T], position i64 [1], keys, values: per layer
    [1, kv_heads, max_seq_len, head_dim])`` to float32 logits ``[1, 1, vocab]`` of the last token.
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, input_ids, position, keys, values):
        length = input_ids.shape[1]
        position_ids = torch.arange(0, length, 1, device=input_ids.device)[None] + position
        outputs = self.model(
            input_ids=input_ids,
            position_ids=position_ids,
            use_cache=False,
            logits_to_keep=1,
            buddy_cache=CacheArguments(keys, values, position),
        )
        return outputs.logits.float()


def cache_shape(config, max_seq_len: int) -> tuple[int, int, int, int]:
    """``[1, kv_heads, max_seq_len, head_dim]`` of a model's keys and of its values."""
    heads = config.num_attention_heads
    kv_heads = getattr(config, "num_key_value_heads", None) or heads
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // heads
    return 1, kv_heads, max_seq_len, head_dim


def capture(model: nn.Module, max_seq_len: int) -> CapturedGraph:
    """Trace ``model`` (meta device, attention "buddy") into one graph.

    Names of arguments: ``input_ids``, ``position``, ``k_cache.N``, ``v_cache.N``, the model's own
    names for parameters and buffers, and the symbol of the sequence length.
    """
    layers = repeated_layers(model)
    if layers is not None:
        full = layers.modules
        layers.replace(nn.ModuleList(full[:TRACED_LAYERS]))
        try:
            captured = _trace(model, max_seq_len)
        finally:
            layers.replace(full)
        repeated = repeat_layer(captured, layers.prefix, len(full))
        if repeated is not None:
            return repeated
    return _trace(model, max_seq_len)


def _trace(model: nn.Module, max_seq_len: int) -> CapturedGraph:
    names = _tensor_names(model)
    layers = model.config.num_hidden_layers
    shape = cache_shape(model.config, max_seq_len)
    keys = [torch.empty(shape, dtype=model.dtype, device="meta") for _ in range(layers)]
    values = [torch.empty(shape, dtype=model.dtype, device="meta") for _ in range(layers)]
    input_ids = torch.zeros(1, TRACED_LENGTH, dtype=torch.int64, device="meta")
    position = torch.zeros(1, dtype=torch.int64, device="meta")
    torch._dynamo.mark_dynamic(input_ids, 1)
    tracer = _Tracer()
    torch._dynamo.reset()
    compiled = torch.compile(CachedForward(model), backend=tracer.backend, fullgraph=True)
    try:
        with torch.no_grad():
            compiled(input_ids, position, keys, values)
    except torch._dynamo.exc.Unsupported as error:
        raise _refusal(model, str(error)) from error
    finally:
        torch._dynamo.reset()
    known = {id(tensor): GraphArgument(name, "parameter") for name, tensor in names}
    known[id(input_ids)] = GraphArgument("input_ids", "input")
    known[id(position)] = GraphArgument("position", "input")
    for i in range(layers):
        known[id(keys[i])] = GraphArgument(f"k_cache.{i}", "input", mutable=True)
        known[id(values[i])] = GraphArgument(f"v_cache.{i}", "input", mutable=True)
    return tracer.finish(known)


def _refusal(model: nn.Module, message: str) -> ModelError:
    """Dynamo's error as ours; a ModelError raised while tracing is quoted in its message."""
    ours = re.search(r"raised exception ModelError\((['\"])(.*)\1\)", message)
    if ours:
        return ModelError(ours[2])
    return ModelError(f"{type(model).__name__} cannot be captured as one graph: {message}")


def _tensor_names(model: nn.Module) -> list[tuple[str, torch.Tensor]]:
    """Parameters and buffers under their first name; a tied weight has one."""
    return [*model.named_parameters(), *model.named_buffers()]


class _Tracer:
    """A Dynamo backend that keeps the ATen graph and never runs it."""

    def __init__(self):
        self.graph: GraphModule | None = None
        self.inputs: Sequence = ()

    def backend(self, graph_module: GraphModule, example_inputs):
        from torch._dynamo.backends.common import aot_autograd

        from buddy.decompose import decompositions

        aot_autograd(
            fw_compiler=self._keep,
            decompositions=decompositions(),
            keep_inference_input_mutations=True,
        )(graph_module, example_inputs)
        return self._skip

    def _keep(self, graph_module: GraphModule, example_inputs):
        self.graph = graph_module
        return lambda *args: None

    def _skip(self, *inputs):
        """Called in place of the graph; ``inputs`` are the caller's own tensors, in order."""
        self.inputs = inputs
        output = next(node for node in self.graph.graph.nodes if node.op == "output")
        return [torch.empty(value.meta["val"].shape[2:], device="meta") for value in output.args[0]]

    def finish(self, known: dict[int, GraphArgument]) -> CapturedGraph:
        graph_module = self.graph
        placeholders = [node for node in graph_module.graph.nodes if node.op == "placeholder"]
        if len(placeholders) != len(self.inputs):
            raise ModelError("the model changes its inputs in a way the capture cannot follow")
        pairs = list(zip(placeholders, self.inputs, strict=True))
        symbols = [node.meta["val"].node.expr for node, value in pairs if isinstance(value, int)]
        if len(symbols) != 1:
            raise ModelError(f"the graph depends on {len(symbols)} sizes, not on the length alone")
        arguments = tuple(_describe(node, value, known) for node, value in pairs)
        _move_to_cpu(graph_module)
        return CapturedGraph(graph_module, arguments, symbols[0])


def _describe(node: Node, value, known: dict[int, GraphArgument]) -> GraphArgument:
    if isinstance(value, int):
        return GraphArgument(str(node.meta["val"].node.expr), "symbol")
    if id(value) not in known:
        raise ModelError(f"the model reads a tensor {tuple(value.shape)} that is not its own")
    return known[id(value)]


def _move_to_cpu(graph_module: GraphModule) -> None:
    """Tensors created inside the graph were traced on the meta device: put them on the CPU."""
    for node in graph_module.graph.nodes:
        if node.kwargs.get("device") is not None:
            node.update_kwarg("device", torch.device("cpu"))
    graph_module.recompile()
