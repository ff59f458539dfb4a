"""Suggestions as Web Annotations (W3C) on the canvases of a IIIF manifest (Presentation API 3), for viewers that show
both, such as Mirador.
"""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from PIL import Image

from rijksnet.collections.readers import reader_for
from rijksnet.errors import ReviewError
from rijksnet.files import replacing
from rijksnet.harvesting.iiif import image_url
from rijksnet.paths import CollectionPaths
from rijksnet.reviewing.decisions import NOTHING, labels_given, read
from rijksnet.reviewing.queue import SIDE, Photographs, read_queue

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rijksnet.params import Challenge, Params

CONTEXT = "http://iiif.io/api/presentation/3/context.json"


@dataclass(frozen=True)
class Shown:
    """A picture of an object as a viewer finds it: its address, and its size in px."""

    address: str
    width: int
    height: int


def annotate(params: Params, collection: str, challenge: Challenge, suggestions: Path, at: str) -> tuple[Path, int]:
    """Write `<challenge>-manifest.json` beside the suggestions: a canvas for each object that has one.

    What people decided stands before what the network suggests: an object that they gave a label has theirs, and one
    whose suggestion they rejected, or about which they disagree, has none.

    Args:
        suggestions: what `rijksnet suggest --out` was given.
        at: the address of the folder that the file will be put in; the manifest's and its parts' begin with it.

    Returns:
        The file, and how many objects it has.

    Raises:
        ReviewError: there are no suggestions, nothing is suggested, or `at` is no address.
        CollectionError: the collection has no catalogue.
    """
    if not at.startswith(("https://", "http://")):
        raise ReviewError(
            f"--at {at!r} is no address: where the manifest will be, such as https://museum.example/iiif/"
        )
    paths = CollectionPaths(collection)
    queue = read_queue(paths, challenge, suggestions)
    said = labels_given(read(queue.file))
    kept = [(one, people) for one in queue.objects if (people := _label(one, said.get(one["object_id"], {})))]
    if not kept:
        raise ReviewError(f"nothing is suggested for {challenge} of {collection}, and nobody gave a label")
    name = f"{challenge}-manifest.json"
    base = f"{at.rstrip('/')}/{name}"
    pictures = Pictures(params, paths)
    manifest = {
        "@context": CONTEXT,
        "id": base,
        "type": "Manifest",
        "label": {"en": [f"{challenge}: suggestions for {collection}"]},
        "items": [
            _canvas(f"{base}/{quote(one['object_id'], safe='')}", one, label, people, pictures.of(one))
            for one, (label, people) in kept
        ],
    }
    file = queue.file.with_name(name)
    with replacing(file) as partial:
        partial.write_text(json.dumps(manifest, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return file, len(kept)


def _label(one: Mapping[str, Any], said: Mapping[str, str]) -> tuple[str, list[str]] | None:
    """What an object is annotated with, and the people who say so; None: with nothing."""
    if not said:
        return (one["suggestion"], []) if one["suggestion"] else None
    labels = {*said.values()}
    if len(labels) > 1 or labels == {NOTHING}:
        return None
    return labels.pop(), sorted(said)


def _canvas(canvas: str, one: Mapping[str, Any], label: str, people: list[str], picture: Shown) -> dict[str, Any]:
    size = {"width": picture.width, "height": picture.height}
    image = {"id": picture.address, "type": "Image", "format": "image/jpeg", **size}
    painting = {"type": "Annotation", "motivation": "painting", "body": image, "target": canvas}
    return {
        "id": canvas,
        "type": "Canvas",
        "label": {"none": [one["object_id"]]},
        **size,
        "items": [
            {"id": f"{canvas}/pictures", "type": "AnnotationPage", "items": [{"id": f"{canvas}/picture", **painting}]}
        ],
        "annotations": [
            {
                "id": f"{canvas}/suggestions",
                "type": "AnnotationPage",
                "items": [_annotation(f"{canvas}/suggestion", canvas, one, label, people)],
            }
        ],
    }


def _annotation(its: str, canvas: str, one: Mapping[str, Any], label: str, people: list[str]) -> dict[str, Any]:
    """A tag, with what it rests on; `creator` are people, `generator` is the network and its weights."""
    first = one["ranked"][0]
    by = f"{', '.join(people)}, where a network had said" if people else "suggested:"
    about = (
        f"{one['challenge']}: {by} {first['label']} at {first['probability']:.0%}, by {one['model']}, asked to be "
        f"right {one['precision_asked']:.0%} of the time"
    )
    if one["nearest"]:
        about += "; most like " + ", ".join(f"{near['object_id']} ({near['label']})" for near in one["nearest"])
    return {
        "id": its,
        "type": "Annotation",
        "motivation": ["tagging", "describing"],
        **({"creator": [{"type": "Person", "name": name} for name in people]} if people else {}),
        "generator": {"id": f"urn:sha256:{one['weights']}", "type": "Software", "name": one["model"]},
        "body": [
            {"type": "TextualBody", "purpose": "tagging", "format": "text/plain", "value": label},
            {"type": "TextualBody", "purpose": "describing", "format": "text/plain", "language": "en", "value": about},
        ],
        "target": canvas,
    }


class Pictures:
    """Where viewers find objects' pictures: at the museum's own addresses, or, where it has none, in the manifest."""

    def __init__(self, params: Params, paths: CollectionPaths) -> None:
        collection = params.collections[paths.collection]
        self._photographs = Photographs(paths)
        download = getattr(collection, "download", None)
        self._kind = download.kind if download else ""
        self._address: dict[str, str] = {}
        if self._kind in ("iiif", "url"):  # behind a manifest's address is no picture
            reader: Any = reader_for(collection)
            for object_id, url in reader.addresses():
                self._address.setdefault(object_id, url)

    def of(self, one: Mapping[str, Any]) -> Shown:
        """An object's first picture.

        Raises:
            ReviewError: it cannot be shown.
        """
        jpeg = self._photographs.jpeg(one["images"][0])
        with Image.open(BytesIO(jpeg)) as opened:
            size = opened.size
        address = self._address.get(one["object_id"], "")
        if not address:
            address = f"data:image/jpeg;base64,{b64encode(jpeg).decode()}"
        elif self._kind == "iiif":
            address = image_url(address, SIDE)
        return Shown(address, *size)
