"""The rule `vocabulary`: one label for terms that mean the same, by a CSV file (field, term, label)."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rijksnet.collections.cleaning.values import FIELDS, fold, tidy
from rijksnet.errors import CollectionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rijksnet.collections.cleaning.values import Changes, Counts

#: Materials: English, German, French and second Dutch terms, each with the Rijksmuseum's own term as its label.
BUILT_IN = Path(__file__).parents[1] / "vocabulary.csv"

COLUMNS = ("field", "term", "label")

#: For each field, folded terms with their labels; a label is a term of itself.
Terms = Mapping[str, Mapping[str, str]]


def vocabulary(counts: Counts, labels: Mapping[str, str]) -> Changes:
    """Values that are terms, but for case, diacritics, white space and punctuation, become their labels."""
    return {value: label for value in counts if (label := labels.get(fold(value), value)) != value}


def read_vocabulary(file: str | None, raw: Path) -> Terms:
    """The terms of `file` inside `raw`, or of the built-in vocabulary where `file` is None.

    Raises:
        CollectionError: the file is outside `raw`, absent, no UTF-8 CSV file with the columns field, term and label, or
            a line of it has an unknown field, an empty cell, or a term that already has another label.
    """
    path = BUILT_IN if file is None else _inside(raw, file)
    terms: dict[str, dict[str, str]] = {field: {} for field in FIELDS}
    seen: dict[tuple[str, str], int] = {}
    for line, field, term, label in _rows(path):
        if field not in FIELDS:
            raise CollectionError(f"{path}, line {line}: field is {field!r}, but can only be one of {list(FIELDS)}")
        if not fold(term) or not label:
            raise CollectionError(f"{path}, line {line}: term {term!r} and label {label!r} must both say something")
        for one in (label, term):
            known = terms[field].setdefault(fold(one), label)
            first = seen.setdefault((field, fold(one)), line)
            if known != label:
                raise CollectionError(
                    f"{path}, line {line}: {one!r} would become {label!r}, but becomes {known!r} by line {first}; "
                    "a term has one label, and a label is no term of another"
                )
    return terms


def _inside(raw: Path, file: str) -> Path:
    path = raw / file
    if not path.resolve().is_relative_to(raw.resolve()):
        raise CollectionError(f"cleaning.vocabulary is {file!r}, which lies outside `raw` ({raw}): move it there")
    if not path.is_file():
        raise CollectionError(f"cleaning.vocabulary is {file!r}, but {path} is not a file")
    return path


def _rows(path: Path) -> Iterator[tuple[int, str, str, str]]:
    """Line number, field, term and label of each line but the header."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        lines = csv.reader(stream, strict=True)
        try:
            header = next(lines, [])
            if tuple(map(str.strip, header)) != COLUMNS:
                raise CollectionError(f"{path} has the columns {header}: a vocabulary has {list(COLUMNS)}")
            for cells in lines:
                if not cells:  # a blank line is nothing
                    continue
                if len(cells) != len(COLUMNS):
                    raise CollectionError(
                        f"{path}, line {lines.line_num}: {len(cells)} cells instead of {len(COLUMNS)}"
                    )
                field, term, label = map(tidy, cells)
                yield lines.line_num, field, term, label
        except UnicodeDecodeError as error:
            raise CollectionError(f"{path} is not UTF-8 after line {lines.line_num}: save it as UTF-8") from error
        except csv.Error as error:
            raise CollectionError(f"{path} is no CSV file at line {lines.line_num}: {error}") from error
