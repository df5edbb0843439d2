# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Ops that move or view elements: reshapes, permutations, slices, concatenation."""

from __future__ import annotations

import torch
from mlir import ir
from mlir.dialects import arith, tensor

from ..types import Dim, TensorSpec, simplify
from . import scalar as s
from .bounds import clamped, last_of
from .emitter import Emitter
from .registry import lowers

aten = torch.ops.aten
prims = torch.ops.prims


@lowers(aten.view.default, aten._unsafe_view.default)
def view(e: Emitter, x, size):
    return e.reshape(x, e.out.shape)


@lowers(aten.unsqueeze.default)
def unsqueeze(e: Emitter, x, dim):
    return e.reshape(x, e.out.shape)


@lowers(aten.squeeze.default)
def squeeze(e: Emitter, x):
    return e.reshape(x, e.out.shape)


@lowers(aten.squeeze.dim, aten.squeeze.dims)
def squeeze_dim(e: Emitter, x, dim):
    return e.reshape(x, e.out.shape)


@lowers(aten.alias.default, aten.detach.default, aten.lift_fresh_copy.default)
def alias(e: Emitter, x):
    return x


@lowers(aten.clone.default)
def clone(e: Emitter, x, *, memory_format=None):
    return x  # values are immutable, and every tensor is row-major here


@lowers(aten.copy.default)
def copy(e: Emitter, x, src, non_blocking=False):
    return e.convert(src, e.out)


@lowers(aten.permute.default)
def permute(e: Emitter, x, dims):
    return e.transpose(x, [d % e.rank(x) for d in dims])


@lowers(aten.transpose.int)
def transpose(e: Emitter, x, dim0, dim1):
    order = list(range(e.rank(x)))
    if order:
        order[dim0], order[dim1] = order[dim1], order[dim0]
    return e.transpose(x, order)


@lowers(aten.t.default)
def t(e: Emitter, x):
    return e.transpose(x, list(range(e.rank(x)))[::-1])


@lowers(aten.expand.default)
def expand(e: Emitter, x, size, *, implicit=False):
    return e.convert(x, e.out)


@lowers(aten.slice.Tensor)
def slice_(e: Emitter, x, dim=0, start=None, end=None, step=1):
    """The length is e.out's; only the start needs work: from the end, and clamped."""
    dim %= e.rank(x)
    offsets: list[Dim] = [0] * e.rank(x)
    offsets[dim] = _clamped_start(e.shape(x)[dim], start)
    strides = [1] * e.rank(x)
    strides[dim] = step
    return _slice(e, x, offsets, strides)


def _slice(e: Emitter, x, offsets, strides):
    if e.shape(x) == e.out.shape and all(step == 1 for step in strides):
        return x
    if e.is_empty(e.out):
        return e.empty(e.out)
    return e.slice(x, offsets, e.out.shape, strides)


def _clamped_start(size: Dim, start: Dim | None) -> Dim:
    """Where a slice begins: counted from the end when negative, at most `size`."""
    if start is None:
        return 0
    if isinstance(start, int) and isinstance(size, int):
        return min(max(start + size if start < 0 else start, 0), size)
    if isinstance(start, int):
        return simplify(size + start) if start < 0 else start
    return start


@lowers(aten.select.int)
def select(e: Emitter, x, dim, index):
    shape, dim = e.shape(x), dim % e.rank(x)
    offsets: list[Dim] = [0] * len(shape)
    negative = isinstance(index, int) and index < 0
    offsets[dim] = simplify(shape[dim] + index) if negative else index
    sizes = [1 if i == dim else d for i, d in enumerate(shape)]
    if 0 in sizes:
        return e.empty(e.out)
    return e.reshape(e.slice(x, offsets, sizes), e.out.shape)


@lowers(aten.split_with_sizes.default)
def split_with_sizes(e: Emitter, x, sizes, dim=0):
    return _split(e, x, dim)


@lowers(aten.split.Tensor)
def split(e: Emitter, x, size, dim=0):
    return _split(e, x, dim)


def _split(e: Emitter, x, dim):
    """Consecutive boxes along `dim`, as long as the results say."""
    dim %= e.rank(x)
    offsets: list[Dim] = [0] * e.rank(x)
    parts = []
    for spec in e.out:
        empty = e.is_empty(spec)
        parts.append(e.empty(spec) if empty else e.slice(x, list(offsets), spec.shape))
        offsets[dim] = simplify(offsets[dim] + spec.shape[dim])
    return tuple(parts)


