"""What a reader yields: records, and rejects with a reason each. A new kind of source is one class that does this."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator


class Reason(StrEnum):
    """Why the catalogue leaves a record out."""

    MALFORMED = "malformed row"
    NO_OBJECT_ID = "no object id"
    NO_IMAGE = "no image named"
    OUTSIDE = "image outside the collection"
    MISSING = "image missing"
    NOT_A_FILE = "image is not a regular file"
    DUPLICATE = "duplicate record"
    TAKEN = "image of another object"
    NOT_FETCHED = "image not fetched"
    RIGHTS = "rights statement not among those kept"
    DOUBTFUL = "record cannot be read"
    INCOMPLETE = "harvest not complete"
    CONTRADICTION = "object with two values of a label"


class Extent(NamedTuple):
    """Where an image's bytes lie: `length` bytes at `offset` of `file`, for an image file and a tar member alike."""

    file: str
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Record:
    """One image of one object, with the object's labels in the order in which the museum lists them."""

    object_id: str
    image: str
    file: str
    offset: int
    length: int
    creator: tuple[str, ...] = ()
    type: tuple[str, ...] = ()
    material: tuple[str, ...] = ()
    title: str = ""
    rights: str = ""
    split: str = ""  #: the split that the museum or the challenge itself puts the object in; empty where it has none


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that the catalogue leaves out; `object_id` and `image` are empty where the source names none."""

    object_id: str
    image: str
    reason: Reason
    detail: str


class Address(NamedTuple):
    """Where an object's image is on the web."""

    object_id: str
    url: str


class Reader(Protocol):
    """A collection's raw files, read: iterating raises CollectionError where the source as a whole cannot be used."""

    def __iter__(self) -> Iterator[Record | Reject]: ...


class AddressReader(Reader, Protocol):
    """A reader whose images are fetched first (`rijksnet fetch`): it knows their addresses."""

    def addresses(self) -> Iterator[Address]:
        """The addresses of all images that are to be kept, objects with refused rights left out."""
        ...
