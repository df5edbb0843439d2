# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What we choose not to lower: the decomposition table, and what is kept out of it."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch._decomp import core_aten_decompositions, get_decompositions
from torch._ops import OpOverload

from .decompositions import OWN, TRAINING, foreign
from .decompositions.own_layout import in_own_layout

aten = torch.ops.aten

# Core Aten takes these apart; whole they lower to one named op, or to a better fused one.
KEPT = (
    aten._scaled_dot_product_flash_attention_for_cpu.default,
    aten.addcdiv.default,
    aten.addcmul.default,
    aten.baddbmm.default,
    aten.index_add.default,
    aten.index_copy.default,
    aten.index_fill.int_Scalar,
    aten.index_fill.int_Tensor,
    aten.lerp.Scalar,
    aten.rsub.Scalar,
    aten.rsub.Tensor,
    aten.select_scatter.default,
    aten.silu.default,
    aten.stack.default,
    aten.std.correction,
    aten.std_mean.correction,
    aten.take.default,
    aten.tril.default,
    aten.triu.default,
)

# Core Aten keeps these; their parts are all there is to them.
DECOMPOSED = (
    aten._native_batch_norm_legit.no_stats,
    aten._native_batch_norm_legit_functional.default,
    aten._batch_norm_with_update_functional.default,
    aten.native_batch_norm_backward.default,
    aten.batch_norm_backward.default,
    aten.native_layer_norm_backward.default,
    aten.embedding_dense_backward.default,
    aten._softmax_backward_data.default,
    aten._log_softmax_backward_data.default,
    aten.gelu_backward.default,
    aten.pixel_shuffle.default,
    aten.glu.default,
    aten.softplus.default,
    aten.nan_to_num.default,
    aten.diagonal_backward.default,
    aten.dist.default,
    aten.ldexp.Tensor,
    aten.linalg_vector_norm.default,
    aten.logit_backward.default,
    aten.narrow_copy.default,
    aten.permute_copy.default,
    aten.tril_indices.default,
    aten.triu_indices.default,
    aten.unbind_copy.int,
    aten.unfold_backward.default,
    aten.upsample_bicubic2d.default,
    aten.upsample_trilinear3d.default,
    aten.view_copy.default,
)


def decompositions(training: bool = False) -> dict[OpOverload, Callable]:
    """The table AOTAutograd applies while it traces."""
    return _decompositions(training) | foreign()


@functools.cache
def _decompositions(training: bool) -> dict[OpOverload, Callable]:
    table = dict(core_aten_decompositions().items()) | get_decompositions(DECOMPOSED)
    table = {op: fn for op, fn in table.items() if op not in KEPT} | OWN
    table = table | TRAINING if training else table
    return {op: in_own_layout(op, fn) for op, fn in table.items()}
