"""Files that Keras writes, as θ: every array in its place, or a refusal that names the layer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from keras_files.drawn_weights import pixels
from keras_files.hdf5 import HERE, LAYERS, Layer, layers_of, write_archive, write_keras2, write_keras3
from rijksnet.errors import ParamsError, WeightsError
from rijksnet.networks import theta, weights
from rijksnet.networks.architectures import Network
from rijksnet.networks.keras.convert import Imported, load
from rijksnet.networks.keras.layouts import LAYOUTS

if TYPE_CHECKING:
    pass

REAL = Path(__file__).parents[3] / ".." / "shared" / "weights" / "xception.keras"
FORMS: dict[str, tuple[Any, str]] = {
    "keras2": (write_keras2, "_weights.h5"),
    "keras3": (write_keras3, ".weights.h5"),
    "archive": (write_archive, ".keras"),
}


def written(folder: Path, form: str, layers: list[Layer]) -> Path:
    write, ending = FORMS[form]
    path: Path = write(folder / f"file{ending}", layers)
    return path


def network_of(imported: Imported) -> Network:
    network = Network(imported.design, classes=1, normalisation="pretrained")
    network.backbone.load_state_dict(imported.tensors)
    return network.eval()


@pytest.mark.parametrize("architecture", sorted({*LAYERS} - {"vgg16"}))  # which is VGG19 with three layers fewer
def test_features_are_those_of_keras(architecture: str, tmp_path: Path) -> None:
    """At native size; the features were computed by keras.applications' own model (keras_files/make_reference.py)."""
    imported = load(written(tmp_path, "keras2", layers_of(architecture)), architecture)
    wanted = np.load(HERE / "features.npz")[architecture]
    size = 299 if architecture in ("inception_v3", "xception") else 224
    with torch.no_grad():
        found = network_of(imported).features(torch.from_numpy(pixels(size))).numpy()
    assert np.abs(found - wanted).max() <= 1e-4 * np.abs(wanted).max()


@pytest.mark.parametrize("architecture", ["inception_v3", "resnet50", "xception"])
def test_every_form_gives_the_same_tensors(architecture: str, tmp_path: Path) -> None:
    one, two, three = (load(written(tmp_path, form, layers_of(architecture)), architecture) for form in FORMS)
    assert one.design == two.design
    assert one.tensors.keys() == two.tensors.keys() == three.tensors.keys()
    for name, tensor in one.tensors.items():
        assert torch.equal(tensor, two.tensors[name]), name
        assert torch.equal(tensor, three.tensors[name]), name


def test_numbers_of_unnamed_layers_may_start_anywhere(tmp_path: Path) -> None:
    """Keras goes on counting through a session, and Keras 2 began at 1."""

    def later(name: str) -> str:
        found = re.fullmatch(r"(conv2d|batch_normalization)(?:_(\d+))?", name)
        return f"{found[1]}_{int(found[2] or 0) + 95}" if found else name

    layers = layers_of("inception_v3")
    renamed = [(later(name), *rest) for name, *rest in layers]
    one, two = (load(written(tmp_path, "keras2", of), "inception_v3") for of in (layers, renamed))
    assert all(torch.equal(one.tensors[name], two.tensors[name]) for name in one.tensors)


def old_name(name: str) -> str:
    """A layer of ResNet50 as Keras named it until 2.3."""
    found = re.fullmatch(r"conv(\d)_block(\d)_(\d)_(conv|bn)", name)
    if found is None:
        return {"conv1_conv": "conv1", "conv1_bn": "bn_conv1"}.get(name, name)
    branch = ("1", "2a", "2b", "2c")[int(found[3])]
    return f"{'res' if found[4] == 'conv' else 'bn'}{found[1]}{'abcdef'[int(found[2]) - 1]}_branch{branch}"


