"""Splits as others can read them: a CSV file of object ids and splits, which labs exchange."""

from __future__ import annotations

import csv
import unicodedata
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from rijksnet.errors import SplitError
from rijksnet.files import replacing
from rijksnet.protocol import SPLITS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from rijksnet.params import Challenge
    from rijksnet.paths import CollectionPaths

#: Columns that a shared split must have; `export` adds the label, for people to read.
COLUMNS = ("object_id", "split")


def export(paths: CollectionPaths, challenges: Iterable[Challenge]) -> list[Path]:
    """Write a collection's splits, as they are now, to shared_splits/: object_id, split, label; sorted by object.

    Raises:
        SplitError: a challenge is not split yet. Then nothing is written.
    """
    rows = {challenge: _objects(paths.split(challenge)) for challenge in challenges}
    for challenge, objects in rows.items():
        with replacing(paths.shared_split(challenge)) as part, part.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow([*COLUMNS, "label"])
            writer.writerows(objects)
    return [paths.shared_split(challenge) for challenge in rows]


def read(path: Path) -> dict[str, str]:
    """The split of each object, from a CSV file in UTF-8 whose header has `COLUMNS`; further columns are ignored.

    Raises:
        SplitError: the file is absent or no such table, a split has another name than train, validation and test, or
            an object is in two splits.
    """
    if not path.is_file():
        raise SplitError(
            f"splits.rule is `imported`, but {path} is not there: put the split there (columns object_id, split), "
            "or set splits.rule to `paper` or `challenge`"
        )
    splits: dict[str, str] = {}
    try:
        for line, object_id, split in _cells(path):
            if split not in SPLITS:
                raise SplitError(f"{path}, line {line}: the split of {object_id!r} is {split!r}, not one of {SPLITS}")
            if splits.setdefault(object_id, split) != split:
                raise SplitError(
                    f"{path}, line {line}: object {object_id!r} is in {split!r} here and in {splits[object_id]!r} "
                    "further up; an object belongs to one split: remove one of the lines"
                )
    except UnicodeDecodeError as error:
        raise SplitError(f"{path} is not UTF-8 (byte 0x{error.object[error.start]:02x}): save it as UTF-8") from error
    except csv.Error as error:
        raise SplitError(f"{path} is no CSV file: {error}") from error
    return splits


def _cells(path: Path) -> Iterable[tuple[int, str, str]]:
    """Line number, object id and split of every line that is not blank."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        lines = csv.reader(stream, strict=True)
        header = [cell.strip() for cell in next(lines, [])]
        if any(header.count(column) != 1 for column in COLUMNS):
            raise SplitError(
                f"{path} has the columns {header}; it needs {list(COLUMNS)}, each once, with commas between"
            )
        object_id, split = (header.index(column) for column in COLUMNS)
        for cells in lines:
            if cells and len(cells) != len(header):
                raise SplitError(
                    f"{path}, line {lines.line_num}: {len(cells)} cells, and the header has {len(header)}; "
                    "put cells that hold a comma between double quotes"
                )
            if cells:
                # the catalogue spells ids so, too
                yield lines.line_num, unicodedata.normalize("NFC", cells[object_id].strip()), cells[split].strip()


def _objects(path: Path) -> list[tuple[str, str, str]]:
    if not path.is_file():
        raise SplitError(f"{path} is not there: run the stage `splits` of this collection first")
    columns = pq.read_table(path, columns=["object_id", "split", "label"])
    return sorted(set(zip(*(columns[name].to_pylist() for name in ("object_id", "split", "label")), strict=True)))
