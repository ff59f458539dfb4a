"""Dublin Core (`dc`, `oai_dc`)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rijksnet.collections.metadata.elements import first, inventory_number, literals, local_name
from rijksnet.collections.metadata.fields import DCMI_TYPES, Metadata, is_id

if TYPE_CHECKING:
    from lxml import etree

    from rijksnet.collections.metadata.fields import AddressKind

#: How old Rijksmuseum records mark which `dc:format` is a material ("materiaal: papier"), and not a size.
_MATERIAL = re.compile(r"materia+l\s*:\s*", re.IGNORECASE)


def parse_dublin_core(root: etree._Element, language: str, kind: AddressKind) -> Metadata:
    elements: dict[str, list[etree._Element]] = {}
    for element in root.iterdescendants():
        elements.setdefault(local_name(element), []).append(element)

    def values(name: str) -> tuple[str, ...]:
        return tuple(literals(elements.get(name, ()), language))

    identifiers = values("identifier")
    addresses = [value for name in _ADDRESSES for value in values(name) if is_id(value)]
    image = image_among(addresses, kind) or first(value for value in values("relation") if is_id(value))
    return Metadata(
        identifier=inventory_number(identifiers),
        creators=values("creator"),
        types=tuple(value for value in values("type") if value not in DCMI_TYPES),
        materials=_materials(values("format")),
        title=first(values("title")),
        rights=first((*filter(is_id, values("rights")), *values("rights"))),  # a URL rather than a sentence
        image=image,
        addresses=() if image else tuple(dict.fromkeys(addresses)),
    )


def _materials(formats: tuple[str, ...]) -> tuple[str, ...]:
    """All formats; where some are marked as materials, those, without the mark."""
    marked = [(value, _MATERIAL.match(value)) for value in formats]
    materials = tuple(value[mark.end() :] for value, mark in marked if mark)
    return materials or formats


#: Where Dublin Core records name images, the likeliest first.
_ADDRESSES = ("relation", "identifier", "source", "hasFormat", "isReferencedBy", "references", "hasPart", "hasVersion")

#: What is in an address of each kind, in lower case: its path and query.
_IMAGE_ENDS = re.compile(r"\.(?:jpe?g|png|tiff?|jp2|jpx|gif|webp|bmp|heic|avif)$")
_KINDS: dict[AddressKind, tuple[re.Pattern[str], ...]] = {
    "url": (_IMAGE_ENDS, re.compile(r"/full/")),
    "iiif": (re.compile(r"/info\.json$|/full/|[?&]iiif="), re.compile(r"/iiif/(?!.*manifest)"), _IMAGE_ENDS),
    "manifest": (re.compile(r"manifest"), re.compile(r"/iiif/|\.json$")),
}


def image_among(addresses: list[str], kind: AddressKind) -> str:
    """The first address that looks like an image's, of that kind; empty if none does."""
    for pattern in _KINDS[kind]:
        for address in addresses:
            try:
                parts = urlsplit(address.lower())
            except ValueError:
                continue
            if any(pattern.search(part) for part in (parts.path, f"?{parts.query}")):
                return address
    return ""
