"""CSV: whatever separates its columns, whatever encodes its letters, ragged rows and cells of any length."""

from __future__ import annotations

import csv
import io
import sys
from itertools import islice
from typing import TYPE_CHECKING

from rijksnet.collections.records import Reason, Reject
from rijksnet.collections.tables.columns import matching, positions
from rijksnet.errors import CollectionError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from rijksnet.collection_params import Columns
    from rijksnet.collections.tables.columns import Positions

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}

#: Lines among which the header is looked for: titles and dates of an export may come before it.
BEFORE_HEADER = 10

#: Encodings that a message shows a line in: Windows' of Western and Central Europe, the old Macintosh's, DOS's.
GUESSES = ("cp1252", "cp1250", "mac_roman", "cp850")

#: Letters shown on either side of the first that is not UTF-8.
AROUND = 20


def rows(
    table: Path, columns: Columns, delimiter: str | None, encoding: str | None
) -> Iterator[dict[str, str] | Reject]:
    """Cells by field of `Columns`, stripped; the empty string for a field without a column.

    Without a `delimiter` it is the one of DELIMITERS that gives the columns asked for. Cells that are absent at a row's
    end are empty, and further ones that are empty say nothing.

    Raises:
        CollectionError: a letter is not in the encoding, a column is absent, or a quote is never closed.
    """
    csv.field_size_limit(sys.maxsize)  # one cell may hold a book
    known = encoding or encoding_of(table)
    with table.open(encoding=known, newline="") as stream:
        try:
            first = list(islice(stream, BEFORE_HEADER))
            chosen, before, header = _header(first, columns, delimiter)
            where = f"{table} (separated by {DELIMITERS.get(chosen, repr(chosen))})"
            at = positions(where, header, columns)
            stream.seek(0)
            yield from _cells(table, stream, chosen, before, header, at)
        except UnicodeError as error:
            raise CollectionError(_unreadable(table, known, error)) from error


def _header(first: Sequence[str], columns: Columns, delimiter: str | None) -> tuple[str, int, list[str]]:
    """The delimiter, the lines before the header, and the header: those with most of the columns asked for."""
    best: tuple[tuple[int, int, int], str, int, list[str]] | None = None
    for candidate in [delimiter] if delimiter else DELIMITERS:
        lines, before = csv.reader(first, delimiter=candidate), 0
        try:
            for cells in lines:
                names = [cell.strip() for cell in cells]
                rank = matching(names, columns), -before, len(names)
                if best is None or rank > best[0]:
                    best = rank, candidate, before, names
                before = lines.line_num
        except csv.Error:
            continue
    return best[1:] if best else (delimiter or ",", 0, [])


def _cells(
    table: Path, stream: io.TextIOBase, delimiter: str, before: int, header: list[str], at: Positions
) -> Iterator[dict[str, str] | Reject]:
    for _ in range(before):
        stream.readline()
    lines = csv.reader(stream, delimiter=delimiter, strict=True)
    try:
        next(lines, None)
    except csv.Error as error:
        raise _unclosed(table, before + 1, error, before + lines.line_num) from error
    while True:
        began = before + lines.line_num + 1
        try:
            cells = next(lines)
        except StopIteration:
            return
        except csv.Error as error:
            here = before + lines.line_num
            if here > began or "end of data" in str(error):
                raise _unclosed(table, began, error, here) from error
            yield Reject("", "", Reason.MALFORMED, f"line {began}: {error}")
            continue
        if not cells:  # a blank line is nothing, not a malformed row
            continue
        if any(cell.strip() for cell in cells[len(header) :]):
            detail = f"line {began} has {len(cells)} cells, the header has {len(header)}"
            yield Reject("", "", Reason.MALFORMED, detail)
        else:
            yield {field: "" if i is None or i >= len(cells) else cells[i].strip() for field, i in at.items()}


def _unclosed(table: Path, began: int, error: csv.Error, here: int) -> CollectionError:
    return CollectionError(
        f"{table} has a quote at line {began} that is not closed as it should be: {error} at line {here}; "
        "what lies between would be lost. Close it, or double quotes that belong to the text"
    )


def encoding_of(table: Path) -> str:
    """UTF-8, or UTF-16 where the file's first bytes say so."""
    with table.open("rb") as stream:
        head = stream.read(4096)
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    for name, zeros in (("utf-16-le", head[1::2]), ("utf-16-be", head[::2])):
        if len(head) > 3 and zeros.count(0) > 0.4 * len(zeros):
            raise CollectionError(
                f"{table} seems to be {name.upper()} without its mark, for every other byte is 0: set `encoding` to "
                f"{name!r}"
            )
    return "utf-8-sig"


def _unreadable(table: Path, encoding: str, error: UnicodeError) -> str:
    """That a table is not in an encoding, and how it reads in others: who knows the names in it sees which is right."""
    if not isinstance(error, UnicodeDecodeError):
        return f"{table} is not {encoding}: {error}"
    data, start, read = readings(table, encoding)
    line = data.count(b"\n", 0, start) + 1
    shown: dict[str, list[str]] = {}
    for name, text in read.items():
        shown.setdefault(text, []).append(name)
    said = "; ".join(f"{', '.join(names)}: {text!r}" for text, names in shown.items() if "\ufffd" not in text)
    return (
        f"{table} is not {encoding.removesuffix('-sig').upper()} (byte 0x{data[start]:02x} in line {line}). That place "
        f"reads as {said}. Set `encoding` to the one that is right (Excel on Windows writes cp1252), or save the "
        "table as “CSV UTF-8”"
    )


def readings(table: Path, encoding: str) -> tuple[bytes, int, dict[str, str]]:
    """A table that is not in an encoding: its bytes, the place of the first that is not, and how GUESSES read that."""
    try:
        data, start = table.read_bytes(), 0
        data.decode(encoding)
    except UnicodeDecodeError as whole:
        start = whole.start
    part = data[max(0, start - AROUND) : start + AROUND].replace(b"\r", b"\n")
    said = part[part.rfind(b"\n", 0, min(start, AROUND)) + 1 :].split(b"\n")[0]
    return data, start, {name: said.decode(name, "replace") for name in GUESSES}
