"""LIDO 1.0 and 1.1 (lido-schema.org): objects, makers with their roles, materials, types, pictures with their rights.

Concepts of its terminology are known by their numbers (terminology.lido-schema.org), older records by the words that
stood there before.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rijksnet.collections.metadata.addresses import image_among
from rijksnet.collections.metadata.elements import attribute, first, in_one_language, local_name, text_of
from rijksnet.collections.metadata.fields import DCMI_TYPES, Metadata, MetadataError, is_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lxml import etree

    from rijksnet.collections.metadata.fields import AddressKind

#: Events whose actors made the object: production, creation, designing; and the words for them.
MADE = re.compile(
    r"lido0(?:0007|0012|0224)$|(?<!\w)(?:product|creat|design|manufact|execut|herstell|entw[uü]rf|fertigung|sch[oö]pfung"
    r"|entstehung|vervaardig|ontwerp|cr[eé]ation|fabrica|conception|producci|creaci|realizza|produzione|valmistus"
    r"|suunnittelu|fremstilling|tillverkning)",
    re.IGNORECASE,
)

#: `lido:type` of a term that is a technique, and no material.
TECHNIQUE = re.compile(r"lido00131$|techni|method", re.IGNORECASE)

#: `lido:type` of a picture that is small, and of what is no picture: audio, video, 3D, text.
SMALL = re.compile(r"lido00451$|thumb|preview", re.IGNORECASE)
NO_PICTURE = re.compile(r"lido00(?:465|466|468|482)$|audio|video|3d|text", re.IGNORECASE)


def parse_lido(root: etree._Element, language: str, kind: AddressKind) -> Metadata:
    """The fields of one `lido:lido`.

    A maker is `role: name` where the record gives a role or a qualifier, the qualifier before the role, as the cleaning
    rule `roles` reads them.

    Raises:
        MetadataError: there is no descriptiveMetadata.
    """
    found = next((one for one in root.iter() if local_name(one) == "lido"), root)
    described = _in_language(_children(found, "descriptiveMetadata"), language)
    if described is None:
        raise MetadataError("it describes no object: there is no lido:descriptiveMetadata")
    administrative = _in_language(_children(found, "administrativeMetadata"), language)
    addresses, rights = _pictures(administrative, kind, language)
    image = addresses[0] if addresses else ""
    return Metadata(
        identifier=_inventory_number(described),
        creators=tuple(dict.fromkeys(_makers(described, language))),
        types=tuple(dict.fromkeys(_types(described, language))),
        materials=tuple(dict.fromkeys(_materials(described, language))),
        title=first(_terms(_all(described, "titleWrap", "titleSet"), "appellationValue", language)),
        rights=rights or first(_rights(_all(administrative, "rightsWorkWrap", "rightsWorkSet"), language)),
        image=image,
    )


def _inventory_number(described: etree._Element) -> str:
    sets = _all(described, "objectIdentificationWrap", "repositoryWrap", "repositorySet")
    return first(text_of(number) for one in sets for number in _children(one, "workID"))


def _types(described: etree._Element, language: str) -> Iterator[str]:
    """Of objectWorkType; where that is empty, of classifications."""
    for path in (("objectWorkTypeWrap", "objectWorkType"), ("classificationWrap", "classification")):
        concepts = _all(described, "objectClassificationWrap", *path)
        named = [name for one in concepts for name in [_name(one, language)] if name and name not in _NO_TYPES]
        if named:
            yield from named
            return


#: What classifications of records for Europeana say of the record, not of the object.
_NO_TYPES = DCMI_TYPES | {"IMAGE", "TEXT", "SOUND", "VIDEO", "3D"}


def _makers(described: etree._Element, language: str) -> Iterator[str]:
    for event in _all(described, "eventWrap", "eventSet", "event"):
        kinds = [text for one in _children(event, "eventType") for text in _said(one)]
        if kinds and not any(MADE.search(kind) for kind in kinds):
            continue
        for actor in _all(event, "eventActor"):
            name, role = "", ""
            for one in _children(actor, "actorInRole"):
                sets = _all(one, "actor", "nameActorSet")
                name = first(_terms(sets, "appellationValue", language))
                qualifier = first(text_of(said) for said in _children(one, "attributionQualifierActor"))
                role = qualifier or first(_name(said, language) for said in _children(one, "roleActor"))
            name = name or first(text_of(said) for said in _children(actor, "displayActorInRole"))
            if name:
                yield f"{role}: {name}" if role else name


def _materials(described: etree._Element, language: str) -> Iterator[str]:
    """Terms of materials, of the object and of how it was made; where none is one, the words for display."""
    sets = [
        *_all(described, "objectIdentificationWrap", "objectMaterialsTechWrap", "objectMaterialsTechSet"),
        *_all(described, "eventWrap", "eventSet", "event", "eventMaterialsTech"),
    ]
    terms = [term for one in sets for term in _all(one, "materialsTech", "termMaterialsTech")]
    named = [_name(one, language) for one in terms if not TECHNIQUE.search(attribute(one, "type") or "")]
    if any(named):
        yield from filter(None, named)
    elif not terms:
        shown = [said for one in sets for said in _children(one, "displayMaterialsTech")]
        yield from filter(None, map(text_of, in_one_language(shown, language)))


def _pictures(administrative: etree._Element | None, kind: AddressKind, language: str) -> tuple[list[str], str]:
    """Addresses of the pictures of the first resource that has one, the likeliest first; and that resource's rights."""
    for resource in _all(administrative, "resourceWrap", "resourceSet"):
        shown = [one for one in _children(resource, "resourceRepresentation") if not _is(one, NO_PICTURE)]
        shown.sort(key=lambda one: _is(one, SMALL))
        links = [text_of(link) for one in shown for link in _children(one, "linkResource")]
        addresses = [link for link in links if is_id(link)]
        if addresses:
            likely = image_among(addresses, kind) or addresses[0]
            return [likely, *addresses], first(_rights(_children(resource, "rightsResource"), language))
    return [], ""


