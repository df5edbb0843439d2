# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""torch.export programs: as callables and as packages they answer as eager does."""

import json

import buddy
import pytest
import torch
import torch.nn.functional as F
from exported_models import (
    Guarded,
    Ratio,
    everything_arguments,
    export_everything,
    export_guarded,
    export_ratio,
    guarded_arguments,
)
from torch import nn
from torch.export import Dim, export


def packaged(tmp_path):
    """`buddy.compile` by way of a package on the disk."""

    def compile(program):
        buddy.compile_package(program, tmp_path / "package")
        return buddy.load_package(tmp_path / "package")

    return compile


@pytest.fixture(params=["callable", "package"])
def door(request, tmp_path):
    return buddy.compile if request.param == "callable" else packaged(tmp_path)


def test_everything_a_program_can_have(door):
    module, exported = export_everything()
    compiled = door(exported)
    for batch in (3, 5, 1):
        args, kwargs = everything_arguments(batch)
        theirs, ours = args[1].clone(), torch.stack([args[1], args[1]], 1)[:, 0]  # not contiguous
        with torch.no_grad():
            expected = module(args[0], theirs, **kwargs)
        actual = compiled(args[0], ours, extra=kwargs["extra"], scaled=True)  # in another order
        torch.testing.assert_close(actual, expected)
        assert actual["y"] is ours  # the updated argument itself
        torch.testing.assert_close(ours, theirs)
    assert buddy.stats()["nodes_fallback"] == 0


def test_sizes_that_depend_on_each_other(door):
    compiled = door(export_ratio())
    for rows in (3, 8, 16):
        args = torch.randn(2 * rows, 3), torch.randn(rows, 3)
        torch.testing.assert_close(compiled(*args), Ratio()(*args))
    for shapes, message in (
        ((16, 7), "14"),
        ((9, 4), "8"),
        ((36, 18), "<= 16"),
        ((4, 2), ">= 3"),
    ):
        with pytest.raises(buddy.InputError, match=message):
            compiled(torch.randn(shapes[0], 3), torch.randn(shapes[1], 3))


def test_what_tracing_took_for_true_is_checked(door):
    compiled = door(export_guarded())
    for rows in (4, 8, 20):
        args = guarded_arguments(rows)
        torch.testing.assert_close(compiled(*args), Guarded()(*args))
    x, y, index = guarded_arguments()
    with pytest.raises(buddy.InputError, match=r"x\.shape\[0\] % 4"):
        compiled(x[:6], y, index)
    with pytest.raises(buddy.BuddyError, match="index out of range"):
        compiled(x, y, torch.tensor([1, 9]))


def test_wrong_arguments_are_named(door):
    compiled = door(export_everything()[1])
    (x, y), kwargs = everything_arguments()
    for args, changed, message in (
        ((x,), {}, r"takes \(\*, \*, scaled=\*, extra=\{'key': \*\}\), got \(\*, scaled"),
        ((x[:, :3], y), {}, r"'x' must be f32\[\?,8\], got f32\[3,3\]"),
        ((x.double(), y), {}, r"'x' must be f32\[\?,8\], got f64"),
        ((x, None), {}, "'y' must be f32.*, got None"),
        ((x, y), {"scaled": False}, "'scaled' must be True"),
        ((x, y), {"extra": {}}, r"got \(\*, \*, scaled=\*, extra=\{\}\)"),
    ):
        with pytest.raises(buddy.InputError, match=message):
            compiled(*args, **kwargs | changed)


def test_saved_program(tmp_path):
    torch.export.save(export_guarded(), tmp_path / "model.pt2")
    report = buddy.compile_package(tmp_path / "model.pt2", tmp_path / "package", name="guarded")
    assert report.weights_bytes > 0 and list(report.seconds)[-1] == "manifest"
    compiled = buddy.load_package(tmp_path / "package")
    assert compiled.name == "guarded"
    args = guarded_arguments()
    torch.testing.assert_close(compiled(*args), Guarded()(*args))
    with pytest.raises(buddy.InputError, match="% 4"):  # a saved program keeps its guards
        compiled(torch.randn(6), *args[1:])
    (tmp_path / "letter.pt2").write_text("not a program")
    with pytest.raises(buddy.ModelError, match=r"letter\.pt2: not a program"):
        buddy.compile_package(tmp_path / "letter.pt2", tmp_path / "other")
    with pytest.raises(buddy.OptionError, match="'quant' is for language models"):
        buddy.compile_package(tmp_path / "model.pt2", tmp_path / "other", quant="none")


