"""IIIF: from what a museum publishes as an image's address to a request for it at the size needed.

Image API 2 and 3 (https://iiif.io/api/image/3.0/), Presentation API 2 and 3 (https://iiif.io/api/presentation/3.0/).
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from rijksnet.harvesting.http import RefusedError

if TYPE_CHECKING:
    from rijksnet.harvesting.http import Answer, Server

#: Longer documents are refused, bytes.
MOST_INFO_BYTES, MOST_MANIFEST_BYTES = 1 << 20, 16 << 20

#: How a server says that it does not make images of any size (compliance level 0): as the API asks, or, where fixed
#: files stand for a server, that there is no such file (403 where a store does not tell).
LEVEL_0 = frozenset({400, 403, 404, 501})

#: `/{region}/{size}/{rotation}/{quality}.{format}` at the end of a path.
REQUEST = re.compile(
    r"/(?P<region>full|square|(?:pct:)?[\d.]+,[\d.]+,[\d.]+,[\d.]+)"
    r"/(?P<size>full|\^?max|\^?pct:[\d.]+|\^?!?\d*,\d*)"
    r"/(?P<rest>!?[\d.]+/(?:default|native|color|colour|gray|grey|bitonal)\.\w+)$"
)


class ImageSource(NamedTuple):
    """Where a manifest's image is: an image service's id, or the address of the image itself."""

    address: str
    is_service: bool


def image_url(address: str, side: int) -> str:
    """The request for an image whose longest side is at most `side` px.

    Args:
        address: an Image API request, whose region, rotation, quality and format are kept, or the id of an image
            service, with or without `/info.json`.
    """
    return _request(address, f"!{side},{side}")


def is_request(address: str) -> bool:
    """Whether an address is an Image API request for pixels (not an image service)."""
    return REQUEST.search(urlsplit(address).path) is not None


def get_image(server: Server, address: str, side: int, most_bytes: int) -> Answer:
    """Get an image, from a server of any compliance level (see `image_url`).

    One that makes no images of any size is asked for the smallest size that it lists and that is no smaller than
    `side`, else for the largest listed, else for the whole image.

    Raises:
        RefusedError, TransientError: as `Server.get`.
    """
    try:
        return server.get(image_url(address, side), most_bytes=most_bytes, accept="image/*")
    except RefusedError as error:
        if error.status not in LEVEL_0:
            raise
        refusal = error
    try:
        info = get_json(server, f"{_service(address)}/info.json", MOST_INFO_BYTES)
    except RefusedError:
        raise refusal from None  # no image service at all: what was wrong with the image itself says more
    for size in listed_sizes(info, side):
        try:
            return server.get(_request(address, size), most_bytes=most_bytes, accept="image/*")
        except RefusedError as error:
            if error.status not in LEVEL_0:
                raise
            refusal = error
    raise refusal


def listed_sizes(info: Any, side: int) -> list[str]:
    """What to ask a server of level 0 for, in this order, by its info.json."""
    version_3 = "image/3" in str(_get(info, "@context"))
    sizes = []
    listed = _get(info, "sizes")
    for entry in listed if isinstance(listed, list) else []:
        width, height = _get(entry, "width"), _get(entry, "height")
        if isinstance(width, int) and isinstance(height, int) and min(width, height) > 0:
            sizes.append((width, height))
    if not sizes:
        return ["max"] if version_3 else ["full", "max"]
    enough = [size for size in sizes if max(size) >= side]
    width, height = min(enough, key=max) if enough else max(sizes, key=max)
    both, canonical = f"{width},{height}", f"{width},"
    return [both, canonical] if version_3 else [canonical, both]  # each version's canonical form first


def first_image(manifest: Any) -> ImageSource:
    """The image of a manifest's first canvas; a manifest's further canvases (versos, details, pages) are left out.

    Raises:
        RefusedError: there is none.
    """
    if _get(manifest, "sequences"):  # Presentation API 2
        image = _get(_first(_get(_first(_get(manifest, "sequences")), "canvases")), "images")
        body = _get(_first(image), "resource")
        body = _get(body, "default") or body  # a choice of images
    else:
        page = _first(_get(_first(_get(manifest, "items")), "items"))
        body = _first(_get(_first(_get(page, "items")), "body"))
        body = _first(_get(body, "items")) or body
    service, image_id = _id(_first(_get(body, "service"))), _id(body)
    if service:
        return ImageSource(service, True)
    if image_id:
        return ImageSource(image_id, is_request(image_id))
    raise RefusedError("no image in the manifest", "its first canvas has neither an image service nor an image")


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


def _request(address: str, size: str) -> str:
    parts = urlsplit(address)
    if REQUEST.search(parts.path):
        path = REQUEST.sub(rf"/\g<region>/{size}/\g<rest>", parts.path)
    else:
        path = f"{urlsplit(_service(address)).path}/full/{size}/0/default.jpg"
    return parts._replace(path=path, fragment="").geturl()


def _service(address: str) -> str:
    """The id of the image service that an address belongs to."""
    parts = urlsplit(address)
    path = REQUEST.sub("", parts.path).rstrip("/").removesuffix("/info.json").rstrip("/")
    return parts._replace(path=path, query="", fragment="").geturl()


def _first(value: Any) -> Any:
    """The first of several, or the only one: many members of IIIF documents may be either."""
    if isinstance(value, list):
        return value[0] if value else None
    return value


def _get(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None


def _id(value: Any) -> str:
    found = value if isinstance(value, str) else _get(value, "id") or _get(value, "@id")
    return found if isinstance(found, str) else ""
