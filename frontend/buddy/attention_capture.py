# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Attention as one op: before AOTAutograd can take it apart."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import fx

from . import ops

_NAMES = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")


def capture_attention(graph_module: fx.GraphModule) -> None:
    """Replace `scaled_dot_product_attention` in a Dynamo graph by `torch.ops.buddy.attention`.

    Only for graphs without gradients. Calls with dropout, or of another rank than
    [B, H, T, D], stay as they are.
    """
    changed = False
    for node in graph_module.graph.nodes:
        if node.target is F.scaled_dot_product_attention and _rewrite(graph_module, node):
            changed = True
    if changed:
        graph_module.recompile()


def _rewrite(graph_module: fx.GraphModule, node: fx.Node) -> bool:
    arguments = dict(zip(_NAMES, node.args)) | dict(node.kwargs)
    query, mask = arguments["query"], arguments.get("attn_mask")
    operands = (query, arguments["key"], arguments["value"], mask)
    if arguments.get("dropout_p") or not _is_supported(*map(_value_of, operands)):
        return False
    scale = arguments.get("scale")
    if scale is None:
        scale = query.meta["example_value"].shape[-1] ** -0.5
    if not isinstance(scale, fx.Node):  # one that Dynamo holds symbolic is made a number later
        scale = float(scale)
    causal = bool(arguments.get("is_causal", False))
    with graph_module.graph.inserting_before(node):
        new = graph_module.graph.call_function(
            torch.ops.buddy.attention.default, (*operands, causal, scale)
        )
    new.meta.update(node.meta)
    node.replace_all_uses_with(new)
    graph_module.graph.erase_node(node)
    return True


def _value_of(operand: object) -> object:
    return operand.meta.get("example_value") if isinstance(operand, fx.Node) else operand


def fuse_attention(
    query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, *, scale=None, **options
):
    """`aten.scaled_dot_product_attention` as `torch.ops.buddy.attention`: a decomposition.

    What the fused op does not take is taken apart the way torch does it.
    """
    if dropout_p or not _is_supported(query, key, value, attn_mask):
        return torch.ops.aten.scaled_dot_product_attention.default.decompose(
            query, key, value, attn_mask, dropout_p, is_causal, scale=scale, **options
        )
    scale = query.shape[-1] ** -0.5 if scale is None else float(scale)
    return torch.ops.buddy.attention.default(query, key, value, attn_mask, is_causal, scale)


def _is_supported(query: object, key: object, value: object, mask: object) -> bool:
    """Rank 4, heads of a fixed number and size, one batch, one float dtype, a mask of rank 4."""
    values = [query, key, value]
    if not all(isinstance(v, torch.Tensor) and v.dim() == 4 for v in values):
        return False
    if len({v.dtype for v in values}) != 1 or not values[0].is_floating_point():
        return False
    if any(v.shape[0] != values[0].shape[0] for v in values) or not ops.has_fixed_heads(*values):
        return False
    return mask is None or mask.dim() == 4
