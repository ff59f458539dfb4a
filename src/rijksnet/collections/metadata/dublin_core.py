"""Dublin Core (`dc`, `oai_dc`)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rijksnet.collections.metadata.addresses import image_among
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
