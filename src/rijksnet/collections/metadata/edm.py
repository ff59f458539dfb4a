"""The Europeana Data Model (EDM) as RDF/XML: as museums give it, and as Europeana's own service does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rijksnet.collections.metadata.elements import (
    attribute,
    child,
    first,
    in_one_language,
    inventory_number,
    local_name,
    text_of,
)
from rijksnet.collections.metadata.fields import DCMI_TYPES, Metadata, MetadataError

if TYPE_CHECKING:
    from lxml import etree


def parse_edm(root: etree._Element, language: str) -> Metadata:
    return _Edm(root, language).metadata()


class _Edm:
    """One RDF/XML document. A thing is nested where it is referred to, or stands beside and is referred to by id.

    Europeana's service says nothing of the edm:ProvidedCHO itself: its properties are those of an ore:Proxy, one of the
    museum's, and another of what Europeana has added, which counts where the museum's says nothing.
    """

    def __init__(self, root: etree._Element, language: str) -> None:
        self._language = language
        self._things: dict[str, list[etree._Element]] = {}
        for element in root.iter():
            if about := attribute(element, "about"):
                self._things.setdefault(about, []).append(element)
        self._aggregation = next((one for one in root.iter() if local_name(one) == "Aggregation"), None)
        self._objects = self._find_objects(root)

    def metadata(self) -> Metadata:
        rights = (*self._resources("rights"), *self._values("rights"))
        images = (*self._resources("isShownBy"), *self._resources("object"))
        return Metadata(
            identifier=inventory_number(self._values("identifier")),
            creators=self._values("creator"),
            types=tuple(value for value in self._values("type") if value not in _EDM_TYPES | DCMI_TYPES),
            materials=self._values("medium", "format"),
            title=first(self._values("title")),
            rights=first(rights),
            image=first(images).rstrip(":"),  # some addresses of the Rijksmuseum end in a stray colon
        )

    def _find_objects(self, root: etree._Element) -> list[etree._Element]:
        """What describes the object that the aggregation is about: a record may describe its parts as well."""
        about = self._resources("aggregatedCHO")
        described = [one for one in root.iter() if local_name(one) == "ProvidedCHO" and any(map(_is_dublin_core, one))]
        if described:
            return [next((one for one in described if attribute(one, "about") in about), described[0])]
        proxies = [one for one in root.iter() if local_name(one) == "Proxy" and any(map(_is_dublin_core, one))]
        of_object = [one for one in proxies if _refers(one, "proxyFor", about)] or proxies
        if not of_object:
            raise MetadataError("it describes no object: there is no edm:ProvidedCHO or ore:Proxy that says anything")
        return sorted(of_object, key=lambda one: text_of(child(one, "europeanaProxy")).lower() == "true")

    def _resources(self, name: str) -> list[str]:
        """What a property of the aggregation holds: ids, or literals as they are."""
        if self._aggregation is None:
            return []
        return [_id_of(one) or text_of(one) for one in self._aggregation if local_name(one) == name]

    def _values(self, *names: str) -> tuple[str, ...]:
        """The object's Dublin Core properties of these names, one name after the other; each value once."""
        for described in self._objects:
            found: list[str] = []
            for name in names:
                properties = [one for one in described if local_name(one) == name and _is_dublin_core(one)]
                plain = in_one_language([one for one in properties if not len(one) and not _id_of(one)], self._language)
                found += [self._name(one) for one in properties if len(one) or _id_of(one) or one in plain]
            if values := tuple(dict.fromkeys(value for value in found if value)):
                return values
        return ()

    def _name(self, element: etree._Element) -> str:
        """A literal's text; the name of a thing, or its id where the record does not name it."""
        id_ = _id_of(element)
        # some records refer to things by a text that is no address, and so is taken for a name
        things = list(element) or self._things.get(text_of(element), []) if id_ is None else self._things.get(id_, [])
        labels = [one for thing in things for one in thing if local_name(one) == "prefLabel"]
        if labels:
            return first(map(text_of, in_one_language(labels, self._language)))
        return id_ or ("" if len(element) else text_of(element))


#: The values of edm:type, which says what a picture of the object is, not what the object is.
_EDM_TYPES = frozenset({"IMAGE", "TEXT", "SOUND", "VIDEO", "3D"})


def _refers(element: etree._Element, name: str, ids: list[str]) -> bool:
    return any(_id_of(one) in ids for one in element if local_name(one) == name)


def _is_dublin_core(element: etree._Element) -> bool:
    """dc or dcterms, and not edm:type or rdf:type; or of no namespace."""
    return element.tag.startswith("{http://purl.org/dc/") or not element.tag.startswith("{")


def _id_of(element: etree._Element) -> str | None:
    """The id that a property refers to, by rdf:resource or by a nested thing's rdf:about."""
    nested = attribute(element[0], "about") if len(element) else None
    return attribute(element, "resource") or nested
