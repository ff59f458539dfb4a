"""Suggestions as Web Annotations (W3C) on the canvases of a IIIF manifest (Presentation API 3), for viewers that show
both, such as Mirador.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from PIL import Image

from rijksnet.collections.readers import downloads_of
from rijksnet.collections.shards import Shards
from rijksnet.errors import CollectionError, ParamsError, ReviewError
from rijksnet.files import replacing
from rijksnet.harvesting.http import RefusedError
from rijksnet.harvesting.iiif import image_url
from rijksnet.paths import CollectionPaths
from rijksnet.reviewing.decisions import GIVING, read, standing
from rijksnet.reviewing.queue import Photographs, read_queue

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rijksnet.params import Challenge, Params
    from rijksnet.reviewing.decisions import Decision

CONTEXT = "http://iiif.io/api/presentation/3/context.json"


@dataclass(frozen=True)
class Tag:
    """A label for an object, and whose it is."""

    object_id: str
    images: tuple[str, ...]
    label: str
    why: str
    model: str
    weights: str  #: sha256
    people: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shown:
    """A picture of an object: where a viewer finds it, and the sides of its canvas, in the picture's proportion."""

    address: str
    width: int
    height: int


def annotate(
    params: Params, collection: str, challenge: Challenge, suggestions: Path, at: str
) -> tuple[Path, int, list[str]]:
    """Write `<challenge>-manifest.json` beside the suggestions: a canvas for each object that has one.

    What people decided stands before what the network suggests: an object that they gave a label has theirs, and one
    whose suggestion they rejected, or about which they disagree, has none. A rejection of what an earlier network
    suggested says nothing of another suggestion.

    Args:
        suggestions: what `rijksnet suggest --out` was given.
        at: the address of the folder that the file will be put in; the manifest's and its parts' begin with it.

    Returns:
        The file, how many objects it has, and the ids of those that it lacks since no picture of them can be shown.

    Raises:
        ReviewError: there are no suggestions, nothing is suggested, nothing can be shown, or `at` is no address.
        CollectionError: the collection has no catalogue.
    """
    if not at.startswith(("https://", "http://")):
        raise ReviewError(
            f"--at {at!r} is no address: where the manifest will be, such as https://museum.example/iiif/"
        )
    paths = CollectionPaths(collection)
    queue = read_queue(paths, challenge, suggestions)
    decided: dict[str, list[Decision]] = defaultdict(list)
    for one in standing(read(queue.file)).values():
        decided[one.object_id].append(one)
    tags = [tag for one in queue.objects if (tag := _tag(one, decided[one["object_id"]]))]
    if not tags:
        raise ReviewError(f"nothing is suggested for {challenge} of {collection}, and nobody gave a label")
    name = f"{challenge}-manifest.json"
    base = f"{at.rstrip('/')}/{name}"
    pictures = Pictures(params, paths)
    shown = [(tag, picture) for tag in tags if (picture := pictures.of(tag.images))]
    if not shown:
        raise ReviewError(
            f"no picture of the {len(tags)} objects can be shown, such as {tags[0].images[0]!r}: are they where "
            f"{paths.catalogue} says? If not, run the stage `catalogue` again"
        )
    manifest = {
        "@context": CONTEXT,
        "id": base,
        "type": "Manifest",
        "label": {"en": [f"{challenge}: suggestions for {collection}"]},
        "items": [_canvas(f"{base}/{quote(tag.object_id, safe='')}", tag, picture) for tag, picture in shown],
    }
    file = queue.file.with_name(name)
    with replacing(file) as partial:
        partial.write_text(json.dumps(manifest, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    there = {tag.object_id for tag, _ in shown}
    return file, len(shown), [tag.object_id for tag in tags if tag.object_id not in there]


def _tag(one: Mapping[str, Any], decided: Sequence[Decision]) -> Tag | None:
    """What an object is annotated with; None: with nothing."""
    first = one["ranked"][0]
    about = {"object_id": one["object_id"], "images": tuple(one["images"])}
    rested = f"asked to be right {one['precision_asked']:.0%} of the time"
    if one["nearest"]:
        rested += "; most like " + ", ".join(f"{near['object_id']} ({near['label']})" for near in one["nearest"])
    its = [
        decision
        for decision in decided
        if decision.decision in GIVING or (decision.decision == "reject" and decision.suggestion == first["label"])
    ]
    if not its:
        if not one["suggestion"]:
            return None
        why = f"{one['challenge']}: suggested at {first['probability']:.0%} by {one['model']}, {rested}"
        return Tag(**about, label=one["suggestion"], why=why, model=one["model"], weights=one["weights"])
    labels = {decision.label for decision in its}
    if len(labels) > 1 or not all(labels):
        return None
    people, last = tuple(sorted({decision.who for decision in its})), its[-1]
    why = (
        f"{one['challenge']}: by {', '.join(people)}, where {last.model} had said {last.suggestion} "
        f"at {float(last.confidence):.0%}"
    )
    return Tag(**about, label=labels.pop(), why=why, model=last.model, weights=last.weights, people=people)


def _canvas(canvas: str, tag: Tag, picture: Shown) -> dict[str, Any]:
    image = {"id": picture.address, "type": "Image"}
    painting = {"type": "Annotation", "motivation": "painting", "body": image, "target": canvas}
    annotation = _annotation(f"{canvas}/suggestion", canvas, tag)
    return {
        "id": canvas,
        "type": "Canvas",
        "label": {"none": [tag.object_id]},
        "width": picture.width,
        "height": picture.height,
        "items": [
            {"id": f"{canvas}/pictures", "type": "AnnotationPage", "items": [{"id": f"{canvas}/picture", **painting}]}
        ],
        "annotations": [{"id": f"{canvas}/suggestions", "type": "AnnotationPage", "items": [annotation]}],
    }


def _annotation(its: str, canvas: str, tag: Tag) -> dict[str, Any]:
    """A tag, with what it rests on; `creator` are people, `generator` is the network and its weights."""
    text = {"type": "TextualBody", "format": "text/plain"}
    return {
        "id": its,
        "type": "Annotation",
        "motivation": ["tagging", "describing"],
        **({"creator": [{"type": "Person", "name": name} for name in tag.people]} if tag.people else {}),
        "generator": {"id": f"urn:sha256:{tag.weights}", "type": "Software", "name": tag.model},
        "body": [
            {**text, "purpose": "tagging", "value": tag.label},
            {**text, "purpose": "describing", "language": "en", "value": tag.why},
        ],
        "target": canvas,
    }


class Pictures:
    """Where viewers find objects' pictures: at the museum's own addresses, or, where it has none, in the manifest."""

    def __init__(self, params: Params, paths: CollectionPaths) -> None:
        self._photographs = Photographs(paths)
        self._address: dict[str, str] = {}  #: by the image's name in the catalogue
        self._side = 0  #: asked of a IIIF server, px; 0: addresses are those of the images themselves
        with suppress(ParamsError, CollectionError):  # without addresses, or what they stand in is not here any more
            reader, download, folder = downloads_of(paths.collection, params.collections[paths.collection])
            if download.kind == "manifest":  # behind a manifest's address is no picture
                return
            self._side = download.side if download.kind == "iiif" else 0
            with Shards.open(folder) as shards:
                self._address = {its.name: url for _, url in reader.addresses() if (its := shards.find(url))}

    def of(self, images: Sequence[str]) -> Shown | None:
        """The first of an object's pictures that can be shown; None: none can."""
        for image in images:
            with suppress(ReviewError):
                jpeg = self._photographs.jpeg(image)
                with Image.open(BytesIO(jpeg)) as opened:
                    width, height = opened.size
                return Shown(self._public(image) or f"data:image/jpeg;base64,{b64encode(jpeg).decode()}", width, height)
        return None

    def _public(self, image: str) -> str:
        address = self._address.get(image, "")
        try:
            return image_url(address, self._side) if address and self._side else address
        except RefusedError:  # it is no address that a IIIF server has
            return ""
