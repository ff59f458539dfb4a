"""From one image file's bytes to square RGB pixels.

Imports Pillow, numpy and a resizer, and nothing heavier: decoding processes start by importing this module.
"""

from __future__ import annotations

from contextlib import suppress
from io import BytesIO
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from cykooz_resizer import CropBox, FilterType, ImageData, PixelType, ResizeAlg, ResizeOptions, Resizer
from PIL import ExifTags, Image, UnidentifiedImageError

from rijksnet.collections.formats import readable
from rijksnet.data import salvage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

#: Pixels a side below which no image is reduced before it is stretched: twice the input of the paper's networks and
#: more, so that the reduction cannot be seen. Sizes up to half of it share one decoding.
REDUCED_SIDE = 640

#: Bytes that one image may take, its file included. Two decoding processes and their parent stay below 1 GiB.
MAX_MEMORY = 384 * 2**20

#: Bytes a pixel that decoding takes at most (measured; a TIFF may be one strip); the other formats take 4.
DECODER_BYTES = {"WEBP": 18, "JPEG2000": 20, "TIFF": 8, "AVIF": 20, "HEIF": 20}

#: Bytes a pixel that the way to reduced RGB takes at most, from modes that cannot be reduced as they are.
CONVERSION_BYTES = 13

REDUCIBLE = ("L", "RGB", "CMYK")

#: The tag of a TIFF that says whether 0 is black, and its value where it is white.
PHOTOMETRIC, WHITE_IS_ZERO = 262, 0

#: What makes a stored picture upright, by its orientation (EXIF 2.32, tag 0x0112).
UPRIGHT: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: np.rot90(stored, 2).swapaxes(0, 1),
    8: lambda stored: np.rot90(stored, 1),
}


class UnreadableError(Exception):
    """An image that cannot be decoded."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def decode(data: bytes, stretched: Sequence[int], padded: Sequence[int] = ()) -> list[NDArray[np.uint8]]:
    """Decode an image once, and make it a square of each size (px).

    A stretched square does not keep the aspect ratio, and nothing is cropped (paper, section 3). A padded one keeps it:
    the longer side fills the square, the picture lies in its middle, and the rest has the median colour of the
    picture's border. The paper names no interpolation: this is antialiased bicubic, as most ImageNet weights were
    trained with. A large image is first reduced by whole numbers, never below twice the size: a JPEG while it is
    decoded (to a half, a quarter or an eighth), others by averaging.
    The first frame stands for an animation, EXIF orientation is applied, transparency lies on white, 16 bits of grey
    are scaled to 8, CMYK is converted without a colour profile. Damaged metadata are ignored, and a picture that is
    whole but for the mark of its end is used. The pixels of one size do not depend on the others,
    nor on the processor.

    Against Pillow's own decoding, conversion and bicubic `resize`, a photograph's pixels are less than a grey level
    off on average: 0.1 where nothing was reduced, up to 0.7 where it was.

    Returns:
        One uint8 array of shape (size, size, 3), RGB, for each size: the stretched squares, then the padded ones.

    Raises:
        UnreadableError: with reason `empty`, `not an image`, `too large` (more than 179 million pixels, Pillow's limit
            against decompression bombs, or more than `MAX_MEMORY` to decode), `no known range` (of grey levels that are
            no numbers of 8 or 16 bits) or `damaged`.
    """
    if not data:
        raise UnreadableError("empty", "the file has no bytes")
    try:
        pictures = {side: _picture(data, side) for side in {_reduced_side(size) for size in (*stretched, *padded)}}
    except UnreadableError:
        raise
    except UnidentifiedImageError:
        if "HEIF" in readable(data):
            raise UnreadableError("damaged", "it begins as HEIC does, and holds no picture") from None
        raise UnreadableError("not an image", f"begins with {data[:24]!r}") from None
    except Image.DecompressionBombError as error:
        raise UnreadableError("too large", str(error)) from None
    except MemoryError:  # a decoder that takes more than its header lets expect; see `packing.MAX_FURTHER`
        raise UnreadableError("too large", "decoding it ran out of memory") from None
    except Exception as error:  # Pillow's decoders raise whatever a damaged file leads them to
        raise UnreadableError("damaged", f"{type(error).__name__}: {error}") from None
    return [
        *(_resized(pictures[_reduced_side(size)], size, size) for size in stretched),
        *(_padded(pictures[_reduced_side(size)], size) for size in padded),
    ]


class _Picture(NamedTuple):
    """A picture as it is stored, in RGB; the upper left `filled` (width, height) of it is what is seen.

    `sides` (width, height) are the file's: a reduction may be by another factor across than down.
    """

    pixels: ImageData
    sides: tuple[int, int]
    filled: tuple[float, float]
    orientation: int


def _reduced_side(size: int) -> int:
    return max(REDUCED_SIDE, 2 * size)


def _picture(data: bytes, side: int) -> _Picture:
    """The image, possibly reduced, but to no less than `side` px either way; if need be, of a file that is mended."""
    try:
        return _picture_of(data, side)
    except (Image.DecompressionBombError, MemoryError, UnreadableError):
        raise
    except Exception:  # Pillow's decoders raise whatever a damaged file leads them to
        for file in salvage.mended(data):
            with suppress(Exception):
                return _whole(file, side)
        raise


def _whole(data: bytes, side: int) -> _Picture:
    """The picture; of a JPEG that does not end, only if what would follow its last byte makes no difference."""
    if not salvage.is_open_jpeg(data):
        return _picture_of(data, side)
    ended, filled = (_picture_of(data + more + salvage.END_OF_JPEG, side) for more in (b"", salvage.FILLER))
    if ended.pixels.get_buffer() != filled.pixels.get_buffer():
        raise UnreadableError("damaged", "the file ends before the picture does")
    return ended


def _picture_of(data: bytes, side: int) -> _Picture:
    with Image.open(BytesIO(data), formats=readable(data)) as image:
        sides = image.size
        drafted = image.draft(None, (side, side))
        _require_memory(image, sides[0] * sides[1], len(data))
        image.load()
        orientation = _orientation(image)
        # A reduced side is rounded up, its last row or column being only partly filled.
        width, height = drafted[1][2:] if drafted else image.size
        factors = max(1, image.width // side), max(1, image.height // side)
        rgb = _to_rgb(image, factors)
    filled = width / factors[0], height / factors[1]
    return _Picture(ImageData(*rgb.size, PixelType.U8x3, rgb.tobytes()), sides, filled, orientation)


def _orientation(image: Image.Image) -> int:
    """That of EXIF, of an image that is loaded: a TIFF is upright then, and a PNG may say only then that it is not."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # whatever damaged EXIF leads Pillow to: a picture is then taken as it is stored
        return 1


