"""What a run leaves on disk: everything needed to show it again anywhere. Files first, MLflow second.

`run.json` is written last and holds the digests of the other files: a folder without it is not complete, one whose
files differ from it is damaged.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from rijksnet.errors import RunError
from rijksnet.files import replacing, sha256_of
from rijksnet.paths import RUNS
from rijksnet.runs.key import RunKey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


#: What was so in runs from before params.yaml could say otherwise.
BEFORE = {"squares": "stretched"}


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
    files: dict[str, str]  #: sha256 of each other file of the run
    doubts: list[str] = field(default_factory=list)  #: why its figures may not be what its recipe gives
    ancestry: list[dict[str, str]] = field(default_factory=list)  #: how its weights came to be (networks.weights)

    @property
    def inputs(self) -> dict[str, Any]:
        """What its network reads, as `Classifier` takes it: input_size (px), squares, normalisation."""
        return {name: self.params[name] for name in ("input_size", "squares", "normalisation")}

    @property
    def experiment(self) -> str:
        """The name of the experiment of DVC's that made it; empty: none did."""
        return str(self.lineage.get("dvc_experiment", ""))


@dataclass(frozen=True)
class RunFolder:
    """The files that one run leaves on disk; `run` is written last and marks the folder complete.

    Support vector machines and forests have no epochs, hence no history, and forests no weights.
    """

    root: Path

    @classmethod
    def of(cls, key: RunKey) -> RunFolder:
        return cls(RUNS / str(key))

    @property
    def run(self) -> Path:
        return self.root / "run.json"

    @property
    def history(self) -> Path:
        return self.root / "history.csv"

    @property
    def metrics(self) -> Path:
        return self.root / "metrics.json"

    @property
    def predictions(self) -> Path:
        return self.root / "predictions.parquet"

    @property
    def weights(self) -> Path:
        return self.root / "weights.safetensors"

    @classmethod
    def complete_in(cls, root: Path = RUNS) -> Iterator[RunFolder]:
        """The complete ones under a folder, in the order of their keys."""
        return (cls(path.parent) for path in sorted(root.glob("*/*/*/*/run.json")))

    def read(self, *, verify: bool) -> Run:
        """What run.json says.

        Args:
            verify: compare the other files with it, too: those of a thousand runs are hundreds of gigabytes.

        Raises:
            RunError: the folder is not complete, not understood, or a file is not the one that the run wrote.
        """
        if not self.run.is_file():
            raise RunError(f"{self.root} has no {self.run.name}: the run is not complete; `dvc repro` completes it")
        try:
            content = json.loads(self.run.read_text(encoding="utf-8"))
            run = Run(**{**content, "key": RunKey(**content["key"]), "params": BEFORE | content["params"]})
        except (ValueError, TypeError, KeyError) as error:
            raise RunError(f"{self.run} cannot be read ({error}): make the run again, or `dvc checkout` it") from error
        if verify:
            for name in dict.fromkeys([*(path.name for path in self._always), *run.files]):
                path = self.root / name
                if not path.is_file() or sha256_of(path) != run.files.get(name):
                    raise RunError(f"{path} is not the file that the run wrote: restore it with `dvc checkout {path}`")
        return run

    def write(self, run: Run) -> None:
        """Write run.json, and with it make the folder complete. `run.files` is filled in here."""
        written = [*self._always, *(path for path in self._mostly if path.is_file()), *self._folds]
        files = {path.relative_to(self.root).as_posix(): sha256_of(path) for path in written}
        content = {**asdict(run), "key": run.key.to_dict(), "files": files}
        with replacing(self.run) as partial:
            partial.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    def digest(self) -> str:
        """The run's identity: sha256 of run.json, which holds the digests of the other files."""
        return hashlib.sha256(self.run.read_bytes()).hexdigest()

    @property
    def _always(self) -> list[Path]:
        return [self.metrics, self.predictions]

    @property
    def _folds(self) -> list[Path]:
        """The run.json of each fold, where there are several: they hold the digests of the folds' files."""
        return sorted(self.root.glob("fold*/run.json"))

    @property
    def _mostly(self) -> list[Path]:
        """What a run by epochs has, and a network; run.json says whether this one does."""
        return [self.history, self.weights]
