"""VisualBackProp beside an implementation written out from the published algorithm, and where the answer is known."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rijksnet.errors import ParamsError
from rijksnet.networks.architectures import Network, design_as_published
from rijksnet.saliency.attributions import METHODS
from rijksnet.saliency.trunk import trunk_of
from rijksnet.saliency.visual_backprop import visual_backprop

Maps = NDArray[np.float64]


class Plain(nn.Module):
    """A backbone of layers one after another, as timm's models are called."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(*layers)

    def forward_features(self, x: Tensor) -> Tensor:
        maps: Tensor = self.body(x)
        return maps


class Whole(nn.Module):
    """What `Network` is to those who explain it, around any backbone."""

    def __init__(self, backbone: nn.Module, softmax: nn.Linear) -> None:
        super().__init__()
        self.backbone, self.softmax = backbone, softmax

    def normalised(self, pixels_bhwc: Tensor) -> Tensor:
        return pixels_bhwc.permute(0, 3, 1, 2) / 255

    def classify(self, x: Tensor) -> Tensor:
        logits: Tensor = self.softmax(self.backbone.forward_features(x).mean((2, 3)))  # type: ignore[operator]
        return logits


def whole(*layers: nn.Module) -> Any:
    return Whole(Plain(*layers), nn.Linear(1, 2))


# --- the published algorithm, in loops --------------------------------------------------------------------------------


def published(layers: list[nn.Module], image: Tensor) -> Maps:
    """Bojarski et al. 2016, figure 2, for one image (3, H, W): feature maps after each ReLU, averaged over channels;
    then, from the deepest, scaled up by deconvolution with ones and multiplied by the average before."""
    averages: list[Maps] = []
    geometry: list[tuple[int, int, int, int]] = []  # kernel, stride, padding, size before, of each convolution and pool
    of_average: list[int] = []  # how many of those lie before each averaged map
    x = image[None]
    for layer in layers:
        if isinstance(layer, (nn.Conv2d, nn.MaxPool2d)):
            geometry.append(
                tuple(_first(getattr(layer, n)) for n in ("kernel_size", "stride", "padding")) + (x.shape[2],)
            )  # type: ignore[arg-type]
        x = layer(x)
        if isinstance(layer, nn.ReLU):
            averages.append(x[0].double().mean(0).detach().numpy())
            of_average.append(len(geometry))
    found, at = averages[-1], of_average[-1]
    for average, before in zip([*averages[-2::-1], None], [*of_average[-2::-1], 0], strict=True):
        while at > before:
            at -= 1
            found = deconvolved(found, *geometry[at])
        if average is not None:
            found = found * average
    return found / found.max()


def _first(value: int | tuple[int, ...]) -> int:
    return value if isinstance(value, int) else value[0]


def deconvolved(found: Maps, kernel: int, stride: int, padding: int, size: int) -> Maps:
    """Each value added to all pixels of the layer's input that it was computed from."""
    wide = np.zeros((size + 2 * padding + stride, size + 2 * padding + stride))
    for y in range(found.shape[0]):
        for x in range(found.shape[1]):
            wide[y * stride : y * stride + kernel, x * stride : x * stride + kernel] += found[y, x]
    return wide[padding : padding + size, padding : padding + size]


def networks() -> Iterator[Any]:
    torch.manual_seed(1)  # weights with which no network's last maps are dead
    yield [nn.Conv2d(3, 4, 3, 1, 1), nn.ReLU(), nn.Conv2d(4, 4, 3, 1, 1), nn.ReLU()]
    yield [nn.Conv2d(3, 6, 5, 2, 2), nn.ReLU(True), nn.Conv2d(6, 8, 3, 2), nn.ReLU(True), nn.Conv2d(8, 5, 3), nn.ReLU()]
    yield [nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 5, 3, 2, 1), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    yield [nn.Conv2d(3, 4, 7, 2, 3), nn.BatchNorm2d(4), nn.ReLU(True), nn.Dropout(), nn.Conv2d(4, 3, 1), nn.ReLU()]


@pytest.mark.parametrize("layers", list(networks()))
@pytest.mark.parametrize("size", [23, 32])
def test_maps_are_those_of_the_published_algorithm(layers: list[nn.Module], size: int) -> None:
    torch.manual_seed(0)
    network = whole(*layers).eval()
    images = torch.rand(3, 3, size, size)
    found = visual_backprop(network, images).numpy()
    assert found.shape == (3, size, size)
    for image, one in zip(images, found, strict=True):
        with torch.no_grad():
            np.testing.assert_allclose(one, published(layers, image), rtol=1e-4, atol=1e-5)


# --- a bright patch that alone decides the class ----------------------------------------------------------------------


