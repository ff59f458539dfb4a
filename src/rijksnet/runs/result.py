"""What a run found: its scores, history and predictions, as tables and tests read them."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import pandas as pd

from rijksnet.errors import RunError
from rijksnet.paths import CollectionPaths
from rijksnet.protocol import TEST
from rijksnet.runs.folder import RunFolder
from rijksnet.runs.plan import all_keys
from rijksnet.runs.predictions import read_predictions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rijksnet.params import Params
    from rijksnet.runs.key import RunKey
    from rijksnet.runs.predictions import Predictions

#: What the report says of how its runs were trained, by the names that run.json has for it.
SETTINGS = (
    "protocol",
    "normalisation",
    "batch_norm_constants",
    "batch_norm_frozen",
    "input_size",
    "squares",
    "split_rule",
)


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
class RunResult:
    """One complete run. Scores are read at once, history and predictions when asked for.

    `parameters` counts every weight that fine tuning trains, softmax included; `majority_accuracy` is what always
    answering the most frequent training class would score on the test split; `best_epoch` (from 0) is that of the
    tested weights, None where there are no epochs; `weights_digest` is empty where there are no weights; `settings`
    are those named in SETTINGS; `digest` identifies the run.
    """

    key: RunKey
    folder: RunFolder
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
    fold_accuracies: tuple[float, ...] = ()  #: on the test split of each fold; empty: there is one split

    def history(self) -> pd.DataFrame:
        """One row an epoch: epoch (from 0), time_ms, {train,validation}_{loss,accuracy}, images_per_s.

        Only where `best_epoch` is not None.
        """
        return pd.read_csv(self.folder.history)

    def predictions(self, split: str = TEST) -> Predictions:
        """The predictions on the `validation` or the `test` split.

        Raises:
            RunError: the file is absent or holds no prediction on that split.
        """
        return read_predictions(self.folder.predictions, split)

    def correct(self) -> pd.Series[bool]:
        """Whether each test image was classified rightly, indexed by (object_id, image), named after the run."""
        predictions = self.predictions(TEST)
        right = predictions.probabilities.argmax(axis=1) == predictions.labels
        return pd.Series(right, index=predictions.index, name=str(self.key))


def load_run(root: Path) -> RunResult:
    """Read the run in folder `root`.

    Raises:
        RunError: a file is absent, or lacks what the analysis needs.
    """
    folder = RunFolder(root)
    run = folder.read(verify=False)
    try:
        metrics = json.loads(folder.metrics.read_text(encoding="utf-8"))
        return RunResult(
            key=run.key,
            folder=folder,
            test=_scores(metrics["test"]),
            validation=_scores(metrics["validation"]),
            majority_accuracy=metrics["majority_accuracy"],
            classes=tuple(run.classes),
            parameters=run.parameters,
            feature_size=run.feature_size,
            best_epoch=metrics["best_epoch"],
            epochs=metrics["epochs"],
            weights_digest=run.files.get(folder.weights.name, ""),
            initial_weights=run.digests["initial_weights"],
            split_digest=run.digests["split"],
            digest=folder.digest(),
            git_commit=run.lineage.get("git_commit"),
            settings={name: str(run.params[name]) for name in SETTINGS},
            doubts=tuple(run.doubts),
            fold_accuracies=tuple(fold["test_accuracy"] for fold in metrics.get("folds", [])),
        )
    except OSError as error:
        raise RunError(f"the run in {root} is incomplete: {error}; train it again") from error
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{root} does not read as a run ({error!r}); train it again") from error


def read_splits(data_root: Path, collection: str) -> dict[str, SplitSummary]:
    """What remains of a collection in each challenge; empty where it has not been split.

    Raises:
        RunError: splits.json does not say it.
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
        raise RunError(
            f"{path} does not read as a summary of splits ({error!r}); split the collection again"
        ) from error


def load_asked(params: Params, root: Path) -> dict[RunKey, RunResult]:
    """Those of the runs that `params` asks for which are complete under `root`, by key."""
    found = {}
    for key in all_keys(params):
        folder = root / str(key)
        if RunFolder(folder).run.is_file():
            found[key] = load_run(folder)
            if found[key].key != key:
                raise RunError(f"the run in {folder} is {found[key].key}: a run's folder is named after it")
            if found[key].settings["split_rule"] != params.splits.rule:
                raise RunError(
                    f"the run in {folder} was made with splits.rule {found[key].settings['split_rule']!r}, and "
                    f"{params.splits.rule!r} is asked for: their figures do not belong in one table; `dvc repro` "
                    "makes the run anew"
                )
    return found


def load_all(root: Path) -> dict[RunKey, RunResult]:
    """Every complete run under `root`, whether or not parameters ask for it."""
    runs = [load_run(folder.root) for folder in RunFolder.complete_in(root)]
    return {run.key: run for run in runs}


def _scores(values: dict[str, Any]) -> Scores:
    return Scores(**{field.name: values[field.name] for field in fields(Scores) if field.name in values})
