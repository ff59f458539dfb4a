from __future__ import annotations

import io
from pathlib import Path

import imagehash
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from rijksnet.data.decode import decode
from rijksnet.data.phash import look_of

REAL = Path(__file__).parents[4] / "shared" / "data" / "rijksmuseum-challenge-sample" / "images"


def assert_as_imagehash(square: NDArray[np.uint8]) -> None:
    assert f"{look_of(square).phash:016x}" == str(imagehash.phash(Image.fromarray(square)))


@pytest.mark.parametrize("size", [16, 32, 64, 224, 299])
def test_it_is_what_imagehash_calls_phash(size: int) -> None:
    generator = np.random.default_rng(size)
    for _ in range(20):
        assert_as_imagehash(generator.integers(0, 256, (size, size, 3), dtype=np.uint8))
    assert_as_imagehash(np.full((size, size, 3), 255, np.uint8))


def test_it_is_what_imagehash_calls_phash_on_photographs() -> None:
    if not REAL.is_dir():
        pytest.skip("the real sample is not here: ../shared/data/rijksmuseum-challenge-sample")
    for file in sorted(REAL.iterdir()):
        for square in decode(file.read_bytes(), [64, 224]):
            assert_as_imagehash(square)


def test_it_hardly_changes_when_a_picture_is_compressed_and_scaled() -> None:
    shapes = np.random.default_rng(0).integers(0, 256, (2, 12, 12, 3), dtype=np.uint8)
    one, other = (Image.fromarray(picture).resize((300, 260)) for picture in shapes)
    stream = io.BytesIO()
    one.resize((200, 150)).save(stream, "JPEG", quality=40)
    first, again, different = (
        look_of(np.asarray(image.resize((64, 64)))).phash for image in (one, Image.open(stream), other)
    )
    assert (first ^ again).bit_count() <= 4
    assert (first ^ different).bit_count() >= 16


def test_a_thumbnail_is_the_picture_in_grey() -> None:
    square = np.zeros((64, 64, 3), np.uint8)
    square[:32] = 200
    small = np.frombuffer(look_of(square).thumbnail, np.uint8).reshape(16, 16)
    assert (small[:6] == 200).all()
    assert (small[10:] == 0).all()
