# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Submodules that a graph calls: private functions, made once."""

import operator

import pytest
import torch
from buddy.errors import UnsupportedOpError
from buddy.importer import import_graph, new_module
from buddy.signature import Argument
from torch import nn
from torch._subclasses import FakeTensorMode
from torch.fx import Graph, GraphModule

aten = torch.ops.aten


def calling_twice(op) -> GraphModule:
    """`(x [8], w [8]) -> layer(layer(x, w), w)`, where layer is `op(x, w)`."""
    with FakeTensorMode():
        value = torch.empty(8)
    layer, graph = Graph(), Graph()
    x, w = (tensor(layer.placeholder(name), value) for name in "xw")
    layer.output((tensor(layer.call_function(op, (x, w)), value),))
    x, w = (tensor(graph.placeholder(name), value) for name in "xw")
    for _ in range(2):
        call = graph.call_module("layer", (x, w))
        call.meta["val"] = (value,)
        x = tensor(graph.call_function(operator.getitem, (call, 0)), value)
    graph.output((x,))
    root = nn.Module()
    root.layer = GraphModule(nn.Module(), layer)
    return GraphModule(root, graph)


def tensor(node, value):
    node.meta["val"] = value
    return node


def test_a_submodule_is_imported_once_and_called():
    module = new_module()
    arguments = [Argument("x", "input"), Argument("w", "parameter")]
    imported = import_graph(calling_twice(aten.add.Tensor), module, "forward", arguments)
    assert module.operation.verify()
    text = str(module)
    assert text.count("func.func private @forward.layer") == 1
    assert text.count("call @forward.layer") == 2
    assert text.count("linalg.generic") == 1
    assert [str(spec) for spec in imported.results] == ["f32[8]"]


def test_an_op_without_lowering_in_a_submodule_is_named():
    arguments = [Argument("x", "input"), Argument("w", "parameter")]
    with pytest.raises(UnsupportedOpError, match="aten.igamma.default"):
        import_graph(calling_twice(aten.igamma.default), new_module(), "forward", arguments)
