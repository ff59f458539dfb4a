"""What an address in a record or a table is: a IIIF manifest, an image by the Image API, or an image as it lies."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rijksnet.collections.metadata.fields import AddressKind

#: What is in an address of each kind, in lower case: its path and query.
IMAGE_ENDS = re.compile(r"\.(?:jpe?g|png|tiff?|jp2|jpx|gif|webp|bmp|heic|avif)$")
KINDS: dict[AddressKind, tuple[re.Pattern[str], ...]] = {
    "url": (IMAGE_ENDS, re.compile(r"/full/")),
    "iiif": (re.compile(r"/info\.json$|/full/|[?&]iiif="), re.compile(r"/iiif/(?!.*manifest)"), IMAGE_ENDS),
    "manifest": (re.compile(r"manifest"), re.compile(r"/iiif/|\.json$")),
}


def image_among(addresses: Sequence[str], kind: AddressKind) -> str:
    """The first address that looks like an image's, of that kind; empty if none does."""
    for pattern in KINDS[kind]:
        for address in addresses:
            if _has(address, pattern):
                return address
    return ""


def likely_kind(addresses: Sequence[str]) -> AddressKind:
    """What most of a collection's addresses are, by the surest sign of each kind."""
    kinds: tuple[AddressKind, ...] = ("manifest", "iiif")
    for kind in kinds:
        if 2 * sum(_has(address, KINDS[kind][0]) for address in addresses) > len(addresses):
            return kind
    return "url"


def _has(address: str, pattern: re.Pattern[str]) -> bool:
    """In its path or its query."""
    try:
        parts = urlsplit(address.lower())
    except ValueError:
        return False
    return any(pattern.search(part) for part in (parts.path, f"?{parts.query}"))
