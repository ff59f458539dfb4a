"""What museums' metadata say of an object, as XML, to fields: Dublin Core, the Europeana Data Model, LIDO."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from rijksnet.collections.metadata.dublin_core import parse_dublin_core
from rijksnet.collections.metadata.edm import parse_edm
from rijksnet.collections.metadata.elements import read_xml
from rijksnet.collections.metadata.lido import parse_lido

if TYPE_CHECKING:
    from rijksnet.collections.metadata.fields import AddressKind, Metadata

Format = Literal["dc", "edm", "lido"]


def parse(xml: bytes, format: Format, language: str, kind: AddressKind = "url") -> Metadata:
    """The fields of one record's metadata.

    Args:
        xml: the element inside the OAI-PMH record's `metadata`.
        format: Dublin Core (`dc`, `oai_dc`), EDM as RDF/XML, or LIDO 1.0 and 1.1.
        language: which of several languages is taken (ISO 639-1): values in it, else those that name none, else those
            in the first language that there is.
        kind: what the address of an image is: Dublin Core does not say which of its addresses is one.

    Raises:
        MetadataError: the XML cannot be read, or describes no object.
    """
    root = read_xml(xml)
    match format:
        case "dc":
            return parse_dublin_core(root, language, kind)
        case "edm":
            return parse_edm(root, language)
        case "lido":
            return parse_lido(root, language, kind)
