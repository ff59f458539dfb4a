"""Faithfulness of maps and their shift, on cases worked out by hand or by another way."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rijksnet.saliency import faithfulness
from rijksnet.saliency.gallery import ROWS, GalleryPart, gallery
from rijksnet.saliency.shift import between_images, shift


class Corner(nn.Module):
    """Class 1 as far as the upper left quarter is white."""

    def __init__(self) -> None:
        super().__init__()
        self.softmax = nn.Linear(1, 2)

    def forward(self, pixels: Tensor) -> Tensor:
        white = pixels[:, :8, :8].float().mean((1, 2, 3)) / 255
        return torch.stack([1 - white, white], 1).clamp(1e-6).log()


def images() -> Any:
    pixels = np.zeros((1, 16, 16, 3), np.uint8)
    pixels[:, :8, :8] = 255
    saliency = np.zeros((1, 16, 16), np.float32)
    saliency[:, :8, :8] = 1
    return pixels, saliency, np.array([1])


def test_deletion_follows_the_probability_as_pixels_go() -> None:
    """The quarter goes in the first four of 16 steps, from white, 1, to the mean, 64/255; then nothing changes."""
    pixels, saliency, classes = images()
    grey = 64 / 255
    curve = [1 + (grey - 1) * min(step / 4, 1) for step in range(17)]
    area = sum((a + b) / 2 / 16 for a, b in pairwise(curve))
    assert faithfulness.deletion(Corner(), pixels, saliency, classes) == pytest.approx([area], abs=1e-3)  # type: ignore[arg-type]
    # the other way round the quarter stays white until three quarters of the pixels are gone
    curve = [1 + (grey - 1) * max((step - 12) / 4, 0) for step in range(17)]
    area = sum((a + b) / 2 / 16 for a, b in pairwise(curve))
    assert faithfulness.deletion(Corner(), pixels, 1 - saliency, classes) == pytest.approx([area], abs=1e-3)  # type: ignore[arg-type]


def test_insertion_starts_from_a_blurred_image_and_ends_with_the_image() -> None:
    pixels, saliency, classes = images()
    right, wrong = (faithfulness.insertion(Corner(), pixels, one, classes)[0] for one in (saliency, 1 - saliency))  # type: ignore[arg-type]
    assert right > wrong
    assert right == pytest.approx(1, abs=0.02)  # it is whole after a quarter of the way


def test_the_same_maps_have_not_moved() -> None:
    maps = np.random.default_rng(0).random((3, 9, 9), np.float32)
    found = shift(maps, maps)
    assert found.correlation == pytest.approx(np.ones(3))
    assert found.divergence == pytest.approx(np.zeros(3), abs=1e-9)
    assert found.displacement == pytest.approx(np.zeros(3))


def test_a_spot_that_moved_is_displaced_by_that_share_of_the_diagonal() -> None:
    maps = np.zeros((2, 11, 11), np.float32)
    maps[0, 0, 0], maps[1, 10, 10] = 0.5, 2.0
    found = shift(maps[:1], maps[1:])
    assert found.displacement == pytest.approx([1])
    assert found.divergence == pytest.approx([1])  # nothing in common: one bit
    maps[1] = 0
    maps[1, 3, 4] = 1
    assert shift(maps[:1], maps[1:]).displacement == pytest.approx([5 / np.hypot(10, 10)])


def test_measures_are_those_worked_out_another_way() -> None:
    a, b = np.random.default_rng(0).random((2, 1, 6, 6))
    p, q = a / a.sum(), b / b.sum()
    m = (p + q) / 2
    divergence = (np.sum(p * np.log2(p / m)) + np.sum(q * np.log2(q / m))) / 2
    ranks = [np.argsort(np.argsort(one.ravel())) for one in (a, b)]
    d = (ranks[0] - ranks[1]).astype(float)
    found = shift(a.astype(np.float32), b.astype(np.float32))
    assert found.divergence == pytest.approx([divergence], rel=1e-4)
    assert found.correlation == pytest.approx([1 - 6 * np.sum(d**2) / (36 * (36**2 - 1))])


def test_a_map_of_zeros_counts_as_even() -> None:
    nothing, even = np.zeros((1, 5, 5), np.float32), np.ones((1, 5, 5), np.float32)
    found = shift(nothing, even)
    assert (found.divergence, found.displacement, found.correlation) == (0, 0, 0)


def test_images_are_compared_with_the_next_one() -> None:
    maps = np.random.default_rng(0).random((3, 5, 5), np.float32)
    expected = shift(maps, maps[[1, 2, 0]])
    np.testing.assert_array_equal(between_images(maps).correlation, expected.correlation)


def test_a_gallery_shows_the_first_objects_and_is_the_same_each_time() -> None:
    import io

    from PIL import Image

    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (ROWS + 2, 16, 16, 3), dtype=np.uint8)
    maps = {"VisualBackProp": generator.random((ROWS + 2, 16, 16), np.float32)}
    seen = [GalleryPart(name, ["a"] * (ROWS + 2), maps) for name in ("θ", "θ̂")]
    one = gallery(pixels, ["a", "b" * 60] * 5, seen, "title")
    assert one == gallery(pixels, ["a", "b" * 60] * 5, seen, "title")
    few = gallery(pixels[:2], ["a", "b"], seen, "title")
    sizes = [Image.open(io.BytesIO(content)).size for content in (one, few)]
    assert sizes[0][0] == sizes[1][0]
    assert sizes[0][1] > 3 * sizes[1][1]
