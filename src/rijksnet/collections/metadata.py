"""What museums' metadata say of an object: Dublin Core and the Europeana Data Model (EDM, RDF/XML), as XML, to fields.

Elements are known by their local names: some servers get namespaces wrong, and some archives have lost them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from lxml import etree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: A document type before the root element. Possessive: no text makes it slow.
_DOCTYPE = re.compile(rb"\s*+(?>(?:<\?.*?\?>|<!--.*?-->)\s*+)*+<!DOCTYPE", re.DOTALL | re.IGNORECASE)

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"

#: How old Rijksmuseum records mark which `dc:format` is a material ("materiaal: papier"), and not a size.
_MATERIAL = re.compile(r"materia+l\s*:\s*", re.IGNORECASE)


#: What an image's address may be, as `Download.kind` says.
AddressKind = Literal["iiif", "manifest", "url"]


class MetadataError(Exception):
    """XML that is broken or refused, or that describes no object."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """An object's fields, in the order in which its record lists them; empty where it says nothing.

    Creators, types and materials may be ids (see `is_id`): those whose name the record does not give.
    """

    identifier: str  #: the inventory number
    creators: tuple[str, ...]
    types: tuple[str, ...]
    materials: tuple[str, ...]
    title: str
    rights: str
    image: str  #: address of the image
    addresses: tuple[str, ...] = ()  #: all that the record names, where none of them is an image's

    def ids(self) -> Iterator[str]:
        """Creators, types and materials that are ids."""
        return (value for value in (*self.creators, *self.types, *self.materials) if is_id(value))


def is_id(value: str) -> bool:
    """Whether a value is the id of a thing, a URL, and not its name."""
    return value.startswith(("http://", "https://"))


def read_xml(content: bytes) -> etree._Element:
    """The root element. Nothing is loaded, no entity is expanded, comments and processing instructions are dropped.

    Raises:
        MetadataError: the XML is not well-formed, not in the encoding that it names, or has a document type (which is
            where entity bombs and external entities are declared).
    """
    if _DOCTYPE.match(content.removeprefix(_BYTE_ORDER_MARK)):
        raise MetadataError("it has a document type (DOCTYPE), which is refused")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise MetadataError(f"it is no well-formed XML: {' '.join(str(error).split())}") from error
    if root.getroottree().docinfo.internalDTD is not None:  # in an encoding that the expression cannot see through
        raise MetadataError("it has a document type (DOCTYPE), which is refused")
    return root


def local_name(element: etree._Element) -> str:
    return element.tag.rpartition("}")[2]


def child(element: etree._Element, name: str) -> etree._Element | None:
    """The first child of that local name."""
    return next((one for one in element if local_name(one) == name), None)


def text_of(element: etree._Element | None) -> str:
    """All text in an element, stripped; empty for none."""
    return "" if element is None else "".join(map(str, element.itertext())).strip()


def parse(xml: bytes, format: Literal["dc", "edm"], language: str, kind: AddressKind = "url") -> Metadata:
    """The fields of one record's metadata.

    Args:
        xml: the element inside the OAI-PMH record's `metadata`.
        format: Dublin Core (`dc`, `oai_dc`) or EDM as RDF/XML.
        language: which of several languages is taken (ISO 639-1): values in it, else those that name none, else those
            in the first language that there is.
        kind: what the address of an image is: Dublin Core does not say which of its addresses is one.

    Raises:
        MetadataError: the XML cannot be read, or describes no object.
    """
    root = read_xml(xml)
    return _parse_dc(root, language, kind) if format == "dc" else _Edm(root, language).metadata()


# --- Dublin Core ------------------------------------------------------------------------------------------------------


def _parse_dc(root: etree._Element, language: str, kind: AddressKind) -> Metadata:
    elements: dict[str, list[etree._Element]] = {}
    for element in root.iterdescendants():
        elements.setdefault(local_name(element), []).append(element)

    def values(name: str) -> tuple[str, ...]:
        return tuple(_literals(elements.get(name, ()), language))

    identifiers = values("identifier")
    addresses = [value for name in _ADDRESSES for value in values(name) if is_id(value)]
    image = _image_among(addresses, kind) or _first(value for value in values("relation") if is_id(value))
    return Metadata(
        identifier=_inventory_number(identifiers),
        creators=values("creator"),
        types=tuple(value for value in values("type") if value not in _DCMI_TYPES),
        materials=_materials(values("format")),
        title=_first(values("title")),
        rights=_first((*filter(is_id, values("rights")), *values("rights"))),  # a URL rather than a sentence
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
    "iiif": (re.compile(r"/info\.json$|/full/|/iiif/|[?&]iiif="), _IMAGE_ENDS),
    "manifest": (re.compile(r"manifest"), re.compile(r"/iiif/|\.json$")),
}


def _image_among(addresses: list[str], kind: AddressKind) -> str:
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


#: The DCMI Type Vocabulary's words, which say what kind of resource a record describes, not what the object is.
_DCMI_WORDS = ("Image", "StillImage", "MovingImage", "PhysicalObject", "Text", "Sound", "Dataset")
_DCMI_TYPES = frozenset(
    form
    for word in _DCMI_WORDS
    for spaced in [re.sub(r"(?<=[a-z])(?=[A-Z])", " ", word)]
    for form in (word, word.lower(), word.upper(), spaced, spaced.lower(), spaced.capitalize(),
                 f"http://purl.org/dc/dcmitype/{word}", f"https://purl.org/dc/dcmitype/{word}", f"dcmitype:{word}")
)  # fmt: skip


# --- EDM --------------------------------------------------------------------------------------------------------------


class _Edm:
    """One RDF/XML document. A thing is nested where it is referred to, or stands beside and is referred to by id."""

    def __init__(self, root: etree._Element, language: str) -> None:
        self._language = language
        self._things: dict[str, list[etree._Element]] = {}
        for element in root.iter():
            if about := _attribute(element, "about"):
                self._things.setdefault(about, []).append(element)
        self._aggregation = next((one for one in root.iter() if local_name(one) == "Aggregation"), None)
        self._object = self._find_object(root)

    def metadata(self) -> Metadata:
        rights = (*self._resources("rights"), *self._values("rights"))
        images = (*self._resources("isShownBy"), *self._resources("object"))
        return Metadata(
            identifier=_inventory_number(self._values("identifier")),
            creators=self._values("creator"),
            types=tuple(value for value in self._values("type") if value not in _EDM_TYPES),
            materials=self._values("medium", "format"),
            title=_first(self._values("title")),
            rights=_first(rights),
            image=_first(images).rstrip(":"),  # some addresses of the Rijksmuseum end in a stray colon
        )

    def _find_object(self, root: etree._Element) -> etree._Element:
        """The object that the aggregation is about: a record may describe the object's parts as well."""
        described = [one for one in root.iter() if local_name(one) == "ProvidedCHO" and len(one)]
        if not described:
            raise MetadataError("it describes no object: there is no edm:ProvidedCHO")
        about = self._resources("aggregatedCHO")
        return next((one for one in described if _attribute(one, "about") in about), described[0])

    def _resources(self, name: str) -> list[str]:
        """What a property of the aggregation holds: ids, or literals as they are."""
        if self._aggregation is None:
            return []
        return [_id_of(one) or text_of(one) for one in self._aggregation if local_name(one) == name]

    def _values(self, *names: str) -> tuple[str, ...]:
        """The object's Dublin Core properties of these names, one name after the other; each value once."""
        found: list[str] = []
        for name in names:
            properties = [one for one in self._object if local_name(one) == name and _is_dublin_core(one)]
            plain = _in_one_language([one for one in properties if not len(one) and not _id_of(one)], self._language)
            found += [self._name(one) for one in properties if len(one) or _id_of(one) or one in plain]
        return tuple(dict.fromkeys(value for value in found if value))

    def _name(self, element: etree._Element) -> str:
        """A literal's text; the name of a thing, or its id where the record does not name it."""
        id_ = _id_of(element)
        things = list(element) if id_ is None else self._things.get(id_, [])
        labels = [one for thing in things for one in thing if local_name(one) == "prefLabel"]
        if labels:
            return _first(map(text_of, _in_one_language(labels, self._language)))
        return id_ or ("" if things else text_of(element))


