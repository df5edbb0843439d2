# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Where in the user's program a node of a graph comes from."""

from __future__ import annotations

import re

from mlir import ir
from torch import fx
from torch._ops import HigherOrderOperator, OpOverload

_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+), in (?P<function>\S+)')


def _frame(node: fx.Node) -> tuple[str, int, str] | None:
    """The user's innermost line that made the node: file, line, function."""
    frames = _FRAME.findall(node.meta.get("stack_trace") or "")
    if not frames:
        return None
    file, line, function = frames[-1]
    return file, int(line), function


def _module(node: fx.Node) -> str | None:
    """`Conv2d 3`: the innermost module, for nodes inside of torch.nn, which have no frame."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    if not stack:
        return None
    path, kind = stack[-1]
    name = getattr(kind, "__name__", str(kind).rpartition(".")[2])
    return f"{name} {path.rpartition(']')[2].lstrip('.')}".strip()


def where(node: fx.Node) -> str:
    """`model.py:118 in forward`."""
    frame = _frame(node)
    return f"{frame[0]}:{frame[1]} in {frame[2]}" if frame else f"node {node.name}"


def source_op(node: fx.Node) -> str:
    """The operator that the user's program called, which a decomposition may have taken apart."""
    op = node.meta.get("original_aten") or node.target
    if isinstance(op, HigherOrderOperator) and node.args:
        op = node.args[0]  # an operator that writes to its arguments, made functional
    if not isinstance(op, OpOverload):
        return node.name
    return op._schema.name.replace("::", ".").removeprefix("aten.")


def location_of(node: fx.Node) -> ir.Location:
    """The operator, around the node's name, around the user's line or else module."""
    frame = _frame(node)
    module = _module(node)
    child = None
    if frame:
        child = ir.Location.file(frame[0], frame[1], 0)
    elif module:
        child = ir.Location.name(module)
    return ir.Location.name(source_op(node), ir.Location.name(node.name, child))
