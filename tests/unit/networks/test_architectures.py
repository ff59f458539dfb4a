from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn
from torchvision.transforms import functional as vision

from rijksnet.errors import ParamsError
from rijksnet.networks.architectures import (
    Network,
    default_config,
    design_as_published,
    input_size,
    parameter_count,
    timm_name,
)
from rijksnet.networks.weights import Design

CLASSES = 7


def on_meta(architecture: str) -> Network:
    """A network whose tensors have shapes and no values: nothing is computed or kept."""
    with torch.device("meta"):
        return Network(design_as_published(architecture), CLASSES, "unit")


def small(architecture: str = "test_resnet", scale: Any = "unit") -> Network:
    torch.manual_seed(0)
    return Network(design_as_published(architecture), CLASSES, scale).eval()


def images(n: int, size: int) -> Tensor:
    return torch.randint(0, 256, (n, size, size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


# --- heads: what is removed, what is left -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("architecture", "published", "features", "removed"),
    [
        ("vgg11", 132_863_336, 512, {"pre_logits", "head"}),
        ("resnet18", 11_689_512, 512, {"fc"}),
        ("mobilenetv3_large_100", 5_483_032, 960, {"conv_head", "classifier"}),
        ("efficientnet_b0", 5_288_548, 1280, {"classifier"}),
        ("mobilenetv2_100", 3_504_872, 1280, {"classifier"}),
        ("densenet121", 7_978_856, 1024, {"classifier"}),
        ("convnext_tiny", 28_589_128, 768, {"head"}),
        ("vit_tiny_patch16_224", 5_717_416, 192, {"head"}),
        ("swin_tiny_patch4_window7_224", 28_288_354, 768, {"head"}),
    ],
)
def test_the_head_of_each_family_is_removed_and_nothing_else(
    architecture: str, published: int, features: int, removed: set[str]
) -> None:
    network = on_meta(architecture)
    with torch.device("meta"):
        whole = {name: parameter_count(child) for name, child in timm.create_model(architecture).named_children()}
    left = {name: parameter_count(child) for name, child in network.backbone.named_children()}
    assert {name for name, size in whole.items() if size != left[name]} == removed
    assert not any(left[name] for name in removed)
    assert parameter_count(network.backbone) == published - sum(whole[name] for name in removed)
    assert parameter_count(network) == parameter_count(network.backbone) + CLASSES * (features + 1)
    assert network.feature_size == features
    side = input_size(architecture, "native")
    assert network(torch.empty(2, side, side, 3, dtype=torch.uint8, device="meta")).shape == (2, CLASSES)


@pytest.mark.parametrize("architecture", ["test_resnet", "test_vit", "test_convnext", "test_efficientnet"])
def test_a_small_one_of_each_kind_answers_with_a_logit_per_class(architecture: str) -> None:
    network, side = small(architecture), input_size(architecture, "native")
    with torch.no_grad():
        logits = network(images(2, side))
        features = network.features(images(2, side))
    assert logits.shape == (2, CLASSES)
    assert features.shape == (2, network.feature_size)
    assert torch.isfinite(logits).all()
    assert not torch.equal(logits[0], logits[1])
    torch.testing.assert_close(network.softmax(features), logits)


def test_saved_weights_are_the_backbone_under_timms_names_and_the_softmax_layer() -> None:
    network = small()
    tensors = network.weights()
    backbone = {name: tensor for name, tensor in tensors.items() if not name.startswith("softmax.")}
    theirs = timm.create_model("test_resnet", num_classes=0).state_dict()
    assert {name: tensor.shape for name, tensor in backbone.items()} == {name: t.shape for name, t in theirs.items()}
    assert tensors["softmax.weight"].shape == (CLASSES, network.feature_size)
    assert tensors["softmax.bias"].shape == (CLASSES,)


# --- pooling ----------------------------------------------------------------------------------------------------------


def test_maps_are_averaged_over_positions() -> None:
    maps = torch.rand(2, 5, 3, 4)
    expected = torch.stack([torch.stack([channel.sum() / 12 for channel in image]) for image in maps])
    torch.testing.assert_close(small().pool(maps), expected)


def test_maps_with_channels_last_are_too() -> None:
    maps = torch.rand(2, 3, 4, 5)
    expected = torch.stack([image.reshape(12, 5).sum(0) / 12 for image in maps])
    torch.testing.assert_close(on_meta("swin_tiny_patch4_window7_224").pool(maps), expected)


def test_tokens_are_averaged_without_the_class_token() -> None:
    network = small("test_vit")
    tokens = torch.rand(2, 101, 64)
    assert network.backbone.num_prefix_tokens == 1
    torch.testing.assert_close(network.pool(tokens), tokens[:, 1:].sum(1) / 100)


# --- pixels -----------------------------------------------------------------------------------------------------------


def input_of(network: Network, pixels: Tensor) -> Tensor:
    """What the backbone is given."""
    given = []

    def forward_features(x: Tensor) -> Tensor:
        given.append(x)
        return torch.zeros(len(x), network.feature_size, 1, 1)

    network.backbone.forward_features = forward_features
    network.features(pixels)
    return given[0]


@pytest.fixture
def every_value() -> Tensor:
    """All 256 values in every channel, in another order each: uint8 (1, 16, 16, 3)."""
    values = torch.arange(256, dtype=torch.uint8)
    return torch.stack([values, values.flip(0), values.roll(7)], dim=1).view(1, 16, 16, 3)


def test_unit_pixels_lie_between_0_and_1(every_value: Tensor) -> None:
    x = input_of(small(), every_value)
    assert (x.min(), x.max()) == (0, 1)
    torch.testing.assert_close(x[0], vision.to_tensor(every_value[0].numpy()), rtol=0, atol=1e-7)


@pytest.mark.parametrize("architecture", ["test_resnet", "xception", "vgg19"])
def test_pretrained_pixels_are_normalised_as_torchvision_does(architecture: str, every_value: Tensor) -> None:
    config = default_config(architecture)
    design = Design("test_resnet", mean=config["mean"], std=config["std"])
    x = input_of(Network(design, CLASSES, "pretrained"), every_value)
    expected = vision.normalize(vision.to_tensor(every_value[0].numpy()), config["mean"], config["std"])
    torch.testing.assert_close(x[0], expected, rtol=0, atol=5e-7)  # two roundings of float32, at most 2.7


def test_the_pixel_scale_is_the_designs_not_the_architectures(every_value: Tensor) -> None:
    design = Design("test_resnet", mean=(0.1, 0.2, 0.3), std=(0.5, 1.0, 2.0))
    x = input_of(Network(design, CLASSES, "pretrained"), every_value)
    black = torch.tensor([-0.1 / 0.5, -0.2 / 1.0, -0.3 / 2.0])
    torch.testing.assert_close(x[0].amin((1, 2)), black)


# --- names and sizes --------------------------------------------------------------------------------------------------


def test_the_papers_xception_is_the_first_one() -> None:
    assert timm_name("xception") == "legacy_xception"
    assert timm_name("resnet50") == "resnet50"


@pytest.mark.parametrize(
    ("architecture", "side"), [("xception", 299), ("inception_v3", 299), ("resnet50", 224), ("vgg19", 224)]
)
def test_the_papers_networks_have_their_own_input_sizes(architecture: str, side: int) -> None:
    assert input_size(architecture, "native") == side
    assert input_size(architecture, 64) == 64


@pytest.mark.parametrize("asked", ["resnet5O", "resnt50"])
def test_an_unknown_name_is_answered_with_near_ones(asked: str) -> None:
    with pytest.raises(ParamsError, match=rf"'{asked}' is not known; did you mean one of .*'resnet50'"):
        Network(Design(asked), CLASSES, "unit")


def test_options_reach_timm() -> None:
    same = Network(Design("mobilenetv2_100", {"pad_type": "same"}), CLASSES, "unit").backbone.conv_stem
    plain: nn.Conv2d = Network(Design("mobilenetv2_100"), CLASSES, "unit").backbone.conv_stem
    assert type(same).__name__ == "Conv2dSame"
    assert type(plain) is nn.Conv2d
