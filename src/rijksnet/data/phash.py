"""What near-duplicates are known by: a perceptual hash, most of whose 64 bits stay when a picture is scaled,
compressed or lit otherwise, and a thumbnail."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE, LOW = 32, 8

THUMBNAIL_SIDE = 16

#: The lowest frequencies of the discrete cosine transform, type II, of `SIDE` values: shape (LOW, SIDE).
COSINES = 2 * np.cos(np.pi * np.outer(np.arange(LOW), 2 * np.arange(SIDE) + 1) / (2 * SIDE))

#: Decimals kept of a coefficient, which may reach a million: what is beyond depends on the processor.
DECIMALS = 6


class Look(NamedTuple):
    """`phash`: below 2^64. `thumbnail`: the picture in grey at 16 px, 256 values, row by row."""

    phash: int
    thumbnail: bytes


def look_of(square: NDArray[np.uint8]) -> Look:
    """What a picture looks like, roughly.

    The hash is what the library ImageHash calls `phash`, as one number: a bit for each of the 8 x 8 lowest frequencies
    of the picture in grey at 32 px, whether its coefficient is above the median. The first row's are the highest bits,
    so that `f"{phash:016x}"` is how ImageHash writes it. The library itself would import SciPy, which takes longer than
    a small collection; the results are equal but for a frequency that a picture wholly lacks, where ImageHash's bit is
    rounding noise and this one is 0.

    Args:
        square: uint8 of shape (size, size, 3), RGB.
    """
    grey = Image.fromarray(square).convert("L").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    coefficients = (COSINES @ np.asarray(grey, np.float64) @ COSINES.T).round(DECIMALS)
    phash = int.from_bytes(np.packbits(coefficients > np.median(coefficients)).tobytes())
    return Look(phash, grey.reduce(SIDE // THUMBNAIL_SIDE).tobytes())
