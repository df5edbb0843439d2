# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The table of ops that programs are made of: one row each.

A row is the Python of the op, with `{0}`, `{1}` for tensor operands and `<dim>` for arguments that
`arguments.py` draws; the kinds of its operands, one letter each; and how far two correct
implementations of it may be apart.
"""

from __future__ import annotations

import enum
import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from arguments import NONZERO


class Freedom(enum.Enum):
    """What an implementation may choose; a NaN's sign and payload are always free."""

    EXACT = "one result is right"
    ZERO_SIGN = "the sign of a zero is free"
    ROUNDED = "a few units in the last place"
    ACCUMULATED = "any order of additions: as if the operands were rounded"
    CENTERED = "the same, and the mean that is subtracted from all elements is off"
    LOGARITHMIC = "the same, and a sum whose logarithm may be near 0 is off"


def _half(dtype: torch.dtype) -> bool:
    return dtype in (torch.float16, torch.bfloat16)


KINDS: dict[str, Callable[[torch.Tensor], bool]] = {
    "a": lambda x: True,
    "n": lambda x: x.dtype != torch.bool,
    "f": lambda x: x.dtype.is_floating_point,
    "w": lambda x: x.dtype.is_floating_point and not _half(x.dtype),
    "i": lambda x: not x.dtype.is_floating_point and x.dtype != torch.bool,
    "k": lambda x: not x.dtype.is_floating_point,
    "b": lambda x: x.dtype == torch.bool,
    "l": lambda x: x.dtype == torch.int64,
}


@dataclass(frozen=True)
class Op:
    """A row; `fits(first, other)` chooses the operands after the first one."""

    template: str
    kinds: str
    freedom: Freedom = Freedom.EXACT
    fits: Callable[[torch.Tensor, torch.Tensor], bool] | None = None
    defined: Callable[..., bool] = lambda *operands: True

    @property
    def writes(self) -> bool:
        """Whether operand 0 is written to."""
        return "] = " in self.template or "_(" in self.template

    @property
    def moves(self) -> bool:
        """Whether its elements are operand 0's, or constants."""
        return self in VIEWS or self in FACTORIES

    @property
    def reshapes(self) -> bool:
        """Whether it is operand 0 itself that gets another shape."""
        return bool(re.search(r"[.](t|transpose|squeeze|unsqueeze)_[(]", self.template))

    @property
    def ranks(self) -> int:
        """The least rank of operand 0 that the arguments make sense for."""
        return 1 if re.search(r"<(dim|slice)", self.template) else 0


def broadcasts(x: torch.Tensor, y: torch.Tensor) -> bool:
    return all(a == b or 1 in (a, b) for a, b in zip(x.shape[::-1], y.shape[::-1]))


def broadcasts_into(x: torch.Tensor, y: torch.Tensor) -> bool:
    """Whether y can be written to x."""
    pairs = list(zip(x.shape[::-1], y.shape[::-1]))
    return y.dim() <= x.dim() and all(b in (a, 1) for a, b in pairs)


def same_shape(x: torch.Tensor, y: torch.Tensor) -> bool:
    return x.shape == y.shape


def can_multiply(x: torch.Tensor, y: torch.Tensor) -> bool:
    """Whether x @ y is a product of matrices or vectors; for as many elements as are quick."""
    if 0 in (x.dim(), y.dim()) or x.dtype != y.dtype:
        return False
    batches = zip(x.shape[:-2][::-1], y.shape[:-2][::-1])
    inner = x.shape[-1] == y.shape[-2 if y.dim() > 1 else 0]
    return inner and all(a == b or 1 in (a, b) for a, b in batches)


def fits_integer(x: torch.Tensor, dtype: torch.dtype = torch.int64) -> bool:
    """Whether every element has an integer of `dtype`: otherwise a cast means nothing."""
    if dtype.is_floating_point or dtype == torch.bool or not x.dtype.is_floating_point:
        return True
    limits = torch.iinfo(dtype)
    y = x.to(torch.float64)
    top = float(limits.max) if limits.bits < 64 else 9.2e18
    return bool(((y >= float(limits.min)) & (y <= top)).all())


