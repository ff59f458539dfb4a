"""Every kind of image that museums hold gives the pixels that are seen, worked out here without Pillow."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from rijksnet.data.decode import UnreadableError, decode

SIZE = 16
REAL = Path(__file__).parents[4] / "shared" / "data" / "rijksmuseum-challenge-sample" / "images"
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


def test_white_is_zero_is_no_negative() -> None:
    picture = quarters([(255 - v) * 257 for v in GREY], dtype=np.uint16)
    assert_seen(encoded(Image.fromarray(picture), "TIFF", tiffinfo={262: 0}), SEEN_GREY)


@pytest.mark.parametrize("format", ["HEIF", "AVIF"])
def test_photographs_of_telephones(format: str) -> None:
    pillow_heif.register_heif_opener()
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (5, 4, 3), dtype=np.uint8)).resize((200, 300))
    (square,) = decode(encoded(picture, format, quality=95), [64])
    assert np.abs(square.astype(int) - np.asarray(picture.resize((64, 64), Image.Resampling.BICUBIC))).mean() < 2


def test_floating_point_is_refused() -> None:
    with pytest.raises(UnreadableError, match="no known range: its grey levels are floating-point"):
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


@pytest.mark.parametrize(("width", "height"), [(50, 31), (9, 70), (300, 50), (1, 900), (SIZE, SIZE), (1601, 800)])
def test_a_padded_square_keeps_the_aspect_ratio(width: int, height: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (5, 4, 3), dtype=np.uint8)
    picture = Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)
    (square,) = decode(encoded(picture, "PNG"), [], [SIZE])
    across, down = (max(1, round(SIZE * side / max(width, height))) for side in (width, height))
    left, top = (SIZE - across) // 2, (SIZE - down) // 2
    inside = np.zeros((SIZE, SIZE), bool)
    inside[top : top + down, left : left + across] = True
    expected = np.asarray(picture.resize((across, down), Image.Resampling.BICUBIC)).reshape(-1, 3)
    assert np.abs(square[inside].astype(int) - expected).mean() < 1.0
    assert len(np.unique(square[~inside], axis=0)) == (0 if across == down else 1)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_padded_square_is_upright(orientation: int) -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 40, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    (plain,), (oriented,) = (
        decode(encoded(picture, "PNG"), [], [SIZE]),
        decode(encoded(picture, "PNG", exif=exif), [], [SIZE]),
    )
    np.testing.assert_array_equal(stored_as(oriented, orientation), plain)


def test_padding_has_the_median_colour_of_the_border() -> None:
    picture = np.full((20, 60, 3), 250, np.uint8)
    picture[:, :12] = 0  # an object that the photograph cuts off on one side
    (padded,) = decode(encoded(Image.fromarray(picture), "PNG"), [], [60])
    assert (padded[:20] == 250).all()
    assert (padded[40:] == 250).all()
    assert (padded[22:38, :10] < 10).all()


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_one_size_does_not_depend_on_the_others(format: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (180, 260, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise).resize((1500, 1400)), format)
    together = decode(data, [64, 224, 500])
    for size, square in zip([64, 224, 500], together, strict=True):
        np.testing.assert_array_equal(decode(data, [size])[0], square)
        assert square.shape == (size, size, 3)


def plainly(data: bytes, size: int) -> NDArray[np.int16]:
    """What Pillow alone makes of an image."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC)).astype(np.int16)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("sides", [(2600, 1800), (2563, 1927), (641, 5001)])  # reduced exactly, with a rest, one way
def test_a_reduced_image_looks_the_same(format: str, sides: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (sides[1] // 20, sides[0] // 20, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise).resize(sides), format, **{"PNG": {"compress_level": 1}}.get(format, {}))
    difference = np.abs(decode(data, [224])[0] - plainly(data, 224))
    assert difference.mean() < 0.7
    assert np.percentile(difference, 99) <= 4


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 7])
def test_a_reduction_that_leaves_a_rest_shifts_nothing(format: str, orientation: int) -> None:
    stripes = (128 + 100 * np.cos(np.arange(5121) / 12)).astype(np.uint8)  # reduced by 8: the last pixel is an eighth
    data = encoded(Image.fromarray(np.tile(stripes, (641 * 8, 1))[: 641 if format == "PNG" else None]), format)
    expected = plainly(data, 320)
    exif = Image.Exif()
    exif[0x0112] = orientation
    oriented = encoded(Image.open(io.BytesIO(data)), format, exif=exif)
    stored = stored_as(decode(oriented, [320])[0], orientation)
    assert np.abs(stored - expected).mean() < 4  # 30, were the rest a whole pixel


