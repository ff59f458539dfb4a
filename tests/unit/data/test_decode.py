"""Every kind of image that museums hold gives the pixels that are seen, worked out here without Pillow."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from rijksnet.data.decode import UnreadableError, decode

SIZE = 16
Pixels = NDArray[np.uint8]

#: Four flat quarters, seen on a picture that is wider than high: clockwise from the upper left.
RED, GREEN, WHITE, BLUE = (200, 30, 40), (20, 160, 60), (255, 255, 255), (30, 50, 180)


def quarters(colours: list[Any], width: int = 48, height: int = 32, dtype: type = np.uint8) -> NDArray[Any]:
    upper_left, upper_right, lower_right, lower_left = (np.array(colour, dtype) for colour in colours)
    picture = np.empty((height, width, *upper_left.shape), dtype)
    picture[: height // 2, : width // 2] = upper_left
    picture[: height // 2, width // 2 :] = upper_right
    picture[height // 2 :, width // 2 :] = lower_right
    picture[height // 2 :, : width // 2] = lower_left
    return picture


def encoded(image: Image.Image, format: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def png(width: int, height: int, depth: int, colour_type: int, rows: bytes, extra: bytes = b"") -> bytes:
    """A PNG put together by hand, for the kinds that Pillow does not write."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + header + extra + data + chunk(b"IEND", b"")


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png_rows(picture: NDArray[Any]) -> bytes:
    return b"".join(b"\0" + row.tobytes() for row in picture)


def corners(square: Pixels) -> list[tuple[int, ...]]:
    """Colours well inside the four quarters, clockwise from the upper left."""
    near, far = SIZE // 5, SIZE - 1 - SIZE // 5
    return [tuple(int(v) for v in square[at]) for at in ((near, near), (near, far), (far, far), (far, near))]


def assert_seen(data: bytes, colours: list[tuple[int, ...]], tolerance: int = 0) -> None:
    (square,) = decode(data, [SIZE])
    assert square.shape == (SIZE, SIZE, 3)
    assert square.dtype == np.uint8
    np.testing.assert_allclose(corners(square), colours, atol=tolerance)


RGB = [RED, GREEN, WHITE, BLUE]
GREY = [10, 100, 255, 180]
SEEN_GREY = [(v, v, v) for v in GREY]


