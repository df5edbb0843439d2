# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Random numbers are eager's own: one seed, one result, with and without gradients."""

import pytest
import torch
import torch.nn.functional as F
from checking import assert_same, compiled

DRAWS = {
    "dropout": lambda x: F.dropout(x, 0.3),
    "alpha_dropout": lambda x: F.alpha_dropout(x, 0.2, training=True),
    "rrelu": lambda x: F.rrelu(x, training=True),
    "attention": lambda x: F.scaled_dot_product_attention(x, x, x, dropout_p=0.3),
    "uniform": lambda x: x.clone().uniform_(2, 3),
    "normal": lambda x: torch.normal(x, 1.0),
    "randn": lambda x: x + torch.randn(8),
    "bernoulli": lambda x: torch.bernoulli(x.sigmoid()),
    "multinomial": lambda x: x[0].exp().multinomial(2),
    "randperm": lambda x: x + torch.randperm(8),
    "several": lambda x: F.dropout(F.dropout(x, 0.5).relu() + torch.rand_like(x), 0.1) * x,
}


@pytest.mark.parametrize("grad", [False, True], ids=["inference", "training"])
@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.filterwarnings("ignore:.*runs eagerly:RuntimeWarning")
def test_the_numbers_of_a_seed_are_those_of_eager(name, grad):
    draw, x = DRAWS[name], torch.randn(1, 6, 8)[0].requires_grad_(grad)
    step = compiled(draw, fallback=True)
    torch.manual_seed(7)
    expected = [draw(x), draw(x)]
    torch.manual_seed(7)
    actual = [step(x), step(x)]
    assert_same(actual, expected)


@pytest.mark.filterwarnings("ignore:.*runs eagerly:RuntimeWarning")
def test_dropout_without_training_or_without_anything_left():
    x = torch.randn(5, 6)
    with torch.no_grad():
        assert_same(compiled(lambda x: F.dropout(x, 0.5, training=False) * 2)(x), x * 2)
        step = compiled(lambda x: F.dropout(x, 1.0) * 2, fallback=True)
        assert_same(step(x), torch.zeros(5, 6))
