# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""FX graph → MLIR: knows node kinds, source locations and types, but no op."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sympy
import torch
from mlir import ir
from mlir.dialects import func, tensor
from torch import fx

from . import types
from .constants import dense_constant
from .errors import LoweringFailed, UnsupportedOp, UnsupportedOpError
from .locations import location_of, where
from .lowering import find
from .lowering.bounds import Check, first_failure
from .lowering.effects import WITH_EFFECTS, lower_with_effects
from .lowering.emitter import Emitter
from .lowering.functionalized import AUTO_FUNCTIONALIZED, lower_functionalized
from .lowering.registry import Unsupported
from .lowering.symbols import Symbols
from .roles import SAVED
from .signature import Argument, ImportedFunction, Output, Signature
from .types import TensorSpec

DIALECTS = ("arith", "func", "linalg", "math", "scf", "tensor", "tosa")  # that lowerings emit
MODULE_VERSION = 1
INLINE_CONSTANT_BYTES = 1024
SYMBOLIC = (torch.SymInt, torch.SymFloat)
NUMBERS = (*SYMBOLIC, int)  # what arithmetic on sizes gives


def new_module() -> ir.Module:
    """An empty graph module, ready for `import_graph`."""
    with ir.Context(DIALECTS) as context, ir.Location.unknown():
        context.allow_unregistered_dialects = True  # the buddy dialect lives in buddy-opt
        module = ir.Module.create()
        version = ir.IntegerAttr.get(ir.IntegerType.get_signless(64), MODULE_VERSION)
        module.operation.attributes["buddy.version"] = version
    return module


def refused(node: fx.Node, reason: str) -> UnsupportedOp:
    arguments = ", ".join(types.describe(a) for a in (*node.args, *node.kwargs.values()))
    return UnsupportedOp(node.name, str(node.target), where(node), arguments, reason)


def import_graph(
    graph_module: fx.GraphModule,
    module: ir.Module,
    name: str,
    arguments: Sequence[Argument],
    *,
    dialect: str = "linalg",
    bind: Mapping[sympy.Symbol, int] | None = None,
    checks: bool = False,
) -> ImportedFunction:
    """Append the graph as public function `name` to `module`.

    Takes an AOT-level graph of core Aten ops with `meta["val"]` and one `Argument` per
    placeholder; `bind` fixes symbols to numbers, whose placeholders disappear. A submodule that
    is called becomes the private function `name.submodule`. With `checks` a last result tells
    whether an index was out of range (see `ImportedFunction.messages`). Raises
    UnsupportedOpError naming every op that has no lowering, LoweringFailed for a wrong one.
    """
    with module.context, ir.Location.unknown():
        return _GraphImporter(graph_module, name, arguments, dialect, bind, checks).run(module)


