# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The calling convention of an exported program: nested arguments to leaves, results back.

Shared by compiled programs and by loaded packages, so it knows no fake tensor and no symbol.
"""

from __future__ import annotations

import contextlib
import importlib
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import torch
from torch.utils import _pytree as pytree
from torch.utils._pytree import TreeSpec

from ..errors import InputError
from ..types import short_name


@dataclass(frozen=True)
class Leaf:
    """What one leaf of the arguments must be.

    tensor: of `dtype` (its short name) and `shape`, -1 where a size may differ from call to
    call; size: any int; constant: the `value` that the program was exported with.
    """

    name: str
    kind: str  # "tensor", "size" or "constant"
    dtype: str = ""
    shape: tuple[int, ...] = ()
    value: Any = None
    mutable: bool = False  # the call updates the tensor

    def check(self, given: Any) -> None:
        """Raise InputError unless `given` can be this leaf."""
        if self.kind == "tensor":
            if self._is_tensor(given):
                return
        elif self.kind == "size":
            if isinstance(given, int) and not isinstance(given, bool) and given >= 0:
                return
        elif type(given) is type(self.value) and given == self.value:
            return
        raise InputError(f"argument '{self.name}' must be {self}, got {_describe(given)}")

    def _is_tensor(self, given: Any) -> bool:
        if not isinstance(given, torch.Tensor) or not given.is_cpu:
            return False
        if given.layout is not torch.strided or short_name(given.dtype) != self.dtype:
            return False
        shape = given.shape
        return shape == self.shape or (
            len(shape) == len(self.shape)
            and all(wanted in (-1, size) for wanted, size in zip(self.shape, shape))
        )

    def __str__(self) -> str:
        if self.kind == "tensor":
            return f"{self.dtype}[{','.join('?' if d == -1 else str(d) for d in self.shape)}]"
        if self.kind == "size":
            return "an integer that is not negative"
        return f"{self.value!r}, which the program was exported with"


def _describe(given: Any) -> str:
    if not isinstance(given, torch.Tensor):
        return (
            repr(given)
            if isinstance(given, (int, float, str, bool, type(None)))
            else str(type(given))
        )
    text = f"{short_name(given.dtype)}[{','.join(map(str, given.shape))}]"
    if given.layout != torch.strided:
        text += f" of layout {given.layout}"
    return text if given.device.type == "cpu" else f"{text} on {given.device}"


# Types of arguments that hold no others.
LEAVES = {torch.Tensor, torch.nn.Parameter, int, float, bool, str, type(None)}


@dataclass(frozen=True)
class CallingConvention:
    """How a program is called and what it returns."""

    leaves: Sequence[Leaf]
    in_spec: TreeSpec
    out_spec: TreeSpec

    def flatten(self, args: tuple, kwargs: dict) -> list[Any]:
        """The leaves of a call, each checked by itself; raises InputError."""
        if kwargs or len(args) != self._plain or not LEAVES.issuperset(map(type, args)):
            args = self._flatten_nested(args, kwargs)
        for leaf, given in zip(self.leaves, args):
            leaf.check(given)
        return list(args)

    @cached_property
    def _plain(self) -> int | None:
        """The number of arguments where all are positional leaves: most calls need no more."""
        positional, named = self.in_spec.children()
        children = positional.children()
        is_plain = not named.num_leaves and all(child.is_leaf() for child in children)
        return len(children) if is_plain else None

    def _flatten_nested(self, args: tuple, kwargs: dict) -> list[Any]:
        args_spec, kwargs_spec = self.in_spec.children()
        if list(kwargs) != kwargs_spec.context and set(kwargs) == set(kwargs_spec.context):
            kwargs = {name: kwargs[name] for name in kwargs_spec.context}
        flat, spec = pytree.tree_flatten((args, kwargs))
        if spec != self.in_spec:
            raise InputError(
                f"the program takes {_signature(args_spec, kwargs_spec)}, "
                f"got {_signature(*spec.children())}"
            )
        return flat

    def unflatten(self, results: Sequence[Any]) -> Any:
        return pytree.tree_unflatten(results, self.out_spec)

    def manifest(self) -> dict:
        """As JSON; raises ValueError or NotImplementedError for types that have no JSON form."""
        return {
            "arguments": [asdict(leaf) for leaf in self.leaves],
            "in_spec": pytree.treespec_dumps(self.in_spec),
            "out_spec": pytree.treespec_dumps(self.out_spec),
        }

    @classmethod
    def from_manifest(cls, manifest: dict) -> CallingConvention:
        leaves = [Leaf(**leaf | {"shape": tuple(leaf["shape"])}) for leaf in manifest["arguments"]]
        specs = [manifest[key] for key in ("in_spec", "out_spec")]
        for spec in specs:
            import_types(spec)
        return cls(leaves, *map(pytree.treespec_loads, specs))


def import_types(specs: str) -> None:
    """Import what in transformers has the types that structures, written as JSON, consist of.

    Their modules register them with pytree. Other packages' are the program's to import.
    """
    for module in set(re.findall(r"\btype\W+(transformers(?:\.\w+)*)\.\w+", specs)):
        with contextlib.suppress(ImportError):
            importlib.import_module(module)


def _signature(args_spec: TreeSpec, kwargs_spec: TreeSpec) -> str:
    """`(*, [*, *], mask=*)`: the structure of a call, a star for each leaf."""
    parts = [_structure(child) for child in args_spec.children()]
    parts += [
        f"{name}={_structure(child)}"
        for name, child in zip(kwargs_spec.context or (), kwargs_spec.children())
    ]
    return f"({', '.join(parts)})"


def _structure(spec: TreeSpec) -> str:
    if spec.is_leaf():
        return "*"
    parts = [_structure(child) for child in spec.children()]
    if spec.type is dict:
        return f"{{{', '.join(f'{k!r}: {v}' for k, v in zip(spec.context, parts))}}}"
    if spec.type is list:
        return f"[{', '.join(parts)}]"
    name = "" if spec.type is tuple else getattr(spec.type, "__name__", str(spec.type))
    return f"{name}({', '.join(parts)})"
