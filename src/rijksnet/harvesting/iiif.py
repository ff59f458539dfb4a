"""IIIF: from what a museum publishes as an image's address to a request for it at the size needed.

Image API 2 and 3 (https://iiif.io/api/image/3.0/), Presentation API 2 and 3 (https://iiif.io/api/presentation/3.0/).
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urlsplit

from rijksnet.harvesting.http import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rijksnet.harvesting.http import Answer, Server

#: Longer documents are refused, bytes.
MOST_INFO_BYTES, MOST_MANIFEST_BYTES = 1 << 20, 16 << 20

#: Choices of choices, and services of services, are followed so deep.
MOST_NESTED = 8

#: How a server says that it makes no image of the size asked for: as the API asks, or, where fixed files stand for a
#: server, that there is no such file (403 where a store does not tell).
NO_SUCH_SIZE = frozenset({400, 403, 404, 501})

#: `/{region}/{size}/{rotation}/{quality}.{format}` at the end of a path.
REQUEST = re.compile(
    r"/(?P<region>full|square|(?:pct:)?[\d.]+,[\d.]+,[\d.]+,[\d.]+)"
    r"/(?P<size>full|\^?max|\^?pct:[\d.]+|\^?!?\d*,\d*)"
    r"/(?P<rest>!?[\d.]+/(?:default|native|color|colour|gray|grey|bitonal)\.\w+)$"
)

#: Servers such as iipsrv have the whole of it in their query: `…/iipsrv.fcgi?IIIF=/maps/x.tif/full/max/0/default.jpg`.
IN_QUERY = re.compile(r"(?<=[?&]iiif=)[^&#]*", re.IGNORECASE)

#: What says that a service of an image is one that makes images, in its type, profile or context.
MAKES_IMAGES = re.compile(r"^ImageService\d|/image-api/|/api/image/|^(?:level|.*#level)\d", re.IGNORECASE)

#: Bodies of annotations that are no images.
NO_IMAGES = frozenset({"Text", "TextualBody", "Sound", "Audio", "Video", "Model", "Dataset", "dctypes:Text"})


class ImageSource(NamedTuple):
    """Where a manifest's image is: an image service's id, or the address of the image itself."""

    address: str
    is_service: bool


def image_url(address: str, side: int) -> str:
    """The request for an image whose longest side is at most `side` px.

    Args:
        address: an Image API request, whose region, rotation, quality and format are kept, or the id of an image
            service, with or without `/info.json`; either may stand in a query, after `IIIF=`.
    """
    return _request(address, f"!{side},{side}")


def is_request(address: str) -> bool:
    """Whether an address is an Image API request for pixels (not an image service)."""
    return REQUEST.search(_parts(address)[1]) is not None


def get_image(server: Server, address: str, side: int, most_bytes: int) -> Answer:
    """Get an image, from a server of any compliance level (see `image_url`).

    One that does not make images within a square is asked for what its info.json says that it makes, see `sizes`.

    Raises:
        RefusedError, TransientError: as `Server.get`.
    """
    try:
        return server.get(image_url(address, side), most_bytes=most_bytes, accept="image/*")
    except RefusedError as error:
        if error.status not in NO_SUCH_SIZE:
            raise
        refusal = error
    try:
        info = get_json(server, _address(_service(address), "/info.json"), MOST_INFO_BYTES)
    except RefusedError:
        raise refusal from None  # no image service at all: what was wrong with the image itself says more
    quality = "native" if "image-api/1" in str(info) else "default"  # Image API 1 knows no default
    for size in sizes(info, side):
        try:
            return server.get(_request(address, size, quality), most_bytes=most_bytes, accept="image/*")
        except RefusedError as error:
            if error.status not in NO_SUCH_SIZE:
                raise
            refusal = error
    raise refusal


#: Of what is larger, no side or area of an image is meant; JSON has numbers of any length.
MOST_PIXELS = 2**53


def sizes(info: Any, side: int) -> list[str]:
    """What to ask a server for in place of `!side,side`, in this order, by its info.json.

    By width, from level 1 on, within what the server makes at most; a listed size, at level 0; the whole image. None is
    larger than `side` but where the server lists none between half of it and it.
    """
    version_3 = "image/3" in str(member(info, "@context"))
    whole = ["max"] if version_3 else ["full", "max"]
    width, height = member(info, "width"), member(info, "height")
    asked: list[str] = []
    if _is_size(width, height):
        scale = _largest_scale(info, width, height, side)
        if scale >= 1:
            asked += whole
        if _level(info) != 0 or scale >= 1:
            asked += _written(max(1, int(width * scale)), max(1, int(height * scale)), version_3)
    entries = member(info, "sizes")
    listed = [
        (member(entry, "width"), member(entry, "height")) for entry in (entries if isinstance(entries, list) else [])
    ]
    listed = [size for size in listed if _is_size(*size)]
    if listed:
        within = [size for size in listed if side / 2 <= max(size) <= side]
        above = [size for size in listed if max(size) > side]
        best = max(within, key=max) if within else min(above, key=max) if above else max(listed, key=max)
        asked += _written(*best, version_3)
    return list(dict.fromkeys(asked + whole))


def _is_size(width: Any, height: Any) -> bool:
    return all(isinstance(one, int) and not isinstance(one, bool) and 0 < one <= MOST_PIXELS for one in (width, height))


def _written(width: int, height: int, version_3: bool) -> list[str]:
    """Each version's canonical form first."""
    both, canonical = f"{width},{height}", f"{width},"
    return [both, canonical] if version_3 else [canonical, both]


