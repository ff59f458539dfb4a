"""Table 1, counted: how many objects and classes each challenge has, before and after the rules of section 3."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa

from rijksnet.collections.rijks_challenge import groundtruth
from rijksnet.data.splits import assign, keep_common_classes, labels_of
from rijksnet.files import replacing, sha256_of
from rijksnet.paths import REFERENCE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rijksnet.collections.rijks_challenge.groundtruth import GroundTruth
    from rijksnet.params import Challenge

#: The counts on the real ground truth that `write_groundtruth_table` makes.
GROUNDTRUTH_TABLE = REFERENCE / "rijksmuseum_groundtruth.csv"

#: Objects that an artist has at least in the paper's printed 1,196 classes.
LEAST_OBJECTS = 10

#: Seeds of the splits that are drawn to see how much the draw matters.
SEEDS = (0, 1, 2, 3, 4)

FIRST = "first value"
FIRST_NAMELESS = "first value, nameless class counted"
FREQUENT = f"first value, at least {LEAST_OBJECTS} objects"
IN_ALL = ", then in all splits"

#: Columns of a table: the rule; `seeds`, how many splits were drawn (0: the rule draws none); numbers of objects and
#: classes, the least and the most over the seeds.
COLUMNS = ("challenge", "rule", "seeds", "objects_least", "objects_most", "classes_least", "classes_most")

Row = tuple[str, str, int, int, int, int, int]


def table1(labelled: Mapping[Challenge, pd.DataFrame], seeds: Sequence[int] = SEEDS) -> pd.DataFrame:
    """Objects and classes of each challenge, with the columns `COLUMNS`.

    Rules: the first value; for artists also only those with at least `LEAST_OBJECTS` objects; and of each what remains
    when only classes are kept that occur in all three splits (section 3), drawn 80/10/10 with each seed.

    Args:
        labelled: object_id, image, label of every image with a label (see `rijksnet.data.splits.labels_of`).

    Raises:
        SplitError: fewer than two classes of a challenge occur in all three splits.
    """
    return pd.DataFrame(_rows(labelled, seeds), columns=list(COLUMNS))


def _rows(labelled: Mapping[Challenge, pd.DataFrame], seeds: Sequence[int]) -> list[Row]:
    rows: list[Row] = []
    for challenge, frame in labelled.items():
        rows += _counted(challenge, FIRST, frame, seeds)
        if challenge == "artist":
            objects = frame.groupby("label")["object_id"].transform("nunique")
            rows += _counted(challenge, FREQUENT, frame[objects >= LEAST_OBJECTS], seeds)
    return rows


def _counted(challenge: Challenge, rule: str, labelled: pd.DataFrame, seeds: Sequence[int]) -> Iterator[Row]:
    objects, classes = labelled["object_id"].nunique(), labelled["label"].nunique()
    yield challenge, rule, 0, objects, objects, classes, classes
    kept = [keep_common_classes(assign(labelled, challenge, seed), challenge) for seed in seeds]
    if kept:
        n = [frame["object_id"].nunique() for frame in kept]
        q = [frame["label"].nunique() for frame in kept]
        yield challenge, rule + IN_ALL, len(kept), min(n), max(n), min(q), max(q)


# --- the real ground truth -------------------------------------------------------------------------------------------


def groundtruth_table(mat: Path) -> pd.DataFrame:
    """`table1` of the Rijksmuseum Challenge's ground truth, and the file's digest in the column `groundtruth_sha256`.

    One material has no name. A single object lists it first (and another one after it), so that there is one class
    more if it counts as a class, and as many objects: the rule `FIRST_NAMELESS`.

    Raises:
        CollectionError: the file is absent, damaged, or no ground truth of the challenge.
    """
    truth = groundtruth.read(mat)
    catalogue = _catalogue(truth)
    challenges: tuple[Challenge, ...] = ("material", "type", "artist")
    first, *others = _rows({challenge: labels_of(catalogue, challenge) for challenge in challenges}, SEEDS)
    objects, classes = first[3], _classes_with_nameless(truth)
    nameless = ("material", FIRST_NAMELESS, 0, objects, objects, classes, classes)
    return pd.DataFrame([first, nameless, *others], columns=list(COLUMNS)).assign(groundtruth_sha256=sha256_of(mat))


def _classes_with_nameless(truth: GroundTruth) -> int:
    """Distinct first materials where the nameless class is one of them."""
    firsts = {values[0] for row, values in enumerate(truth.materials) if values and row not in truth.nameless}
    return len(firsts) + bool(truth.nameless)


def _catalogue(truth: GroundTruth) -> pa.Table:
    """The columns of a catalogue that labels are taken from; objects are called as by the reader."""
    names = [f"row-{row + 1:06d}" for row in range(len(truth))]
    creators = [(creator,) for creator in truth.creators]
    lists = {"creator": creators, "type": truth.types, "material": truth.materials}
    labels = {name: pa.array(values, pa.list_(pa.string())) for name, values in lists.items()}
    return pa.table({"object_id": names, "image": names, **labels})


def write_groundtruth_table(mat: Path, path: Path = GROUNDTRUTH_TABLE) -> pd.DataFrame:
    """Write `groundtruth_table` as CSV.

    Raises:
        CollectionError: as `groundtruth_table`.
    """
    table = groundtruth_table(mat)
    with replacing(path) as part:
        table.to_csv(part, index=False, lineterminator="\n")
    return table
