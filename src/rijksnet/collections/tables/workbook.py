"""Workbooks: Excel's (.xlsx, .xlsb, .xls) and OpenDocument's (.ods), as they are."""

from __future__ import annotations

import re
import zlib
from datetime import date, datetime, time
from functools import partial
from typing import IO, TYPE_CHECKING, Any
from zipfile import BadZipFile, ZipFile, is_zipfile

from rijksnet.collections.records import Reason, Reject
from rijksnet.collections.tables.columns import matching, positions
from rijksnet.collections.tables.delimited import BEFORE_HEADER
from rijksnet.errors import CollectionError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rijksnet.collection_params import Columns

#: Cells that a sheet may reach over, from its first row and column to its last: all are held, the empty ones too.
MOST_CELLS = 2**27


def rows(table: Path, columns: Columns, sheet: str | None) -> Iterator[dict[str, str] | Reject]:
    """Cells by field of `Columns`, as text: whole numbers without a decimal point, days as ISO 8601 writes them.

    Without `sheet` it is the one that has the columns asked for.

    Raises:
        CollectionError: the workbook cannot be read, or has no such sheet or column, or several sheets with them.
    """
    sheets = sheets_of(table)
    if sheet is not None and sheet not in sheets:
        raise CollectionError(f"`sheet` is {sheet!r}, but {table} has {list(sheets)}")
    name, before, header = _header(table, sheets if sheet is None else {sheet: sheets[sheet]}, columns)
    at = positions(f"sheet {name!r} of {table}", header, columns)
    for number, cells in enumerate(sheets[name][before + 1 :], before + 2):
        texts = [text_of(cell) for cell in cells]
        if any(texts[len(header) :]):
            detail = f"row {number} of sheet {name!r} has {len(texts)} cells, the header has {len(header)}"
            yield Reject("", "", Reason.MALFORMED, detail)
        elif any(texts):
            yield {field: "" if i is None or i >= len(texts) else texts[i] for field, i in at.items()}


def sheets_of(table: Path) -> dict[str, list[list[Any]]]:
    """All cells of each sheet, row by row.

    Raises:
        CollectionError: the workbook cannot be read.
    """
    from python_calamine import CalamineError, load_workbook

    try:
        _refuse_stray_cells(table)
        with load_workbook(table) as book:
            return {name: book.get_sheet_by_name(name).to_python(skip_empty_area=False) for name in book.sheet_names}
    except (CalamineError, BadZipFile, OSError, ValueError) as error:
        raise CollectionError(f"{table} cannot be read as a workbook: {error}; open it and save it anew") from None


def _refuse_stray_cells(table: Path) -> None:
    """One cell in the last row and column of a sheet would fill the memory.

    Raises:
        CollectionError: a sheet of Excel's .xlsx reaches over more than `MOST_CELLS`.
    """
    if not is_zipfile(table):
        return
    with ZipFile(table) as archive:
        for member in archive.namelist():  # a sheet may be any of them, whatever it is called
            if "/media/" in member:
                continue
            try:
                with archive.open(member) as xml:
                    column, row = _last(xml)
            except (BadZipFile, EOFError, NotImplementedError, RuntimeError, zlib.error):
                continue  # what is wrong with it calamine says
            if column * row > MOST_CELLS:
                raise CollectionError(
                    f"a sheet of {table} ({member}) reaches to row {row:,} and column {column:,}: delete what stands "
                    "far from the table, or copy the table into a new workbook"
                )


#: Where a cell or a row says that it stands: in any order, by either kind of quotation mark, in either case.
PLACE = re.compile(rb"""\sr\s*=\s*["']\s*([A-Za-z]{0,3})([0-9]{1,10})\s*["']""")


def _last(sheet: IO[bytes]) -> tuple[int, int]:
    """The last column and row of which a cell or a row says that it stands there, from 1."""
    columns, rows, rest = {b"A"}, {b"1"}, b""
    for chunk in iter(partial(sheet.read, 2**20), b""):
        found = PLACE.findall(rest + chunk)
        columns.update(letters.upper() for letters, _ in found)
        rows = {max(rows | {number for _, number in found}, key=int)}
        rest = chunk[-32:]
    return max(_number(letters) for letters in columns), int(rows.pop())


def _number(letters: bytes) -> int:
    """Of a column: A is 1, Z 26, AA 27."""
    number = 0
    for letter in letters:
        number = 26 * number + letter - 64
    return number


def text_of(cell: Any) -> str:
    """A cell as a person reads it, stripped."""
    if isinstance(cell, bool):
        return str(cell).upper()
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, datetime):
        return cell.date().isoformat() if cell.time() == time() else cell.isoformat(" ")
    return cell.isoformat() if isinstance(cell, date | time) else str(cell).strip()


def _header(table: Path, sheets: dict[str, list[list[Any]]], columns: Columns) -> tuple[str, int, list[str]]:
    """The sheet, the rows before its header, and the header: those with most of the columns asked for."""
    best: list[tuple[int, str, int, list[str]]] = []
    for name, cells in sheets.items():
        found = [
            (matching(names, columns), name, before, _cut(names))
            for before, row in enumerate(cells[:BEFORE_HEADER])
            if any(names := [text_of(cell) for cell in row])
        ]
        if found:
            best.append(max(found, key=lambda one: (one[0], -one[2])))
    if not best:
        raise CollectionError(f"{table} has no row with anything in it (sheets: {list(sheets)})")
    most = max(one[0] for one in best)
    first, *others = [one for one in best if one[0] == most]
    if others and most:
        names = [one[1] for one in (first, *others)]
        raise CollectionError(
            f"{table} has these columns in several sheets, {names}: set `sheet` to the one that counts"
        )
    return first[1:]


def _cut(names: list[str]) -> list[str]:
    """A header without the empty cells at its end."""
    while names and not names[-1]:
        names.pop()
    return names