def nonzero(x: torch.Tensor, y: torch.Tensor) -> bool:
    """Whether y divides: integers have no quotient by 0, nor the least one by -1."""
    if x.dtype.is_floating_point or y.dtype.is_floating_point:
        return True
    if y.dtype == torch.bool or x.dtype == torch.bool:
        return bool((y != 0).all())
    least = (x == torch.iinfo(x.dtype).min).any() and (y == -1).any()
    return bool((y != 0).all()) and not bool(least)


def has_remainder(x: torch.Tensor, y: torch.Tensor) -> bool:
    """Whether y divides and the quotients are no infinities, of which eager's kernels make NaN."""
    if not x.dtype.is_floating_point and not y.dtype.is_floating_point:
        return nonzero(x, y)
    quotient = x / y if torch.float64 in (x.dtype, y.dtype) else x.float() / y.float()
    return not bool((quotient.isinf() & x.isfinite() & (y != 0)).any())


def has_signs(x: torch.Tensor) -> bool:
    """Whether every element has a sign to be read: a NaN's is nobody's promise."""
    return not bool(x.isnan().any())


def has_sinh(x: torch.Tensor) -> bool:
    """Whether no f64 is so large that eager's vectors, unlike its scalars, overflow early."""
    return x.dtype != torch.float64 or not bool((x.isfinite() & (x.abs() > 709)).any())


def has_squares(x: torch.Tensor) -> bool:
    """Whether sums of squares are finite in f64: no wider type tells what comes of them else."""
    return bool(x[x.isfinite()].double().square().sum().isfinite())


def rows(
    templates: Sequence[str], kinds: str, freedom: Freedom = Freedom.EXACT, **rest
) -> list[Op]:
    return [Op(template, kinds, freedom, **rest) for template in templates]


def calls(names: str, arguments: str, *rest, **keywords) -> list[Op]:
    """A row `torch.name(arguments)` for each of the names."""
    return rows([f"torch.{name}({arguments})" for name in names.split()], *rest, **keywords)


EXACT, ZERO_SIGN, ROUNDED, ACCUMULATED, CENTERED, LOGARITHMIC = Freedom

