"""The audit's pictures, as data: URIs, from the largest packed pixels."""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image

from rijksnet.collections.catalogue import read_catalogue
from rijksnet.data.labelled import open_pixels, pairs_of, read_images
from rijksnet.data.splits import COLUMN_OF
from rijksnet.protocol import label_of
from rijksnet.rendering import html

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from numpy.typing import NDArray

    from rijksnet.params import Challenge
    from rijksnet.paths import CollectionPaths

#: Longest side of a picture on the page, px, and its JPEG quality: about 4 KB each.
SIDE, QUALITY = 128, 72


class Picture(NamedTuple):
    """One image of an object, as the page shows it."""

    object_id: str
    image: str
    uri: str


class Pictures:
    """Pictures of a collection's packed images; none where no pixels are packed."""

    def __init__(self, paths: CollectionPaths) -> None:
        self._paths = paths
        sizes = [int(file.stem) for file in paths.pixels.glob("*.npy")] if paths.images.is_file() else []
        self.size = max(sizes, default=None)  #: side of the packed squares that are shown, px; None: there are none
        self._pixels = None if self.size is None else open_pixels(paths.pixels_of_size(self.size))

    @cached_property
    def _rows(self) -> dict[str, int]:
        """The row of every packed image."""
        images = read_images(self._paths.images)
        return dict(zip(images["image"].to_pylist(), images["row"].to_pylist(), strict=True))

    @cached_property
    def _packed(self) -> pa.Table:
        """The catalogue's rows of packed images."""
        catalogue = read_catalogue(self._paths.catalogue)
        return catalogue.filter(pc.is_in(catalogue["image"], pa.array(self._rows, pa.string())))

    def pixels(self, image: str) -> NDArray[np.uint8]:
        """A packed image, (size, size, 3)."""
        assert self._pixels is not None, "asked for only where pixels are"
        return np.asarray(self._pixels[self._rows[image]])

    def of(self, object_id: str, image: str) -> Picture:
        """The picture of a packed image."""
        picture = Image.fromarray(self.pixels(image))
        picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        return Picture(object_id, image, html.encoded(picture, "JPEG", QUALITY))

    def of_classes(self, challenge: Challenge, wanted: Mapping[str, int]) -> dict[str, list[Picture]]:
        """Pictures of each wanted class, at most as many as said, of different objects, evenly among all of them."""
        if self.size is None:
            return {label: [] for label in wanted}
        members = self._members(challenge, wanted.keys())
        found = {}
        for label, most in wanted.items():
            images = members[label]
            places = np.unique(np.linspace(0, len(images) - 1, min(most, len(images))).astype(int))
            found[label] = [self.of(*images[place]) for place in places] if images else []
        return found

    def of_objects(self, objects: int, most: int) -> list[list[Picture]]:
        """Up to `most` pictures of each of the objects with the most images, at least two."""
        if self.size is None:
            return []
        images: dict[str, list[str]] = defaultdict(list)
        for object_id, image in pairs_of(self._packed):
            images[object_id].append(image)
        largest = sorted(images.items(), key=lambda item: (-len(item[1]), item[0]))[:objects]
        return [[self.of(object_id, one) for one in its[:most]] for object_id, its in largest if len(its) > 1]

    def _members(self, challenge: Challenge, wanted: Collection[str]) -> dict[str, list[tuple[str, str]]]:
        """The first packed image of every object of the wanted classes."""
        columns = [self._packed[name].to_pylist() for name in ("object_id", "image", COLUMN_OF[challenge])]
        members: dict[str, dict[str, str]] = {label: {} for label in wanted}
        for object_id, image, values in zip(*columns, strict=True):
            label = label_of(challenge, values)
            if label in members:
                members[label].setdefault(object_id, image)
        return {label: list(images.items()) for label, images in members.items()}
