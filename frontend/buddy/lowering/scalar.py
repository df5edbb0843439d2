# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Arithmetic on single elements: what stands inside the region of a linalg.generic.

Values are MLIR scalars; each function picks the float, integer or boolean op by the type it
sees. Integers are signed: `types.compute_dtype` widens u8 before it comes here.
"""

from __future__ import annotations

import torch
from mlir import ir
from mlir.dialects import arith, linalg, math, scf

from ..types import element_type, is_float

BOOL_WIDTH = 1


def is_float_value(x: ir.Value) -> bool:
    return isinstance(x.type, ir.FloatType)


def is_bool_value(x: ir.Value) -> bool:
    return isinstance(x.type, ir.IntegerType) and x.type.width == BOOL_WIDTH


def constant(value: float | int | bool, kind: ir.Type) -> ir.Value:
    """`value` as a constant of type `kind`, wrapped or rounded the way torch would."""
    if isinstance(kind, ir.FloatType):
        return arith.constant(kind, float(value))
    if isinstance(kind, ir.IntegerType):
        if kind.width == BOOL_WIDTH:
            return arith.constant(kind, int(bool(value)))
        half = 1 << (kind.width - 1)
        return arith.constant(kind, (int(value) + half) % (2 * half) - half)
    return arith.constant(kind, int(value))


def loop_index(loop: int) -> ir.Value:
    """The current index of one of the surrounding linalg op's loops."""
    return linalg.IndexOp(loop).result


def like(value: float | int | bool, x: ir.Value) -> ir.Value:
    """`value` as a constant of x's type."""
    return constant(value, x.type)


def _dispatch(on_float, on_int, on_bool=None):
    """A function of scalars that picks its op by the type of the first one."""

    def op(x, *rest):
        if is_float_value(x):
            chosen = on_float
        elif on_bool is not None and is_bool_value(x):
            chosen = on_bool
        else:
            chosen = on_int
        return chosen(x, *rest)

    return op


add = _dispatch(arith.addf, arith.addi, arith.ori)
sub = _dispatch(arith.subf, arith.subi, arith.xori)
mul = _dispatch(arith.mulf, arith.muli, arith.andi)
maximum = _dispatch(arith.maximumf, arith.maxsi, arith.ori)
minimum = _dispatch(arith.minimumf, arith.minsi, arith.andi)


def multiply_add(x: ir.Value, y: ir.Value, z: ir.Value) -> ir.Value:
    """x · y + z of one operator, which may round once."""
    if not is_float_value(x):
        return add(mul(x, y), z)
    once = arith.FastMathFlags.contract
    return arith.addf(z, arith.mulf(x, y, fastmath=once), fastmath=once)


def _by_safe_divisor(op, x: ir.Value, y: ir.Value) -> ir.Value:
    """`op` of integers that never traps: 0 where y is 0, and x / -1 wraps as -x does."""
    zero, minus_one = compare("eq", y, like(0, y)), compare("eq", y, like(-1, y))
    trivial = arith.ori(zero, minus_one)
    result = op(x, select(trivial, like(1, y), y))
    # What op makes of x and 1 is x for quotients and 0 for remainders.
    return select(zero, like(0, x), select(minus_one, neg(result), result))


def int_div(x: ir.Value, y: ir.Value) -> ir.Value:
    """Integer division rounded towards zero."""
    return _by_safe_divisor(arith.divsi, x, y)


def int_rem(x: ir.Value, y: ir.Value) -> ir.Value:
    """The rest of `int_div`: it has the sign of x."""
    return _by_safe_divisor(arith.remsi, x, y)


def int_pow(x: ir.Value, exponent: ir.Value) -> ir.Value:
    """x ** exponent by repeated squaring; 1 / x ** -exponent rounded towards zero if negative."""
    kind = x.type
    loop = scf.WhileOp([kind] * 3, [like(1, x), x, exponent])
    before = loop.regions[0].blocks.append(*[kind] * 3)
    with ir.InsertionPoint(before):
        rest = before.arguments[2]
        scf.ConditionOp(compare("gt", rest, like(0, rest)), before.arguments)
    after = loop.regions[1].blocks.append(*[kind] * 3)
    with ir.InsertionPoint(after):
        result, square, rest = after.arguments
        odd = compare("ne", arith.andi(rest, like(1, rest)), like(0, rest))
        result = select(odd, mul(result, square), result)
        scf.YieldOp([result, mul(square, square), arith.shrui(rest, like(1, rest))])
    odd = compare("ne", arith.andi(exponent, like(1, x)), like(0, x))
    minus_one = select(odd, like(-1, x), like(1, x))
    of_unit = select(compare("eq", x, like(-1, x)), minus_one, like(0, x))
    inverse = select(compare("eq", x, like(1, x)), like(1, x), of_unit)
    return select(compare("lt", exponent, like(0, x)), inverse, loop.results[0])