class _GraphImporter:
    """The state of importing one graph."""

    def __init__(self, graph_module, name, arguments, dialect, bind, checks, visibility=None):
        self.graph_module = graph_module
        self.name = name
        self.dialect = dialect
        self.bind = bind
        self.visibility = visibility
        self.callees: dict[str, ImportedFunction] = {}
        self.symbols = Symbols(bind)
        self.checks = checks
        self.emitter = Emitter(self.symbols, checks)
        self.values: dict[fx.Node, Any] = {}
        self.unsupported: list[UnsupportedOp] = []
        self.updates: dict[fx.Node, ir.Value] = {}
        self.constants: dict[str, torch.Tensor] = {}
        self.nodes_lowered = 0
        self.placeholders = [n for n in graph_module.graph.nodes if n.op == "placeholder"]
        if len(self.placeholders) != len(arguments):
            raise ValueError(
                f"{name}: {len(arguments)} arguments for {len(self.placeholders)} placeholders"
            )
        self.given = dict(zip(self.placeholders, arguments))

    def run(self, module: ir.Module) -> ImportedFunction:
        signature = self._signature()
        kind = ir.FunctionType.get(signature.types, [])
        with ir.InsertionPoint(module.body):
            function = func.FuncOp(self.name, kind, visibility=self.visibility)
            block = function.add_entry_block()
        try:
            with ir.InsertionPoint(block):
                self._bind_arguments(signature, block)
                for node in self.graph_module.graph.nodes:
                    self._import_node(node, module)
                if self.unsupported:
                    raise UnsupportedOpError(self.unsupported)
                imported = self._finish(function, signature)
            if not function.operation.verify():
                raise LoweringFailed(f"the function made of graph {self.name} does not verify")
        except BaseException:
            function.operation.erase()
            raise
        return imported

    # Arguments.

    def _signature(self) -> Signature:
        signature = Signature()
        for node in self.placeholders:
            argument, value = self.given[node], node.meta.get("val")
            if isinstance(value, torch.Tensor):
                if not types.is_supported(value):
                    continue  # every op that reads it is refused
                kind = self.symbols.spec(value).mlir_type()
            elif isinstance(value, (torch.SymInt, int)):
                if isinstance(self.symbols.resolve(value), int):
                    continue  # bound, or a constant: nothing to pass
                kind = ir.IndexType.get()
            else:
                continue  # None, or an object that no op may use
            signature.arguments.append(argument)
            signature.types.append(kind)
            signature.nodes.append(node)
        for node in self.graph_module.graph.nodes:
            if node.op == "get_attr" and self._is_large_constant(node):
                self._add_constant(signature, node)
        return signature

    def _attribute(self, node: fx.Node) -> Any:
        return operator.attrgetter(node.target)(self.graph_module)

    def _is_large_constant(self, node: fx.Node) -> bool:
        value = self._attribute(node)
        return isinstance(value, torch.Tensor) and value.nbytes > INLINE_CONSTANT_BYTES

    def _add_constant(self, signature: Signature, node: fx.Node) -> None:
        value = self._attribute(node)
        self.constants[node.target] = value
        signature.arguments.append(Argument(node.target, "parameter"))
        signature.types.append(self.symbols.spec(value).mlir_type())
        signature.nodes.append(node)

    def _bind_arguments(self, signature: Signature, block: ir.Block) -> None:
        for node, argument in zip(signature.nodes, block.arguments):
            value = node.meta["val"] if node.op == "placeholder" else self._attribute(node)
            if isinstance(value, torch.Tensor):
                self.values[node] = self.emitter.track(argument, self.symbols.spec(value))
            else:
                self.symbols.define(self.symbols.resolve(value), argument)
        given = [self.values[n] for n in self.placeholders if self.values.get(n) is not None]
        self.symbols.define_missing([(value, self.emitter.shape(value)) for value in given])

    # Nodes.

    def _import_node(self, node: fx.Node, module: ir.Module) -> None:
        if node.op == "placeholder":
            self._import_placeholder(node)
        elif node.op == "get_attr":
            self._import_constant(node)
        elif node.op == "call_function":
            with location_of(node):
                self._import_call(node)
        elif node.op == "call_module":
            with location_of(node):
                self._import_subgraph(node, module)
        elif node.op != "output":
            self._refuse(node, f"a node of kind {node.op} cannot be compiled")

    def _import_placeholder(self, node: fx.Node) -> None:
        if node not in self.values:
            value = node.meta.get("val")
            symbolic = isinstance(value, NUMBERS)
            self.values[node] = self.symbols.resolve(value) if symbolic else None

    def _import_constant(self, node: fx.Node) -> None:
        if node in self.values:
            return
        value = self._attribute(node)
        is_tensor = isinstance(value, torch.Tensor)
        self.values[node] = dense_constant(self.emitter, value) if is_tensor else value

    def _import_call(self, node: fx.Node) -> None:
        value = node.meta.get("val")
        if node.target is operator.getitem:
            self.values[node] = self.values[node.args[0]][node.args[1]]
        elif isinstance(value, NUMBERS) and not isinstance(value, bool):
            self.values[node] = self.symbols.resolve(value)
        elif node.target is torch.ops.aten.copy_.default and node.args[0].op == "placeholder":
            self._import_update(node)
        elif value is None and not node.users:
            pass  # an assertion on sizes: dynamo's guards have checked it
        else:
            self._lower(node)

    def _import_subgraph(self, node: fx.Node, module: ir.Module) -> None:
        """A submodule's call: of a private function, which is made at the first call."""
        graph_module = self.graph_module.get_submodule(node.target)
        placeholders = [n for n in graph_module.graph.nodes if n.op == "placeholder"]
        if node.target not in self.callees:
            self.callees[node.target] = self._callee(
                graph_module, node.target, placeholders, module
            )
        callee = self.callees[node.target]
        passed = {argument.name for argument in callee.arguments}
        pairs = zip(placeholders, node.args, strict=True)
        values = [self.values[operand] for name, operand in pairs if name.name in passed]
        operands = [v if isinstance(v, ir.Value) else self.symbols.value(v) for v in values]
        call = func.CallOp([spec.mlir_type() for spec in callee.results], callee.name, operands)
        results = tuple(map(self.emitter.track, call.results, callee.results))
        if callee.messages:
            self.emitter.checks[node] = Check(results[-1:], callee.messages)
        returned = {"result": results, "argument": tuple(map(self.values.get, node.args))}
        self.values[node] = tuple(
            returned[o.kind][o.index] if o.kind in returned else o.size for o in callee.outputs
        )

    def _callee(self, graph_module, name, placeholders, module: ir.Module) -> ImportedFunction:
        arguments = [Argument(placeholder.name, "input") for placeholder in placeholders]
        name = f"{self.name}.{name}"
        given = arguments, self.dialect, self.bind, self.checks
        importer = _GraphImporter(graph_module, name, *given, visibility="private")
        imported = importer.run(module)
        if importer.updates or imported.constants:
            raise LoweringFailed(f"the submodule {name} changes or owns tensors")
        self.emitter.left_to_linalg.extend(imported.left_to_linalg)
        return imported

    def _import_update(self, node: fx.Node) -> None:
        """`copy_` into an argument: the function's result that updates it in place."""
        target, source = node.args[0], self.values[node.args[1]]
        self.updates[target] = self.emitter.convert(source, self.symbols.spec(target.meta["val"]))
        self.values[node] = self.updates[target]

    def _lower(self, node: fx.Node) -> None:
        wanted = self._spec_of(node.meta.get("val"))
        try:
            results = self._checked(node, wanted, self._call_lowering(node, wanted))
        except (Unsupported, types.UnsupportedType) as refusal:
            self._refuse(node, str(refusal))
        except (LoweringFailed, UnsupportedOpError):
            raise
        except Exception as error:
            raise LoweringFailed(
                f"the lowering of {node.target} failed at {where(node)}: {error}"
            ) from error
        else:
            self.values[node] = results
            self.nodes_lowered += 1

    def _call_lowering(self, node: fx.Node, wanted: Any) -> Any:
        self.emitter.node, self.emitter.out = node, wanted
        reads = [u for u in node.users if u.target is operator.getitem and u.users]
        self.emitter.read = {u.args[1] for u in reads}
        returned = (u for u in reads if any(user.op == "output" for user in u.users))
        self.emitter.returned = {u.args[1] for u in returned if SAVED not in u.meta}
        for operand in node.all_input_nodes:
            value = operand.meta.get("val")
            if isinstance(value, torch.Tensor) and self.values[operand] is None:
                raise Unsupported(f"{operand.name} is {types.describe(value)}, on {value.device}")
        arguments = fx.map_arg(node.args, self._value_of)
        keywords = fx.map_arg(node.kwargs, self._value_of)
        arguments = _map_symints(arguments, self.symbols.resolve)
        keywords = _map_symints(keywords, self.symbols.resolve)
        if node.target is AUTO_FUNCTIONALIZED:
            return lower_functionalized(self.emitter, self.dialect, *arguments, **keywords)
        if node.target is WITH_EFFECTS:
            return lower_with_effects(self.emitter, *arguments, **keywords)
        lowering = find(node.target, self.dialect)
        if lowering is None:
            raise Unsupported("")
        return lowering(self.emitter, *arguments, **keywords)

    def _value_of(self, node: fx.Node) -> Any:
        return self.values[node]

    def _spec_of(self, value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return self.symbols.spec(value)
        if isinstance(value, (tuple, list)):
            return tuple(self._spec_of(v) for v in value)
        return value

    def _refuse(self, node: fx.Node, reason: str) -> None:
        """Note that the node cannot be lowered and go on with stand-ins for its results."""
        self.unsupported.append(refused(node, reason))
        self.values[node] = self._stand_in(node.meta.get("val"))

    def _stand_in(self, value: Any) -> Any:
        try:
            if isinstance(value, torch.Tensor):
                return self.emitter.empty(self.symbols.spec(value))
        except (Unsupported, types.UnsupportedType):
            return None  # whatever reads it is refused too
        if isinstance(value, (tuple, list)):
            return tuple(self._stand_in(v) for v in value)
        return None

    def _checked(self, node: fx.Node, wanted: Any, results: Any) -> Any:
        """The lowering's contract: results have the types, with all sizes, the graph promises."""
        if isinstance(wanted, TensorSpec):
            return self._checked(node, (wanted,), (results,))[0]
        results = list(results)
        for number, (spec, result) in enumerate(zip(wanted, results, strict=True)):
            if result is None and number in self.emitter.read:
                raise Unsupported(f"its result {number} is not computed")
            if spec is None or result is None:
                continue
            kind = spec.mlir_type()
            more = self.symbols.has_guarded and types.may_be(kind, result.type)
            if result.type != kind and not types.may_be(result.type, kind) and not more:
                raise LoweringFailed(
                    f"the lowering of {node.target} at {where(node)} made a {result.type} "
                    f"where the graph says {kind}"
                )
            if result.type != kind:
                result = results[number] = tensor.cast(kind, result)
            for dim in spec.shape:
                if not isinstance(dim, int) and not self.symbols.knows(dim):
                    raise Unsupported(f"the size {dim} cannot be computed")
            self.emitter.track(result, spec)
        return tuple(results)

    # Results.

    def _finish(self, function: func.FuncOp, signature: Signature) -> ImportedFunction:
        returned: dict[fx.Node, ir.Value] = {}
        node = next(n for n in self.graph_module.graph.nodes if n.op == "output")
        outputs = [self._output(n, returned) for n in node.args[0]]
        failure = first_failure(self.emitter)
        results = [*returned.values(), *failure.values]
        specs = [self.emitter.spec(v) for v in results]
        attributes = [ir.DictAttr.get({}) for _ in results]
        for target, value in self.updates.items():
            index = ir.IntegerAttr.get(
                ir.IntegerType.get_signless(64), signature.nodes.index(target)
            )
            results.append(value)
            attributes.append(ir.DictAttr.get({"buddy.updates": index}))
        func.ReturnOp(results)
        kinds = ir.FunctionType.get(signature.types, [v.type for v in results])
        function.attributes["function_type"] = ir.TypeAttr.get(kinds)
        function.attributes["arg_attrs"] = ir.ArrayAttr.get(self._argument_attributes(signature))
        if attributes:
            function.attributes["res_attrs"] = ir.ArrayAttr.get(attributes)
        made = signature.arguments, self.constants, specs, outputs, self.nodes_lowered
        return ImportedFunction(self.name, *made, self.emitter.left_to_linalg, failure.messages)

    def _output(self, node: Any, returned: dict[fx.Node, ir.Value]) -> Output:
        """Where one output comes from; two nodes of one value, such as a clone, are two results."""
        value = self.values[node] if isinstance(node, fx.Node) else node
        if value is None:
            return Output("none")
        if not isinstance(value, ir.Value):
            return Output("symbol", size=value)
        if node in self.given:
            return Output("argument", self.placeholders.index(node))
        if node.target is torch.ops.aten.copy_.default:
            return Output("argument", self.placeholders.index(node.args[0]))
        returned[node] = value
        return Output("result", list(returned).index(node))

    def _argument_attributes(self, signature: Signature) -> list[ir.Attribute]:
        attributes = []
        for node, argument in zip(signature.nodes, signature.arguments):
            entry: dict[str, ir.Attribute] = {
                "buddy.kind": ir.StringAttr.get(argument.kind),
                "buddy.name": ir.StringAttr.get(argument.name),
            }
            if argument.mutable or node in self.updates:
                entry["buddy.mutable"] = ir.UnitAttr.get()
            attributes.append(ir.DictAttr.get(entry))
        return attributes


def _map_symints(value: Any, resolve: Callable) -> Any:
    """Arguments with every symbolic number left in them resolved."""
    if isinstance(value, SYMBOLIC):
        return resolve(value)
    if isinstance(value, (list, tuple)):
        return type(value)(_map_symints(v, resolve) for v in value)
    if isinstance(value, dict):
        return {k: _map_symints(v, resolve) for k, v in value.items()}
    return value