def _largest_scale(info: Any, width: int, height: int, side: int) -> float:
    """How much of its size an image may have, at most 1: `side`, and what the server makes at most."""
    limits = [info, *(one for one in _listed(member(info, "profile")) if isinstance(one, dict))]
    scale = min(1.0, side / max(width, height))
    for limit in limits:
        most_width, most_height, most_area = (member(limit, f"max{name}") for name in ("Width", "Height", "Area"))
        if _is_size(most_width, 1):
            scale = min(scale, most_width / width, (most_height if _is_size(most_height, 1) else most_width) / height)
        elif _is_size(most_height, 1):
            scale = min(scale, most_height / height)
        if _is_size(most_area, 1):
            scale = min(scale, (most_area / (width * height)) ** 0.5)
    return scale


def _level(info: Any) -> int | None:
    """The compliance level that an info.json names; None: none."""
    found = re.search(r"level(\d)", " ".join(one for one in _listed(member(info, "profile")) if isinstance(one, str)))
    return int(found[1]) if found else None


# --- manifests --------------------------------------------------------------------------------------------------------


def first_image(manifest: Any) -> ImageSource:
    """The image of the first canvas that has one; a manifest's further canvases (versos, details, pages) are left out.

    Raises:
        RefusedError: there is none.
    """
    canvases = _canvases(manifest)
    for canvas in canvases:
        for annotation in _annotations(canvas):
            for body in _bodies(member(annotation, "resource") or member(annotation, "body")):
                if source := _source(body):
                    return source
    if member(manifest, "type") == "Collection" or str(member(manifest, "@type")).endswith("Collection"):
        members = _listed(member(manifest, "items") or member(manifest, "manifests") or member(manifest, "members"))
        raise RefusedError(
            "no image in the manifest", f"it is a collection of {len(members)} manifests: name the manifests themselves"
        )
    raise RefusedError("no image in the manifest", f"none of its {len(canvases)} canvases has an image")


def _canvases(manifest: Any) -> list[Any]:
    sequences = _listed(member(manifest, "sequences"))  # of Presentation API 2
    of_sequences = [canvas for sequence in sequences for canvas in _listed(member(sequence, "canvases"))]
    return of_sequences or _listed(member(manifest, "items"))


def _annotations(canvas: Any) -> Iterator[Any]:
    yield from _listed(member(canvas, "images"))
    for page in _listed(member(canvas, "items")):
        yield from _listed(member(page, "items"))


