"""A record's XML: read safely, and asked by local names: some servers get namespaces wrong, some archives lost them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lxml import etree

from rijksnet.collections.metadata.fields import MetadataError, is_id

if TYPE_CHECKING:
    from collections.abc import Iterable

#: A document type before the root element. Possessive: no text makes it slow.
_DOCTYPE = re.compile(rb"\s*+(?>(?:<\?.*?\?>|<!--.*?-->)\s*+)*+<!DOCTYPE", re.DOTALL | re.IGNORECASE)

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"


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


def attribute(element: etree._Element, name: str) -> str | None:
    """An attribute of that local name (rdf:about, lido:type)."""
    return next((str(value) for key, value in element.attrib.items() if str(key).rpartition("}")[2] == name), None)


def in_one_language(elements: Iterable[etree._Element], language: str) -> list[etree._Element]:
    """The elements in a language; where there are none, those that name no language, else those in the first one."""
    by_language: dict[str, list[etree._Element]] = {}
    for element in elements:
        named = str(element.get(_LANGUAGE, "")).lower().partition("-")[0]
        by_language.setdefault(named, []).append(element)
    for wanted in (language.lower(), "", *by_language):
        if wanted in by_language:
            return by_language[wanted]
    return []


def literals(elements: Iterable[etree._Element], language: str) -> list[str]:
    return [text for element in in_one_language(elements, language) if (text := text_of(element))]


def inventory_number(identifiers: Iterable[str]) -> str:
    return first(value for value in identifiers if not is_id(value))


def first(values: Iterable[str]) -> str:
    return next((value for value in values if value), "")
