"""Records as the analysis reads them: the one module of this room that opens a run's files."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from rijksnet.errors import RecordError
from rijksnet.paths import CollectionPaths, RecordPaths, RunKey
from rijksnet.protocol import TEST
from rijksnet.runs.plan import all_keys

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy.typing as npt

    from rijksnet.params import Params

#: What the report says of how its runs were trained, by the names that run.json has for it.
SETTINGS = ("protocol", "pixels", "batch_norm_constants", "batch_norm_frozen", "input_size", "split_rule")


@dataclass(frozen=True)
class SplitSummary:
    """What remains of a collection in one challenge: `objects` (Table 1's N_t) and the names of its classes (Q_t)."""

    objects: int
    classes: tuple[str, ...]
    digest: str


@dataclass(frozen=True)
class Scores:
    """What a run scores on one split; accuracies and F1 in [0, 1], loss in nats, `n` images.

    `mean_average_precision` in [0, 1] is measured on official splits only.
    """

    accuracy: float
    top5_accuracy: float
    mean_class_accuracy: float
    macro_f1: float
    loss: float
    n: int
    mean_average_precision: float | None = None


@dataclass(frozen=True)
class Predictions:
    """One split's predictions: identifiers of length N, `labels` int64 (N,), `probabilities` float32 (N, Q)."""

    index: pd.MultiIndex
    labels: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float32]


@dataclass(frozen=True)
class RunResult:
    """One complete record. Scores are read at once, history and predictions when asked for.

    `parameters` counts every weight that fine tuning trains, softmax included; `majority_accuracy` is what always
    answering the most frequent training class would score on the test split; `best_epoch` (from 0) is that of the
    tested weights, None where there are no epochs; `weights_digest` is empty where there are no weights; `settings`
    are those named in SETTINGS; `digest` identifies the record.
    """

    key: RunKey
    paths: RecordPaths
    test: Scores
    validation: Scores
    majority_accuracy: float
    classes: tuple[str, ...]
    parameters: int
    feature_size: int
    best_epoch: int | None
    epochs: int
    weights_digest: str
    initial_weights: str  #: sha256 of the weights that it starts from; empty: random ones
    split_digest: str
    digest: str
    git_commit: str | None
    settings: Mapping[str, str]
    doubts: tuple[str, ...]  #: why its figures may not be what its recipe gives; empty: nothing speaks against them

    def history(self) -> pd.DataFrame:
        """One row an epoch: epoch (from 0), time_ms, {train,validation}_{loss,accuracy}, images_per_s.

        Only where `best_epoch` is not None.
        """
        return pd.read_csv(self.paths.history)

    def predictions(self, split: str = TEST) -> Predictions:
        """The predictions on the `validation` or the `test` split.

        Raises:
            RecordError: the file is absent or holds no prediction on that split.
        """
        import pyarrow.parquet as pq

        if not self.paths.predictions.is_file():
            raise RecordError(f"{self.paths.predictions} is not a file: fetch it (dvc pull) or train the run again")
        table = pq.read_table(self.paths.predictions, filters=[("split", "==", split)])
        if table.num_rows == 0:
            raise RecordError(f"{self.paths.predictions} holds no prediction on the {split} split; train the run again")
        names = table.select(["object_id", "image"]).to_pandas()
        probabilities = table["probabilities"].combine_chunks().flatten().to_numpy().reshape(table.num_rows, -1)
        labels = table["label"].to_numpy().astype(np.int64)
        return Predictions(pd.MultiIndex.from_frame(names), labels, probabilities)

    def correct(self) -> pd.Series[bool]:
        """Whether each test image was classified rightly, indexed by (object_id, image), named after the run."""
        predictions = self.predictions(TEST)
        right = predictions.probabilities.argmax(axis=1) == predictions.labels
        return pd.Series(right, index=predictions.index, name=str(self.key))


def load_run(root: Path) -> RunResult:
    """Read the record in folder `root`.

    Raises:
        RecordError: a file is absent, or lacks what the analysis needs.
    """
    paths = RecordPaths(root)
    try:
        content = paths.run.read_bytes()
        run = json.loads(content)
        metrics = json.loads(paths.metrics.read_text(encoding="utf-8"))
        return RunResult(
            key=RunKey(**run["key"]),
            paths=paths,
            test=_scores(metrics["test"]),
            validation=_scores(metrics["validation"]),
            majority_accuracy=metrics["majority_accuracy"],
            classes=tuple(run["classes"]),
            parameters=run["parameters"],
            feature_size=run["feature_size"],
            best_epoch=metrics["best_epoch"],
            epochs=metrics["epochs"],
            weights_digest=run["files"].get(paths.weights.name, ""),
            initial_weights=run["digests"]["initial_weights"],
            split_digest=run["digests"]["split"],
            digest=hashlib.sha256(content).hexdigest(),
            git_commit=run["lineage"].get("git_commit"),
            settings={name: str(run["params"][name]) for name in SETTINGS},
            doubts=tuple(run["doubts"]),
        )
    except OSError as error:
        raise RecordError(f"the record in {root} is incomplete: {error}; train the run again") from error
    except (KeyError, TypeError, ValueError) as error:
        raise RecordError(f"the record in {root} does not read as a run ({error!r}); train the run again") from error


def read_splits(data_root: Path, collection: str) -> dict[str, SplitSummary]:
    """What remains of a collection in each challenge; empty where it has not been split.

    Raises:
        RecordError: splits.json does not say it.
    """
    path = data_root / collection / CollectionPaths(collection).splits_summary.name
    if not path.is_file():
        return {}
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
        return {
            challenge: SplitSummary(split["kept"]["objects"], tuple(split["class_names"]), split["digest"])
            for challenge, split in summary.items()
        }
    except (KeyError, TypeError, ValueError) as error:
        raise RecordError(
            f"{path} does not read as a summary of splits ({error!r}); split the collection again"
        ) from error


def load_asked(params: Params, root: Path) -> dict[RunKey, RunResult]:
    """Those of the runs that `params` asks for which are complete under `root`, by key."""
    found = {}
    for key in all_keys(params):
        folder = root / str(key)
        if RecordPaths(folder).run.is_file():
            found[key] = load_run(folder)
            if found[key].key != key:
                raise RecordError(
                    f"the record in {folder} is of run {found[key].key}: a record belongs in its own folder"
                )
            if found[key].settings["split_rule"] != params.splits.rule:
                raise RecordError(
                    f"the run in {folder} was made with splits.rule {found[key].settings['split_rule']!r}, and "
                    f"{params.splits.rule!r} is asked for: their figures do not belong in one table; `dvc repro` "
                    "makes the run anew"
                )
    return found


def load_all(root: Path) -> dict[RunKey, RunResult]:
    """Every complete record under `root`, whether or not parameters ask for it."""
    runs = [load_run(path.parent) for path in sorted(root.glob("*/*/*/*/run.json"))]
    return {run.key: run for run in runs}


def _scores(values: dict[str, Any]) -> Scores:
    return Scores(**{field.name: values[field.name] for field in fields(Scores) if field.name in values})