class Pixels(nn.Module):
    """A convolution and attention over its result, after a resize: an image model's parts."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 4, 4), nn.BatchNorm2d(8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, image):
        x = image.permute(2, 0, 1)[None].float() / 255
        x = self.norm(self.conv(F.interpolate(x, (32, 32), mode="bilinear")))
        x = x.flatten(2).transpose(1, 2)
        x = F.scaled_dot_product_attention(x[:, None], x[:, None], x[:, None])[:, 0]
        return self.attention(x, x, x, need_weights=False)[0].mean(1)


def test_image_model_of_any_size(door):
    module = Pixels().eval()
    image = torch.randint(0, 256, (30, 41, 3), dtype=torch.uint8)
    program = export(module, (image,), dynamic_shapes={"image": {0: Dim.AUTO, 1: Dim.AUTO}})
    compiled = door(program)
    for height, width in ((30, 41), (64, 16)):
        image = torch.randint(0, 256, (height, width, 3), dtype=torch.uint8)
        torch.testing.assert_close(compiled(image), module(image), atol=2e-5, rtol=2e-5)


def test_options_and_programs_are_checked(tmp_path):
    program = export_guarded()
    with pytest.raises(buddy.OptionError, match="unknown option 'speed'"):
        buddy.compile(program, speed=11)
    with pytest.raises(buddy.ModelError, match="ExportedProgram is needed, not Guarded"):
        buddy.compile(Guarded())
    unsupported = export(Multinomial(), (torch.rand(4),))
    with pytest.raises(buddy.UnsupportedOpError, match="multinomial"):
        buddy.compile(unsupported, fallback=False)
    with pytest.raises(buddy.UnsupportedOpError, match="multinomial"):
        buddy.compile_package(unsupported, tmp_path / "package")
    with pytest.warns(RuntimeWarning, match="runs eagerly"):
        assert buddy.compile(unsupported)(torch.eye(4)[2]).item() == 3
    assert not list(tmp_path.iterdir())


class Multinomial(nn.Module):
    def forward(self, x):
        return torch.multinomial(x, 1) + 1


def test_state_is_the_callables_own():
    module, exported = export_everything()
    first, second = buddy.compile(exported), buddy.compile(exported)
    args, kwargs = everything_arguments()
    first(*args, **kwargs)
    first(*args, **kwargs)
    assert first.state_dict()["calls"] == 2 and second.state_dict()["calls"] == 0
    assert first.state_dict()["linear.weight"] is exported.state_dict["linear.weight"]


def test_damaged_packages_are_refused(tmp_path):
    package = tmp_path / "package"
    buddy.compile_package(export_everything()[1], package)
    original = {path: path.read_bytes() for path in package.iterdir()}
    for name, content, message in (
        ("weights.safetensors", lambda old: old[: len(old) // 2], "truncated"),
        ("model.so", lambda old: old[: len(old) // 2], "truncated"),
        ("manifest.json", lambda old: old[:-20], "not valid JSON"),
        ("manifest.json", lambda old: old.replace(b'"a"', b"7"), "unexpected content"),
        ("manifest.json", lambda old: old.replace(b"builtins.dict", b"other.Kind"), "Import"),
        ("manifest.json", lambda old: _without(old, "outputs"), "outputs"),
        ("manifest.json", lambda old: _without(old, "results"), "results"),
        ("manifest.json", lambda old: old.replace(b'"program"', b'"language_model"'), "language"),
    ):
        (package / name).write_bytes(content(original[package / name]))
        with pytest.raises(buddy.ModelError, match=message):
            buddy.load_package(package)
        (package / name).write_bytes(original[package / name])
    with pytest.raises(buddy.ModelError, match="not a directory"):
        buddy.load_package(tmp_path / "nowhere")


def _without(manifest: bytes, key: str) -> bytes:
    content = json.loads(manifest)
    del content[key]
    return json.dumps(content).encode()
