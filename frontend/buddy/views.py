# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Outputs that share memory: compiled code returns the owner, the views of it are made here.

Values in the compiled module have no memory in common, but a graph's outputs may: `y, y.t()`, or
`y[::2]` alone, which has the strides of y. What owns each output's memory is known from the
graph's fake tensors. Views of an argument are views of what the caller gave. What the module
computes is dense: an owner with gaps in its memory, like a written `x[::2]`, is spread here.
"""

from __future__ import annotations

import contextlib
import math
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx
from torch.fx.experimental.symbolic_shapes import optimization_hint

from .results import empty_result
from .types import Dim

UNKNOWN_SIZE = 8192

Finish = Callable[[Sequence[Any], list], list]  # of a call's arguments and results: other results


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


@dataclass(frozen=True)
class Spread:
    """Where the elements of an owner lie in memory of `size` elements, with gaps between them."""

    owner: int
    shape: tuple[Dim, ...]
    strides: tuple[Dim, ...]
    offset: Dim
    size: Dim


@dataclass
class Views:
    """What a graph returns as views of its owners, and those owners that have gaps."""

    returned: list[View] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)  # which of these each is: one may come twice
    spread: list[Spread] = field(default_factory=list)


@contextlib.contextmanager
def returning_owners(graph: fx.Graph) -> Iterator[Views]:
    """While it lasts the graph returns each owner once; gives what it returns else, as views."""
    output = graph.output_node()
    own = output.args
    owners = _owners(graph)
    returned: list[Any] = []
    views = Views()
    nodes = list(dict.fromkeys(own[0]))
    for node in nodes:
        owner = _owner_of(node, owners)
        if owner not in returned:
            if _has_gaps(owner):
                views.spread.append(_spread(owner.meta["val"], len(returned)))
            returned.append(owner)
        views.returned.append(_view(node, owner, returned.index(owner)))
    views.outputs = [nodes.index(node) for node in own[0]]
    output.args = (tuple(returned),)
    try:
        yield views
    finally:
        output.args = own


def unchanged(args: Sequence[Any], results: list) -> list:
    """The results as they are."""
    return results


def windows(views: Views, sizes: Any) -> Finish:
    """`f(args, owners)` giving the graph's outputs; `sizes` compiles symbolic ones."""
    spread = _spreader(views.spread, sizes)
    cut = [v for v in views.returned if v.shape is not None]
    owned = [views.returned[i].owner for i in views.outputs]
    if not cut and owned == list(range(len(owned))):
        return spread
    shapes = sizes.compile([d for v in cut for d in (v.shape, v.strides, (v.offset,))])

    def make(args: Sequence[Any], owners: list) -> list:
        owners = spread(args, owners)
        given = iter(shapes(args))
        returned = [
            owners[v.owner]
            if v.shape is None
            else _window(owners[v.owner], v.dtype, *_three(given))
            for v in views.returned
        ]
        return [returned[i] for i in views.outputs]

    return make


def _spreader(spread: Sequence[Spread], sizes: Any) -> Finish:
    """`f(args, owners)` giving the owners with their gaps."""
    if not spread:
        return unchanged
    shapes = sizes.compile([d for s in spread for d in (s.shape, s.strides, (s.offset, s.size))])

    def make(args: Sequence[Any], owners: list) -> list:
        given = iter(shapes(args))
        owners = list(owners)
        for s in spread:
            shape, strides, (offset, size) = next(given), next(given), next(given)
            memory = empty_result((size,), owners[s.owner].dtype)
            owners[s.owner] = memory.as_strided(shape, strides, offset).copy_(owners[s.owner])
        return owners

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
        owners.setdefault(storage_of(node), node)
    return owners


def _owner_of(node: Any, owners: dict[Any, fx.Node]) -> Any:
    """The node to be returned in the place of an output: itself, unless it is a view."""
    if not is_strided(node):
        return node
    owner = _argument_of(node) or owners[storage_of(node)]
    if owner.op == "placeholder" or _fills_its_memory(owner.meta["val"]):
        return owner
    # One of several results in the same memory has only its own elements to show.
    return owner if _has_gaps(owner) and owner.target is not operator.getitem else node


def _has_gaps(node: Any) -> bool:
    """Whether this is computed, and its elements are to lie apart, each for itself."""
    if not is_strided(node) or node.op == "placeholder":
        return False
    value = node.meta["val"]
    return not (_fills_its_memory(value) or 0 in concrete(value.shape) or overlaps(value))


def is_strided(node: Any) -> bool:
    value = node.meta.get("val") if isinstance(node, fx.Node) else None
    return isinstance(value, torch.Tensor) and value.layout == torch.strided


def storage_of(node: fx.Node) -> Any:
    """The name of its memory."""
    return node.meta["val"].untyped_storage()._cdata


def _argument_of(node: fx.Node) -> fx.Node | None:
    """The argument that node is a view of; of several in one memory, the one it was made from."""
    while node.op != "placeholder":
        sources = (n for n in node.all_input_nodes if is_strided(n))
        source = next((n for n in sources if storage_of(n) == storage_of(node)), None)
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


def overlaps(tensor: torch.Tensor) -> bool:
    """Whether two elements may be one in memory, as far as sizes and strides tell."""
    sizes = concrete(tensor.shape)
    reach = 0
    for stride, size in sorted(zip(concrete(tensor.stride()), sizes)):
        if size > 1 and stride <= reach:
            return 0 not in sizes
        reach += stride * (size - 1)
    return False


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
    return View(index, dims(value.shape), dims(value.stride()), *dims([offset]), value.dtype)


def _spread(value: torch.Tensor, index: int) -> Spread:
    size = value.untyped_storage().nbytes() // value.itemsize
    shape, strides = dims(value.shape), dims(value.stride())
    return Spread(index, shape, strides, *dims([value.storage_offset(), size]))


def dims(sizes: Sequence[Any]) -> tuple[Dim, ...]:
    """Symbolic sizes as expressions, which can be compared without a guard."""
    return tuple(s if isinstance(s, int) else s.node.expr for s in sizes)