def _bodies(body: Any, depth: int = 0) -> Iterator[Any]:
    """What an annotation paints: of a choice the default, of a part the whole."""
    if depth > MOST_NESTED:
        return
    for one in _listed(body):
        kinds = {kind for kind in _listed(member(one, "type") or member(one, "@type")) if isinstance(kind, str)}
        inner = [member(one, name) for name in ("default", "items", "item", "source", "full")]
        if kinds & NO_IMAGES:
            continue
        if any(inner):
            for part in inner:
                yield from _bodies(part, depth + 1)
        else:
            yield one


def _source(body: Any) -> ImageSource | None:
    services = list(_services(member(body, "service") or member(body, "services")))
    made = [one for one in services if _makes_images(one)] or [one for one in services if not _says_what_it_is(one)]
    for service in made:
        if address := id_of(service):
            return ImageSource(address, True)
    address = id_of(body)
    return ImageSource(address, is_request(address)) if address else None


def _services(value: Any, depth: int = 0) -> Iterator[Any]:
    """Services, and those that are services of a service."""
    for one in _listed(value) if depth <= MOST_NESTED else []:
        yield one
        yield from _services(member(one, "service"), depth + 1)


def _makes_images(service: Any) -> bool:
    return any(MAKES_IMAGES.search(said) for said in _sayings(service))


def _says_what_it_is(service: Any) -> bool:
    return any(_sayings(service))


def _sayings(service: Any) -> list[str]:
    names = ("type", "@type", "profile", "@context")
    return [said for name in names for said in _listed(member(service, name)) if isinstance(said, str)]


def get_json(server: Server, url: str, most_bytes: int) -> Any:
    """
    Raises:
        RefusedError, TransientError: as `Server.get`; the answer is no JSON.
    """
    answer = server.get(url, most_bytes=most_bytes, accept="application/ld+json, application/json")
    try:
        return json.loads(answer.content)
    except (ValueError, RecursionError) as error:
        raise RefusedError("not JSON", f"{answer.url} begins with {answer.content[:24]!r} ({error})") from None


def _parts(address: str) -> tuple[str, str, str]:
    """An address, whose middle part holds an image's id and a request for it: its path, or what stands in its query."""
    if found := IN_QUERY.search(address):
        middle = found[0] if "/" in found[0] else unquote(found[0])
        return address[: found.start()], middle, address[found.end() :].partition("#")[0]
    try:
        parts = urlsplit(address)
    except ValueError as error:
        raise RefusedError("cannot be asked", f"{address}: {error}") from error
    before = parts._replace(path="", query="", fragment="").geturl()
    return before, parts.path, f"?{parts.query}" if parts.query else ""


def _request(address: str, size: str, quality: str = "default") -> str:
    before, middle, after = _parts(address)
    if REQUEST.search(middle):
        return before + REQUEST.sub(rf"/\g<region>/{size}/\g<rest>", middle) + after
    return _address(_service(address), f"/full/{size}/0/{quality}.jpg")


def _service(address: str) -> str:
    """The id of the image service that an address belongs to."""
    before, middle, after = _parts(address)
    return before + REQUEST.sub("", middle).rstrip("/").removesuffix("/info.json").rstrip("/") + after


def _address(service: str, what: str) -> str:
    """What a service is asked for; what else its query says stays at the end."""
    before, middle, after = _parts(service)
    return before + middle + what + after


def _listed(value: Any) -> list[Any]:
    """Many members of IIIF documents may be several or only one."""
    return value if isinstance(value, list) else [] if value is None else [value]


def member(value: Any, key: str) -> Any:
    """What a IIIF document says under a key; None where it says nothing, or is no such document."""
    return value.get(key) if isinstance(value, dict) else None


def id_of(value: Any) -> str:
    """The id of something in a IIIF document, or of what is named by its id alone; empty if there is none."""
    found = value if isinstance(value, str) else member(value, "id") or member(value, "@id")
    return found if isinstance(found, str) else ""
