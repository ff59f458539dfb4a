"""Networks, one way for all: `forward_features`, global average pooling, one softmax layer (paper, section 4).

Suffix legend of tensor names: B batch, H height, W width, C channels, Q classes, F features.
"""

from __future__ import annotations

import json
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Literal, cast

import timm
import torch
from torch import nn

from rijksnet.errors import ParamsError
from rijksnet.networks.batch_norm import set_epsilon
from rijksnet.networks.keras.form import build_as_keras
from rijksnet.networks.weights import SOFTMAX, Design

if TYPE_CHECKING:
    from torch import Tensor

    from rijksnet.protocol import InputNormalisation

#: Names where timm's differ: `legacy_xception` is Chollet's Xception; timm has no densely connected network for tests.
TIMM_NAMES = {"xception": "legacy_xception", "test_densenet": "densenet121"}

#: What timm is asked for under such a name.
OPTIONS: dict[str, dict[str, Any]] = {"test_densenet": {"growth_rate": 16, "block_config": [2, 2, 2, 2]}}


def timm_name(architecture: str) -> str:
    return TIMM_NAMES.get(architecture, architecture)


def design_as_published(architecture: str) -> Design:
    """The design of an architecture as timm trains it."""
    config = default_config(architecture)
    return Design(architecture, OPTIONS.get(architecture, {}), tuple(config["mean"]), tuple(config["std"]))


def default_config(architecture: str) -> dict[str, Any]:
    """timm's own description of an architecture: `input_size` (C, H, W), `mean`, `std`, ...

    Raises:
        ParamsError: timm knows no such name.
    """
    name = timm_name(architecture)
    config = timm.get_pretrained_cfg(name) if timm.is_model(name) else None
    if config is None:
        import difflib

        near = difflib.get_close_matches(name, timm.list_models(), n=5) or ["resnet50", "vgg19"]
        raise ParamsError(
            f"architecture {architecture!r} is not known; did you mean one of {near}? "
            "`python -c 'import timm; print(timm.list_models())'` lists them all"
        )
    return dict(config.to_dict())


def input_size(architecture: str, size: int | Literal["native"]) -> int:
    """Side of the input square, px: the size asked for, or the architecture's own."""
    return size if size != "native" else int(default_config(architecture)["input_size"][-1])


def check_input_size(network: Network, architecture: str, size: int) -> None:
    """Let a black square of this size, px, pass through the backbone.

    Raises:
        ParamsError: it cannot: the size is too small, or not one that the architecture takes.
    """
    was_training = network.training
    network.eval()
    black = torch.zeros(1, size, size, 3, dtype=torch.uint8, device=network.pixel_scale.device)
    try:
        with torch.no_grad():
            network.features(black)
    except (RuntimeError, ValueError, AssertionError) as error:
        raise ParamsError(
            f"input_size is {size}, which {architecture} cannot take ({error}): its own is "
            f"{input_size(architecture, 'native')}; set input_size to that, or to 'native'"
        ) from error
    network.train(was_training)


