"""A run's record: everything needed to show it again anywhere. Files first, MLflow second.

`run.json` is written last and holds the digests of the other files: a record without it is not complete, one whose
files differ from it is damaged.
"""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from rijksnet.errors import RecordError
from rijksnet.files import replacing, sha256_of
from rijksnet.paths import RUNS, RecordPaths, RunKey
from rijksnet.runs.epoch import Epoch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Run:
    """What run.json says of a run."""

    key: RunKey
    started_ms: int
    ended_ms: int
    params: dict[str, Any]  #: recipe and training parameters, flat
    classes: list[str]
    parameters: int  #: trainable values of the whole network
    feature_size: int
    best_epoch: int | None  #: None where there are no epochs
    digests: dict[str, str]  #: `split`, `initial_weights`
    lineage: dict[str, Any]  #: commit, digest of the code, DVC experiment, versions, machine
    files: dict[str, str]  #: sha256 of each other file of the record
    doubts: list[str] = field(default_factory=list)  #: why its figures may not be what its recipe gives
    ancestry: list[dict[str, str]] = field(default_factory=list)  #: how its weights came to be (networks.weights)


def tried_in(run: Run) -> str:
    """The name of the experiment of DVC's that made a run; empty: none did."""
    return str(run.lineage.get("dvc_experiment", ""))


@dataclass(frozen=True)
class Predictions:
    """A trained network's answers for one split."""

    split: str
    object_ids: Sequence[str]
    images: Sequence[str]
    labels: NDArray[np.int64]  #: (n,) class indices
    probabilities: NDArray[np.float32]  #: (n, Q), rows sum to 1


HISTORY_COLUMNS = [field.name for field in fields(Epoch)]


def write_history(path: Path, history: Sequence[Epoch]) -> None:
    """Write the epochs so far; floats in full, so that what is read back is what was measured."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        rows = csv.DictWriter(file, HISTORY_COLUMNS, lineterminator="\n")
        rows.writeheader()
        rows.writerows(asdict(epoch) for epoch in history)


def read_history(path: Path) -> list[Epoch]:
    """The epochs in a history file, finished or still growing."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            Epoch(int(row["epoch"]), int(row["time_ms"]), *(float(row[name]) for name in HISTORY_COLUMNS[2:]))
            for row in csv.DictReader(file)
        ]


def write_predictions(path: Path, predictions: Sequence[Predictions]) -> None:
    """One row per image: object_id, image, split, label (index of the class) and the probabilities of all classes."""
    tables = []
    for split in predictions:
        probabilities = pa.FixedSizeListArray.from_arrays(
            pa.array(split.probabilities.ravel(), pa.float32()), split.probabilities.shape[1]
        )
        tables.append(
            pa.table(
                {
                    "object_id": pa.array(split.object_ids, pa.string()),
                    "image": pa.array(split.images, pa.string()),
                    "split": pa.array([split.split] * len(split.labels), pa.string()),
                    "label": pa.array(split.labels, pa.int32()),
                    "probabilities": probabilities,
                }
            )
        )
    with replacing(path) as partial:
        pq.write_table(pa.concat_tables(tables), partial, compression="zstd")


def write_metrics(path: Path, metrics: Mapping[str, Any]) -> None:
    with replacing(path) as partial:
        partial.write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")


def complete(paths: RecordPaths, run: Run) -> None:
    """Write run.json, and with it make the record complete. `run.files` is filled in here."""
    written = [*_always(paths), *(path for path in _mostly(paths) if path.is_file())]
    files = {path.name: sha256_of(path) for path in written}
    content = {**asdict(run), "files": files}
    with replacing(paths.run) as partial:
        partial.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _always(paths: RecordPaths) -> list[Path]:
    return [paths.metrics, paths.predictions]


def _mostly(paths: RecordPaths) -> list[Path]:
    """What a run by epochs has, and a network; run.json says whether this one does."""
    return [paths.history, paths.weights]


def read_run(paths: RecordPaths) -> Run:
    """Read and verify a record.

    Raises:
        RecordError: it is not complete, not understood, or a file is not the one that the run wrote.
    """
    run = read_claims(paths)
    listed = [*_always(paths), *(path for path in _mostly(paths) if path.name in run.files)]
    for path in listed:
        if not path.is_file() or sha256_of(path) != run.files.get(path.name):
            raise RecordError(f"{path} is not the file that the run wrote: restore it with `dvc checkout {path}`")
    return run


def read_claims(paths: RecordPaths) -> Run:
    """What run.json says, the other files unseen: to look through many records, which may hold gigabytes.

    Raises:
        RecordError: the record is not complete, or not understood.
    """
    if not paths.run.is_file():
        raise RecordError(f"{paths.root} has no {paths.run.name}: the run is not complete; `dvc repro` completes it")
    try:
        content = json.loads(paths.run.read_text(encoding="utf-8"))
        return Run(**{**content, "key": RunKey(**content["key"])})
    except (ValueError, TypeError, KeyError) as error:
        raise RecordError(f"{paths.run} cannot be read ({error}): make the run again, or `dvc checkout` it") from error


def digest(paths: RecordPaths) -> str:
    """A record's identity: sha256 of run.json, which holds the digests of the other files."""
    return hashlib.sha256(paths.run.read_bytes()).hexdigest()


def find(root: Path = RUNS) -> Iterator[RecordPaths]:
    """The complete records under a folder, in the order of their keys."""
    return (RecordPaths(path.parent) for path in sorted(root.glob("*/*/*/*/run.json")))