@pytest.mark.parametrize(
    ("format", "options", "tolerance"),
    [
        ("PNG", {}, 0),
        ("BMP", {}, 0),
        ("PPM", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("JPEG2000", {}, 1),
        ("JPEG", {"quality": 95, "subsampling": 0}, 4),
        ("JPEG", {"quality": 95, "progressive": True}, 6),
    ],
)
def test_formats(format: str, options: dict[str, Any], tolerance: int) -> None:
    assert_seen(encoded(Image.fromarray(quarters(RGB)), format, **options), RGB, tolerance)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF"])
def test_grey(format: str) -> None:
    assert_seen(encoded(Image.fromarray(quarters(GREY)), format), SEEN_GREY, 2 if format == "JPEG" else 0)


def test_black_and_white() -> None:
    picture = Image.fromarray(quarters([0, 255, 255, 0])).convert("1")
    black, white = (0, 0, 0), (255, 255, 255)
    assert_seen(encoded(picture, "PNG"), [black, white, white, black])
    assert_seen(encoded(picture, "TIFF", compression="group4"), [black, white, white, black])


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_16_bits_of_grey_are_scaled_not_clipped(format: str) -> None:
    data = encoded(Image.fromarray(quarters([v * 257 for v in GREY], dtype=np.uint16)), format)
    assert_seen(data, SEEN_GREY)
    assert_seen(encoded(Image.fromarray(quarters([0, 128, 129, 65535], dtype=np.uint16)), format), [
        (0, 0, 0), (0, 0, 0), (1, 1, 1), (255, 255, 255),
    ])  # fmt: skip


def test_big_endian_16_bits_of_grey() -> None:
    picture = quarters([v * 257 for v in GREY], dtype=np.uint16).astype(">u2")
    assert_seen(png(48, 32, 16, 0, png_rows(picture)), SEEN_GREY)
    assert_seen(b"P5 48 32 65535\n" + picture.tobytes(), SEEN_GREY)


def test_16_bits_of_rgb() -> None:
    picture = (quarters(RGB).astype(np.uint16) * 257).astype(">u2")
    assert_seen(png(48, 32, 16, 2, png_rows(picture)), RGB)


def test_32_bits_of_grey_are_taken_as_16_or_refused() -> None:
    picture = quarters([v * 257 for v in GREY], dtype=np.int32)
    assert_seen(encoded(Image.fromarray(picture), "TIFF"), SEEN_GREY)
    for unknown in (picture * 1000, -picture):
        with pytest.raises(UnreadableError, match="no known range"):
            decode(encoded(Image.fromarray(unknown), "TIFF"), [SIZE])


def test_floating_point_is_refused() -> None:
    with pytest.raises(UnreadableError, match="damaged: floating-point"):
        decode(encoded(Image.fromarray(quarters([0.0, 0.2, 0.5, 1.0], dtype=np.float32)), "TIFF"), [SIZE])


def test_cmyk() -> None:
    inks = [(0, 0, 0, 0), (255, 0, 0, 0), (0, 255, 255, 51), (0, 0, 0, 255)]
    seen = [tuple(round((255 - ink) * (255 - black) / 255) for ink in rest) for *rest, black in inks]
    picture = Image.merge("CMYK", [Image.fromarray(np.ascontiguousarray(quarters(inks)[..., i])) for i in range(4)])
    assert_seen(encoded(picture, "TIFF"), seen, 1)
    assert_seen(encoded(picture, "JPEG", quality=98), seen, 6)


def test_transparency_lies_on_white() -> None:
    colours = [(*RED, 255), (*GREEN, 0), (*BLUE, 51), (0, 0, 0, 128)]
    seen = [tuple(round((a * c + (255 - a) * 255) / 255) for c in rgb) for *rgb, a in colours]
    for format, options in (("PNG", {}), ("WEBP", {"lossless": True, "exact": True}), ("TIFF", {})):
        assert_seen(encoded(Image.fromarray(quarters(colours)), format, **options), seen, 1)
    grey_alpha = Image.fromarray(quarters([(10, 255), (100, 0), (0, 51), (0, 128)]))
    assert_seen(encoded(grey_alpha, "PNG"), [(10,) * 3, (255,) * 3, (204,) * 3, (127,) * 3], 1)


@pytest.mark.parametrize("format", ["PNG", "GIF"])
def test_a_palette_with_transparency(format: str) -> None:
    picture = Image.fromarray(quarters([0, 1, 2, 3]))
    picture.putpalette([v for colour in (RED, GREEN, (0, 0, 0), BLUE) for v in colour])
    assert_seen(encoded(picture, format), [RED, GREEN, (0, 0, 0), BLUE])
    assert_seen(encoded(picture, format, transparency=2), [RED, GREEN, WHITE, BLUE])


def test_a_palette_with_shades_of_transparency() -> None:
    picture = Image.fromarray(quarters([0, 1, 2, 3]))
    picture.putpalette([v for colour in (RED, GREEN, (0, 0, 0), BLUE) for v in colour])
    data = encoded(picture, "PNG", transparency=bytes([255, 0, 51, 255]))
    assert_seen(data, [RED, WHITE, (204, 204, 204), BLUE], 1)


def test_a_transparent_colour_key() -> None:
    key = chunk(b"tRNS", struct.pack(">HHH", *GREEN))
    assert_seen(png(48, 32, 8, 2, png_rows(quarters(RGB)), key), [RED, WHITE, WHITE, BLUE])


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "TIFF"])
def test_the_first_frame_stands_for_an_animation(format: str) -> None:
    first, second = Image.fromarray(quarters(RGB)), Image.new("RGB", (48, 32), "black")
    options = {"lossless": True} if format == "WEBP" else {}
    data = encoded(first, format, save_all=True, append_images=[second], **options)
    assert_seen(data, RGB)


def stored_as(seen: Pixels, orientation: int) -> Pixels:
    """How a camera held like this stores what is seen (EXIF 2.32, tag 0x0112)."""
    return {
        1: seen,
        2: seen[:, ::-1],
        3: seen[::-1, ::-1],
        4: seen[::-1],
        5: seen.swapaxes(0, 1),
        6: np.rot90(seen, 1),
        7: np.rot90(seen, 2).swapaxes(0, 1),
        8: np.rot90(seen, -1),
    }[orientation]


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(format: str, orientation: int) -> None:
    stored = Image.fromarray(np.ascontiguousarray(stored_as(quarters(RGB), orientation)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}}.get(format, {})
    assert_seen(encoded(stored, format, exif=exif, **options), RGB, 4 if format == "JPEG" else 0)