@lowers(aten.unbind.int)
def unbind(e: Emitter, x, dim=0):
    dim %= e.rank(x)
    sizes = [1 if i == dim else d for i, d in enumerate(e.shape(x))]
    parts = []
    for i, spec in enumerate(e.out):
        offsets = [i if d == dim else 0 for d in range(e.rank(x))]
        box = e.empty(spec) if e.is_empty(spec) else e.slice(x, offsets, sizes)
        parts.append(e.reshape(box, spec.shape))
    return tuple(parts)


@lowers(aten.cat.default)
def cat(e: Emitter, tensors, dim=0):
    """Empty tensors do not count, not even with another rank (eager's old habit)."""
    kept = [x for x in tensors if not e.is_empty(e.spec(x))]
    if not kept:
        return e.empty(e.out)
    kept = [e.cast(x, e.out.dtype) for x in kept]
    return e.concat(kept, dim % e.out.rank, e.out)


@lowers(aten.stack.default)
def stack(e: Emitter, tensors, dim=0):
    dim %= e.out.rank
    shape = [1 if i == dim else d for i, d in enumerate(e.out.shape)]
    if e.is_empty(e.out):
        return e.empty(e.out)
    return e.concat([e.reshape(e.cast(x, e.out.dtype), shape) for x in tensors], dim, e.out)


@lowers(aten.constant_pad_nd.default)
def constant_pad_nd(e: Emitter, x, pad, value=0):
    """`pad` lists (low, high) from the last dimension to the first; negative ones crop."""
    rank = e.rank(x)
    low, high = [0] * rank, [0] * rank
    for i in range(len(pad) // 2):
        low[rank - 1 - i], high[rank - 1 - i] = pad[2 * i], pad[2 * i + 1]
    if e.is_empty(e.spec(x)) or e.is_empty(e.out):
        return e.full(e.out, value)
    if not all(isinstance(p, int) for p in pad):
        return _shifted(e, x, low, value)
    out = e.out
    x = _crop(e, x, low, high)
    x = e.pad(x, [max(p, 0) for p in low], [max(p, 0) for p in high], value)
    return e.track(x, out)


def _shifted(e: Emitter, x, low, value):
    """x[i − low] at i, `value` where there is none: padding by amounts whose sign is not known."""
    starts, sizes = [e.index(p) for p in low], [e.index(d) for d in e.shape(x)]
    last = [last_of(e, d) for d in e.shape(x)]
    value = e.number(value, e.out.dtype)

    def body():
        inside, at = s.constant(True, ir.IntegerType.get_signless(1)), []
        for d, start in enumerate(starts):
            place = arith.subi(s.loop_index(d), start)
            # Unsigned: what is below 0 is beyond the end as well.
            here = arith.cmpi(arith.CmpIPredicate.ult, place, sizes[d])
            inside = arith.andi(inside, here)
            at.append(clamped(place, last[d]))
        return s.select(inside, tensor.extract(x, at), value)

    return e.map(body, [], e.out)


def _crop(e: Emitter, x, low, high):
    """x without what negative padding takes away."""
    offsets = [max(-p, 0) for p in low]
    cut = [a + max(-p, 0) for a, p in zip(offsets, high)]
    if not any(cut):
        return x
    sizes = [simplify(d - c) for d, c in zip(e.shape(x), cut)]
    return e.slice(x, offsets, sizes)


@lowers(aten.flip.default)
def flip(e: Emitter, x, dims):
    """Read backwards along `dims`."""
    from .indexing import gather_elements

    flipped = {d % max(e.rank(x), 1) for d in dims}
    last = {d: e.index(simplify(e.shape(x)[d] - 1)) for d in flipped if e.rank(x)}

    def at(loops):
        return [arith.subi(last[i], v) if i in last else v for i, v in enumerate(loops)]

    return gather_elements(e, x, at)


@lowers(aten.repeat.default)
def repeat(e: Emitter, x, repeats):
    """Every dimension as (repeat, size): broadcast, then merge the pairs."""
    if e.is_empty(e.out):
        return e.empty(e.out)
    padded = [1] * (len(repeats) - e.rank(x)) + list(e.shape(x))
    split = [d for size in padded for d in (1, size)]
    wide = [d for times, size in zip(repeats, padded) for d in (times, size)]
    dtype = e.dtype(x)
    x = e.convert(e.reshape(x, split), TensorSpec(tuple(wide), dtype))
    return e.reshape(x, e.out.shape)