class Network(nn.Module):
    """A backbone without its own classification head, global average pooling and one softmax layer.

    `forward` takes pixels as they lie on disk, uint8 (B, H, W, 3), and gives logits, float (B, Q). Its weights are
    those that timm and torch give a new network, until others are loaded.
    """

    backbone: Any  # timm's models share methods, not a type
    pixel_scale: Tensor
    pixel_shift: Tensor

    def __init__(self, design: Design, classes: int, normalisation: InputNormalisation) -> None:
        """
        Args:
            classes: number of classes Q.
            normalisation: `unit` maps pixels to [0,1]; `pretrained` also applies the design's mean and std.
        """
        super().__init__()
        default_config(design.architecture)
        name = timm_name(design.architecture)
        self.backbone = timm.create_model(name, pretrained=False, **design.options)
        remove_head(self.backbone, name, design.options)
        if design.form is not None:
            build_as_keras(self.backbone, design.architecture, design.form)
        if design.batch_norm_epsilon is not None:
            set_epsilon(self.backbone, design.batch_norm_epsilon)
        self.softmax = nn.Linear(self.backbone.num_features, classes)
        self.frozen: list[nn.Module] = []  # modules of the backbone that never train (layers.freeze)
        mean, std = (design.mean, design.std) if normalisation == "pretrained" else ((0.0,) * 3, (1.0,) * 3)
        # x/255 normalised by mean and std, folded into one scale and one shift
        self.register_buffer("pixel_scale", 1 / (255 * torch.tensor(std)).view(3, 1, 1), persistent=False)
        self.register_buffer("pixel_shift", -(torch.tensor(mean) / torch.tensor(std)).view(3, 1, 1), persistent=False)
        self.to(memory_format=torch.channels_last)

    def train(self, mode: bool = True) -> Network:
        """As of any module, but what is frozen stays as it is when it is used: normalisation with its statistics."""
        super().train(mode)
        for module in self.frozen:
            module.eval()
        return self

    def weights(self) -> dict[str, Tensor]:
        """The tensors to save: the backbone's under timm's names, and the softmax layer's."""
        layer = {SOFTMAX + name: tensor for name, tensor in self.softmax.state_dict().items()}
        return {**self.backbone.state_dict(), **layer}

    @property
    def feature_size(self) -> int:
        return self.softmax.in_features

    def features(self, pixels_bhwc: Tensor) -> Tensor:
        """Globally average-pooled features, float (B, F), of uint8 pixels (B, H, W, 3)."""
        return self.pool(self.backbone.forward_features(self.normalised(pixels_bhwc)))

    def normalised(self, pixels_bhwc: Tensor) -> Tensor:
        """What the backbone takes, float (B, 3, H, W), of uint8 pixels (B, H, W, 3)."""
        # a permuted (B, H, W, C) array is channels-last already: no copy before the multiplication
        return pixels_bhwc.permute(0, 3, 1, 2) * self.pixel_scale + self.pixel_shift

    def pool(self, maps: Tensor) -> Tensor:
        """Global average over positions: (B, C, H, W), (B, H, W, C) or tokens (B, T, C) to (B, C)."""
        if maps.ndim == 4:
            positions = (1, 2) if getattr(self.backbone, "output_fmt", "NCHW") == "NHWC" else (2, 3)
            return maps.mean(positions)
        return maps[:, getattr(self.backbone, "num_prefix_tokens", 0) :].mean(1)

    def classify(self, x_bchw: Tensor) -> Tensor:
        """Logits, float (B, Q), of what the backbone takes: for those who want gradients with respect to it."""
        return cast("Tensor", self.softmax(self.pool(self.backbone.forward_features(x_bchw))))

    def forward(self, pixels_bhwc: Tensor) -> Tensor:
        return self.classify(self.normalised(pixels_bhwc))


def remove_head(backbone: nn.Module, name: str, options: dict[str, Any]) -> None:
    """Remove the children that `forward_features` never enters: the model's own classification head.

    Which they are differs between families (VGG's two fully connected layers, MobileNetV3's last convolution), so that
    names cannot tell.
    """
    entered = entered_children(name, json.dumps(options, sort_keys=True))
    for child, module in list(backbone.named_children()):
        if child not in entered and any(True for _ in module.parameters()):
            setattr(backbone, child, nn.Identity())


@cache
def entered_children(name: str, options: str) -> frozenset[str]:
    """Those that `forward_features` enters, found on the meta device, without any arithmetic.

    Args:
        options: of timm's model, as JSON.
    """
    with torch.device("meta"):
        twin: Any = timm.create_model(name, pretrained=False, **json.loads(options)).eval()
    entered: set[str] = set()
    for path, module in twin.named_modules():
        module.register_forward_pre_hook(partial(_note, entered, path.split(".")[0]))
    twin.forward_features(torch.empty(1, *twin.default_cfg["input_size"], device="meta"))
    return frozenset(entered)


def _note(entered: set[str], child: str, *_: object) -> None:
    entered.add(child)


def parameter_count(network: nn.Module) -> int:
    """Number of trainable values, the softmax layer among them (Table 2, "Params")."""
    return sum(parameter.numel() for parameter in network.parameters())