#: The values of edm:type, which says what a picture of the object is, not what the object is.
_EDM_TYPES = frozenset({"IMAGE", "TEXT", "SOUND", "VIDEO", "3D"})


def _is_dublin_core(element: etree._Element) -> bool:
    """dc or dcterms, and not edm:type or rdf:type; or of no namespace."""
    return element.tag.startswith("{http://purl.org/dc/") or not element.tag.startswith("{")


def _attribute(element: etree._Element, name: str) -> str | None:
    """An attribute of that local name (rdf:about, rdf:resource)."""
    return next((str(value) for key, value in element.attrib.items() if str(key).rpartition("}")[2] == name), None)


def _id_of(element: etree._Element) -> str | None:
    """The id that a property refers to, by rdf:resource or by a nested thing's rdf:about."""
    nested = _attribute(element[0], "about") if len(element) else None
    return _attribute(element, "resource") or nested


# --- both -------------------------------------------------------------------------------------------------------------


def _in_one_language(elements: Iterable[etree._Element], language: str) -> list[etree._Element]:
    """The elements in a language; where there are none, those that name no language, else those in the first one."""
    by_language: dict[str, list[etree._Element]] = {}
    for element in elements:
        named = str(element.get(_LANGUAGE, "")).lower().partition("-")[0]
        by_language.setdefault(named, []).append(element)
    for wanted in (language.lower(), "", *by_language):
        if wanted in by_language:
            return by_language[wanted]
    return []


def _literals(elements: Iterable[etree._Element], language: str) -> list[str]:
    return [text for element in _in_one_language(elements, language) if (text := text_of(element))]


def _inventory_number(identifiers: Iterable[str]) -> str:
    return _first(value for value in identifiers if not is_id(value))


def _first(values: Iterable[str]) -> str:
    return next((value for value in values if value), "")