def _is(element: etree._Element, kind: re.Pattern[str]) -> bool:
    return kind.search(attribute(element, "type") or "") is not None


def _rights(elements: Iterable[etree._Element], language: str) -> Iterator[str]:
    """Statements as addresses, before those in words."""
    kinds = [kind for one in elements for kind in _children(one, "rightsType")]
    yield from (said for kind in kinds for said in _ids(kind))
    yield from (_name(kind, language) for kind in kinds)


# --- reaching into it -------------------------------------------------------------------------------------------------


def _children(element: etree._Element | None, name: str) -> list[etree._Element]:
    return [] if element is None else [one for one in element if local_name(one) == name]


def _all(element: etree._Element | None, *path: str) -> list[etree._Element]:
    """What stands at a path of local names, through all of several; a wrap may be left out at the path's beginning."""
    found = [] if element is None else [element]
    for i, name in enumerate(path):
        inner = [one for outer in found for one in _children(outer, name)]
        if not inner and i == 0 and element is not None:
            inner = [one for one in element.iter() if local_name(one) == name]
        found = inner
    return found


def _in_language(elements: list[etree._Element], language: str) -> etree._Element | None:
    """Records may describe an object once in each language."""
    return next(iter(in_one_language(elements, language)), None)


def _name(concept: etree._Element, language: str) -> str:
    """Its preferred term, or the label of the SKOS concept inside (LIDO 1.1), or else its address."""
    terms = _children(concept, "term")
    labels = [label for one in _children(concept, "Concept") for label in _children(one, "prefLabel")]
    return first((*_preferred(terms, language), *_preferred(labels, language), *_ids(concept)))


def _terms(elements: Iterable[etree._Element], name: str, language: str) -> Iterator[str]:
    for one in elements:
        yield from _preferred(_children(one, name), language)


def _preferred(terms: list[etree._Element], language: str) -> list[str]:
    """Texts in the language, the preferred before the alternatives."""
    chosen = in_one_language([one for one in terms if text_of(one)], language)
    chosen.sort(key=lambda one: (attribute(one, "pref") or "preferred").lower().startswith("alternat"))
    return [text_of(one) for one in chosen]


def _ids(concept: etree._Element) -> list[str]:
    stated = [text_of(one) for one in _children(concept, "conceptID")]
    about = [attribute(one, "about") or "" for one in _children(concept, "Concept")]
    return [one for one in (*stated, *about) if is_id(one)]


def _said(concept: etree._Element) -> list[str]:
    """All that a concept says of itself, in any language."""
    return [*_ids(concept), *(text_of(one) for one in concept.iter() if local_name(one) in ("term", "prefLabel"))]
