# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Convolutions as linalg's named ones; 1-D ones are 2-D ones of height 1."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from mlir import ir
from mlir.dialects import linalg

from ..types import Dim, TensorSpec, compute_dtype, simplify
from . import scalar as s
from .emitter import Emitter
from .registry import Unsupported, lowers

aten = torch.ops.aten


@lowers(aten.convolution.default)
def convolution(
    e: Emitter,
    x,
    weight,
    bias,
    stride,
    padding,
    dilation,
    transposed,
    output_padding,
    groups,
):
    """x [N, C, ...] with weight [F, C/groups, ...] (transposed: [C, F/groups, ...])."""
    out = e.out
    if 0 in out.shape or 0 in e.shape(x):
        return _bias_alone(e, out, bias)
    spatial = e.rank(x) - 2
    stride, padding, dilation = (_per_dim(v, spatial) for v in (stride, padding, dilation))
    if transposed:
        result = _transposed(e, x, weight, stride, padding, dilation, groups)
    else:
        x = e.pad(x, [0, 0, *padding], [0, 0, *padding], 0)
        result = _convolve(e, x, weight, out, stride, dilation, groups)
    if bias is None:
        return e.cast(result, out.dtype)
    channel = (e.shape(bias)[0], *[1] * spatial)
    return e.pointwise(s.add, result, e.reshape(bias, channel), out=out)


def _per_dim(values, spatial: int) -> list[int]:
    """One number per spatial dimension; a single one stands for all."""
    values = list(values)
    return values * spatial if len(values) == 1 else values


def _bias_alone(e: Emitter, out: TensorSpec, bias):
    zeros = e.full(out, 0)
    if bias is None or 0 in out.shape:
        return zeros
    return e.pointwise(s.add, zeros, e.reshape(bias, (e.shape(bias)[0], *[1] * (out.rank - 2))))


def _convolve(e: Emitter, x, weight, out: TensorSpec, stride, dilation, groups):
    """The padded input under the kernel, in the compute dtype, without bias."""
    spatial = out.rank - 2
    wide = out.with_dtype(compute_dtype(out.dtype))
    if spatial == 1:
        flat = TensorSpec((*out.shape[:2], 1, out.shape[2]), out.dtype)
        x, weight = _with_height(e, x), _with_height(e, weight)
        result = _convolve(e, x, weight, flat, [1, *stride], [1, *dilation], groups)
        return e.reshape(result, out.shape)
    x = _seen(e, x, weight, out, dilation)
    if groups != 1:
        return _convolve_groups(e, x, weight, wide, stride, dilation, groups)
    if spatial == 2:
        return _named(e, linalg.Conv2DNchwFchwOp, x, weight, wide, stride, dilation)
    return _generic(e, x, weight, wide, stride, dilation)


def _seen(e: Emitter, x, weight, out: TensorSpec, dilation):
    """x without what a single window leaves over: its loop will be dropped, and its stride."""
    sizes = list(e.shape(x))
    for d in range(2, out.rank):
        if out.shape[d] == 1:
            sizes[d] = (e.shape(weight)[d] - 1) * dilation[d - 2] + 1
    return e.crop(x, sizes)


def _with_height(e: Emitter, x):
    shape = e.shape(x)
    return e.reshape(x, (*shape[:2], 1, shape[2]))


def _named(e: Emitter, op, x, weight, spec: TensorSpec, stride, dilation):
    """A named 2-D convolution into zeros."""
    attributes = {
        "strides": _int64_elements(stride),
        "dilations": _int64_elements(dilation),
    }
    start = e.full(spec, 0)
    made = op([start.type], [x, weight], [start], **attributes)
    linalg.fill_builtin_region(made.operation)
    return e.track(made.results[0], spec)


def _int64_elements(values) -> ir.Attribute:
    kind = ir.RankedTensorType.get([len(values)], ir.IntegerType.get_signless(64))
    element = ir.IntegerType.get_signless(64)
    return ir.DenseElementsAttr.get([ir.IntegerAttr.get(element, v) for v in values], kind)


def _convolve_groups(e: Emitter, x, weight, spec: TensorSpec, stride, dilation, groups):
    """Channels as (group, channel of the group): [N,G,C/G,H,W] with [G,F/G,C/G,KH,KW]."""
    x = e.reshape(x, _grouped(e.shape(x), 1, groups))
    weight = e.reshape(weight, _grouped(e.shape(weight), 0, groups))
    wide = spec.with_shape(_grouped(spec.shape, 1, groups))
    if spec.rank == 4:
        result = _named(e, linalg.Conv2DNgchwGfchwOp, x, weight, wide, stride, dilation)
    else:
        result = _generic(e, x, weight, wide, stride, dilation)
    return e.reshape(result, spec.shape)


