"""The challenge's ground truth, rijksgt.mat: labels, years and the official split, one row per object, no names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rijksnet.errors import CollectionError
from rijksnet.protocol import SPLITS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

#: Fields of the struct `gt` that are read; the others are counts of these.
FIELDS = ("set", "C", "Cnames", "T", "Tnames", "M", "Mnames", "Y")


@dataclass(frozen=True)
class GroundTruth:
    """Row by row: every sequence has one entry per object.

    Letters outside ASCII are lost in the file; where it has a control character in their place, names here have `�`.
    """

    splits: list[str]  #: train, validation or test
    creators: list[str]  #: exactly one each; `anoniem` and `unknown` are names like any other
    types: list[tuple[str, ...]]  #: in the order in which the museum lists them
    materials: list[tuple[str, ...]]  #: likewise, without the nameless class
    years: NDArray[np.int64]  #: (N, 2), first and last year
    nameless: frozenset[int]  #: rows (from 0) whose first listed material is the nameless class, which is left out here

    def __len__(self) -> int:
        return len(self.splits)


def read(path: Path) -> GroundTruth:
    """The ground truth of a .mat file (up to version 7), in about a second and 400 MB.

    T and M are matrices of objects × classes whose values 1, 2, 3… are the listing order. A value that an object lists
    twice stands at its last place, so that 10 objects' types and 245 objects' materials begin with 2 or more.

    Raises:
        CollectionError: the file is absent, damaged, or no ground truth of the challenge; it says what is missing.
    """
    gt = _load(path)
    take = _Taker(path, gt)
    sets = take.vector("set", lambda values: np.isin(values, (1, 2, 3)), "1 (train), 2 (validation) or 3 (test)")
    names = {field: take.names(field) for field in ("Cnames", "Tnames", "Mnames")}
    creators = take.vector("C", lambda values: (values >= 1) & (values <= len(names["Cnames"])), "a row of `Cnames`")
    types = _listed(take.matrix("T", (len(sets), len(names["Tnames"]))), names["Tnames"])
    materials = _listed(take.matrix("M", (len(sets), len(names["Mnames"]))), names["Mnames"])
    years = take.matrix("Y", (len(sets), 2))
    if len(creators) != len(sets):
        raise CollectionError(f"{path}: gt.C has {len(creators)} rows, gt.set has {len(sets)}")
    return GroundTruth(
        splits=[SPLITS[number - 1] for number in sets.tolist()],
        creators=[names["Cnames"][number - 1] for number in creators.tolist()],
        types=[tuple(filter(None, values)) for values in types],
        materials=[tuple(filter(None, values)) for values in materials],
        years=years.astype(np.int64),
        nameless=frozenset(row for row, values in enumerate(materials) if values[:1] == [""]),
    )


def _load(path: Path) -> dict[str, Any]:
    """The fields of the struct `gt`."""
    import scipy.io

    if not path.is_file():
        raise CollectionError(f"`groundtruth` is {str(path)!r}, which is not a file: it is the challenge's rijksgt.mat")
    try:
        content = scipy.io.loadmat(path, variable_names=["gt"])
        struct = content.get("gt")
        fields = {} if struct is None else {name: struct[name].flat[0] for name in struct.dtype.names or ()}
    except Exception as error:  # scipy raises whatever it stumbles over in a damaged file
        raise CollectionError(
            f"{path} cannot be read as a .mat file (version 7 or older): {type(error).__name__}: {error}"
        ) from error
    missing = [f"gt.{field}" for field in FIELDS if field not in fields]
    if missing:
        raise CollectionError(f"{path} is not the challenge's ground truth: it has no {', '.join(missing)}")
    return fields


@dataclass(frozen=True)
class _Taker:
    """Fields of `gt`, each checked before it is handed out."""

    path: Path
    gt: dict[str, Any]

    def vector(self, field: str, valid: Callable[[NDArray[Any]], NDArray[np.bool_]], what: str) -> NDArray[Any]:
        """A column of whole numbers, flat."""
        values = self._whole_numbers(field).ravel()
        wrong = np.flatnonzero(~valid(values))
        if wrong.size or not values.size:
            found = f"{values[wrong[0]]} in row {wrong[0] + 1}" if wrong.size else "nothing"
            raise CollectionError(f"{self.path}: gt.{field} has {found}; every row must have {what}")
        return values

    def matrix(self, field: str, shape: tuple[int, int]) -> NDArray[Any]:
        values = self._whole_numbers(field)
        if values.shape != shape:
            raise CollectionError(f"{self.path}: gt.{field} has shape {values.shape}; the other fields need {shape}")
        return values

    def names(self, field: str) -> list[str]:
        """A cell array of strings; an empty cell is a nameless class."""
        cells = np.asarray(self.gt[field])
        names = [_text(cell) for cell in cells.flat] if cells.dtype == object else []
        if not names or len(set(names)) < len(names):
            raise CollectionError(f"{self.path}: gt.{field} must be a list of different names")
        return names

    def _whole_numbers(self, field: str) -> NDArray[Any]:
        values = np.asarray(self.gt[field])
        if values.dtype.kind == "f" and np.all(values == np.floor(values)):
            values = values.astype(np.int64)
        if values.dtype.kind not in "iu":
            raise CollectionError(f"{self.path}: gt.{field} must be a matrix of whole numbers")
        return values


def _text(cell: Any) -> str:
    text = "".join(str(part) for part in np.asarray(cell).flat)
    return re.sub(r"[\x00-\x1f\x7f]+", "\ufffd", text).strip()


def _listed(matrix: NDArray[Any], names: list[str]) -> list[list[str]]:
    """Each row's names in the order of their values; zeros (nearly all) are not listed."""
    classes, rows = np.nonzero(matrix.T)  # MATLAB's arrays lie column by column
    order = np.lexsort((matrix[rows, classes], rows))
    listed: list[list[str]] = [[] for _ in range(len(matrix))]
    for row, listed_class in zip(rows[order].tolist(), classes[order].tolist(), strict=True):
        listed[row].append(names[listed_class])
    return listed
