# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Each architecture of the table: compiled it answers as eager does, and all of it is compiled."""

import buddy
import checks
import pytest
import torch
from architectures import ARCHITECTURES


def each(architectures):
    return pytest.mark.parametrize("architecture", architectures, ids=lambda a: a.name)


GENERATORS = [a for a in ARCHITECTURES if a.generates]
TRAINED = [a for a in ARCHITECTURES if not a.no_gradients]
RESIZED = [a for a in ARCHITECTURES if not (a.fixed_batch and a.fixed_size)]


def assert_all_compiled(allowed: tuple[str, ...]):
    """Nothing ran eagerly but what the row says."""
    assert set(buddy.stats()["fallback_ops"]) <= set(allowed)


@each(ARCHITECTURES)
def test_forward(architecture, report):
    farthest = checks.forward(architecture)
    report(f"{farthest:.0e}")
    assert farthest <= checks.TOLERANCE
    assert_all_compiled(architecture.eager)


@pytest.mark.models
@each(GENERATORS)
def test_generate(architecture, report):
    expected = checks.generated(architecture, compiled=False)
    actual = checks.generated(architecture, compiled=True)
    assert torch.equal(actual, expected)
    report("same ids")
    assert_all_compiled(architecture.eager)


@pytest.mark.models
@each(TRAINED)
def test_gradients(architecture, report):
    farthest = checks.training(architecture)
    assert farthest <= checks.GRADIENT_TOLERANCE
    report(f"{farthest:.0e}")
    assert_all_compiled(architecture.eager)


@pytest.mark.models
@each(RESIZED)
def test_dynamic(architecture, report):
    """One compile for ten shapes; where Dynamo itself asks for more, no more than it asks for."""
    first, later, farthest = checks.dynamic(architecture)
    assert farthest <= checks.TOLERANCE
    assert_all_compiled(architecture.eager)
    asked = checks.graphs_of_dynamo(architecture) if later else (first, 0)
    assert later <= asked[1], f"{later} graphs after the first shape's {first}, Dynamo's {asked}"
    report(f"{first} + {later}" if later else str(first))
