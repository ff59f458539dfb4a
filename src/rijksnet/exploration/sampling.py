"""How a study chooses its next trials, and when it gives one up: Optuna's samplers and pruners, seeded by slot."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
from optuna.distributions import CategoricalDistribution
from optuna.pruners import MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from optuna.distributions import BaseDistribution
    from optuna.pruners import BasePruner
    from optuna.study import Study
    from optuna.trial import FrozenTrial, TrialState

    from rijksnet.exploration_params import Exploration

#: The user attribute that says which of a study's places a trial fills.
SLOT = "slot"

#: Trials of a study that are drawn at random before the estimator has something to estimate from.
STARTUP = 10


class BySlot(BaseSampler):
    """A sampler seeded anew for every slot of a study, so that what a slot draws depends on the seed and on what is
    known by then, not on which process draws it or how often a study was interrupted.
    """

    def __init__(self, make: Callable[[int], BaseSampler], seed: int, balanced: int = 0) -> None:
        """
        Args:
            balanced: the first so many slots try each value of a choice about equally often; by chance alone one may
                not come up, and what is never tried is hardly ever chosen later.
        """
        self._make, self._seed, self._balanced = make, seed, balanced
        self._own = make(seed)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        state = np.random.SeedSequence([self._seed, _slot(trial)]).generate_state(1)
        self._own = self._make(int(state[0]))
        self._own.before_trial(study, trial)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._own.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._own.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        if _slot(trial) < self._balanced and isinstance(param_distribution, CategoricalDistribution):
            choices = param_distribution.choices
            block, place = divmod(_slot(trial), len(choices))
            seeds = [self._seed, zlib.crc32(param_name.encode()), block]
            return choices[np.random.default_rng(seeds).permutation(len(choices))[place]]
        return self._own.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        self._own.after_trial(study, trial, state, values)


def _slot(trial: FrozenTrial) -> int:
    return int(trial.user_attrs.get(SLOT, trial.number))


def sampler_of(exploration: Exploration) -> BaseSampler:
    make: dict[str, Callable[[int], BaseSampler]] = {
        "tpe": lambda seed: TPESampler(seed=seed, n_startup_trials=STARTUP),
        "random": lambda seed: RandomSampler(seed=seed),
    }
    return BySlot(make[exploration.sampler], exploration.seed, STARTUP if exploration.sampler == "tpe" else 0)


def pruner_of(exploration: Exploration) -> BasePruner:
    """None before three epochs or a few trials have been seen: there would be nothing to compare with."""
    if exploration.pruner == "median":
        return MedianPruner(n_startup_trials=4, n_warmup_steps=2)
    if exploration.pruner == "halving":
        return SuccessiveHalvingPruner(min_resource=2, reduction_factor=3)
    return NopPruner()
