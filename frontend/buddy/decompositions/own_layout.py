# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Results that lie in memory as the op's own do, whatever the ops lay out that it is made of."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch._ops import OpOverload
from torch._prims_common import (
    compute_elementwise_output_logical_to_physical_perm,
    is_contiguous_or_false,
)
from torch.fx.experimental.proxy_tensor import disable_proxy_modes_tracing
from torch.fx.experimental.symbolic_shapes import is_symbolic
from torch.utils import _pytree as pytree

aten = torch.ops.aten

# Eager lays these results out by rows, which the ops on fake tensors do not know.
BY_ROWS = {aten.log_sigmoid_forward.default}


def in_own_layout(op: OpOverload, decomposition: Callable) -> Callable:
    """`decomposition`, followed by copies of results that eager would lay out otherwise.

    Only an operand that is itself laid out otherwise than by its rows makes such a result. What the
    op would do is asked where all sizes are known: symbols that it makes no trace would know.
    """
    aliases = any(result.alias_info for result in op._schema.returns)
    if op._schema.is_mutable or aliases or op._can_decompose():
        return decomposition

    @functools.wraps(decomposition)
    def decompose(*args, **kwargs):
        made = decomposition(*args, **kwargs)
        operands = [x for x in pytree.arg_tree_leaves(*args) if isinstance(x, torch.Tensor)]
        if made is NotImplemented or all(is_contiguous_or_false(x) for x in operands):
            return made
        if op in BY_ROWS:
            return pytree.tree_map_only(torch.Tensor, torch.Tensor.contiguous, made)
        if any(is_symbolic(size) for x in operands for size in (*x.shape, *x.stride())):
            return made
        with disable_proxy_modes_tracing():
            own = op(*args, **kwargs)
        return pytree.tree_map(_laid_out_as, made, own)

    return decompose


def _laid_out_as(made, own):
    if not isinstance(made, torch.Tensor) or made.stride() == own.stride():
        return made
    order, _ = compute_elementwise_output_logical_to_physical_perm(own)
    inverse = sorted(range(len(order)), key=order.__getitem__)
    return made.permute(order).contiguous().permute(inverse)