@pytest.mark.parametrize(
    ("pads", "form", "conv1", "pool"),
    [
        (("conv1_pad", "pool1_pad"), "keras", (3, 3), 1),
        (("conv1_pad",), "keras_2.1", (3, 3), 0),
        ((), "keras_2.0", (0, 0), 0),
    ],
)
def test_resnet50_of_early_keras(
    pads: tuple[str, ...], form: str, conv1: tuple[int, int], pool: int, tmp_path: Path
) -> None:
    """Names, epsilon and padding changed with Keras' versions; what is listed tells which it was."""
    today = layers_of("resnet50")
    old = [(old_name(name), *rest) for name, *rest in today if rest[0] != "ZeroPadding2D" or name in pads]
    # shortcuts were listed after the main branch
    old.sort(key=lambda layer: layer[0].endswith("branch1"))
    found = load(written(tmp_path, "keras2", old), "resnet50")
    assert (found.design.form, found.design.batch_norm_epsilon) == (form, 1e-3)
    if form == "keras":
        reference = load(written(tmp_path, "keras3", today), "resnet50")
        assert all(torch.equal(found.tensors[name], reference.tensors[name]) for name in reference.tensors)
    backbone = network_of(found).backbone
    assert backbone.conv1(torch.zeros(1, 3, 224, 224)).shape == (1, 64, 112, 112)
    assert (backbone.conv1.padding, backbone.maxpool.padding) == (conv1, pool)


def test_a_head_is_dropped_and_named(tmp_path: Path) -> None:
    head: Layer = ("predictions", "Dense", [np.zeros((1024, 7), np.float32), np.zeros(7, np.float32)], {})
    for form, name in (("keras2", "predictions"), ("archive", "predictions"), ("keras3", "dense")):
        found = load(written(tmp_path, form, [*layers_of("densenet121"), head]), "densenet121")
        assert found.left_out == (name,)


def test_what_a_file_says_of_its_settings_counts(tmp_path: Path) -> None:
    layers = [
        (name, kind, values, {**s, **({"epsilon": 2e-3} if "epsilon" in s else {})})
        for name, kind, values, s in layers_of("xception")
    ]
    assert load(written(tmp_path, "archive", layers), "xception").design.batch_norm_epsilon == 2e-3


def test_channels_and_pixels_are_scaled_as_keras_prepares_them(tmp_path: Path) -> None:
    layers = layers_of("vgg16")
    found = load(written(tmp_path, "keras2", layers), "vgg16")
    kernel = layers[1][2][0]  # (3, 3, in, out), blue first
    assert np.array_equal(found.tensors["features.0.weight"][:, 0], kernel[:, :, 2].transpose(2, 0, 1))
    assert found.design.std == (1 / 255,) * 3
    assert found.design.mean[0] == pytest.approx(123.68 / 255)


@pytest.mark.parametrize("form", ["keras2", "keras3", "archive"])
def test_efficientnet_s_second_rescaling_counts(form: str, tmp_path: Path) -> None:
    """keras.applications took ImageNet's deviations for variances, and makes up for it by a layer of its own."""
    deviations = np.array([0.229, 0.224, 0.225])
    layers = layers_of("efficientnet_b0")
    at = next(i for i, layer in enumerate(layers) if layer[0] == "normalization")
    again: Layer = ("rescaling_1", "Rescaling", [], {"scale": (1 / np.sqrt(deviations)).tolist()})
    once = load(written(tmp_path, form, layers), "efficientnet_b0").design
    twice = load(written(tmp_path, form, [*layers[: at + 1], again, *layers[at + 1 :]]), "efficientnet_b0").design
    assert once.std == pytest.approx(tuple(np.sqrt(deviations)), rel=1e-6)
    assert twice.std == pytest.approx(tuple(deviations), rel=1e-6)


def without(layers: list[Layer], name: str) -> list[Layer]:
    return [layer for layer in layers if layer[0] != name]


def transposed(layers: list[Layer], name: str) -> list[Layer]:
    return [
        (one, kind, [values[0].transpose(0, 1, 3, 2), *values[1:]] if one == name else values, settings)
        for one, kind, values, settings in layers
    ]


@pytest.mark.parametrize("form", FORMS)
def test_a_layer_that_does_not_fit_is_named(form: str, tmp_path: Path) -> None:
    wrong = written(tmp_path, form, transposed(layers_of("efficientnet_b0"), "block2a_expand_conv"))
    name = "conv2d_4" if form == "keras3" else "block2a_expand_conv"
    with pytest.raises(WeightsError, match=rf"layer '{name}'.*\(16, 96, 1, 1\).*should have \(96, 16, 1, 1\)"):
        load(wrong, "efficientnet_b0")