POINTWISE = [
    *calls("neg abs sign", "{0}", "n"),
    *calls("floor ceil trunc round", "{0}", "n"),
    *calls("reciprocal", "{0}", "f"),
    *calls("square", "{0}", "f"),
    *calls("sqrt", "{0}", "f", ROUNDED),  # a unit off in f64, in eager
    *calls("isnan isinf isfinite logical_not", "{0}", "a"),
    *calls("signbit", "{0}", "a", defined=has_signs),
    *calls("bitwise_not", "{0}", "k"),
    *calls("exp sin cos tanh sigmoid log1p expm1 erf atan rsqrt exp2", "{0}", "f", ROUNDED),
    *calls("log log2 asinh", "{0}", "f", ROUNDED),
    *calls("sinh", "{0}", "f", ROUNDED, defined=has_sinh),
    *calls("exp sin sigmoid", "{0}", "k", ROUNDED),
    *[
        Op(f"torch.nn.functional.{name}({{0}})", "f", ROUNDED)
        for name in ("gelu", "silu", "softplus", "mish", "elu", "selu", "logsigmoid")
    ],
    *calls("relu", "{0}", "n", ZERO_SIGN),
    Op("torch.nn.functional.leaky_relu({0}, 0.125)", "f"),
    Op("torch.nn.functional.hardtanh({0}, -1.0, 1.5)", "f"),
    Op("torch.nn.functional.hardswish({0})", "f", ROUNDED),
    *calls("add sub", "{0}, {1}", "nn", fits=broadcasts),
    *calls("mul", "{0}, {1}", "aa", fits=broadcasts),
    Op("torch.add({0}, {1}, alpha=<whole>)", "nn", ACCUMULATED, fits=broadcasts),
    Op("torch.rsub({0}, {1})", "nn", fits=broadcasts),
    Op("{0} / {1}", "aa", fits=broadcasts),
    *calls("fmod remainder", "{0}, {1}", "nn", ZERO_SIGN, fits=broadcasts, defined=has_remainder),
    *[
        Op(f"torch.div({{0}}, {{1}}, rounding_mode={mode!r})", "nn", fits=broadcasts,
           defined=nonzero)
        for mode in ("floor", "trunc")
    ],
    *calls("maximum minimum", "{0}, {1}", "aa", ZERO_SIGN, fits=broadcasts),
    *calls("fmax fmin", "{0}, {1}", "nn", ZERO_SIGN, fits=broadcasts),
    *calls("atan2 hypot", "{0}, {1}", "ff", ROUNDED, fits=broadcasts),
    *calls("eq ne lt le gt ge", "{0}, {1}", "aa", fits=broadcasts),
    *calls("logical_and logical_or logical_xor", "{0}, {1}", "aa", fits=broadcasts),
    *calls("bitwise_and bitwise_or bitwise_xor", "{0}, {1}", "kk", fits=broadcasts),
    *rows(["{0} + <number>", "<number> - {0}", "{0} / <nonzero>"], "n"),
    Op("{0} * <number>", "n"),
    *rows(["{0} < <number>", "{0} == <number>", "{0} >= <number>"], "a"),
    *rows(["{0} // <nonzero>", "{0} % <nonzero>"], "n", ZERO_SIGN,
          defined=lambda x: has_remainder(x, torch.tensor(min(abs(float(y)) for y in NONZERO)))),
    *rows(["{0} ** 2", "{0} ** 3"], "n", ROUNDED),
    Op("torch.pow({0}, <number>)", "f", ROUNDED),
    Op("torch.clamp({0}, <whole>, <whole>)", "n", ZERO_SIGN),
    Op("torch.clamp({0}, min=<number>)", "n", ZERO_SIGN),
    Op("torch.where({0}, {1}, {2})", "baa", fits=broadcasts),
    Op("torch.where({0} > 0, {0}, {1})", "aa", fits=broadcasts),
    Op("torch.where({0}, {1}, <number>)", "ba", fits=broadcasts),
    Op("torch.masked_fill({0}, {1}, <whole>)", "nb", fits=broadcasts),
    Op("torch.lerp({0}, {1}, 0.25)", "ff", ACCUMULATED,
       fits=lambda x, y: broadcasts(x, y) and x.dtype == y.dtype),
    Op("torch.addcmul({0}, {1}, {2}, value=<whole>)", "fff", ACCUMULATED, fits=broadcasts),
    Op("torch.nan_to_num({0})", "n"),
    Op("torch.copysign({0}, {1})", "ff", fits=broadcasts, defined=lambda x, y: has_signs(y)),
    Op("{0}.to(<dtype>)", "k"),
    Op("{0}.to(<float>)", "a"),
    Op("{0}.to(torch.bool)", "a"),
    *[
        Op(f"{{0}}.to({dtype})", "a", defined=lambda x, dtype=dtype: fits_integer(x, dtype))
        for dtype in (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)
    ],
]  # fmt: skip

REDUCTIONS = [
    *rows(["{0}.sum(<dim>)", "{0}.mean(<dim>, keepdim=<flag>)"], "f", ACCUMULATED),
    *rows(["{0}.sum(<dims>, keepdim=<flag>)", "{0}.sum()", "{0}.mean()"], "f", ACCUMULATED),
    *rows(["{0}.sum(<dim>, keepdim=<flag>)", "{0}.sum()", "{0}.prod(<dim>)"], "k"),
    *rows(["{0}.prod(<dim>)", "{0}.var(<dim>)", "{0}.std(<dim>, correction=0)"], "w", ACCUMULATED),
    *rows(["{0}.sum(<dim>, dtype=torch.float64)"], "a", ACCUMULATED),
    *rows(["{0}.amax(<dim>)", "{0}.amin(<dims>, keepdim=<flag>)"], "a", ZERO_SIGN),
    *rows(["{0}.max(<dim>).values", "{0}.max()", "{0}.min()"], "a", ZERO_SIGN),
    *rows(["{0}.argmax(<dim>)", "{0}.argmin(<dim>)", "{0}.argmax()"], "n"),
    *rows(["{0}.any(<dim>)", "{0}.all(<dim>)", "{0}.any()", "{0}.all()"], "a"),
    *rows(["{0}.count_nonzero(<dim>)"], "a"),
    *rows(["{0}.cumsum(<dim>)"], "k"),
    *rows(["{0}.cumsum(<dim>)"], "w", ACCUMULATED),
    *rows(["{0}.softmax(<dim>)"], "f", ACCUMULATED),
    *rows(["{0}.log_softmax(<dim>)"], "f", LOGARITHMIC),
    *rows(["{0}.logsumexp(<dim>)"], "w", LOGARITHMIC),
    *rows(["{0}.norm(dim=<dim>)"], "w", ACCUMULATED),
    *calls("nn.functional.layer_norm", "{0}, {0}.shape[-1:]", "w", CENTERED, defined=has_squares),
    *rows(["{0}.sort(<dim>).values", "{0}.sort(<dim>, descending=True).values"], "a", ZERO_SIGN),
    *rows(["{0}.sort(<dim>, stable=True).indices"], "a"),
]