def patch_detector() -> Any:
    """Class 1 where eight by eight pixels somewhere are bright, class 0 elsewhere; hence a bright patch decides."""
    layers = []
    for stride in (1, 2, 2):
        convolution = nn.Conv2d(3 if stride == 1 else 1, 1, 3, stride, 1)
        nn.init.constant_(convolution.weight, 1 / convolution.weight.numel())
        nn.init.constant_(convolution.bias, -0.3 if stride == 1 else 0.0)  # type: ignore[arg-type]
        layers += [convolution, nn.ReLU(inplace=True)]
    network = whole(*layers)
    network.softmax.weight.data = torch.tensor([[-100.0], [100.0]])
    network.softmax.bias.data = torch.tensor([0.1, -0.1])
    return network


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("top", "left"), [(4, 6), (20, 14)])
def test_a_bright_patch_that_decides_is_what_is_seen(method: str, top: int, left: int) -> None:
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 60, (2, 32, 32, 3), dtype=np.uint8))
    pixels[1, top : top + 8, left : left + 8] = 255
    network = patch_detector()
    x = network.normalised(pixels)
    classes = network.classify(x).argmax(1)
    assert classes.tolist() == [0, 1]
    found = METHODS[method](network, x[1:], classes[1:])[0].numpy()
    around = 4 if method == "grad_cam" else 2  # its map has a pixel in four by four
    inside = found[max(top - around, 0) : top + 8 + around, max(left - around, 0) : left + 8 + around]
    assert inside.sum() > 0.9 * found.sum()
    assert found.max() == pytest.approx(1)


def test_an_image_in_which_nothing_is_seen_has_a_map_of_zeros() -> None:
    found = visual_backprop(patch_detector(), torch.zeros(2, 3, 32, 32))
    assert (found == 0).all()


# --- trunks -----------------------------------------------------------------------------------------------------------


def trunk(architecture: str, size: int = 96) -> list[Any]:
    backbone = Network(design_as_published(architecture), 2, "unit").eval().backbone
    return trunk_of(backbone, torch.zeros(1, 3, size, size))


def test_vgg_is_followed_from_activation_to_activation() -> None:
    layers = trunk("vgg19", 64)
    assert [layer.averaged for layer in layers] == [True] * 2 + [False] + ([True] * 2 + [False]) + (
        [True] * 4 + [False]
    ) * 3
    assert [layer.after for layer in layers if not layer.averaged] == [(size, size) for size in (32, 16, 8, 4, 2)]
    assert {layer.kernel for layer in layers if layer.averaged} == {(3, 3)}


def test_residual_blocks_are_layers_though_their_shortcut_is_added_in_place() -> None:
    layers = trunk("resnet50")
    blocks = [f"layer{stage}.{i}" for stage, n in enumerate((3, 4, 6, 3), 1) for i in range(n)]
    assert [layer.module for layer in layers] == ["act1", "maxpool", *blocks]
    strided = {layer.module for layer in layers if layer.stride == (2, 2)}
    assert strided == {"act1", "maxpool", "layer2.0", "layer3.0", "layer4.0"}


INCEPTION_BLOCKS = ["Mixed_" + name for name in "5b 5c 5d 6a 6b 6c 6d 6e 7a 7b 7c".split()]  # noqa: SIM905


@pytest.mark.parametrize(
    ("architecture", "size", "blocks"),
    [
        ("xception", 96, [f"block{i}" for i in range(1, 13)]),
        (
            "inception_v3",
            160,
            [f"Mixed_{name}" for name in ["5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c"]],
        ),
        ("test_densenet", 64, ["features.transition1.norm", "features.norm5"]),
    ],
)
def test_blocks_of_other_families_are_layers(architecture: str, size: int, blocks: list[str]) -> None:
    layers = trunk(architecture, size)
    modules = [layer.module for layer in layers if layer.averaged]
    assert [name for name in modules if name in blocks] == blocks
    for one, following in pairwise(layers):
        assert one.after == following.before
    if architecture == "inception_v3":
        reductions = {layer.module: (layer.kernel, layer.stride, layer.padding) for layer in layers}
        assert reductions["Mixed_7a"] == ((3, 3), (2, 2), (0, 0))


def test_padding_added_at_run_time_is_known() -> None:
    from timm.layers import Conv2dSame

    (layer,) = trunk_of(Plain(Conv2dSame(3, 2, 3, 2)), torch.zeros(1, 3, 8, 8))
    assert (layer.padding, layer.after) == ((0, 0), (4, 4))  # one pixel, and it is at the bottom and at the right
    (layer,) = trunk_of(Plain(Conv2dSame(3, 2, 3, 2)), torch.zeros(1, 3, 7, 7))
    assert (layer.padding, layer.after) == ((1, 1), (4, 4))


def test_a_network_without_maps_is_refused() -> None:
    with pytest.raises(ParamsError, match=r"leave this architecture out of side_experiments\.architectures"):
        trunk("test_vit", 160)


def test_a_backbone_that_works_between_its_modules_is_refused() -> None:
    class Scaled(Plain):
        def forward_features(self, x: Tensor) -> Tensor:
            return super().forward_features(x * 2)

    with pytest.raises(ParamsError, match="Scaled is no sequence of its modules"):
        trunk_of(Scaled(nn.Conv2d(3, 2, 3)), torch.zeros(1, 3, 8, 8))
