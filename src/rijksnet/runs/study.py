"""What a concluded study leaves on disk beside the folders of its two tested runs: everything needed to show it again.

`study.json` is written last and holds the digests of the other files.
"""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import asdict, astuple, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from rijksnet.errors import RunError
from rijksnet.files import replacing, sha256_of
from rijksnet.paths import STUDIES
from rijksnet.runs.folder import RunFolder
from rijksnet.runs.history import Epoch
from rijksnet.runs.key import RunKey

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True)
class Trial:
    """One attempt at one of a study's places; what was not measured is None."""

    number: int
    slot: int
    attempt: int
    state: str  #: complete, pruned, diverged or failed
    reason: str  #: why it is not complete
    worker: str
    started_ms: int | None
    ended_ms: int | None
    accuracy: float | None  #: on the validation split
    loss: float | None
    best_epoch: int | None
    epochs: int
    cost: float | None  #: floating-point operations
    seconds: float | None
    params: Mapping[str, Any]  #: what the study varied
    history: Sequence[Epoch] = field(default_factory=tuple)


@dataclass(frozen=True)
class Study:
    """What study.json says."""

    name: str
    key: RunKey  #: of the runs whose recipe was explored
    started_ms: int
    ended_ms: int
    exploration: Mapping[str, Any]  #: the parameters of the search
    counts: Mapping[str, int]  #: places by state, and `attempts`
    fixed: Mapping[str, Any]  #: the protocol's recipe
    best: Mapping[str, Any]  #: the winner's, and its `trial`
    selection: Mapping[str, float]  #: on the validation split
    test: Mapping[str, float]  #: the paired test, winner against fixed
    cost: Mapping[str, float]  #: floating-point operations of all trials and of the fixed choice; seconds
    front: Sequence[Mapping[str, Any]]  #: with two objectives, the trials that none beats in both
    opened: Sequence[int]  #: trials for which the test split has been opened, in order
    doubts: Sequence[str]  #: why the figures of the two tested runs may not be what their recipes give
    digests: Mapping[str, str]  #: split, initial_weights, and the runs `winner` and `fixed`
    lineage: Mapping[str, Any]
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class StudyFolder:
    """What a concluded study leaves on disk; `study` is written last and marks it complete."""

    root: Path

    @classmethod
    def of(cls, key: RunKey) -> StudyFolder:
        """That of the runs whose recipe is explored."""
        return cls(STUDIES / str(key))

    @property
    def study(self) -> Path:
        return self.root / "study.json"

    @property
    def trials(self) -> Path:
        """One row an attempt."""
        return self.root / "trials.csv"

    @property
    def curves(self) -> Path:
        """One row an epoch of an attempt."""
        return self.root / "curves.csv"

    @property
    def adopted(self) -> Path:
        """The parameters that the study was made with, and its best recipe adopted."""
        return self.root / "params.yaml"

    @property
    def winner(self) -> RunFolder:
        return RunFolder(self.root / "winner")

    @property
    def fixed(self) -> RunFolder:
        """The run of what the protocol fixes."""
        return RunFolder(self.root / "fixed")

    @classmethod
    def concluded_in(cls, root: Path = STUDIES) -> Iterator[StudyFolder]:
        """The concluded ones under a folder, in the order of their keys."""
        return (cls(path.parent) for path in sorted(root.glob("*/*/*/*/study.json")))

    def write(self, study: Study, trials: Sequence[Trial]) -> None:
        """Write trials.csv and curves.csv and, last, study.json with the digests of all files of the folder."""
        varied = list(dict.fromkeys(name for trial in trials for name in trial.params))
        rows = [[*(_cell(getattr(trial, name)) for name in COLUMNS), *_params(trial, varied)] for trial in trials]
        _write_csv(self.trials, [*COLUMNS, *varied], rows)
        epochs = [[trial.number, *astuple(epoch)] for trial in trials for epoch in trial.history]
        _write_csv(self.curves, ["number", *EPOCH], epochs)
        files = {
            path.name: sha256_of(path) for path in sorted(self.root.iterdir()) if path.is_file() and path != self.study
        }
        with replacing(self.study) as partial:
            content = {**asdict(study), "files": files}
            partial.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    def read(self) -> Study:
        """Read and verify what study.json says.

        Raises:
            RunError: it is not complete, not understood, or a file is not the one that the study wrote.
        """
        if not self.study.is_file():
            raise RunError(
                f"{self.root} has no {self.study.name}: the study is not concluded; `rijksnet explore` does it"
            )
        try:
            content = json.loads(self.study.read_text(encoding="utf-8"))
            study = Study(**{**content, "key": RunKey(**content["key"])})
            _ = study.best["normalisation"], study.fixed["normalisation"]  # one of before says `pixels`
        except (ValueError, TypeError, KeyError) as error:
            raise RunError(f"{self.study} cannot be read ({error}): conclude the study again") from error
        for name, digest in study.files.items():
            if not (self.root / name).is_file() or sha256_of(self.root / name) != digest:
                raise RunError(f"{self.root / name} is not the file that the study wrote: conclude the study again")
        return study

    def read_trials(self) -> list[Trial]:
        """All attempts with their curves; parameters as text."""
        curves: dict[int, list[Epoch]] = {}
        with self.curves.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                epoch = Epoch(int(row["epoch"]), int(row["time_ms"]), *(float(row[name]) for name in EPOCH[2:]))
                curves.setdefault(int(row["number"]), []).append(epoch)
        with self.trials.open(newline="", encoding="utf-8") as file:
            return [_trial(row, curves) for row in csv.DictReader(file)]

    def digest(self) -> str:
        """A study's identity: sha256 of study.json."""
        return hashlib.sha256(self.study.read_bytes()).hexdigest()


#: What stands in trials.csv before the parameters.
COLUMNS = [one.name for one in fields(Trial) if one.name not in ("params", "history")]
EPOCH = [one.name for one in fields(Epoch)]


def _params(trial: Trial, varied: Sequence[str]) -> list[str]:
    return [_cell(trial.params.get(name)) for name in varied]


def _cell(value: Any) -> str:
    return "" if value is None else repr(value) if isinstance(value, float) else str(value)


def _write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _trial(row: dict[str, str], curves: Mapping[int, Sequence[Epoch]]) -> Trial:
    whole = ("number", "slot", "attempt", "started_ms", "ended_ms", "best_epoch", "epochs")
    number = ("accuracy", "loss", "cost", "seconds")
    values: dict[str, Any] = {name: row[name] for name in COLUMNS}
    values |= {name: int(row[name]) if row[name] else None for name in whole}
    values |= {name: float(row[name]) if row[name] else None for name in number}
    params = {name: text for name, text in row.items() if name not in COLUMNS and text}
    return Trial(**values, params=params, history=tuple(curves.get(int(row["number"]), ())))