def truncate(x: ir.Value) -> ir.Value:
    return math.trunc(x) if is_float_value(x) else x


def neg(x: ir.Value) -> ir.Value:
    return arith.negf(x) if is_float_value(x) else arith.subi(like(0, x), x)


def absolute(x: ir.Value) -> ir.Value:
    if is_bool_value(x):
        return x
    return math.absf(x) if is_float_value(x) else arith.maxsi(x, neg(x))


def at_least(x: ir.Value, bound: ir.Value) -> ir.Value:
    """max(x, bound) that is x where both are zero, or x is NaN; `bound` is not NaN."""
    return select(compare("lt", x, bound), bound, x) if is_float_value(x) else maximum(x, bound)


def at_most(x: ir.Value, bound: ir.Value) -> ir.Value:
    """min(x, bound) that is x where both are zero, or x is NaN; `bound` is not NaN."""
    return select(compare("gt", x, bound), bound, x) if is_float_value(x) else minimum(x, bound)


_FLOAT_PREDICATES = {
    "eq": arith.CmpFPredicate.OEQ,
    "ne": arith.CmpFPredicate.UNE,
    "lt": arith.CmpFPredicate.OLT,
    "le": arith.CmpFPredicate.OLE,
    "gt": arith.CmpFPredicate.OGT,
    "ge": arith.CmpFPredicate.OGE,
}
_SIGNED_PREDICATES = {
    "eq": arith.CmpIPredicate.eq,
    "ne": arith.CmpIPredicate.ne,
    "lt": arith.CmpIPredicate.slt,
    "le": arith.CmpIPredicate.sle,
    "gt": arith.CmpIPredicate.sgt,
    "ge": arith.CmpIPredicate.sge,
}
_UNSIGNED_PREDICATES = _SIGNED_PREDICATES | {
    "lt": arith.CmpIPredicate.ult,
    "le": arith.CmpIPredicate.ule,
    "gt": arith.CmpIPredicate.ugt,
    "ge": arith.CmpIPredicate.uge,
}


def compare(predicate: str, x: ir.Value, y: ir.Value) -> ir.Value:
    """`x <predicate> y` as i1; predicate is one of eq, ne, lt, le, gt, ge."""
    if is_float_value(x):
        return arith.cmpf(_FLOAT_PREDICATES[predicate], x, y)
    table = _UNSIGNED_PREDICATES if is_bool_value(x) else _SIGNED_PREDICATES
    return arith.cmpi(table[predicate], x, y)


def compare_unsigned(predicate: str, x: ir.Value, y: ir.Value) -> ir.Value:
    """`x <predicate> y` of integers taken as unsigned."""
    return arith.cmpi(_UNSIGNED_PREDICATES[predicate], x, y)


def is_true(x: ir.Value) -> ir.Value:
    """x != 0 as i1; NaN is true."""
    return x if is_bool_value(x) else compare("ne", x, like(0, x))


def logical_not(x: ir.Value) -> ir.Value:
    return arith.xori(is_true(x), constant(1, ir.IntegerType.get_signless(1)))


def is_nan(x: ir.Value) -> ir.Value:
    return arith.cmpf(arith.CmpFPredicate.UNO, x, x)


def select(condition: ir.Value, x: ir.Value, y: ir.Value) -> ir.Value:
    return arith.select(condition, x, y)


def sign(x: ir.Value) -> ir.Value:
    """-1, 0 or 1; torch gives 0 for NaN."""
    if is_bool_value(x):
        return x
    negative = select(compare("lt", x, like(0, x)), like(-1, x), like(0, x))
    return select(compare("gt", x, like(0, x)), like(1, x), negative)


def floor_div(x: ir.Value, y: ir.Value) -> ir.Value:
    """Division rounded towards minus infinity."""
    if is_float_value(x):
        return _float_floor_div(x, y)
    rest = int_rem(x, y)
    opposite = arith.xori(compare("lt", x, like(0, x)), compare("lt", y, like(0, y)))
    inexact = arith.andi(compare("ne", rest, like(0, x)), opposite)
    quotient = int_div(x, y)
    return select(inexact, sub(quotient, like(1, x)), quotient)


