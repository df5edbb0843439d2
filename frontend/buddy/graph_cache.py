# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The graph cache: from the graph that Dynamo captured to its library, with no tracing in between.

An entry says which library of the disk cache the graph became and how it is called (a `Plan`), as
JSON. Weights are not in it: they are arguments. Its name is a hash of everything that the way
through AOTAutograd, importer and compiler reads: each node with its target, arguments and source
line, every input but for its values, torch's state and version, our sources, options, compiler,
CPU. A graph with anything in it that is not known to be said completely by its name (a function
of the user's, a higher-order op, a constant tensor, a subclass, a symbolic size) has no key, and
is compiled as if there were no cache; so are graphs with gradients, and where the user asked for
a compile to look at (a dump, a profile, autotuning, `cache` off).

Kept is what AOTAutograd adds nothing to when it is called (see `_adds_nothing`), in one compiled
piece, that owns no tensors. Dynamo guards such a graph the same with and without the cache.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import fx
from torch._functorch import config as aot_config
from torch._ops import OpOverload, OpOverloadPacket

from . import cache as disk_cache
from . import counters, driver, knobs
from .errors import CompilerError
from .executable import Launcher, Plan
from .options import Options
from .signature import Argument, ImportedFunction, Output
from .types import TensorSpec
from .views import View, Views

log = logging.getLogger(__name__)

# Where functions live whose names say what they do, and that call nothing of the user's.
MODULES = (
    "_operator",
    "math",
    "torch",
    "torch._C._fft",
    "torch._C._linalg",
    "torch._C._nn",
    "torch._C._special",
    "torch.amp.autocast_mode",
    "torch.functional",
    "torch.nn.functional",
)
NAMESPACES = ("aten", "prims", "buddy")  # of operators; others may be the user's Python
OTHERS = (getattr, torch._C._set_grad_enabled, torch._C._log_api_usage_once)
TENSORS = (torch.Tensor, torch.nn.Parameter)  # a buffer's type is Tensor
TORCH = f"{Path(torch.__file__).parent}{os.sep}"
CONSTANTS = (
    *(type(None), type(...), bool, int, float, complex, str),
    *(torch.dtype, torch.device, torch.layout, torch.memory_format),
)
SYMBOLIC = (torch.SymInt, torch.SymFloat, torch.SymBool)


class _NoKey(Exception):
    """Something in the graph that a key cannot say."""


def key_of(
    options: Options, graph_module: fx.GraphModule, example_inputs: Sequence[Any]
) -> str | None:
    """The name of the graph's entry, for a graph without gradients; None if it can have none."""
    if not options.cache or options.profile or options.autotune or knobs.profile():
        return None
    if options.dump_dir or knobs.dump_dir():
        return None
    try:
        parts = repr(options), _sources(), *_state(), *_inputs(example_inputs)
        text = "\n".join([*parts, *_nodes(graph_module)])
        return driver.graph_key(text.encode(), options.target)
    except (_NoKey, CompilerError) as reason:  # where there is no compiler there is no key
        log.debug("graph cache: bypassed for %s", reason)
        return None


def load(key: str, options: Options) -> Callable | None:
    """The callable that the entry stands for; None if there is no entry, or none that is whole."""
    try:
        entry = json.loads(_checked(disk_cache.path_of(f"{key}.json").read_bytes()))
        plan = _plan(entry["plan"])
        launch = Launcher.load(disk_cache.path_of(entry["library"]), plan, options)
    except FileNotFoundError:
        return None
    except Exception as error:  # whatever is wrong, also with its library: it is replaced
        log.info("graph cache: %s cannot be used: %s", key, error)
        return None
    counters.count("graphs")
    counters.count("nodes_lowered", plan.imported.nodes_lowered)
    counters.count_linalg(plan.imported.left_to_linalg)
    counters.count("cache_hits")
    return _as_dynamo_calls_it(launch)


def _as_dynamo_calls_it(launch: Launcher) -> Callable:
    def call(*args: Any) -> Sequence[Any]:
        return launch(args)

    return torch._dynamo.disable(call, reason="do not trace a compiled graph")


def store(key: str, inputs: int, launch: Launcher) -> Callable | None:
    """Keep what AOTAutograd compiles of a graph of so many inputs, if an entry can say it all.

    Returns what `load` will give then: AOTAutograd adds nothing to it that a call has to pay for.
    """
    plan = launch.plan
    # Only a write leaves gaps between results (`spread`), and that has been excluded.
    if plan.imported.constants or plan.views.spread or not _adds_nothing(inputs):
        return None
    try:
        entry = {"library": launch.library.name, "plan": dataclasses.asdict(plan)}
        text = json.dumps(entry, default=_written).encode()
    except TypeError:  # a symbolic size, a tensor
        return None

    def build(directory: Path) -> Path:
        path = directory / "entry.json"
        path.write_bytes(hashlib.sha256(text).hexdigest().encode() + b"\n" + text)
        return path

    disk_cache.put(f"{key}.json", build)
    return _as_dynamo_calls_it(launch)


def _adds_nothing(inputs: int) -> bool:
    """Whether AOTAutograd gives the compiled graph its arguments, and its results back, as they are.

    It does more for inputs that are written to (also in the graph: it tells autograd), that share
    memory or come twice (it guards that), for outputs that are views of inputs, for subclasses.
    """
    from torch._functorch._aot_autograd.schemas import MutationType, PlainTensorMeta

    context = torch._guards.TracingContext.try_get()
    metadata = context.fw_metadata if context else None
    return (
        metadata is not None
        and not context.guards_context.aotautograd_guards
        and len(metadata.input_info) == inputs
        and all(i.mutation_type is MutationType.NOT_MUTATED for i in metadata.input_info)
        and metadata.num_outputs_aliased == 0
        and metadata.num_intermediate_bases == 0
        and metadata.grad_enabled_mutation is None
        and not (metadata.tokens or metadata.dynamic_outputs or metadata.is_rng_op_functionalized)
        and all(type(m) is PlainTensorMeta for m in metadata.subclass_fw_graph_out_meta)
    )


# The key.


@functools.cache
def _sources() -> str:
    """This package, as its files are."""
    digest = hashlib.sha256()
    root = Path(__file__).parent
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root)} {path.stat().st_size}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _state() -> list[str]:
    """What tracing reads beside the graph."""
    modes = torch._C._len_torch_function_stack() + torch._C._len_torch_dispatch_stack()
    if modes or torch._C._functorch.peek_interpreter_stack() is not None:
        raise _NoKey("a mode, or a transform of torch.func")
    cuda, einsum = torch.backends.cuda, torch.backends.opt_einsum
    state = (
        (sys.version, torch.__version__, torch.version.git_version),
        (aot_config.get_hash(), torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
        [(d, torch.is_autocast_enabled(d), torch.get_autocast_dtype(d)) for d in ("cpu", "cuda")],
        (torch.is_autocast_cache_enabled(), torch.get_default_dtype(), torch.get_default_device()),
        (torch.are_deterministic_algorithms_enabled(), torch.get_float32_matmul_precision()),
        (torch.utils.deterministic.fill_uninitialized_memory, torch._C._get_mkldnn_enabled()),
        (cuda.flash_sdp_enabled(), cuda.mem_efficient_sdp_enabled(), cuda.math_sdp_enabled()),
        (einsum.is_available(), einsum.enabled, einsum.strategy),
    )
    return [repr(part) for part in state]


def _inputs(example_inputs: Sequence[Any]) -> Iterator[str]:
    """All about each input but the values of its elements: also with which one it shares memory."""
    storages: dict[int, int] = {}
    for x in example_inputs:
        is_plain = type(x) in TENSORS and x.layout == torch.strided and not x.is_nested
        if not is_plain or x.device.type != "cpu":
            raise _NoKey(f"an input that is no plain tensor: {type(x)}")
        storage = x.untyped_storage()
        yield repr(
            (
                (type(x).__name__, tuple(x.shape), x.stride(), x.storage_offset(), x.dtype),
                (x.requires_grad, x.is_inference(), x.is_conj(), x.is_neg(), x._is_zerotensor()),
                (storage.nbytes(), storages.setdefault(storage._cdata, len(storages))),
            )
        )


def _nodes(graph_module: fx.GraphModule) -> Iterator[str]:
    # What comes from Dynamo says which inputs are parameters; AOTAutograd looks for the same.
    yield repr(
        ("dynamo_compile_id" in graph_module.meta, hasattr(graph_module, "_param_name_to_source"))
    )
    number = {node: i for i, node in enumerate(graph_module.graph.nodes)}
    for node in number:
        value = node.meta.get("example_value")
        symbolic = isinstance(value, torch.Tensor) and value._has_symbolic_sizes_strides
        if symbolic or isinstance(value, SYMBOLIC):
            raise _NoKey("a symbolic size")
        static = node.meta.get("tensor_dict", {}).get("_dynamo_static_input_type")
        arguments = _text(node.args, number), _text(node.kwargs, number)
        yield repr((node.op, _target(node), *arguments, static, node.meta.get("stack_trace")))


def _target(node: fx.Node) -> str:
    target = node.target
    if node.op in ("placeholder", "output"):
        return ""
    if node.op == "call_method":
        return target
    if node.op != "call_function":
        raise _NoKey(f"{node.op} {target}")
    if isinstance(target, (OpOverload, OpOverloadPacket)):
        name = str(target)
        if name.partition(".")[0] in NAMESPACES:
            return name
    elif any(target is other for other in OTHERS) or _is_named(target):
        return f"{target.__module__} {target.__name__}"
    raise _NoKey(f"a call of {target}")


def _is_named(target: Any) -> bool:
    """Whether this is what its name stands for, and torch's own, not a user's in its place."""
    module, name = getattr(target, "__module__", None), getattr(target, "__name__", "")
    code = getattr(target, "__code__", None)
    is_torch = code is None or code.co_filename.startswith(TORCH)
    return is_torch and module in MODULES and getattr(sys.modules[module], name, None) is target


def _text(value: Any, number: dict[fx.Node, int]) -> str:
    """An argument of a node; two that differ have different texts."""
    if isinstance(value, fx.Node):
        return f"%{number[value]}"
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__}({','.join(_text(v, number) for v in value)})"
    if isinstance(value, dict):
        return f"dict({','.join(f'{k!r}:{_text(v, number)}' for k, v in value.items())})"
    if isinstance(value, slice):
        return f"slice{_text((value.start, value.stop, value.step), number)}"
    if type(value) not in CONSTANTS:
        raise _NoKey(f"an argument of type {type(value)}")
    return repr(value)


