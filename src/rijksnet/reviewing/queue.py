"""What there is to review: the suggestions of a folder, with the collection's own words for labels."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageOps

from rijksnet.collections.catalogue import read_catalogue
from rijksnet.collections.formats import readable
from rijksnet.collections.images import read_image
from rijksnet.data.splits import labels_of
from rijksnet.errors import ReviewError

if TYPE_CHECKING:
    from pathlib import Path

    from rijksnet.params import Challenge
    from rijksnet.paths import CollectionPaths

#: Longest side of a picture as it is looked at, px, and its JPEG quality.
SIDE, QUALITY = 900, 85


@dataclass(frozen=True)
class Queue:
    """The objects of one file of suggestions, as `rijksnet suggest` wrote them, the surest first."""

    collection: str
    challenge: Challenge
    objects: list[dict[str, Any]]
    vocabulary: list[str]  #: labels of the collection, the most frequent first, and those of the network
    file: Path  #: the decisions'

    @cached_property
    def position(self) -> dict[str, int]:
        """Of an object by its id."""
        return {one["object_id"]: i for i, one in enumerate(self.objects)}

    def object(self, object_id: str) -> dict[str, Any]:
        """
        Raises:
            ReviewError: there is no such object here.
        """
        if object_id in self.position:
            return self.objects[self.position[object_id]]
        raise ReviewError(f"no object {object_id!r} is among the {len(self.objects)} suggestions for {self.challenge}")


def read_queue(paths: CollectionPaths, challenge: Challenge, folder: Path) -> Queue:
    """
    Args:
        folder: what `rijksnet suggest --out` was given.

    Raises:
        ReviewError: there are no suggestions, or none that can be read.
        CollectionError: the collection has no catalogue.
    """
    file = folder / paths.collection / f"{challenge}.jsonl"
    if not file.is_file():
        raise ReviewError(f"{file} is not there: `rijksnet suggest {paths.collection} {challenge}` writes it")
    try:
        with file.open(encoding="utf-8", newline="\n") as lines:
            objects = [json.loads(line) for line in lines]
        named = {label["label"] for one in objects for label in one["ranked"]}
    except (ValueError, KeyError, TypeError) as error:
        raise ReviewError(f"{file} cannot be read ({error}): `rijksnet suggest` writes it anew") from error
    if not objects:
        raise ReviewError(f"{file} holds no object: nothing was blank")
    known = Counter(labels_of(read_catalogue(paths.catalogue), challenge)["label"])
    words = [label for label, _ in sorted(known.items(), key=lambda item: (-item[1], item[0]))]
    decisions = file.with_name(f"{challenge}-decisions.jsonl")
    return Queue(paths.collection, challenge, objects, [*words, *sorted(named - known.keys())], decisions)


class Photographs:
    """The museum's own pictures of a collection, as a browser shows them."""

    def __init__(self, paths: CollectionPaths) -> None:
        catalogue = read_catalogue(paths.catalogue)
        columns = [catalogue[name].to_pylist() for name in ("image", "file", "offset", "length")]
        self._places = {image: (file, offset, length) for image, file, offset, length in zip(*columns, strict=True)}

    def jpeg(self, image: str) -> bytes:
        """A picture, upright, of SIDE px at most.

        Raises:
            ReviewError: there is none of that name, or it cannot be shown.
        """
        if image not in self._places:
            raise ReviewError(f"the catalogue has no image {image!r}")
        try:
            data = read_image(*self._places[image])
            with Image.open(BytesIO(data), formats=readable(data)) as opened:
                opened.draft("RGB", (SIDE, SIDE))
                shown = _on_white(ImageOps.exif_transpose(opened))
                shown.thumbnail((SIDE, SIDE))
                stream = BytesIO()
                shown.save(stream, "JPEG", quality=QUALITY)
        except Exception as error:  # Pillow's decoders raise whatever a damaged file leads them to
            raise ReviewError(f"{image} cannot be shown: {type(error).__name__}: {error}") from error
        return stream.getvalue()


def _on_white(picture: Image.Image) -> Image.Image:
    """In RGB, as the network saw it: 16 bits of grey scaled to 8, what is transparent white."""
    if picture.mode.startswith("I"):
        return Image.fromarray((np.asarray(picture).astype(np.uint32) // 257).astype(np.uint8)).convert("RGB")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return picture.convert("RGB")
