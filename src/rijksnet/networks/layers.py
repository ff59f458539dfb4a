"""A backbone's layers in their order, as timm groups them: to freeze the first ones, or to train them more slowly."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from timm.models import group_parameters

from rijksnet.errors import ParamsError

if TYPE_CHECKING:
    from torch import nn

    from rijksnet.networks.architectures import Network


def layers_of(network: Network) -> list[list[nn.Parameter]]:
    """The parameters of each layer of the backbone, from the input on; the softmax layer is none of them.

    Raises:
        ParamsError: timm does not say how this architecture is layered.
    """
    if not hasattr(network.backbone, "group_matcher"):
        raise ParamsError(
            f"timm does not say which layers {type(network.backbone).__name__} has: keep `unfrozen` and `layer_rate` "
            "at 1 (exploration.space.unfrozen and layer_rate: null)"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        names: dict[int, list[str]] = group_parameters(network.backbone, network.backbone.group_matcher(coarse=False))
    named = dict(network.backbone.named_parameters())
    layers = [[named[name] for name in names[layer] if name in named] for layer in sorted(names)]
    return [layer for layer in layers if layer]


def freeze(network: Network, unfrozen: float) -> None:
    """Let only the last layers of the backbone train, and the softmax layer.

    Frozen layers keep their weights and, where they normalise, their running statistics.

    Args:
        unfrozen: share of the layers, in [0, 1], rounded to whole layers; 1 leaves the network as it is.
    """
    if unfrozen == 1.0:
        return
    layers = layers_of(network)
    frozen = len(layers) - round(unfrozen * len(layers))
    for parameter in (one for layer in layers[:frozen] for one in layer):
        parameter.requires_grad_(False)
    network.frozen = [module for module in network.backbone.modules() if _is_frozen(module)]


def _is_frozen(module: nn.Module) -> bool:
    own = list(module.parameters(recurse=False))
    return bool(own) and not any(parameter.requires_grad for parameter in own)