# The entry.


def _checked(data: bytes) -> bytes:
    """The text after its checksum: half of a file is none."""
    checksum, _, text = data.partition(b"\n")
    if hashlib.sha256(text).hexdigest().encode() != checksum:
        raise ValueError("its checksum is another one")
    return text


def _written(value: Any) -> dict[str, str]:
    """A dtype in JSON; for the rest there are no words."""
    if not isinstance(value, torch.dtype):
        raise TypeError(type(value).__name__)
    return {"torch": str(value).removeprefix("torch.")}


def _plan(given: dict[str, Any]) -> Plan:
    """What `dataclasses.asdict` and JSON made of it, back; lists do in the place of tuples."""
    imported, views = given["imported"], given["views"]
    function = imported | {
        "arguments": [Argument(**a) for a in imported["arguments"]],
        "results": [TensorSpec(r["shape"], _dtype(r["dtype"])) for r in imported["results"]],
        "outputs": [Output(**o) for o in imported["outputs"]],
    }
    returned = [View(**v | {"dtype": _dtype(v["dtype"])}) for v in views["returned"]]
    parts = {
        "imported": ImportedFunction(**function),
        "views": Views(returned, views["outputs"]),
    }
    return Plan(**given | parts)


def _dtype(written: dict[str, str] | None) -> torch.dtype | None:
    return getattr(torch, written["torch"]) if written else None