def _float_floor_div(x: ir.Value, y: ir.Value) -> ir.Value:
    """Python's //: from the exact rest, for x / y may round up to the next whole number."""
    zero, ratio = like(0, x), arith.divf(x, y)
    rest = arith.remf(x, y)
    quotient = arith.divf(arith.subf(x, rest), y)
    opposite = arith.xori(compare("lt", rest, zero), compare("lt", y, zero))
    below = arith.andi(compare("ne", rest, zero), opposite)
    quotient = select(below, arith.subf(quotient, like(1, x)), quotient)
    floor = math.floor(quotient)
    too_low = compare("gt", arith.subf(quotient, floor), like(0.5, x))
    whole = select(too_low, arith.addf(floor, like(1, x)), floor)
    whole = select(compare("eq", quotient, zero), math.copysign(zero, ratio), whole)
    return select(compare("eq", y, zero), ratio, whole)


def remainder(x: ir.Value, y: ir.Value) -> ir.Value:
    """Python's %: the result has the sign of y."""
    rest = arith.remf(x, y) if is_float_value(x) else int_rem(x, y)
    zero = like(0, x)
    opposite = arith.xori(compare("lt", rest, zero), compare("lt", y, zero))
    return select(arith.andi(compare("ne", rest, zero), opposite), add(rest, y), rest)


def fmod(x: ir.Value, y: ir.Value) -> ir.Value:
    """C's %: the result has the sign of x."""
    return arith.remf(x, y) if is_float_value(x) else int_rem(x, y)


def shift_left(x: ir.Value, by: ir.Value) -> ir.Value:
    """x · 2^by; 0 where `by` is negative or not less than the width, as eager has it."""
    inside = _is_shift(by)
    return select(inside, arith.shli(x, select(inside, by, like(0, by))), like(0, x))


def shift_right(x: ir.Value, by: ir.Value) -> ir.Value:
    """x ÷ 2^by towards minus infinity: 0 or -1 where `by` is negative or too large."""
    return arith.shrsi(x, select(_is_shift(by), by, like(x.type.width - 1, by)))


def _is_shift(by: ir.Value) -> ir.Value:
    return compare_unsigned("lt", by, like(by.type.width, by))


def cast(
    x: ir.Value, source: torch.dtype, target: torch.dtype, *, implicit: bool = False
) -> ir.Value:
    """x, an element of dtype `source`, as dtype `target`.

    An implicit cast is one that the program does not name: to the precision in which eager
    computes, and back to where it stores. Between operations that become one loop nothing is
    stored, and such a rounding is left out.
    """
    if source == target:
        return x
    if target == torch.bool:
        return is_true(x)
    kind = element_type(target)
    if is_float(source):
        flags = arith.FastMathFlags.contract if implicit else None
        return _float_to_float(x, kind, flags) if is_float(target) else _float_to_int(x, target)
    unsigned = source in (torch.bool, torch.uint8)
    if is_float(target):
        return arith.uitofp(kind, x) if unsigned else arith.sitofp(kind, x)
    if kind.width == x.type.width:
        return x
    if kind.width < x.type.width:
        return arith.trunci(kind, x)
    return arith.extui(kind, x) if unsigned else arith.extsi(kind, x)


def _float_to_float(x: ir.Value, kind: ir.Type, flags) -> ir.Value:
    if kind.width > x.type.width:
        return arith.extf(kind, x, fastmath=flags)
    if kind.width == 16 and x.type.width == 64:
        x = arith.truncf(ir.F32Type.get(), x)  # as eager does; there is no instruction for more
    if kind.width < x.type.width:
        return arith.truncf(kind, x, fastmath=flags)
    # f16 and bf16 meet in f32.
    return arith.truncf(kind, arith.extf(ir.F32Type.get(), x))


def _float_to_int(x: ir.Value, target: torch.dtype) -> ir.Value:
    """Towards zero, by way of the wider integer that eager converts through, and then wraps."""
    kind = element_type(target)
    between = ir.IntegerType.get_signless(64 if target in (torch.int64, torch.uint8) else 32)
    wide = arith.fptosi(between, x)
    return wide if kind == between else arith.trunci(kind, wide)
