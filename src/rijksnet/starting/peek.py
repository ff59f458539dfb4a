"""A table before anything is known of it: how it reads, its columns, and its first rows."""

from __future__ import annotations

import csv
import sys
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from rijksnet.collections.tables import nested, workbook
from rijksnet.collections.tables.delimited import BEFORE_HEADER, DELIMITERS, encoding_of, readings
from rijksnet.collections.tables.kinds import kind_of
from rijksnet.errors import CollectionError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

#: Rows that are looked at.
LOOKED_AT = 500

Rows = list[dict[str, str]]


@dataclass(frozen=True)
class Peeked:
    """How a table reads, as `TableCollection` takes it, and its first rows by column."""

    delimiter: str | None
    encoding: str | None
    sheet: str | None
    header: list[str]
    rows: Rows
    said: str  #: how it was found to read

    def values(self, column: str) -> list[str]:
        """Those that are not empty."""
        return [value for row in self.rows if (value := row.get(column, "").strip())]


def peek(table: Path, choose: Callable[[str, dict[str, str]], str]) -> Peeked:
    """Look at a table.

    Args:
        choose: asked where several things may be meant, for one of the keys; their values show what each would be.

    Raises:
        CollectionError: it is no table, or has no columns.
    """
    match kind_of(table):
        case "csv":
            return _csv(table, choose)
        case "workbook":
            return _workbook(table, choose)
        case "json":
            return _json(table)


def _csv(table: Path, choose: Callable[[str, dict[str, str]], str]) -> Peeked:
    csv.field_size_limit(sys.maxsize)
    known = encoding_of(table)
    encoding = None
    try:
        with table.open(encoding=known) as stream:
            for _ in stream:
                pass
    except UnicodeError:
        encoding = choose("Which of these reads rightly?", readings(table, known)[2])
    with table.open(encoding=encoding or known, newline="") as stream:
        first = list(islice(stream, LOOKED_AT))
    delimiter, before, header, cells = _widest(first)
    if len(header) < 2:
        raise CollectionError(f"{table} has one column, {header}: is it a table with a header line?")
    rows = [dict(zip(header, (cell.strip() for cell in row), strict=False)) for row in cells[before + 1 :] if any(row)]
    said = f"CSV, separated by {DELIMITERS[delimiter]}"
    said += f", {encoding}" if encoding else ", UTF-16" if known == "utf-16" else ", UTF-8"
    return Peeked(None if delimiter == "," else delimiter, encoding, None, header, rows, said)


def _widest(lines: Sequence[str]) -> tuple[str, int, list[str], list[list[str]]]:
    """The delimiter that gives most rows the same number of columns, and the most; the rows before the header."""
    best: tuple[tuple[int, int], str, list[list[str]]] = ((0, 0), ",", [])
    for delimiter in DELIMITERS:
        try:
            cells = list(csv.reader(lines, delimiter=delimiter))
        except csv.Error:
            continue
        widths = [len(row) for row in cells if row]
        if not widths:
            continue
        usual = max(set(widths), key=lambda width: (widths.count(width), width))
        rank = (usual > 1, usual * widths.count(usual))
        if rank > best[0]:
            best = rank, delimiter, cells
    _, delimiter, cells = best
    before = _header_in([[cell.strip() for cell in row] for row in cells[:BEFORE_HEADER]])
    header = [cell.strip() for cell in cells[before]] if cells else []
    return delimiter, before, header, cells


def _header_in(rows: Sequence[Sequence[str]]) -> int:
    """Which row is the header: the first of different names that fills most of the columns, if not all."""
    widest = max((len(row) for row in rows), default=0)
    for i, row in enumerate(rows):
        names = [name for name in row if name]
        if 2 * len(names) > widest and len(set(names)) == len(names):
            return i
    return 0


def _workbook(table: Path, choose: Callable[[str, dict[str, str]], str]) -> Peeked:
    sheets = {name: cells for name, cells in workbook.sheets_of(table).items() if len(cells) > 1}
    if not sheets:
        raise CollectionError(f"{table} has no sheet with rows")
    shown = {name: f"{len(cells):,} rows, {cells[0][:4]}" for name, cells in sheets.items()}
    name = choose("Which sheet is the table?", shown) if len(sheets) > 1 else next(iter(sheets))
    texts = [[workbook.text_of(cell) for cell in row] for row in sheets[name][: LOOKED_AT + BEFORE_HEADER]]
    before = _header_in(texts[:BEFORE_HEADER])
    header = [name for name in texts[before] if name]
    rows = [dict(zip(texts[before], row, strict=False)) for row in texts[before + 1 :] if any(row)]
    return Peeked(None, None, name if len(sheets) > 1 else None, header, rows, f"a workbook, sheet {name!r}")


def _json(table: Path) -> Peeked:
    records = list(islice(nested.records_of(table), LOOKED_AT))
    header = list(dict.fromkeys(path for record in records for path in nested.paths_in(record)))
    rows = [
        {path: nested.UNIT.join(map(nested.text_of, nested.values_at(record, path))) for path in header}
        for record in records
    ]
    return Peeked(None, None, None, header, rows, "JSON")
