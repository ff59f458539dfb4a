"""How long a stage takes and how much it writes, as far as that can be known before it runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from rijksnet import protocol
from rijksnet.data import labelled
from rijksnet.errors import CollectionError, SplitError
from rijksnet.paths import FEATURES, RUNS, CollectionPaths
from rijksnet.planning import durations
from rijksnet.planning.speed import Speeds
from rijksnet.runs.key import base_challenge
from rijksnet.training import soundness

if TYPE_CHECKING:
    from rijksnet.params import Params, Strategy
    from rijksnet.planning.former import FormerRuns
    from rijksnet.planning.stages import Stage
    from rijksnet.runs.key import RunKey

BYTES_OF_A_FEATURE = 4

#: Of which no epochs are planned.
NOT_BY_EPOCHS: tuple[Strategy, ...] = ("svm", "random_forest")


@dataclass(frozen=True)
class Estimate:
    """Seconds and bytes; None: it cannot be known yet.

    `most_s` is that of all epochs that the parameters allow. `expected_s` counts as many as the run had the last time,
    or else as runs of its strategy had on average; where there are none they are equal.
    """

    expected_s: float | None = None
    most_s: float | None = None
    bytes: int = 0
    images_per_s: tuple[float, ...] = ()  #: of the networks that it was reckoned with

    def __add__(self, other: Estimate) -> Estimate:
        return Estimate(
            _sum(self.expected_s, other.expected_s),
            _sum(self.most_s, other.most_s),
            self.bytes + other.bytes,
            self.images_per_s + other.images_per_s,
        )


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other


NOTHING = Estimate(0.0, 0.0)


class Estimator:
    """Estimates of stages, from the collections as they are now, the runs there are, and measured speeds."""

    def __init__(self, params: Params, former: FormerRuns) -> None:
        self.params, self.former = params, former
        self.speeds = Speeds(params, former.images_per_s)
        self.durations = durations.last()
        self.keys = {(RUNS / str(key)).as_posix(): key for key in former.keys}

    def of(self, stage: Stage) -> Estimate:
        keys = [self.keys[out] for out in stage.outs if out in self.keys]
        epochs = [key for key in keys if key.strategy not in NOT_BY_EPOCHS]
        if epochs:
            # one network learns several challenges at once
            alone = [key for key in epochs if key.strategy != "multi_task"]
            together = [key for key in epochs if key.strategy == "multi_task"]
            return sum((self._run(key) for key in [*alone, *together[:1]]), NOTHING)
        for out in stage.outs:
            if out.startswith(f"{FEATURES}/"):
                return self._features(*out.split("/")[1:])
        seconds = self.durations.get(stage.name)
        written = self._pixels(stage) + self._weights(stage)
        return Estimate(seconds, seconds, written)

    def _run(self, key: RunKey) -> Estimate:
        """A run by epochs, all its folds."""
        at = CollectionPaths(key.collection)
        split = at.split(base_challenge(key.challenge))
        try:
            folds = range(self.params.splits.folds)
            data = [labelled.load(split, at.images, fold) for fold in folds]
        except (SplitError, CollectionError):
            return Estimate()
        network = self.speeds.network(key.architecture)
        on_features = key.strategy == "off_the_shelf"
        training = self.speeds.head(network.feature_size) if on_features else network.speed.training
        reading = training if on_features else network.speed.reading
        most = expected = 0.0
        limit = self._max_epochs(key)
        likely = min(self.former.epochs_of(key) or limit, limit)
        for its in data:
            n = {name: len(rows) for name, rows in its.items()}
            epoch = n[protocol.TRAIN] / training + n[protocol.VALIDATION] / reading
            held_out = n[protocol.VALIDATION] + n[protocol.TEST]
            afterwards = (min(n[protocol.TRAIN], soundness.SAMPLE) + held_out) / reading
            most += limit * epoch + afterwards
            expected += likely * epoch + afterwards
        copies = 1 if len(data) == 1 else 2  # the first fold's weights are also those of all together
        return Estimate(expected, most, copies * network.bytes, () if on_features else (training,))

    def _max_epochs(self, key: RunKey) -> int:
        pretrain = self.params.imagenet.pretrain
        if key.collection == pretrain.collection and key.architecture in pretrain.architectures:
            return pretrain.max_epochs
        return protocol.recipe(key.strategy, self.params.training).max_epochs

    def _features(self, collection: str, folder: str) -> Estimate:
        images = _rows(CollectionPaths(collection).images)
        architecture = max((one for one in self.params.architectures if folder.startswith(f"{one}-")), key=len)
        if images is None:
            return Estimate()
        network = self.speeds.network(architecture)
        kinds = 1 if self.params.training.batch_norm.frozen == "running" else 2
        seconds = kinds * images / network.speed.reading
        written = kinds * images * network.feature_size * BYTES_OF_A_FEATURE
        return Estimate(seconds, seconds, written, (network.speed.reading,))

    def _pixels(self, stage: Stage) -> int:
        """Bytes of the pixel files that a stage writes."""
        written = 0
        for name in self.params.collections:
            at = CollectionPaths(name)
            if at.pixels.as_posix() in stage.outs:
                native = self.params.input_size == "native"
                sides = {self.speeds.network(one).input_size for one in self.params.architectures} if native else set()
                sides |= set() if native else {int(self.params.input_size)}
                written += sum((_rows(at.catalogue) or 0) * side * side * 3 for side in sides)
        return written

    def _weights(self, stage: Stage) -> int:
        """Bytes of the weights files that a stage writes: θ or θ̂."""
        files = [Path(out) for out in stage.outs if out.endswith(".safetensors")]
        return sum(self.speeds.network(file.stem).bytes for file in files)


def _rows(file: Path) -> int | None:
    return pq.read_metadata(file).num_rows if file.is_file() else None