PRODUCTS = [
    *rows(["{0} @ {1}", "torch.matmul({0}, {1}.transpose(-1, -2).mT)"], "ff", ACCUMULATED,
          fits=can_multiply),
    Op("torch.matmul({0}, {1}.mT)", "ff", ACCUMULATED,
       fits=lambda x, y: y.dim() > 1 and can_multiply(x, y.mT)),
    Op("torch.matmul({0}.mT, {1})", "ff", ACCUMULATED,
       fits=lambda x, y: x.dim() > 1 and can_multiply(x.mT, y)),
    Op("{0} @ {1}", "ii", fits=can_multiply),
    Op("torch.outer({0}.flatten()[:9], {1}.flatten()[:7])", "nn"),
    Op("torch.nn.functional.linear({0}, {1})", "ff", ACCUMULATED,
       fits=lambda x, y: y.dim() == 2 and x.dim() > 0 and can_multiply(x, y.mT)),
]  # fmt: skip

INDEXED = "{0}[{1} % {0}.shape[0]]"
VIEWS = [
    *rows(["{0}.transpose(<dim>, <dim>)", "{0}.flip(<dim>)"], "a"),
    *rows(["{0}.permute(<permutation>)", "{0}.contiguous()", "{0}.clone()"], "a"),
    *rows(["{0}.unsqueeze(<dim>)", "{0}.squeeze(<dim>)", "{0}.squeeze()"], "a"),
    *rows(["{0}[<slice>]", "{0}[<slice>]", "{0}.select(<dim>, 0)", "{0}.select(<dim>, -1)"], "a"),
    *rows(["{0}.narrow(<dim>, 1, <positive>)", "{0}[..., None]", "{0}[None]"], "a"),
    *rows(["{0}.reshape(-1)", "{0}.flatten(0, 1)", "{0}.reshape({0}.shape[::-1])"], "a"),
    *rows(["{0}.reshape(<factors>)", "{0}.view(<factors>)", "{0}.view(-1)"], "a"),
    *rows(["{0}.unflatten(<dim>, (-1, <positive>))", "{0}.expand(<expanded>)"], "a"),
    *rows(["{0}.expand_as({1})", "{0}.broadcast_to({1}.shape)"], "aa", fits=lambda x, y:
          broadcasts_into(y, x)),
    *rows(["{0}.repeat(<repeats>)", "{0}.repeat_interleave(2, <dim>)"], "a"),
    *rows(["{0}.roll(<whole>, <dim>)", "{0}.tril(<whole>)", "{0}.triu()"], "a"),
    *rows(["{0}.split(<positive>, <dim>)[-1]", "{0}.chunk(2, <dim>)[0]", "{0}.unbind(<dim>)[0]"],
          "a"),
    *rows(["{0}.diagonal()", "{0}.mT", "{0}.movedim(<dim>, <dim>)", "{0}.T.contiguous()"], "a"),
    *rows(["{0}.unfold(<dim>, 2, 1)", "{0}.view_as({0})", "{0}.detach()"], "a"),
    *rows(["torch.nn.functional.pad({0}, (<whole>, <positive>))"], "n"),
    *rows(["torch.nn.functional.pad({0}, (1, 0, -1, 2), value=2)"], "n"),
    *rows(["torch.cat([{0}, {1}], <dim>)", "torch.stack([{0}, {1}], <dim>)"], "aa",
          fits=same_shape),
    *rows(["torch.cat([{0}, {1}.flatten()])"], "aa", fits=lambda x, y: x.dim() == 1),
    *rows(["torch.cat([{0}, {0}, {0}[<slice>]], <dim>)"], "a"),
    *rows(["{0}.view(torch.int32)"], "w", defined=has_signs),
    *rows(["{0}.as_strided((2, 2), (1, 2))"], "w"),
    *rows(["{0}.gather(<dim>, torch.zeros_like({0}, dtype=torch.int64))"], "a"),
    *rows(["{0}.index_select(<dim>, torch.tensor([0, 0]))", "{0}[torch.tensor([0, -1])]"], "a"),
    *rows([INDEXED], "al", fits=lambda x, y: x.dim() > 0 and y.numel() <= 64),
    *rows(["{0}.take_along_dim({1}.argsort(-1, stable=True), -1)"], "aa", fits=same_shape),
]  # fmt: skip

