# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The options of `torch.compile(..., backend="buddy", options={...})`, declared once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import OptionError


def _boolean(value: Any) -> bool:
    return isinstance(value, bool)


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _one_of(*names: str) -> Callable[[Any], bool]:
    return lambda value: value in names


def _option(default: Any, allowed: str, check: Callable[[Any], bool]) -> Any:
    return dataclasses.field(default=default, metadata={"allowed": allowed, "check": check})


@dataclass(frozen=True)
class Options:
    """How to compile; each field knows what it may be."""

    fallback: bool = _option(True, "True or False", _boolean)
    freeze: bool | None = _option(
        None,
        "True, False or None (where nothing has a gradient)",
        lambda v: v is None or _boolean(v),
    )
    dialect: str = _option("linalg", "'linalg' or 'tosa'", _one_of("linalg", "tosa"))
    target: str = _option("cpu", "'cpu'", _one_of("cpu"))
    num_threads: int = _option(0, "a number of threads, 0 for torch's", _count)
    dump_dir: str | Path | None = _option(
        None, "a directory, or None", lambda v: v is None or isinstance(v, (str, Path))
    )
    cache: bool = _option(True, "True or False", _boolean)
    profile: bool = _option(False, "True or False", _boolean)
    autotune: bool = _option(False, "True or False", _boolean)

    @classmethod
    def parse(cls, given: Mapping[str, Any] | None) -> Options:
        """Checked options; raises OptionError naming the option and what it may be."""
        fields = {field.name: field for field in dataclasses.fields(cls)}
        for name, value in (given or {}).items():
            if name not in fields:
                raise OptionError(f"unknown option '{name}': it may be one of {', '.join(fields)}")
            if not fields[name].metadata["check"](value):
                allowed = fields[name].metadata["allowed"]
                raise OptionError(f"option '{name}' is {value!r}: it may be {allowed}")
        return cls(**(given or {}))
