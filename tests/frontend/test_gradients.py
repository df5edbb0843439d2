# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Backward passes against eager's: forward and backward are compiled, nothing falls back."""

from __future__ import annotations

import buddy
import pytest
import torch
import torch.nn.functional as F
from checking import assert_same, compiled, outputs_of

aten = torch.ops.aten
CLOSE = (1e-4, 1e-4)


def check_gradients(fn, *shapes, dtype=torch.float32, tolerance=CLOSE):
    """Outputs and gradients of `fn`; a tensor among `shapes` is taken as it is, without one."""
    args = [s if isinstance(s, torch.Tensor) else torch.randn(s, dtype=dtype) for s in shapes]
    results = []
    for call in (fn, compiled(fn)):
        leaves = [
            a.detach().clone().requires_grad_(not isinstance(s, torch.Tensor))
            for a, s in zip(args, shapes)
        ]
        outputs = outputs_of(call(*leaves))
        cotangents = [torch.cos(torch.arange(o.numel()).to(o.dtype)).view(o.shape) for o in outputs]
        wanted = [x for x in leaves if x.requires_grad]
        gradients = torch.autograd.grad(outputs, wanted, cotangents)
        results.append([*(o.detach() for o in outputs), *gradients])
    assert_same(results[1], results[0], tolerance)
    assert buddy.stats()["nodes_fallback"] == 0


