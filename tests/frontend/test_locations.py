# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Locations say the user's operator, the node, and the line; or the module inside of torch.nn."""

import torch
from buddy.locations import location_of, where
from mlir import ir

aten = torch.ops.aten
TRACE = 'File "/a/model.py", line 3, in forward\n  x = f(x)\n'


def node(target=aten.mul.Tensor, **meta):
    made = torch.fx.Graph().create_node("call_function", target, name="mul_1")
    made.meta.update(meta)
    return made


def location(made):
    with ir.Context():
        return str(location_of(made))


def test_operator_before_decomposition_and_line():
    made = node(original_aten=aten.gelu.default, stack_trace=TRACE)
    assert location(made) == 'loc("gelu"("mul_1"("/a/model.py":3:0)))'
    assert where(made) == "/a/model.py:3 in forward"


def test_module_where_there_is_no_line():
    stack = {"x": ("L['fn']", torch.nn.Sequential), "y": ("L['fn'].3.conv", torch.nn.Conv2d)}
    assert location(node(nn_module_stack=stack)) == 'loc("mul"("mul_1"("Conv2d 3.conv")))'
    assert location(node()) == 'loc("mul"("mul_1"))'


def test_operator_that_was_made_functional():
    made = node(torch.ops.higher_order.auto_functionalized_v2)
    made.args = (aten.add_.Tensor,)
    assert location(made) == 'loc("add_"("mul_1"))'
