# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Outputs that share memory: compiled code returns the owner, the views of it are made here.

Values in the compiled module have no memory in common, but a graph's outputs may: `y, y.t()`, or
`y[::2]` alone, which has the strides of y. What owns each output's memory is known from the
graph's fake tensors. Views of an argument are views of what the caller gave.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx
from torch.fx.experimental.symbolic_shapes import optimization_hint

from .types import Dim

UNKNOWN_SIZE = 8192
PACKED = "without_its_gaps"  # in the `meta` of what is computed dense, its fake tensor is not


@dataclass(frozen=True)
class View:
    """An output as a window of the memory of `owner`, an output of the rewritten graph.

    Without a shape it is the owner itself. The offset counts from the owner's first element, in
    elements of the view.
    """

    owner: int
    shape: tuple[Dim, ...] | None = None
    strides: tuple[Dim, ...] = ()
    offset: Dim = 0
    dtype: torch.dtype | None = None


@contextlib.contextmanager
def returning_owners(graph: fx.Graph) -> Iterator[list[View]]:
    """While it lasts the graph returns each owner once; gives what it returns else, as views."""
    output = graph.output_node()
    own = output.args
    owners = _owners(graph)
    returned: list[Any] = []
    views = []
    for node in own[0]:
        owner = _owner_of(node, owners)
        if owner not in returned:
            returned.append(owner)
        views.append(_view(node, owner, returned.index(owner)))
    output.args = (tuple(returned),)
    try:
        yield views
    finally:
        output.args = own


def windows(views: Sequence[View], sizes: Any) -> Callable[[Sequence[Any], list], list]:
    """`f(args, owners)` giving the graph's outputs; `sizes` compiles symbolic ones."""
    cut = [v for v in views if v.shape is not None]
    if not cut and [v.owner for v in views] == list(range(len(views))):
        return lambda args, owners: owners
    shapes = sizes.compile([d for v in cut for d in (v.shape, v.strides, (v.offset,))])

    def make(args: Sequence[Any], owners: list) -> list:
        given = iter(shapes(args))
        return [
            owners[v.owner]
            if v.shape is None
            else _window(owners[v.owner], v.dtype, *_three(given))
            for v in views
        ]

    return make


def _three(numbers) -> tuple:
    return next(numbers), next(numbers), next(numbers)[0]


def _window(owner: torch.Tensor, dtype, shape, strides, offset: int) -> torch.Tensor:
    first = owner.storage_offset()
    if owner.dtype == dtype:
        return owner.as_strided(shape, strides, first + offset)
    first = first * owner.itemsize // dtype.itemsize
    view = torch.empty(0, dtype=dtype)
    return view.set_(owner.untyped_storage(), first + offset, shape, strides)


def _owners(graph: fx.Graph) -> dict[Any, fx.Node]:
    """The first node of every storage."""
    owners: dict[Any, fx.Node] = {}
    for node in filter(is_strided, graph.nodes):
        owners.setdefault(_storage(node), node)
    return owners


def mark_packed(graph: fx.Graph) -> None:
    """Mark what is computed in memory with gaps, for the parts that take it from another part."""
    owners = _owners(graph)
    for node in filter(is_strided, graph.nodes):
        owner = owners[_storage(node)]
        if owner.op != "placeholder" and not _fills_its_memory(owner.meta["val"]):
            node.meta[PACKED] = True


def _owner_of(node: Any, owners: dict[Any, fx.Node]) -> Any:
    """The node to be returned in the place of an output: itself, unless it is a view."""
    if not is_strided(node):
        return node
    owner = _argument_of(node) or owners[_storage(node)]
    given = owner.op == "placeholder" and PACKED not in owner.meta
    # What is computed is dense, whatever gaps its fake tensor has.
    return owner if given or _fills_its_memory(owner.meta["val"]) else node


def is_strided(node: Any) -> bool:
    value = node.meta.get("val") if isinstance(node, fx.Node) else None
    return isinstance(value, torch.Tensor) and value.layout == torch.strided


def _storage(node: fx.Node) -> Any:
    return node.meta["val"].untyped_storage()._cdata


def _argument_of(node: fx.Node) -> fx.Node | None:
    """The argument that node is a view of; of several in one memory, the one it was made from."""
    while node.op != "placeholder":
        sources = (n for n in node.all_input_nodes if is_strided(n))
        source = next((n for n in sources if _storage(n) == _storage(node)), None)
        if source is None:
            return None
        node = source
    return node


def _fills_its_memory(x: torch.Tensor) -> bool:
    """Whether every element of the storage is one of x's, so that x has all of it to show."""
    shape, strides = concrete(x.shape), concrete(x.stride())
    dense = is_dense(sorted(zip(strides, shape)))
    return dense and math.prod(shape) > 0 and concrete([x.storage_offset()]) == [0]


def is_dense(dimensions: Iterable[tuple[int, int]]) -> bool:
    """Whether dimensions (stride, size), the innermost first, have no gaps between elements."""
    expected = 1
    for stride, size in dimensions:
        if size != 1 and stride != expected:
            return False
        expected *= size
    return True


def concrete(sizes: Sequence[Any]) -> list[int]:
    """Symbolic sizes through their hints: good enough to be ordered, not to be computed with.

    A size that depends on data has none: any number is as good for it.
    """
    return [optimization_hint(size, fallback=UNKNOWN_SIZE) for size in sizes]


def _view(node: Any, owner: Any, index: int) -> View:
    if node is owner:
        return View(index)
    value, whole = node.meta["val"], owner.meta["val"]
    offset = value.storage_offset() - whole.storage_offset() * whole.itemsize // value.itemsize
    return View(index, _dims(value.shape), _dims(value.stride()), *_dims([offset]), value.dtype)


def _dims(sizes: Sequence[Any]) -> tuple[Dim, ...]:
    return tuple(s if isinstance(s, int) else s.node.expr for s in sizes)
