"""From one image file's bytes to square RGB pixels.

Imports Pillow and numpy and nothing heavier: decoding processes start by importing this module.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

#: Pixels a side below which no JPEG is decoded at reduced scale: twice the input of the paper's networks and more, so
#: that the reduction cannot be seen. Sizes up to half of it share one decoding.
REDUCED_SIDE = 640

#: What museums publish. Formats that Pillow reads through other programs (EPS, for one) stay out.
FORMATS = ("JPEG", "PNG", "TIFF", "GIF", "WEBP", "BMP", "PPM", "JPEG2000")


class UnreadableError(Exception):
    """An image that cannot be decoded."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def decode(data: bytes, sizes: Sequence[int]) -> list[NDArray[np.uint8]]:
    """Decode an image and stretch it to a square of each size (px).

    The aspect ratio is not kept and nothing is cropped (paper, section 3). The paper names no interpolation: this is
    Pillow's bicubic, antialiased, as most ImageNet weights were trained with. A large JPEG is decoded at a half, a
    quarter or an eighth, never below twice the size (at most one grey level off on average, for half the time). The
    first frame stands for an animation, EXIF orientation is applied, transparency lies on white, 16 bits of grey are
    scaled to 8, CMYK is converted without a colour profile. The pixels of one size do not depend on the others.

    Returns:
        One uint8 array of shape (size, size, 3), RGB, for each size.

    Raises:
        UnreadableError: with reason `empty`, `not an image`, `too large` (more than 179 million pixels, Pillow's limit
            against decompression bombs) or `damaged`.
    """
    if not data:
        raise UnreadableError("empty", "the file has no bytes")
    try:
        upright = {side: _upright_rgb(data, side) for side in {_reduced_side(size) for size in sizes}}
    except UnreadableError:
        raise
    except UnidentifiedImageError:
        raise UnreadableError("not an image", f"begins with {data[:24]!r}") from None
    except Image.DecompressionBombError as error:
        raise UnreadableError("too large", str(error)) from None
    except Exception as error:  # Pillow's decoders raise whatever a damaged file leads them to
        raise UnreadableError("damaged", f"{type(error).__name__}: {error}") from None
    bicubic = Image.Resampling.BICUBIC
    return [np.asarray(upright[_reduced_side(size)].resize((size, size), bicubic)) for size in sizes]


def _reduced_side(size: int) -> int:
    return max(REDUCED_SIDE, 2 * size)


def _upright_rgb(data: bytes, side: int) -> Image.Image:
    """The image in RGB, the right way up; a JPEG possibly reduced, but to no less than `side` px either way."""
    with Image.open(BytesIO(data), formats=FORMATS) as image:
        image.draft(None, (side, side))
        ImageOps.exif_transpose(image, in_place=True)
        return _to_rgb(image)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise UnreadableError("damaged", "floating-point pixels have no known range")
    if image.mode.startswith("I"):
        image = _to_eight_bits(image)
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return image if image.mode == "RGB" else image.convert("RGB")


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Grey of 16 bits, scaled; Pillow's own conversion clips it at 255, which turns most of a scan white."""
    grey = np.asarray(image)
    if grey.min() < 0 or grey.max() > 0xFFFF:
        raise UnreadableError("damaged", f"grey values from {grey.min()} to {grey.max()} have no known range")
    return Image.fromarray(((grey.astype(np.uint32) + 128) // 257).astype(np.uint8))  # 65535 = 257 · 255