def _grouped(shape, dim: int, groups: int) -> tuple:
    """`shape` with dimension `dim` split into (groups, rest)."""
    return (*shape[:dim], groups, shape[dim] // groups, *shape[dim + 1 :])


def _generic(e: Emitter, x, weight, spec: TensorSpec, stride, dilation):
    """Any number of spatial dimensions: out[n,f,o] += x[n,c,o·stride+k·dilation] · w[f,c,k].

    With groups, g stands after n, and before f in the weight.
    """
    spatial, rank = len(stride), spec.rank
    first = rank - spatial  # loops: n, (g,) f, output positions, c, positions in the kernel
    loops = [ir.AffineDimExpr.get(i) for i in range(rank + 1 + spatial)]
    position = [
        loops[first + i] * stride[i] + loops[rank + 1 + i] * dilation[i] for i in range(spatial)
    ]
    maps = [
        ir.AffineMap.get(len(loops), 0, [*loops[: first - 1], loops[rank], *position]),
        ir.AffineMap.get(len(loops), 0, [*loops[1:first], *loops[rank:]]),
        ir.AffineMap.get(len(loops), 0, loops[:rank]),
    ]
    narrow, wide = e.dtype(x), spec.dtype

    def body(a, b, total):
        return s.multiply_add(s.cast(a, narrow, wide), s.cast(b, narrow, wide), total)

    return e.generic([x, weight], [e.full(spec, 0)], maps, rank, 1 + spatial, body)[0]


def _transposed(e: Emitter, x, weight, stride, padding, dilation, groups):
    """out[o] = sum over i * stride - padding + t * dilation = o of x[i] . weight[t].

    All o of one remainder by the stride, a phase, are a convolution of x by some of the taps t:
    no zeros between the elements of x are multiplied.
    """
    sizes, kernel = e.shape(x)[2:], e.shape(weight)[2:]
    if not all(isinstance(k, int) for k in kernel):
        raise Unsupported("a transposed convolution with a kernel of dynamic size")
    weight = _flipped(e, weight, groups)
    along = [
        [_phase(r, *of_dim) for r in range(of_dim[0])]
        for of_dim in zip(stride, padding, dilation, kernel, sizes, e.out.shape[2:])
    ]
    reached = [[p for p in phases if p.taps] for phases in along]
    if all(s_ == 1 for s_ in stride) and all(reached):
        return _convolve_phase(e, x, weight, [phases[0] for phases in reached], groups)
    wide = e.out.with_dtype(compute_dtype(e.out.dtype))
    made = e.full(wide, 0)
    for phases in itertools.product(*reached):
        result = _convolve_phase(e, x, weight, phases, groups)
        made = e.insert(result, made, [0, 0, *(p.first for p in phases)], [1, 1, *stride])
    return made


@dataclass(frozen=True)
class _Phase:
    """Along one dimension: outputs first, first + stride, ... as a convolution."""

    first: int
    count: Dim  # of outputs
    taps: range  # of the reversed kernel; none: the outputs are zero
    dilation: int
    low: int  # border of x; below zero: elements to leave out
    high: int


def _phase(r: int, stride: int, padding: int, dilation: int, kernel: int, size: Dim, out: Dim):
    """Output r + stride * q reads x[q + near - m * step] with tap t + m * apart, for all m >= 0."""
    common = math.gcd(dilation, stride)
    apart, step = stride // common, dilation // common
    more = -((r - simplify(out - stride * size)) // stride)  # outputs than elements of x
    count = size + more
    first_tap = (t for t in range(min(apart, kernel)) if (r + padding - t * dilation) % stride == 0)
    t = next(first_tap, None)
    if t is None:
        return _Phase(r, count, range(0), step, 0, 0)
    near, taps = (r + padding - t * dilation) // stride, -(-(kernel - t) // apart)
    start = kernel - 1 - t - (taps - 1) * apart
    low, high = (taps - 1) * step - near, more + near
    # A size that is not known is 2 or more.
    least = size if isinstance(size, int) else 2
    if least + min(more, min(low, 0) + min(high, 0)) <= 0:  # none, or all of them lie beside x
        if least != size:
            raise Unsupported("a transposed convolution of a dynamic size, cut down by its padding")
        return _Phase(r, count, range(0), step, 0, 0)
    return _Phase(r, count, range(start, kernel - t, apart), step, low, high)


def _convolve_phase(e: Emitter, x, weight, phases: Sequence[_Phase], groups):
    """The outputs of one phase along each dimension, in the compute dtype."""
    kernel = [len(p.taps) for p in phases]
    weight = e.slice(
        weight,
        [0, 0, *(p.taps.start for p in phases)],
        [*e.shape(weight)[:2], *kernel],
        [1, 1, *(p.taps.step for p in phases)],
    )
    kept = [d + min(p.low, 0) + min(p.high, 0) for d, p in zip(e.shape(x)[2:], phases)]
    x = e.slice(x, [0, 0, *(max(-p.low, 0) for p in phases)], [*e.shape(x)[:2], *kept])
    low, high = [max(p.low, 0) for p in phases], [max(p.high, 0) for p in phases]
    x = e.pad(x, [0, 0, *low], [0, 0, *high], 0)
    out = e.out.with_shape((*e.out.shape[:2], *(p.count for p in phases)))
    return _convolve(e, x, weight, out, [1] * len(phases), [p.dilation for p in phases], groups)


def _flipped(e: Emitter, weight, groups):
    """[C, F/G, k...] as the kernel of the equivalent convolution: [F, C/G, k...] reversed."""
    from .shape import flip

    outs, e.out = e.out, e.spec(weight)
    reversed_dims = [d for d in range(2, e.rank(weight)) if e.shape(weight)[d] != 1]
    reverse = flip(e, weight, reversed_dims) if reversed_dims else weight
    e.out = outs
    if groups == 1:
        return e.transpose(reverse, [1, 0, *range(2, e.rank(weight))])
    channels, filters, *kernel = e.shape(weight)
    split = e.reshape(reverse, (groups, channels // groups, filters, *kernel))
    exchanged = e.transpose(split, [0, 2, 1, *range(3, e.rank(split))])
    return e.reshape(exchanged, (groups * filters, channels // groups, *kernel))