def _require_memory(image: Image.Image, full: int, file_bytes: int) -> None:
    """Refuse, before anything is decoded, an image of `full` pixels that takes more than `MAX_MEMORY`."""
    needed = file_bytes + image.width * image.height * max(
        DECODER_BYTES.get(image.format or "", 4),
        4 if image.mode in REDUCIBLE and not image.has_transparency_data else CONVERSION_BYTES,
    )
    if image.info.get("progressive"):  # libjpeg keeps all coefficients, of 2 bytes, whatever the scale
        needed += 2 * full * len(image.getbands())
    if needed > MAX_MEMORY:
        raise UnreadableError(
            "too large",
            f"{full} pixels ({image.format}, {image.mode}) take {needed >> 20} MiB to decode; "
            f"at most {MAX_MEMORY >> 20} MiB",
        )


def _to_rgb(image: Image.Image, factors: tuple[int, int]) -> Image.Image:
    """The image in RGB, reduced by averaging `factors` (across, down) pixels."""
    if image.mode == "F":
        raise UnreadableError("no known range", "its grey levels are floating-point numbers")
    if image.mode.startswith("I"):
        image = _to_eight_bits(image)
    if image.has_transparency_data:
        image = image if image.mode == "RGBA" else image.convert("RGBA")
    elif image.mode not in REDUCIBLE:
        image = image.convert("RGB")
    if factors != (1, 1):
        image = image.reduce(factors)
    if image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Grey of 16 bits, scaled; Pillow's own conversion clips it at 255, which turns most of a scan white."""
    grey = np.asarray(image)
    if grey.min() < 0 or grey.max() > 0xFFFF:
        raise UnreadableError("no known range", f"its grey levels go from {grey.min()} to {grey.max()}")
    scaled = grey.astype(np.uint32)
    scaled += 128
    scaled //= 257  # 65535 = 257 · 255
    if getattr(image, "tag_v2", {}).get(PHOTOMETRIC) == WHITE_IS_ZERO:  # which Pillow sees to where there are 8 bits
        scaled = 255 - scaled
    return Image.fromarray(scaled.astype(np.uint8))


def _padded(picture: _Picture, size: int) -> NDArray[np.uint8]:
    width, height = (max(1, round(size * side / max(picture.sides))) for side in picture.sides)
    inner = _resized(picture, width, height)
    height, width = inner.shape[:2]
    border = np.concatenate([inner[0], inner[-1], inner[:, 0], inner[:, -1]])
    square = np.empty((size, size, 3), np.uint8)
    square[:] = np.sort(border, axis=0)[len(border) // 2]
    top, left = (size - height) // 2, (size - width) // 2
    square[top : top + height, left : left + width] = inner
    return square


def _resized(picture: _Picture, width: int, height: int) -> NDArray[np.uint8]:
    """The picture resized as it is stored, then made upright."""
    options = ResizeOptions(
        resize_alg=ResizeAlg.convolution(FilterType.catmull_rom),  # bicubic with a = -0.5
        crop_box=CropBox(0, 0, *picture.filled),
    )
    resized = ImageData(width, height, PixelType.U8x3)
    Resizer().resize(picture.pixels, resized, options)
    stored = np.frombuffer(resized.get_buffer(), np.uint8).reshape(height, width, 3)
    upright = UPRIGHT.get(picture.orientation)
    return stored if upright is None else np.ascontiguousarray(upright(stored))
