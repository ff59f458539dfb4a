"""What a record says of an object, as fields."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What an image's address may be, as `Download.kind` says.
AddressKind = Literal["iiif", "manifest", "url"]

#: The DCMI Type Vocabulary's words, which say what kind of resource a record describes, not what the object is.
_DCMI_WORDS = ("Image", "StillImage", "MovingImage", "PhysicalObject", "Text", "Sound", "Dataset")
DCMI_TYPES = frozenset(
    form
    for word in _DCMI_WORDS
    for spaced in [re.sub(r"(?<=[a-z])(?=[A-Z])", " ", word)]
    for form in (word, word.lower(), word.upper(), spaced, spaced.lower(), spaced.capitalize(),
                 f"http://purl.org/dc/dcmitype/{word}", f"https://purl.org/dc/dcmitype/{word}", f"dcmitype:{word}")
)  # fmt: skip


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
