# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Lowerings of Aten ops, one module per family; importing the package fills the registry."""

from . import (  # noqa: F401
    adaptive,
    attention,
    bessel,
    bits,
    conv,
    effects,
    elementwise,
    embedding_bag,
    factory,
    indexing,
    matmul,
    normalization,
    numeric,
    pool,
    reduction,
    scan,
    scatter,
    shape,
    sorting,
    special,
    strides,
    tosa,
)
from .registry import LOWERINGS, find  # noqa: F401
