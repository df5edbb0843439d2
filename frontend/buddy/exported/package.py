# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""An exported program as a package: a directory that runs without Python.

    manifest.json  model.so  weights.safetensors

The library's entry point `forward` is the graph. Where sizes differ from call to call, `sizes`
takes the same arguments and gives the sizes that the call must have and will return: the runtime
checks a call and allocates its outputs without knowing any expression.
"""

from __future__ import annotations

import contextlib
import fnmatch
import logging
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import fx
from torch.export import ExportedProgram
from torch.utils import _pytree as pytree

from ..errors import ModelError
from ..executable import ENTRY
from ..expanded_writes import restore_writes
from ..importer import import_graph, new_module
from ..packaging.directory import (
    TARGETS,
    Report,
    check_choice,
    check_destination,
    compile_library,
    temporary_sibling,
    write_manifest,
)
from ..packaging.weights import write_weights
from ..roles import kind_of, mutated_placeholders
from ..signature import Argument, ImportedFunction
from ..types import Dim, short_name
from .calling import CallingConvention, import_types
from .compiled import convention_of, describe_condition, symbolic_dims
from .program import Program, capture

SIZES = "sizes"


def compile_program(
    exported: ExportedProgram | str | Path,
    out_dir: str | Path,
    *,
    name: str | None = None,
    target: str = "cpu",
    features: str = "host",
    dump_dir: str | Path | None = None,
    profile: bool = False,
    on_stage: Callable[[str], None] = lambda stage: None,
) -> Report:
    """Compile an ExportedProgram, or what torch.export.save wrote, into the package `out_dir`.

    An existing package at `out_dir` is replaced; anything else there is an error. Raises
    OptionError, ModelError, UnsupportedOpError (nothing runs eagerly here) or CompilerError.
    """
    check_choice("target", target, TARGETS)
    out_dir = Path(out_dir)
    check_destination(out_dir)
    report = Report(out_dir, on_stage=on_stage)
    with report.stage("load"):
        exported = exported if isinstance(exported, ExportedProgram) else _load(Path(exported))
    with report.stage("capture"):
        program = capture(exported)
    with report.stage("import"):
        imported = _import(program)
        convention = _manifest_of(convention_of(program))
    with temporary_sibling(out_dir) as directory:
        with report.stage("compile"):
            native = {"target": target, "features": features, "dump_dir": dump_dir}
            compile_library(imported.bytecode, directory, profile=profile, **native)
        with report.stage("weights"):
            load = imported.tensors.__getitem__
            library = write_weights(directory, load, (ENTRY,), report, imported.state)
        with report.stage("manifest"):
            manifest = {"kind": "program", "name": name or out_dir.name, **convention}
            manifest |= imported.manifest(program)
            write_manifest(directory, manifest, library, report)
    return report


def _load(path: Path) -> ExportedProgram:
    if not path.is_file():
        raise ModelError(f"{path}: no such file")
    try:
        with zipfile.ZipFile(path) as archive:
            for name in fnmatch.filter(archive.namelist(), "*/models/*.json"):
                import_types(archive.read(name).decode())
        with _quiet(logging.getLogger("torch.export")):  # which logs tracebacks of what it raises
            return torch.export.load(path)
    except Exception as error:  # a damaged archive fails in as many ways as it has parts
        raise ModelError(f"{path}: not a program that torch.export.save wrote: {error}") from error


@contextlib.contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """Nothing below an error is logged in the block."""
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _manifest_of(convention: CallingConvention) -> dict:
    try:
        return convention.manifest()
    except Exception as error:  # pytree's words for a type that was not registered with a name
        raise ModelError(
            f"the program's arguments or results have no JSON form: {error}"
        ) from error


@dataclass
class _Imported:
    """The graph module of a package and what its manifest says about it."""

    bytecode: bytes
    function: ImportedFunction
    arguments: list[Argument]  # one per placeholder
    tensors: dict[str, torch.Tensor]  # parameters, buffers and constants by argument
    state: list[str]  # buffers that calls write to

    def manifest(self, program: Program) -> dict:
        """How results come from the function's outputs, and what a call is checked for."""
        names = _result_names(program)
        specs = self.function.results[: len(self.function.results) - bool(self.function.messages)]
        outputs = [{"name": "", "dtype": short_name(spec.dtype)} for spec in specs]
        results, sizes = [], 0
        for name, slot in zip(names, program.results):
            results.append(self._result(program, slot, sizes))
            sizes += results[-1]["kind"] == "size"
            if results[-1]["kind"] == "output":
                output = outputs[results[-1]["index"]]
                output["name"] = output["name"] or name
        return {
            "results": results,
            "outputs": outputs,
            "state": self.state,
            "messages": list(self.function.messages),
            "conditions": [describe_condition(c, program.inputs) for c in program.conditions],
        }

    def _result(self, program: Program, slot, sizes: int) -> dict[str, Any]:
        if slot.index is None:
            return {"kind": "constant", "value": slot.constant}
        source = self.function.outputs[slot.index]
        if source.kind == "result":
            return {"kind": "output", "index": source.index}
        if source.kind == "argument":
            return {"kind": "argument", "index": source.index - len(program.state)}
        if source.kind == "symbol" and not isinstance(source.size, int):
            return {"kind": "size", "index": sizes}
        return {"kind": "constant", "value": source.size if source.kind == "symbol" else None}


