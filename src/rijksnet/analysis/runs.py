"""Records as the analysis reads them: the one module of this room that opens a run's files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from rijksnet.errors import RecordError
from rijksnet.paths import COMMON_CLASSES, CollectionPaths, RecordPaths, RunKey
from rijksnet.protocol import TEST

if TYPE_CHECKING:
    import numpy.typing as npt

    from rijksnet.params import Params, Strategy

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


def source_keys(params: Params) -> list[RunKey]:
    """The runs that `params` asks for on the source: off the shelf, fine tuning and from scratch."""
    source, seed = params.source, params.training.seed
    keys = []
    for challenge in source.challenges:
        for architecture in params.architectures:
            keys.append(RunKey(source.collection, challenge, architecture, "off_the_shelf", "imagenet", seed))
            keys.append(RunKey(source.collection, challenge, architecture, "fine_tuning", "imagenet", seed))
        if challenge in params.scratch.challenges:
            architecture = params.scratch.architecture
            keys.append(RunKey(source.collection, challenge, architecture, "scratch", "random", seed))
    return keys


def target_keys(params: Params) -> list[RunKey]:
    """The runs that `params` asks for on the target: off the shelf and fine tuning, each from θ and from θ̂."""
    target, seed = params.target, params.training.seed
    return [
        RunKey(target.collection, challenge, architecture, strategy, initialisation, seed)
        for challenge in target.challenges
        for architecture in target.architectures
        for strategy in ("off_the_shelf", "fine_tuning")
        for initialisation in ("imagenet", "rijksmuseum")
    ]


def seed_keys(params: Params) -> list[RunKey]:
    """The runs that `params` asks to repeat, with each further seed."""
    seeds, keys = params.seeds, []
    strategies: tuple[Strategy, ...] = ("off_the_shelf", "fine_tuning")
    for architecture in seeds.architectures:
        for strategy in strategies:
            for seed in seeds.further:
                for challenge in seeds.source_challenges:
                    keys.append(RunKey(params.source.collection, challenge, architecture, strategy, "imagenet", seed))
                for challenge in seeds.target_challenges:
                    of = (params.target.collection, challenge, architecture, strategy)
                    keys += [RunKey(*of, "imagenet", seed), RunKey(*of, "rijksmuseum", seed)]
    return keys


def classifier_keys(params: Params) -> list[RunKey]:
    """Support vector machine and random forest on the source's features (footnote 7)."""
    return [
        RunKey(params.source.collection, challenge, architecture, strategy, "imagenet", params.training.seed)
        for challenge in params.evidence.challenges
        for architecture in params.evidence.architectures
        for strategy in ("svm", "random_forest")
    ]


def multi_task_keys(params: Params) -> list[RunKey]:
    """One network for all three challenges, and three single ones trained on the same images."""
    return [
        RunKey(params.source.collection, challenge, architecture, strategy, "imagenet", params.training.seed)
        for architecture in params.evidence.multi_task
        for challenge in params.source.challenges
        for strategy in ("multi_task", "single_task")
    ]


def common_classes_keys(params: Params) -> list[RunKey]:
    """The target's runs on only the classes that the source has too."""
    return [
        RunKey(
            params.target.collection, challenge + COMMON_CLASSES, architecture, strategy, start, params.training.seed
        )
        for challenge in params.evidence.common_classes
        for architecture in params.evidence.architectures
        for strategy in ("off_the_shelf", "fine_tuning")
        for start in ("imagenet", "rijksmuseum")
    ]


def all_keys(params: Params) -> list[RunKey]:
    """Every run that `params` asks for, those of the paper's tables first."""
    main = [*source_keys(params), *target_keys(params)]
    return [*main, *seed_keys(params), *classifier_keys(params), *multi_task_keys(params), *common_classes_keys(params)]


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