def test_orientation_of_a_reduced_jpeg() -> None:
    seen = quarters(RGB, 3000, 2000)
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = Image.fromarray(np.ascontiguousarray(stored_as(seen, 6)))
    assert_seen(encoded(stored, "JPEG", quality=90, exif=exif), RGB, 4)


# --- the stretching ------------------------------------------------------------------------------------------------


def bicubic_weights(old: int, new: int) -> NDArray[np.float64]:
    """(new, old): antialiased cubic convolution (Keys 1981, a = -0.5), its support widened when it shrinks."""
    scale = old / new
    widened = max(scale, 1.0)
    centres = (np.arange(new) + 0.5) * scale - 0.5
    x = np.abs(np.arange(old)[None, :] - centres[:, None]) / widened
    inner = 1.5 * x**3 - 2.5 * x**2 + 1
    outer = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    weights = np.where(x < 1, inner, np.where(x < 2, outer, 0.0))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


@pytest.mark.parametrize(("width", "height"), [(50, 31), (9, 70), (1, 1), (SIZE, SIZE)])
def test_stretched_to_the_square_without_crop(width: int, height: int) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    down = np.einsum("yh,hwc->ywc", bicubic_weights(height, SIZE), picture)
    expected = np.einsum("xw,ywc->yxc", bicubic_weights(width, SIZE), down).clip(0, 255)
    (square,) = decode(encoded(Image.fromarray(picture), "PNG"), [SIZE])
    # Pillow goes width first and rounds and clips in between.
    assert np.abs(square - expected).mean() < 1.0
    assert np.percentile(np.abs(square - expected), 90) <= 2.0


def test_one_size_does_not_depend_on_the_others() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (180, 260, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise).resize((2600, 1800)), "JPEG")
    together = decode(data, [64, 224, 500])
    for size, square in zip([64, 224, 500], together, strict=True):
        np.testing.assert_array_equal(decode(data, [size])[0], square)
        assert square.shape == (size, size, 3)


def test_a_jpeg_decoded_at_reduced_scale_looks_the_same() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (90, 130, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise).resize((2600, 1800)), "JPEG", quality=95)
    lossless = encoded(Image.open(io.BytesIO(data)), "BMP")
    difference = np.abs(decode(data, [224])[0].astype(int) - decode(lossless, [224])[0])
    assert difference.mean() < 1.0


# --- what cannot be decoded ----------------------------------------------------------------------------------------


def reason(data: bytes) -> str:
    with pytest.raises(UnreadableError) as caught:
        decode(data, [SIZE])
    assert "0x" not in caught.value.detail, "an address would make each run's list of unreadable images differ"
    return caught.value.reason


def test_no_bytes() -> None:
    assert reason(b"") == "empty"


@pytest.mark.parametrize("data", [b"<!DOCTYPE html><html>404</html>", b"\0" * 1000])
def test_what_is_not_an_image(data: bytes) -> None:
    assert reason(data) == "not an image"


def test_formats_that_another_program_would_read_are_not_images() -> None:
    assert reason(encoded(Image.fromarray(quarters(RGB)), "EPS")) == "not an image"


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF", "JPEG2000", "PPM"])
@pytest.mark.parametrize("share", [0.4, 0.9])
def test_a_truncated_file(format: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), format)
    assert reason(data[: int(share * len(data))]) in {"damaged", "not an image"}


@pytest.mark.parametrize("side", [13_378, 60_000])
def test_a_decompression_bomb_is_refused_before_it_is_decoded(side: int) -> None:
    assert reason(png(side, side, 8, 2, b"")) == "too large"


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "TIFF"])
@given(st.data())
def test_damage_is_refused_or_harmless_but_never_another_error(format: str, data: st.DataObject) -> None:
    whole = bytearray(encoded(Image.fromarray(quarters(RGB)), format))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        (square,) = decode(bytes(whole), [SIZE])
    except UnreadableError:
        return
    assert square.shape == (SIZE, SIZE, 3)
