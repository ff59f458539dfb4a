"""Weights of Keras' networks that need no file: drawn from the name of each layer, the same here and where Keras is."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def arrays(network: str, place: int, kind: str, shapes: Sequence[Sequence[int]]) -> list[NDArray[np.float32]]:
    """The arrays of a layer, in Keras' order of them.

    Args:
        place: of the layer in `model.layers`.
        kind: its class.
    """
    rng = np.random.RandomState(zlib.crc32(f"{network} {place}".encode()))
    if kind == "BatchNormalization":
        drawn = [rng.uniform(0.8, 1.2, shapes[0]), *(rng.normal(0, 0.1, shape) for shape in shapes[-3:-1])]
        drawn = drawn[len(drawn) - len(shapes) + 1 :] + [rng.uniform(0.8, 1.2, shapes[-1])]
    elif kind == "Normalization":
        drawn = [np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225]), np.array(0)]
    else:
        drawn = [_kernel(rng, shape, kind) if len(shape) == 4 else rng.normal(0, 0.1, shape) for shape in shapes]
    return [one.astype(np.float32) for one in drawn]


def _kernel(rng: np.random.RandomState, shape: Sequence[int], kind: str) -> NDArray[np.float64]:
    """He-normal, so that signals pass through many layers at about their size."""
    height, width, channels, _ = shape
    depthwise = kind == "DepthwiseConv2D" or (kind == "SeparableConv2D" and height > 1)
    return rng.normal(0, np.sqrt(2 / (height * width * (1 if depthwise else channels))), shape)


def pixels(size: int) -> NDArray[np.uint8]:
    """One image, uint8 (1, size, size, 3), with an edge: borders and padding count."""
    image = np.random.RandomState(size).randint(0, 256, (1, size, size, 3)).astype(np.uint8)
    image[:, : size // 2] //= 4
    return image