@pytest.mark.parametrize(
    "stride,padding,dilation,groups", [(1, 1, 1, 1), (2, 1, 1, 2), (2, 0, 2, 1)]
)
def test_convolutions(stride, padding, dilation, groups):
    def convolve(x, w, b):
        return F.conv2d(x, w, b, stride, padding, dilation, groups)

    check_gradients(convolve, (2, 4, 8, 9), (6, 4 // groups, 3, 3), (6,))


def test_convolutions_of_whole_panels():
    check_gradients(lambda x, w: F.conv2d(x, w, stride=2, padding=1), (2, 32, 9, 8), (64, 32, 3, 3))
    check_gradients(lambda x, w: F.conv2d(x, w, stride=2), (2, 64, 9, 8), (32, 64, 1, 1))
    check_gradients(lambda x, w: F.conv2d(x, w, padding=1), (3, 32, 7, 7), (32, 32, 1, 1))


@pytest.mark.parametrize(("groups", "channels", "filters"), [(4, 8, 8), (2, 16, 48), (6, 2, 4)])
def test_convolutions_of_groups(groups, channels, filters):
    def convolve(x, w):
        return F.conv2d(x * 0.3, w, stride=2, padding=1, groups=groups)

    shape = (groups * filters, channels, 3, 3)
    check_gradients(convolve, (3, groups * channels, 9, 8), shape, tolerance=(1e-4, 1e-4))


def test_convolutions_of_other_ranks():
    check_gradients(lambda x, w: F.conv1d(x, w, stride=2), (2, 3, 10), (4, 3, 3))
    check_gradients(lambda x, w: F.conv3d(x, w), (1, 2, 4, 5, 4), (3, 2, 2, 2, 2))
    check_gradients(lambda x, w: F.conv_transpose2d(x, w, None, 2, 1), (2, 3, 5, 4), (3, 4, 3, 3))
    check_gradients(lambda x, w: F.conv_transpose2d(x, w, None, (3, 2), 1, (1, 1)),
                    (2, 3, 3, 4), (3, 2, 2, 3))  # fmt: skip


@pytest.mark.parametrize("p", [0.0, 1.0, 2.0, 3.5, 1.5, float("inf")])
def test_distances(p):
    def distances(x, y):
        return torch.cdist(x, y, p, "donot_use_mm_for_euclid_dist"), F.pdist(x[0], p)

    check_gradients(distances, (2, 5, 3), (2, 4, 3))


def test_determinants():
    """The gradient reads the factors, of the matrix or of its transpose by its layout."""

    def determinants(x):
        return torch.det(x), torch.logdet(x @ x.mT), *torch.slogdet(x.mT)

    check_gradients(determinants, (2, 4, 4), tolerance=(1e-3, 1e-3))


def test_factorizations():
    def factors(x, b):
        lu, pivots, _ = torch.linalg.lu_factor_ex(x)
        solved = torch.linalg.lu_solve(lu, pivots, b)
        return *torch.linalg.qr(x), *torch.linalg.qr(b), solved

    check_gradients(factors, (4, 4), (4, 2), tolerance=(1e-2, 1e-2))


def test_pooling():
    def pool(x):
        return (F.max_pool2d(x, 3, 2, 1), F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
                F.avg_pool2d(x, 2, ceil_mode=True), F.adaptive_avg_pool2d(x, (3, 4)),
                F.avg_pool2d(x, 2, divisor_override=3), F.adaptive_max_pool2d(x, (3, 4)))  # fmt: skip

    check_gradients(pool, (2, 3, 7, 9))
    check_gradients(lambda x: (F.max_pool3d(x, 2), F.avg_pool3d(x, 2, 1, 1),
                               F.adaptive_avg_pool3d(x, (2, 3, 2)),
                               F.adaptive_max_pool3d(x, 2)), (1, 2, 4, 5, 4))  # fmt: skip


def test_adaptive_pooling_without_a_batch():
    check_gradients(lambda x: F.adaptive_avg_pool3d(x, (2, 3, 2)), (2, 4, 5, 4))
    check_gradients(lambda x: F.adaptive_avg_pool2d(x, (2, 3)), (2, 5, 4))


def test_resampling():
    def resample(x):
        return tuple(
            F.interpolate(x, size, mode=mode)
            for size in ((9, 4), (3, 11))
            for mode in ("nearest", "bilinear", "bicubic")
        )

    check_gradients(resample, (2, 3, 5, 6))
    check_gradients(lambda x: F.interpolate(x, scale_factor=2.0, mode="bilinear",
                                            align_corners=True), (1, 2, 4, 3))  # fmt: skip
    check_gradients(lambda x: (F.interpolate(x, 7, mode="linear"), F.interpolate(x, 3)), (2, 3, 5))
    check_gradients(
        lambda x: (F.interpolate(x, 3, mode="trilinear"), F.interpolate(x, 5)), (1, 2, 4, 4, 4)
    )


def test_padding():
    def pad(x):
        return tuple(F.pad(x, (1, 2, 2, 1), mode) for mode in ("replicate", "reflect", "circular"))

    check_gradients(pad, (2, 3, 4, 5))
    check_gradients(lambda x, y: (F.pad(x, (2, 1), "replicate"), F.pad(y, (1, 0, 0, 2, 1, 1), "replicate")),
                    (2, 3, 5), (1, 2, 3, 4, 3))  # fmt: skip


def test_gradients_of_resampling_by_name():
    """Autograd of a compiled `interpolate` goes by its parts; a program may call these itself."""

    def backward(x, y, z):
        return (aten.upsample_nearest1d_backward(x, [7], [2, 3, 5]),
                aten.upsample_linear1d_backward(x, [7], [2, 3, 5], False),
                aten.upsample_nearest2d_backward(y, [7, 4], [2, 3, 5, 6]),
                aten.upsample_bilinear2d_backward(y, [7, 4], [2, 3, 5, 6], True),
                aten.upsample_bicubic2d_backward(y, [7, 4], [2, 3, 5, 6], False),
                aten.upsample_nearest3d_backward(z, [7, 4, 3], [1, 2, 5, 6, 2]),
                aten.upsample_trilinear3d_backward(z, [7, 4, 3], [1, 2, 5, 6, 2], False))  # fmt: skip

    args = torch.randn(2, 3, 7), torch.randn(2, 3, 7, 4), torch.randn(1, 2, 7, 4, 3)
    assert_same(compiled(backward)(*args), backward(*args))


@pytest.mark.parametrize("causal", [False, True])
def test_attention(causal):
    def attend(q, k, v):
        return F.scaled_dot_product_attention(q, k, v, is_causal=causal)

    check_gradients(attend, (2, 3, 7, 8), (2, 3, 7, 8), (2, 3, 7, 8))


def test_masked_attention():
    def attend(q, k, v, m):
        return F.scaled_dot_product_attention(q, k, v, attn_mask=m, scale=0.3)

    mask = torch.rand(5, 7) > 0.3
    mask[:, 0] = True
    check_gradients(attend, (2, 3, 5, 8), (2, 3, 7, 8), (2, 3, 7, 8), mask)
    check_gradients(attend, (2, 3, 5, 8), (2, 3, 7, 8), (2, 3, 7, 8), torch.randn(5, 7))


def test_grouped_query_attention():
    """Six heads of queries share two of keys and values."""

    def attend(q, k, v):
        return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)

    check_gradients(attend, (2, 6, 7, 8), (2, 2, 7, 8), (2, 2, 7, 8))


@pytest.mark.parametrize("dim", [0, 2])
def test_weight_norm(dim):
    sizes = [size if d == dim else 1 for d, size in enumerate((4, 3, 5))]
    check_gradients(lambda v, g: torch._weight_norm(v, g, dim) ** 2, (4, 3, 5), tuple(sizes))


def test_views_by_strides():
    check_gradients(lambda x: (x * 2).as_strided((5, 8), (4, 1)) * 3, (4, 6))


def test_normalization_and_losses():
    def norms(x, w, b):
        return (F.layer_norm(x, (4,), w, b), F.batch_norm(x, None, None, w, b, True),
                F.group_norm(x, 2, w, b), F.rms_norm(x, (4,), w))  # fmt: skip

    check_gradients(norms, (3, 4, 4), (4,), (4,))
    target = torch.tensor([1, 0, 3, -100])
    check_gradients(lambda x, t: (F.cross_entropy(x, t), F.cross_entropy(x, t, label_smoothing=0.1)),
                    (4, 5), target)  # fmt: skip


def test_indexing():
    i = torch.tensor([[0, 2], [2, 1]])
    check_gradients(lambda w, i: (F.embedding(i, w, 1), w[i], w.index_select(0, i[0]), w.gather(0, i)),
                    (4, 3), i)  # fmt: skip
    check_gradients(lambda x: (x.cumsum(1), x.cumprod(1), x.diagonal(), x.unfold(1, 2, 1), x.tril()),
                    (4, 5))  # fmt: skip
    check_gradients(lambda x, v, i: x.index_put((i[0],), v), (4, 3), (2, 3), i)
    check_gradients(lambda x: (x.sort(1).values, x.topk(2).values, x.median(1).values), (4, 5))


def test_masked_scatter():
    """Elements of the source that no place takes have no gradient; a mask may be broadcast."""
    mask = torch.tensor([[True, False, True], [False, True, True]])
    check_gradients(lambda x, s: x.masked_scatter(mask, s), (2, 3), (7,))
    check_gradients(lambda x, s: x.masked_scatter(mask[:, :, None], s), (2, 3, 4), (8, 2))


def test_parameters_that_get_gradients_later():
    """Gradients are enabled throughout: at first nothing has one, and weights are bound once."""
    torch._dynamo.reset()
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.ReLU(), torch.nn.Linear(32, 4))
    compiled, x = torch.compile(module.requires_grad_(False), backend="buddy"), torch.randn(5, 16)
    for _ in range(2):
        torch.testing.assert_close(compiled(x), module(x))
        module[0].weight.mul_(1.5)  # is seen all the same
    module.requires_grad_(True)
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    for _ in range(2):
        optimizer.zero_grad()
        compiled(x).square().mean().backward()
        answer = [p.grad.clone() for p in module.parameters()]
        optimizer.zero_grad()
        module(x).square().mean().backward()
        torch.testing.assert_close(answer, [p.grad for p in module.parameters()])
        optimizer.step()
    torch.testing.assert_close(compiled(x), module(x))
    module.requires_grad_(False)
    torch.testing.assert_close(compiled(x), module(x))
    assert not compiled(x).requires_grad
