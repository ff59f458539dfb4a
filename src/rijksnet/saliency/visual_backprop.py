"""VisualBackProp (Bojarski et al. 2016): which input pixels the network's activations come from (Figure 4).

From the deepest layer back to the input: what has been found so far is enlarged to the size of the layer before it, by
a transposed convolution with the layer's own geometry and all weights one, and multiplied by that layer's map averaged
over its channels after rectification. Nothing in it depends on a class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from rijksnet.saliency.trunk import observing, trunk_of

if TYPE_CHECKING:
    from torch import Tensor

    from rijksnet.networks.architectures import Network
    from rijksnet.saliency.trunk import Layer


@torch.no_grad()
def visual_backprop(network: Network, x_bchw: Tensor) -> Tensor:
    """Maps of what the network looks at, float32 (B, H, W) in [0, 1]: each image's most salient pixel has 1.

    An image of which a layer saw nothing at all has a map of zeros.

    Args:
        x_bchw: the network's inputs as its backbone takes them, float (B, 3, H, W).

    Raises:
        ParamsError: the network has no trunk to follow.
    """
    network.eval()
    layers = trunk_of(network.backbone, x_bchw[:1])
    averages: dict[str, Tensor] = {}

    def average(name: str, maps: Tensor) -> None:
        averages[name] = maps.float().relu().mean(1, keepdim=True)

    with observing(network.backbone, [layer.module for layer in layers if layer.averaged], average):
        network.backbone.forward_features(x_bchw)
    return back_through(layers, averages)


def back_through(layers: list[Layer], averages: dict[str, Tensor]) -> Tensor:
    """The published algorithm on maps (B, 1, h, w) that are already averaged, by their layers' modules."""
    found: Tensor | None = None
    for layer in reversed(layers):
        if layer.averaged:
            its_own = averages[layer.module]
            found = its_own if found is None else found * its_own
        if found is not None:
            # the scale of a map says nothing, and that of a product of fifty would leave float32's range
            found = enlarge(_up_to_one(found), layer)
    assert found is not None
    return _up_to_one(found)[:, 0]


def enlarge(found: Tensor, layer: Layer) -> Tensor:
    """A map (B, 1, *layer.after) as one of the layer's input, (B, 1, *layer.before)."""
    ones = torch.ones(1, 1, *layer.kernel, dtype=found.dtype, device=found.device)
    whole = F.conv_transpose2d(found, ones, stride=layer.stride, dilation=layer.dilation)
    (top, left), (height, width) = layer.padding, layer.before
    # negative padding cuts off; pixels that the layer never reached, at the bottom and at the right, get 0
    return F.pad(whole, (-left, width + left - whole.shape[3], -top, height + top - whole.shape[2]))


def _up_to_one(maps: Tensor) -> Tensor:
    largest = maps.amax((1, 2, 3), keepdim=True)
    return maps / torch.where(largest > 0, largest, torch.ones_like(largest))
