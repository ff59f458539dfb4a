"""Methods that say what a network looks at, by one signature; all but VisualBackProp by captum."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from rijksnet.saliency.trunk import trunk_of
from rijksnet.saliency.visual_backprop import visual_backprop

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from rijksnet.networks.architectures import Network

#: Points on the way from black to the image at which gradients are taken.
INTEGRATION_STEPS = 32

#: Images (or points on their ways) that a network is given at once.
BATCH_SIZE = 32


def by_visual_backprop(network: Network, x_bchw: Tensor, classes: Tensor) -> Tensor:
    """VisualBackProp (Bojarski et al. 2016); it knows no class."""
    return torch.cat([visual_backprop(network, part) for part in x_bchw.split(BATCH_SIZE)])


def by_grad_cam(network: Network, x_bchw: Tensor, classes: Tensor) -> Tensor:
    """Grad-CAM (Selvaraju et al. 2017) on the last maps, enlarged bilinearly."""
    from captum.attr import LayerAttribution, LayerGradCam

    network.eval()
    deepest = network.backbone.get_submodule(trunk_of(network.backbone, x_bchw[:1])[-1].module)
    method = LayerGradCam(network.classify, deepest)
    maps = []
    for part, its_classes in zip(x_bchw.split(BATCH_SIZE), classes.split(BATCH_SIZE), strict=True):
        coarse = method.attribute(part, its_classes, relu_attributions=True).detach()
        maps.append(LayerAttribution.interpolate(coarse, tuple(part.shape[2:]), "bilinear")[:, 0])
    return _up_to_one(torch.cat(maps))


def by_integrated_gradients(network: Network, x_bchw: Tensor, classes: Tensor) -> Tensor:
    """Integrated gradients (Sundararajan et al. 2017) from a black image; absolute values summed over the channels."""
    from captum.attr import IntegratedGradients

    network.eval()
    black = network.normalised(torch.zeros(1, *x_bchw.shape[2:], 3, dtype=torch.uint8, device=x_bchw.device))
    found = IntegratedGradients(network.classify).attribute(
        x_bchw, black.expand_as(x_bchw), classes, n_steps=INTEGRATION_STEPS, internal_batch_size=BATCH_SIZE
    )
    return _up_to_one(found.detach().float().abs().sum(1))


def _up_to_one(maps: Tensor) -> Tensor:
    largest = maps.amax((1, 2), keepdim=True)
    return maps / torch.where(largest > 0, largest, torch.ones_like(largest))


#: Each takes a network, inputs (B, 3, H, W) and the class to be explained of each, int64 (B,), and gives maps, float32
#: (B, H, W) in [0, 1].
METHODS: dict[str, Callable[[Network, Tensor, Tensor], Tensor]] = {
    "visual_backprop": by_visual_backprop,
    "grad_cam": by_grad_cam,
    "integrated_gradients": by_integrated_gradients,
}

TITLES = {
    "visual_backprop": "VisualBackProp",
    "grad_cam": "Grad-CAM",
    "integrated_gradients": "Integrated gradients",
}
