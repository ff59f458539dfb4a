"""What runs that are here already say of those to come: how fast they trained, and for how many epochs."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from functools import cached_property
from statistics import mean, median
from typing import TYPE_CHECKING

import pandas as pd

from rijksnet.errors import RunError
from rijksnet.runs import lineage
from rijksnet.runs.folder import RunFolder
from rijksnet.runs.key import RunKey
from rijksnet.runs.plan import all_keys

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rijksnet.params import Params
    from rijksnet.runs.folder import Run

#: Strategies that train a whole network.
NETWORKS = ("fine_tuning", "scratch", "multi_task", "single_task")


class FormerRuns:
    """The runs that the parameters ask for, as far as they have been made; of several folds each fold's."""

    def __init__(self, params: Params) -> None:
        made = params.imagenet.pretrain
        thetas = [
            RunKey(made.collection, "type", architecture, "scratch", "random", params.training.seed)
            for architecture in made.architectures
        ]
        self.keys: Sequence[RunKey] = [*all_keys(params), *thetas]
        self._params = params

    @cached_property
    def images_per_s(self) -> dict[str, float]:
        """Median over the epochs of an architecture's runs, of those that this kind of machine trained at this size."""
        here, size = lineage.environment()["machine"], self._params.input_size
        found: dict[str, list[float]] = defaultdict(list)
        for key, run, history in self._histories:
            alike = run.lineage.get("machine") == here and size in ("native", run.params.get("input_size"))
            if key.strategy in NETWORKS and alike:
                found[key.architecture] += history["images_per_s"].tolist()
        return {architecture: median(speeds) for architecture, speeds in found.items()}

    def epochs_of(self, key: RunKey) -> float | None:
        """Epochs of the same run, or else of those of its strategy, on average; None: there is none yet."""
        its = [epochs for one, epochs in self._epochs if one == key]
        alike = its or [epochs for one, epochs in self._epochs if one.strategy == key.strategy]
        return mean(alike) if alike else None

    @cached_property
    def _epochs(self) -> list[tuple[RunKey, int]]:
        return [(key, len(history)) for key, _, history in self._histories]

    @cached_property
    def _histories(self) -> list[tuple[RunKey, Run, pd.DataFrame]]:
        return list(self._read())

    def _read(self) -> Iterator[tuple[RunKey, Run, pd.DataFrame]]:
        folds = self._params.splits.folds
        for key in self.keys:
            for one in [key] if folds == 1 else [replace(key, fold=fold) for fold in range(folds)]:
                at = RunFolder.of(one)
                try:
                    yield key, at.read(verify=False), pd.read_csv(at.history)
                except (RunError, OSError, ValueError):  # not made yet, under way, or of a classifier without epochs
                    continue