def test_photographs_are_as_pillow_alone_would_make_them() -> None:
    if not REAL.is_dir():
        pytest.skip("the real sample is not here: ../shared/data/rijksmuseum-challenge-sample")
    for file in sorted(REAL.iterdir())[::6]:
        data = file.read_bytes()
        for size in (64, 224):
            assert np.abs(decode(data, [size])[0] - plainly(data, size)).mean() < 0.3, file.name


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


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_that_lacks_its_end_alone_is_used(progressive: bool) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), "JPEG", progressive=progressive)
    np.testing.assert_array_equal(decode(data[:-2], [SIZE])[0], decode(data, [SIZE])[0])
    for lost in (20, 200, len(data) // 2):
        assert reason(data[:-lost]) == "damaged", "what is missing is never made up"


@pytest.mark.parametrize("orientation", range(2, 9))
def test_what_is_mended_stays_upright(orientation: int) -> None:
    stored = Image.fromarray(np.ascontiguousarray(stored_as(quarters(RGB), orientation)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    jpeg = encoded(stored, "JPEG", exif=exif, quality=98, subsampling=0)
    assert_seen(jpeg[:-2], RGB, 6)
    assert_seen(jpeg[:2] + b"\xff\xe2\0\x04MP" + jpeg[2:], RGB, 6)
    at = (data := encoded(stored, "PNG", exif=exif)).index(b"IDAT") - 4
    bad = chunk(BAD_CHUNKS["text"][:4], BAD_CHUNKS["text"][4:])
    assert_seen(data[:at] + bad + data[at:], RGB)


BAD_CHUNKS = {
    "text": b"zTXt" + b"a\0\0" + zlib.compress(b"x" * (2 << 20)),
    "profile": b"iCCP" + b"a\0\0" + zlib.compress(b"x" * (2 << 20)),
    "exif": b"eXIf" + b"\0\0\x11\0\0\1\4\0",
    "raw profile": b"zTXt" + b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n 9\nzzzz\n"),
    "broken": b"tEXt" + b"no such",
}


@pytest.mark.parametrize("kind", BAD_CHUNKS)
def test_a_png_is_used_whatever_its_metadata(kind: str) -> None:
    bad = chunk(BAD_CHUNKS[kind][:4], BAD_CHUNKS[kind][4:])
    bad = bad if kind != "broken" else bad[:-1] + b"?"  # a wrong checksum
    assert_seen(png(48, 32, 8, 2, png_rows(quarters(RGB)), bad), RGB)


def test_a_jpeg_is_used_whatever_its_metadata() -> None:
    data = encoded(Image.fromarray(quarters(RGB)), "JPEG", quality=98)
    exif = b"Exif\0\0MM\0*\xff\xff\xff\xff" + b"x" * 16
    for segment in (b"\xff\xe1\0\x08Exif\0\0", b"\xff\xe1\0\x20" + exif, b"\xff\xe2\0\x04MP"):
        assert_seen(data[:2] + segment + data[2:], RGB, 6)


def tiff(width: int, height: int, tile: int, data: bytes) -> bytes:
    """A grey TIFF put together by hand, of one deflated tile."""
    tags = [(256, width), (257, height), (258, 8), (259, 8), (262, 1), (277, 1)]  # sides, depth, deflate, grey
    tags += [(322, tile), (323, tile), (324, 8), (325, len(data))]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    directory = struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0)
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + directory


@pytest.mark.parametrize("side", [13_378, 50_000])
def test_a_decompression_bomb_is_refused_before_it_is_decoded(side: int) -> None:
    assert reason(png(side, side, 8, 2, b"")) == "too large"
    assert reason(tiff(side, side, 256, zlib.compress(b""))) == "too large"


def announcing(data: bytes, marker: bytes, layout: str, *sides: int) -> bytes:
    """An image whose header announces other sides than it has; they stand right after `marker`."""
    at = data.index(marker) + len(marker)
    return data[:at] + struct.pack(layout, *sides) + data[at + 4 :]


SMALL = Image.fromarray(quarters(RGB))
LARGE = pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")  # decoding processes ignore it


@LARGE
@pytest.mark.parametrize(
    ("data", "takes"),
    [
        (png(10_100, 10_000, 8, 2, b""), 385),  # RGB: 4 bytes a pixel
        (png(10_000, 3_100, 8, 6, b""), 384),  # RGBA: 13, on the way to RGB
        (announcing(encoded(SMALL, "WEBP"), b"\x9d\x01\x2a", "<HH", 8000, 4000), 549),
        (announcing(encoded(SMALL, "JPEG", progressive=True), b"\xff\xc2\0\x11\x08", ">HH", 8500, 8000), 393),
    ],
    ids=["RGB", "RGBA", "WEBP", "progressive JPEG"],
)
def test_what_would_take_too_much_memory_is_refused_before_it_is_decoded(data: bytes, takes: int) -> None:
    with pytest.raises(UnreadableError, match=f"too large: .* take {takes} MiB to decode; at most 384 MiB"):
        decode(data, [SIZE])


@LARGE
def test_what_is_large_but_fits_is_decoded() -> None:
    wide = Image.new("L", (50_000, 3_000), 60)
    wide.paste(200, (25_000, 0, 50_000, 3_000))
    (square,) = decode(encoded(wide, "JPEG"), [SIZE])  # decoded at a quarter: 36 instead of 572 MiB in RGB
    assert square[3, 3, 0] == 60
    assert square[12, 12, 0] == 200


MEASURE = """
import re, sys
from pathlib import Path
from rijksnet.data import decode

def memory(name):
    return int(re.search(rf"{name}:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

decode.decode(Path("small").read_bytes(), [224])
for file in sys.argv[1:]:
    data, before = Path(file).read_bytes(), memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    decode.decode(data, [224])
    taken = memory("VmHWM") - before
    decode.MAX_MEMORY, bound = 0, decode.MAX_MEMORY
    try:
        decode.decode(data, [224])
    except decode.UnreadableError as refusal:
        print(file, taken, re.search(r"take (\\d+) MiB", str(refusal))[1])
    decode.MAX_MEMORY = bound
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux to measure peaks of memory")
def test_no_image_takes_more_memory_than_is_reckoned(tmp_path: Path) -> None:
    small = Image.new("RGB", (40, 30))
    (tmp_path / "small").write_bytes(encoded(small, "JPEG"))
    large = Image.fromarray(quarters(RGB)).resize((3000, 2600))
    kinds: list[tuple[str, Image.Image, dict[str, Any]]] = [
        ("PNG", large, {"compress_level": 1}),
        ("PNG", large.convert("LA"), {"compress_level": 1}),
        ("PNG", large.quantize(8), {"transparency": 3}),
        ("TIFF", large.convert("RGBA"), {"compression": "tiff_adobe_deflate", "tiffinfo": {278: 2600}}),  # one strip
        ("TIFF", Image.fromarray(np.asarray(large.convert("L")).astype(np.uint16)), {}),
        ("JPEG", large, {"progressive": True, "subsampling": 0}),
        ("WEBP", large, {"method": 0}),
        ("JPEG2000", large, {}),
    ]
    for at, (format, image, options) in enumerate(kinds):
        (tmp_path / f"{at}-{image.mode}.{format}").write_bytes(encoded(image, format, **options))
    files = sorted(file.name for file in tmp_path.iterdir() if file.name != "small")
    output = subprocess.check_output([sys.executable, "-c", MEASURE, *files], cwd=tmp_path, text=True)
    assert len(output.splitlines()) == len(kinds)
    for line in output.splitlines():
        taken, reckoned = (float(number) for number in line.split()[1:])
        assert taken < reckoned + 16, line  # what is reduced, and the squares
        assert taken > reckoned / 4, f"reckoned far too high: {line}"


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