FACTORIES = [
    *rows(["torch.zeros_like({0})", "torch.full_like({0}, <whole>)", "torch.ones_like({0})"], "a"),
    *rows(["torch.arange({0}.shape[0])", "torch.zeros({0}.shape[-1], dtype=<dtype>)"], "a"),
    *rows(["torch.full(({0}.shape[0], 2), <number>)", "{0}.new_zeros(3)"], "a"),
    *rows(["torch.linspace(0, 1, {0}.shape[-1])"], "a", ROUNDED),
]

WRITES = [
    *rows(["{0}.neg_()", "{0}.abs_()", "{0}.add_(<whole>)"], "n"),
    Op("{0}.mul_(<whole>)", "n"),
    *rows(["{0}.zero_()", "{0}.fill_(<whole>)", "{0}.logical_not_()"], "a"),
    *rows(["{0}.relu_()", "{0}.clamp_(<whole>, 3)"], "n", ZERO_SIGN),
    *rows(["{0}.exp_()", "{0}.sigmoid_()", "{0}.sin_()"], "f", ROUNDED),
    *rows(["{0}.add_({1})", "{0}.sub_({1})"], "nn", fits=broadcasts_into),
    Op("{0}.mul_({1})", "nn", fits=broadcasts_into),
    *rows(["{0}.copy_({1})", "{0}[:] = {1}"], "aa", fits=broadcasts_into,
          defined=lambda x, y: fits_integer(y, x.dtype)),
    *rows(["{0}[<slice>] = <whole>", "{0}[<slice>] = {0}[<slice>].neg()"], "n"),
    *rows(["{0}.select(<dim>, 0).add_(<whole>)", "{0}.t_()", "{0}.transpose_(<dim>, <dim>)"], "n"),
    *rows(["{0}.masked_fill_({1}, <whole>)", "{0}[{1}] = 3"], "nb", fits=broadcasts_into),
    *rows(["{0}.unsqueeze_(0)", "{0}.squeeze_()"], "a"),
    *rows(["{0}.index_fill_(<dim>, torch.tensor([0]), <whole>)"], "n"),
    *rows(["{0}.select(<dim>, -1).copy_({0}.select(<dim>, 0).clone())"], "n"),
    *rows(["{0}.div_({1})"], "ff", fits=broadcasts_into),
]  # fmt: skip

FAMILIES = (POINTWISE, POINTWISE, VIEWS, REDUCTIONS, WRITES, PRODUCTS, FACTORIES)
# Of rows for several kinds, the freest: where results are integers, all are exact.
BY_TEMPLATE = {
    op.template: op
    for op in sorted(itertools.chain(*FAMILIES), key=lambda op: list(Freedom).index(op.freedom))
}


def needs_dynamo(op: Op, operands: Sequence[torch.Tensor], inputs: Sequence[torch.Tensor]) -> bool:
    """Whether only Dynamo captures it: an input reshaped in place, an element read by Python."""
    reshaped = op.reshapes and any(operands[0] is x for x in inputs)
    return reshaped or (op.template == INDEXED and not operands[1].dim())
