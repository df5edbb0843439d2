# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Higher-order `with_effects`: ops that raise or print, kept in order by an empty tensor."""

from __future__ import annotations

from typing import Any

import torch
from mlir.dialects import arith
from torch._ops import OpOverload

from ..failures import LinearAlgebraError
from ..locations import where
from . import scalar as s
from .bounds import Check
from .emitter import Emitter
from .registry import Unsupported, lowers

aten = torch.ops.aten
WITH_EFFECTS = torch.ops.higher_order.with_effects
NOT_POSITIVE = "the matrix is not positive-definite"
SINGULAR = "the matrix is singular"


@lowers(torch.ops.prims._make_token.default)
def make_token(e: Emitter):
    return e.empty(e.out)


def lower_with_effects(e: Emitter, token, op: OpOverload, *arguments: Any, **keywords: Any):
    """The token and the op's results; checks are made at the end, in the graph's order."""
    if op is not aten._linalg_check_errors.default:
        raise Unsupported(f"{op} has no lowering")
    _check_factorization(e, *arguments, **keywords)
    return token, None


def _check_factorization(e: Emitter, info, api_name: str, *, is_matrix: bool) -> None:
    """Let the call fail where info, one number per matrix of a batch, is not 0."""
    if e.checks is None or e.is_empty(e.spec(info)):
        return

    def count(element, total):
        failed = s.compare("ne", element, s.like(0, element))
        return arith.addi(total, arith.extui(total.type, failed))

    total = e.reduce(info, range(e.rank(info)), count, [(0, torch.int64)])[0]
    reason = NOT_POSITIVE if "cholesky" in api_name else SINGULAR
    message = f"{LinearAlgebraError.subject}: {api_name} at {where(e.node)}: {reason}"
    e.checks[e.node] = Check([total], (message,))
