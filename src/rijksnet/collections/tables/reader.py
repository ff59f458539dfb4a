"""The `table` reader: any table plus a folder or tar of images, or their addresses on the web."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rijksnet.collections.images import ImageRefusedError, locator
from rijksnet.collections.records import Address, Extent, Reason, Record, Reject
from rijksnet.collections.rights import allowed
from rijksnet.collections.shards import Found, Shards
from rijksnet.collections.tables import delimited, nested, workbook
from rijksnet.collections.tables.kinds import kind_of
from rijksnet.errors import CollectionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rijksnet.collection_params import TableCollection

Row = dict[str, str]


@dataclass(frozen=True)
class TableReader:
    """Records of a table, in its order.

    Several images in one cell are several images of the object. Where the collection has a `download`, the image column
    holds addresses, and each is found among those that `rijksnet fetch` has downloaded.

    Raises, on iterating:
        CollectionError: `raw`, the table or the images are absent; the table does not read, or lacks a column;
            `rights` is set for a table without rights; the downloaded images are damaged.
    """

    collection: TableCollection

    def __iter__(self) -> Iterator[Record | Reject]:
        images = Path(self.collection.raw) / self.collection.images
        if self.collection.download is None:
            rows, find = self._rows(), locator(images)
            for row in rows:
                yield from [row] if isinstance(row, Reject) else self._local(row, find)
            return
        with Shards.open(images) as shards:
            for row in self._rows():
                if isinstance(row, Reject):
                    yield row
                else:
                    yield from (self._downloaded(row, url, shards) for url in self._addresses(row))

    def addresses(self) -> Iterator[Address]:
        """The addresses in the image column, of the objects whose rights are allowed.

        Raises:
            CollectionError: as iterating does.
        """
        for row in self._rows():
            if not isinstance(row, Reject):
                yield from (Address(row["object_id"], url) for url in self._addresses(row) if is_web_address(url))

    def announced(self) -> Iterator[Record | Reject]:
        """Records of images that need not be fetched yet: without their places."""
        for row in self._rows():
            if isinstance(row, Reject):
                yield row
            else:
                yield from (self._record(row, Found(url, Extent("", 0, 0))) for url in self._addresses(row))

    def _rows(self) -> Iterator[Row | Reject]:
        """Rows that name an object with allowed rights, and an image."""
        raw, columns = Path(self.collection.raw), self.collection.columns
        if not raw.is_dir():
            raise CollectionError(f"`raw` is {self.collection.raw!r}, which is not a folder")
        table = raw / self.collection.table
        if not table.is_file():
            raise CollectionError(f"`table` is {self.collection.table!r}, but {table} is not a file")
        if self.collection.rights and columns.rights is None:
            raise CollectionError(
                f"`rights` keeps only objects under {self.collection.rights}, but columns.rights names no column: name "
                "the column with the rights statement, or leave `rights` empty"
            )
        return (row if isinstance(row, Reject) else self._sifted(row) for row in self._read(table))

    def _read(self, table: Path) -> Iterator[Row | Reject]:
        asked = self.collection
        match kind_of(table):
            case "csv":
                return delimited.rows(table, asked.columns, asked.delimiter, asked.encoding)
            case "workbook":
                return workbook.rows(table, asked.columns, asked.sheet)
            case "json":
                return nested.rows(table, asked.columns)

    def _sifted(self, row: Row) -> Row | Reject:
        object_id, image, rights, columns = row["object_id"], row["image"], row["rights"], self.collection.columns
        if not object_id:
            return Reject("", image, Reason.NO_OBJECT_ID, f"column {columns.object_id!r} is empty")
        if not image or (self.collection.download and not self._addresses(row)):
            return Reject(object_id, "", Reason.NO_IMAGE, f"column {columns.image!r} is empty")
        if not allowed(rights, self.collection.rights):
            return Reject(object_id, image, Reason.RIGHTS, rights or f"column {columns.rights!r} is empty")
        return row

    def _addresses(self, row: Row) -> tuple[str, ...]:
        return values(row["image"], self.collection.separator)

    def _local(self, row: Row, find: Callable[[str], tuple[str, Extent]]) -> Iterator[Record | Reject]:
        """An image, or one each for several in the cell, if it is not the name of one file as it stands."""
        for image in self._files(row, find):
            try:
                yield self._record(row, Found(*find(image)))
            except ImageRefusedError as refusal:
                yield Reject(row["object_id"], image, refusal.reason, refusal.detail)

    def _files(self, row: Row, find: Callable[[str], tuple[str, Extent]]) -> tuple[str, ...]:
        several = self._addresses(row)
        if len(several) > 1:
            try:
                find(row["image"])
            except ImageRefusedError:
                return several
        return (row["image"],)

    def _downloaded(self, row: Row, url: str, shards: Shards) -> Record | Reject:
        if not is_web_address(url):
            return Reject(row["object_id"], url, Reason.MALFORMED, "no http or https address")
        found = shards.find(url)
        if found is None:
            detail = shards.failure(url) or "never asked for: run `rijksnet fetch`"
            return Reject(row["object_id"], url, Reason.NOT_FETCHED, detail)
        return self._record(row, found)

    def _record(self, row: Row, found: Found) -> Record:
        separator = self.collection.separator
        return Record(
            row["object_id"],
            found.name,
            *found.extent,
            creator=values(row["creator"], separator),
            type=values(row["type"], separator),
            material=values(row["material"], separator),
            title=row["title"],
            rights=row["rights"],
        )


def is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:  # brackets that do not match, for one
        return False


def values(cell: str, separator: str) -> tuple[str, ...]:
    """The values in one cell, in order; empty ones say nothing and are left out."""
    parts = cell.split(nested.UNIT if nested.UNIT in cell else separator)
    return tuple(value for part in parts if (value := part.strip()))
