"""A run's network as plain timm loads it: with the same answers, or not at all."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import nn

from rijksnet.errors import WeightsError
from rijksnet.networks import published
from rijksnet.networks.architectures import Network, design_as_published
from rijksnet.networks.weights import Design

CLASSES = ["affiche", "prent", "schilderij – olieverf"]


def trained(design: Design) -> Network:
    """A network whose batch normalisation has seen something."""
    torch.manual_seed(0)
    network = Network(design, len(CLASSES), "pretrained")
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
    return network.eval()


def test_a_network_of_keras_is_refused(tmp_path: Path) -> None:
    design = replace(design_as_published("resnet50"), form="keras")
    network = Network(design, len(CLASSES), "unit")
    with pytest.raises(WeightsError, match=r"built as Keras builds it.*--as onnx"):
        published.write(network, design, CLASSES, 64, "unit", "mit", tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("design", "size"),
    [
        (design_as_published("test_resnet"), 64),
        (design_as_published("test_densenet"), 64),
        (Design("mobilenetv2_100", {"pad_type": "same"}, (0.5,) * 3, (0.5,) * 3), 64),
        (design_as_published("inception_v3"), 96),
        (design_as_published("xception"), 96),
        (replace(design_as_published("resnet50"), batch_norm_epsilon=1e-3), 64),
    ],
    ids=lambda value: value.architecture if isinstance(value, Design) else "",
)
@pytest.mark.parametrize("scale", ["unit", "pretrained"])
def test_timm_gives_the_same_answers(design: Design, size: int, scale: Any, tmp_path: Path) -> None:
    network = trained(design)
    apart = published.write(network, design, CLASSES, size, scale, "MIT", tmp_path / "out")
    assert apart <= published.TOLERANCE
    model: Any = timm.create_model(f"local-dir:{tmp_path / 'out'}", pretrained=True).eval()
    config = timm.data.resolve_model_data_config(model)
    assert (tuple(config["input_size"]), config["crop_mode"], config["crop_pct"]) == ((3, size, size), "squash", 1.0)
    assert tuple(config["mean"]) == (design.mean if scale == "pretrained" else (0.0, 0.0, 0.0))
    pixels = torch.randint(0, 256, (3, size, size, 3), dtype=torch.uint8)
    mean, std = (torch.tensor(config[name]).view(3, 1, 1) for name in ("mean", "std"))
    with torch.no_grad():
        theirs = model((pixels.permute(0, 3, 1, 2) / 255 - mean) / std)
        ours = Network(design, 3, scale)
        ours.load_state_dict(network.state_dict())
        wanted = ours.eval()(pixels)
    assert (theirs - wanted).abs().max() <= 1e-4 * wanted.abs().max().clip(min=1)
    content = json.loads((tmp_path / "out" / "config.json").read_text())
    assert content["label_names"] == CLASSES
    assert content["pretrained_cfg"]["license"] == "MIT"


@pytest.mark.parametrize("architecture", ["vgg11", "mobilenetv3_small_050"])
def test_an_architecture_with_more_in_its_head_is_refused(architecture: str, tmp_path: Path) -> None:
    design = design_as_published(architecture)
    network = Network(design, len(CLASSES), "unit")
    with pytest.raises(WeightsError, match=f"timm's {architecture} has more in its head than global average pooling"):
        published.write(network, design, CLASSES, 64, "unit", "MIT", tmp_path / "out")