def _import(program: Program) -> _Imported:
    """The program as bytecode, with the entry points `forward` and, if it has any, `sizes`."""
    graph_module = program.graph_module
    restore_writes(graph_module)
    mutated = mutated_placeholders(graph_module)
    _copy_returned_state(program)
    taken = {node.name for node in program.inputs}
    arguments, tensors = [], {}
    for node in graph_module.graph.find_nodes(op="placeholder"):
        if node.name in program.state:
            name = program.targets[node.name]
            name = node.name if name in taken else name
            tensors[name] = program.state[node.name]
            kind = "input" if node in mutated else "parameter"
        else:
            name, kind = node.name, kind_of(node, False)
        arguments.append(Argument(name, kind, node in mutated))
    module = new_module()
    function = import_graph(graph_module, module, ENTRY, arguments, checks=True)
    dims = _sizes(program, function)
    if dims:
        _import_sizes(program, module, arguments, dims)
    buffer = BytesIO()
    module.operation.write_bytecode(buffer)
    tensors = {name: _stored(tensor) for name, tensor in (tensors | function.constants).items()}
    state = [a.name for a in arguments if a.mutable and a.name in tensors]
    return _Imported(buffer.getvalue(), function, arguments, tensors, state)


def _copy_returned_state(program: Program) -> None:
    """Results are the caller's: a parameter or buffer that is one is copied."""
    graph = program.graph_module.graph
    output = graph.output_node()
    returned = []
    for node in output.args[0]:
        if node.name in program.state:
            with graph.inserting_before(output):
                copy = graph.call_function(torch.ops.aten.clone.default, (node,))
            copy.meta.update(node.meta)
            node = copy
        returned.append(node)
    output.args = (tuple(returned),)


def _stored(tensor: torch.Tensor) -> torch.Tensor:
    """As the weights' file holds it: u8 is its bits as i8."""
    tensor = tensor.detach().contiguous()
    return tensor.view(torch.int8) if tensor.dtype == torch.uint8 else tensor


def _sizes(program: Program, function: ImportedFunction) -> list[Any]:
    """What `sizes` gives: of each input its dynamic sizes, of each output too; each condition,
    1 where it holds; sizes among the results."""
    values = [node.meta.get("val") for node in program.inputs]
    outputs = function.results[: len(function.results) - bool(function.messages)]
    dims: list[Dim] = [size.node.expr for _, _, size in symbolic_dims(values)]
    dims += [d for spec in outputs for d in spec.shape if not isinstance(d, int)]
    sources = (function.outputs[s.index] for s in program.results if s.index is not None)
    symbols = [o.size for o in sources if o.kind == "symbol" and not isinstance(o.size, int)]
    return [*dims, *program.conditions, *symbols]


def _import_sizes(program: Program, module, arguments: list[Argument], dims: list[Any]) -> None:
    graph = fx.Graph()
    for node in program.graph_module.graph.find_nodes(op="placeholder"):
        graph.placeholder(node.name).meta.update(node.meta)
    sizes = graph.call_function(torch.ops.buddy.sizes.default, (dims,))
    sizes.meta["val"] = torch.empty(len(dims), dtype=torch.int64, device="meta")
    graph.output((sizes,))
    read_only = [Argument(a.name, a.kind) for a in arguments]
    import_graph(fx.GraphModule({}, graph), module, SIZES, read_only)


def _result_names(program: Program) -> list[str]:
    """Where each result stands in what the program returns: `logits`, `boxes.0`; else `output`."""
    tree = pytree.tree_unflatten(list(range(len(program.results))), program.out_spec)
    paths, _ = pytree.tree_flatten_with_path(tree)
    return [".".join(map(_key, path)) or "output" for path, _ in paths]


def _key(entry: Any) -> str:
    return str(getattr(entry, "key", getattr(entry, "idx", getattr(entry, "name", entry))))