@pytest.mark.parametrize(("form", "said"), [("keras2", "'conv3_block2_3_bn'"), ("keras3", "lacks 1 of its 106")])
def test_a_layer_that_is_missing_is_named(form: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=re.escape(said)):
        load(written(tmp_path, form, without(layers_of("resnet50"), "conv3_block2_3_bn")), "resnet50")


def test_another_network_s_file_says_what_it_may_be(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"is not Keras' VGG16.*It has all of xception's"):
        load(written(tmp_path, "keras2", layers_of("xception")), "vgg16")
    with pytest.raises(WeightsError, match=r"layer 'conv2d_7' does not fit Keras' VGG16"):
        load(written(tmp_path, "keras3", layers_of("vgg19")), "vgg16")


def test_other_strides_than_the_network_s_are_refused(tmp_path: Path) -> None:
    layers = layers_of("resnet50")
    changed = [
        (n, k, v, {**s, "strides": [1, 1]}) if n == "conv4_block1_1_conv" else (n, k, v, s) for n, k, v, s in layers
    ]
    with pytest.raises(WeightsError, match=r"'conv4_block1_1_conv' has strides \[1, 1\].*\(2, 2\)"):
        load(written(tmp_path, "archive", changed), "resnet50")


@pytest.mark.parametrize("form", FORMS)
def test_half_a_file_is_refused(form: str, tmp_path: Path) -> None:
    path = written(tmp_path, form, layers_of("efficientnet_b0"))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(WeightsError, match=r"damaged|no file that Keras"):
        load(path, "efficientnet_b0")


@pytest.mark.parametrize("name", ["file.h5", "file.keras"])
def test_what_is_no_file_of_keras_is_refused(name: str, tmp_path: Path) -> None:
    for content in (b"", b"\x80\x04pickle"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(WeightsError, match="no file that Keras writes"):
            load(tmp_path / name, "efficientnet_b0")
    (tmp_path / name).unlink()
    with pytest.raises(WeightsError, match="does not exist"):
        load(tmp_path / name, "efficientnet_b0")


def test_other_backends_and_keras_1_are_refused(tmp_path: Path) -> None:
    for attributes in ({"backend": "theano"}, {"keras_version": "1.2.2"}):
        path = write_keras2(tmp_path / "old.h5", layers_of("efficientnet_b0"), **attributes)
        with pytest.raises(WeightsError, match="load it into Keras 2 on TensorFlow"):
            load(path, "efficientnet_b0")


def test_a_network_that_keras_does_not_have(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"\['densenet121', .*not 'convnext_tiny'"):
        load(tmp_path / "file.h5", "convnext_tiny")


def test_layouts_name_every_tensor_of_the_backbone_once() -> None:
    for architecture, layout in LAYOUTS.items():
        modules = [place.module for place in layout().places if place.module]
        assert len(modules) == len(set(modules)), architecture


def test_it_becomes_θ_with_its_origin(tmp_path: Path) -> None:
    path = written(tmp_path, "keras2", [*layers_of("efficientnet_b0"), ("mine", "Dense", [np.ones((2, 2))], {})])
    notes = theta.import_file("efficientnet_b0", path, tmp_path / "out.safetensors")
    assert notes[0] == "left out, as no part of the backbone: mine"
    assert "epsilon of batch normalisation: 0.001" in notes[1]
    tensors, header = weights.read(tmp_path / "out.safetensors")
    design, _ = weights.design_in(header, path)
    assert (design.form, design.options, design.batch_norm_epsilon) == ("keras", {"pad_type": "same"}, 1e-3)
    (step,) = weights.ancestry_in(header)
    assert (step["from"], step["name"], len(step["sha256"])) == ("keras", path.name, 64)
    network = Network(design, 3, "unit")
    weights.load_backbone(network.backbone, tensors, path)
    theta.import_file("efficientnet_b0", path, tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "out.safetensors").read_bytes()


@pytest.mark.skipif(not REAL.is_file(), reason="../shared/weights/xception.keras is not here")
def test_a_real_file_of_imagenet_weights() -> None:
    found = load(REAL, "xception")
    assert found.left_out == ("dense", "dense_1")
    assert (found.design.form, found.design.mean, found.design.batch_norm_epsilon) == ("keras", (0.5,) * 3, 1e-3)
    network_of(found)
