"""Image files in good, odd and bad forms: what a museum's files are like."""

from __future__ import annotations

from io import BytesIO
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw, ImageOps

Form = Literal[
    "jpeg", "png", "empty", "truncated", "text", "missing", "grey", "cmyk", "deep", "palette", "animated", "rotated"
]
#: Forms that show nothing, and forms that show the picture to those who decode them with care.
BAD: tuple[Form, ...] = ("empty", "truncated", "text", "missing")
ODD: tuple[Form, ...] = ("grey", "cmyk", "deep", "palette", "animated", "rotated")
#: File name suffixes of the forms that do not claim to be a JPEG.
SUFFIXES: dict[Form, str] = {"png": "png", "deep": "png", "palette": "png", "animated": "gif"}

_ORIENTATION = 0x0112
_TURN_CLOCKWISE = 6


def encode(image: Image.Image, form: Form) -> bytes | None:
    """The bytes of an image file in the given form; None where there is to be no file."""
    if form in BAD:
        return _spoilt(image, form)
    if form in ("png", "deep", "palette", "animated"):
        return _lossless(image, form)
    if form == "grey":
        return _jpeg(image.convert("L"))
    if form == "cmyk":
        return _jpeg(image.convert("CMYK"))
    if form == "rotated":
        exif = Image.Exif()
        exif[_ORIENTATION] = _TURN_CLOCKWISE
        return _jpeg(image.transpose(Image.Transpose.ROTATE_90), exif=exif.tobytes())
    return _jpeg(image)


def _spoilt(image: Image.Image, form: Form) -> bytes | None:
    if form == "missing":
        return None
    if form == "empty":
        return b""
    if form == "text":
        return b"<html><head><title>404 Not Found</title></head></html>\n"
    whole = _jpeg(image)
    return whole[: len(whole) // 2]


def _lossless(image: Image.Image, form: Form) -> bytes:
    stream = BytesIO()
    if form == "png":
        image.save(stream, "PNG")
    elif form == "deep":  # 16 bits of grey
        Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257).save(stream, "PNG")
    elif form == "palette":  # a transparent border, magenta to those who ignore that
        mounted = image.quantize(255)
        palette = (mounted.getpalette() or [])[: 3 * 255]
        mounted.putpalette([*palette, *[0] * (3 * 255 - len(palette)), 255, 0, 255])
        ImageDraw.Draw(mounted).rectangle((0, 0, image.width - 1, image.height - 1), outline=255, width=3)
        mounted.save(stream, "PNG", transparency=255)
    else:  # animated: only the first frame shows the object as it is
        frames = [ImageOps.invert(image), ImageOps.mirror(image)]
        image.save(stream, "GIF", save_all=True, append_images=frames, duration=400, loop=0)
    return stream.getvalue()


def _jpeg(image: Image.Image, exif: bytes = b"") -> bytes:
    stream = BytesIO()
    image.save(stream, "JPEG", quality=85, exif=exif)
    return stream.getvalue()
