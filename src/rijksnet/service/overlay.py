"""Where the network looked, as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from rijksnet.rendering import html
from rijksnet.saliency.gallery import over

if TYPE_CHECKING:
    from numpy.typing import NDArray


def overlay_uri(pixels: NDArray[np.uint8], looked: NDArray[np.float32]) -> str:
    """A map (H, W) in [0, 1] over its picture (H, W, 3) in grey, as a data: address."""
    mixed = over(pixels.mean(2) / 255, looked)
    return html.encoded(Image.fromarray((255 * mixed).astype(np.uint8)), "JPEG", 80)
