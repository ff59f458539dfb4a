"""Does a map show what the network's answer rests on? Deletion and insertion (Petsiuk et al. 2018).

Pixels are taken away in the order of their saliency, the most salient first, and the probability of the class is
followed: the faster it falls, the smaller the area under its curve. Insertion goes the other way, from a blurred image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from rijksnet.networks.architectures import Network

#: Equal steps from the first pixel to the last.
STEPS = 16

#: Standard deviation of the blur that insertion starts from, as a share of the image's side: Petsiuk's 5 px of 224.
BLUR = 5 / 224


def deletion(
    network: Network, pixels: NDArray[np.uint8], maps: NDArray[np.float32], classes: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Area under the class's probability as the most salient pixels give way to the image's mean colour, float64 (n,)
    in [0, 1]: the smaller the better.

    Args:
        pixels: uint8 (n, H, W, 3).
        maps: (n, H, W).
        classes: the class whose probability is followed, (n,).
    """
    mean_colour = pixels.mean((1, 2), keepdims=True).round().astype(np.uint8)
    return _area(network, np.broadcast_to(mean_colour, pixels.shape), pixels, maps, classes, reveal=False)


def insertion(
    network: Network, pixels: NDArray[np.uint8], maps: NDArray[np.float32], classes: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Area under the class's probability as a blurred image gets its most salient pixels back; the larger the better.

    Arguments as `deletion`'s.
    """
    from scipy.ndimage import gaussian_filter

    sigma = BLUR * pixels.shape[1]
    blurred = np.stack([gaussian_filter(image, (sigma, sigma, 0)) for image in pixels])
    return _area(network, blurred, pixels, maps, classes, reveal=True)


@torch.no_grad()
def _area(
    network: Network,
    without: NDArray[np.uint8],
    pixels: NDArray[np.uint8],
    maps: NDArray[np.float32],
    classes: NDArray[np.int64],
    reveal: bool,
) -> NDArray[np.float64]:
    network.eval()
    device = network.softmax.weight.device
    ranks = _ranks(maps)
    followed = []
    for step in range(STEPS + 1):
        reached = ranks < round(step * ranks[0].size / STEPS)
        seen = reached if reveal else ~reached
        shown = torch.from_numpy(np.where(seen[..., np.newaxis], pixels, without)).to(device)
        probabilities: Tensor = network(shown).float().softmax(1).cpu()
        followed.append(probabilities[np.arange(len(classes)), torch.from_numpy(classes)].double().numpy())
    area: NDArray[np.float64] = np.trapezoid(np.stack(followed), dx=1 / STEPS, axis=0)
    return area


def _ranks(maps: NDArray[np.float32]) -> NDArray[np.int64]:
    """Each pixel's place from the most salient, 0, on; of equal ones the first is more salient."""
    flat = maps.reshape(len(maps), -1)
    ranks = np.argsort(np.argsort(-flat, axis=1, kind="stable"), axis=1)
    return ranks.reshape(maps.shape)
