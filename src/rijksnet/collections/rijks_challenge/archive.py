"""The challenge's archives: images in jpg2, one Dublin Core record each in xml2; both a folder or a tar."""

from __future__ import annotations

import gzip
import re
import zlib
from dataclasses import dataclass
from sys import intern
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, cast

from rijksnet.collections.images import ImageRefusedError, is_file, listing, normal_name, read_image, tar_members
from rijksnet.collections.metadata.elements import local_name, read_xml, text_of
from rijksnet.collections.metadata.fields import MetadataError
from rijksnet.collections.records import Extent
from rijksnet.errors import CollectionError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: How files are named: a 7-digit index, and the museum's object number.
_NAME = re.compile(r"(?P<stem>(?P<index>[0-9]{7})_(?P<number>.+))\.(?P<kind>jpg|xml)", re.IGNORECASE)

#: A record takes some 5 kB; what is larger than this is none, bytes.
MAX_RECORD = 1 << 20

_GZIP = b"\x1f\x8b"

#: The museum's own description of its Dublin Core of those years: "materiaal: papier" beside techniques, sizes and
#: addresses, all of them dc:format.
_MATERIAL = "materiaal:"


class Stem(NamedTuple):
    """A file's name without its ending, which an object's image and record share; sorts as the name does."""

    text: str
    place: int  #: the index in the name, which is no row of the ground truth
    object_id: str


class Image(NamedTuple):
    """A file of jpg2: where its bytes lie, or what else it is."""

    name: str
    found: Extent | str


@dataclass(frozen=True, slots=True)
class ObjectDescription:
    """What an object's record says, in the order in which it says it."""

    creator: tuple[str, ...] = ()  #: as written, "role: Name"
    type: tuple[str, ...] = ()
    material: tuple[str, ...] = ()  #: without "materiaal:"
    title: str = ""
    rights: str = ""


def images(path: Path) -> dict[Stem, Image]:
    """The images of a folder or an uncompressed tar; whatever has another kind of name is left out.

    Raises:
        CollectionError: `path` is absent, no such tar or damaged.
    """
    named = ((_stem(name, "jpg"), name, found) for name, found in listing(path).items())
    return {stem: Image(name.rpartition("/")[2], found) for stem, name, found in named if stem}


def descriptions(path: Path) -> Iterator[tuple[Stem, ObjectDescription | str]]:
    """The records of a folder, .tar or .tar.gz in the order in which they lie there, or what is wrong with one.

    Raises, on iterating:
        CollectionError: `path` is absent, no such tar or damaged.
    """
    for stem, content in _documents(path):
        yield stem, content if isinstance(content, str) else _describe(content)


def _stem(name: str, kind: str) -> Stem | None:
    parts = _NAME.fullmatch(name.rpartition("/")[2])
    if parts is None or parts["kind"].lower() != kind:
        return None
    return Stem(parts["stem"], int(parts["index"]), parts["number"])


# --- reading ---------------------------------------------------------------------------------------------------------


def _documents(path: Path) -> Iterator[tuple[Stem, bytes | str]]:
    """The bytes of each record, or why they are not read. Links, devices and members that lead outside are ignored."""
    if path.is_dir():
        for name, found in sorted(listing(path).items()):
            if (stem := _stem(name, "xml")) and isinstance(found, Extent):
                yield stem, read_image(*found) if found.length <= MAX_RECORD else _too_large(found.length)
    elif path.is_file():
        with path.open("rb") as file:
            zipped = file.read(2) == _GZIP
            file.seek(0)
            try:
                yield from _members(path, cast("BinaryIO", gzip.GzipFile(fileobj=file)) if zipped else file)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise CollectionError(f"{path} is damaged, fetch it again: {error}") from error
    else:
        raise CollectionError(f"`xml` names {path}, which is neither a folder nor a .tar or .tar.gz file")


def _members(path: Path, stream: BinaryIO) -> Iterator[tuple[Stem, bytes | str]]:
    for member in tar_members(path, stream, "a .tar or .tar.gz"):
        try:
            stem = _stem(normal_name(member.name), "xml")
        except ImageRefusedError:
            continue
        if stem is None or not is_file(member):
            continue
        if member.size > MAX_RECORD:
            yield stem, _too_large(member.size)
            continue
        stream.seek(member.offset_data)
        yield stem, stream.read(member.size)  # what is cut off, the next header shows


def _too_large(size: int) -> str:
    return f"its XML has {size} bytes; at most {MAX_RECORD}"


# --- understanding ---------------------------------------------------------------------------------------------------


def _describe(content: bytes) -> ObjectDescription | str:
    try:
        root = read_xml(content)
    except MetadataError as error:
        return str(error)
    values: dict[str, list[str]] = {name: [] for name in ("creator", "type", "format", "title", "rights")}
    for element in root.iter():
        if (name := local_name(element)) in values and (text := text_of(element)):
            values[name].append(text)
    if not any(values.values()):
        return f"it is no Dublin Core record: its root element is {local_name(root)!r}, and it has no dc:type"
    formats = values["format"]
    materials = [value[len(_MATERIAL) :].strip() for value in formats if value.lower().startswith(_MATERIAL)]
    return ObjectDescription(
        creator=tuple(map(intern, values["creator"])),  # 112,039 objects share a few thousand names
        type=tuple(map(intern, values["type"])),
        material=tuple(intern(value) for value in materials if value),
        title=next(iter(values["title"]), ""),
        rights=intern(next(iter(values["rights"]), "")),
    )
