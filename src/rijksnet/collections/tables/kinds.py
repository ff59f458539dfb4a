"""What a file is, by its first bytes: whatever its name ends in."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Literal

from rijksnet.errors import CollectionError

if TYPE_CHECKING:
    from pathlib import Path

Kind = Literal["csv", "workbook", "json"]

HEAD = 4096

#: What a table is not, by how it begins, and what to do.
OTHERS = {
    b"%PDF": "a PDF document: export the table from where it was made",
    b"\x1f\x8b": "compressed with gzip: unpack it (gunzip)",
    b"BZh": "compressed with bzip2: unpack it (bunzip2)",
    b"\xfd7zXZ": "compressed with xz: unpack it (unxz)",
    b"7z\xbc\xaf": "a 7z archive: unpack it",
    b"Rar!": "a RAR archive: unpack it",
    b"SQLite format 3": "an SQLite database: export its table as CSV",
    b"PAR1": "a Parquet file: export it as CSV",
    b"\xff\xd8\xff": "a JPEG image",
    b"\x89PNG": "a PNG image",
    b"II*\0": "a TIFF image",
    b"MM\0*": "a TIFF image",
}

ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")

#: Old workbooks (.xls).
OLE = b"\xd0\xcf\x11\xe0"


def kind_of(table: Path) -> Kind:
    """What reads a table.

    Raises:
        CollectionError: nothing does; says what the file is.
    """
    with table.open("rb") as stream:
        head = stream.read(HEAD)
    for magic, what in OTHERS.items():
        if head.startswith(magic):
            raise CollectionError(f"{table} is no table but {what}")
    if head.startswith(OLE):
        return "workbook"
    if head.startswith(ZIP):
        return _in_zip(table)
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text[:1] in (b"[", b"{"):
        return "json"
    if text[:5].lower() == b"<?xml" or text[:14].lower() == b"<!doctype html" or text[:5].lower() == b"<html":
        what = "XML" if text[:5].lower() == b"<?xml" else "a web page, perhaps of a log-in"
        raise CollectionError(f"{table} is no table but {what}: export the table as CSV or as a workbook")
    return "csv"


def _in_zip(table: Path) -> Kind:
    try:
        with zipfile.ZipFile(table) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise CollectionError(f"{table} begins as a zip archive or a workbook does, but is damaged: {error}") from None
    if any(name.startswith("xl/") for name in names) or "content.xml" in names:
        return "workbook"
    raise CollectionError(f"{table} is a zip archive of {names[:5]}: unpack it, and name the table that it holds")
