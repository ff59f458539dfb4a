"""A study as its workers share it: a fixed number of places, each tried until one attempt has gone through.

Places are trials that wait in the storage, made with the study, so that any number of workers do exactly so many. One
that dies leaves its place to another attempt with the same recipe.
"""

from __future__ import annotations

import os
import socket
import threading
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Literal

import optuna
import sqlalchemy
from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial

from rijksnet.errors import ExplorationError
from rijksnet.exploration import storage
from rijksnet.exploration.outcome import OUTCOME, Outcome
from rijksnet.exploration.sampling import SLOT, pruner_of, sampler_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from optuna.distributions import BaseDistribution
    from optuna.storages import RDBStorage
    from optuna.study import Study
    from optuna.trial import FrozenTrial, Trial

    from rijksnet.exploration_params import Exploration

#: User attributes of a trial: which attempt at its place it is, from 0, and how many before it died without a word.
ATTEMPT, DEATHS = "attempt", "deaths"
#: Who took it: host and process.
WORKER = "worker"
#: Of the objectives accuracy and cost.
DIRECTIONS = (StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE)

#: Why an attempt failed.
REASON = "reason"

#: Attempts that may die without a word before their place is given up: such a recipe may be what kills its workers.
DEATHS_AT_MOST = 3

Undisturbed = AbstractContextManager[object]
State = Literal["waiting", "running", "complete", "pruned", "diverged", "failed"]


@dataclass(frozen=True)
class Attempt:
    """One trial of a study, as anyone may read it."""

    number: int
    slot: int
    attempt: int
    state: State
    params: dict[str, object]
    outcome: Outcome | None
    reason: str  #: why it failed, if it did
    worker: str  #: who took it; empty while it waits
    started: datetime | None
    ended: datetime | None
    frozen: FrozenTrial

    @classmethod
    def of(cls, trial: FrozenTrial) -> Attempt:
        own = trial.user_attrs
        outcome = Outcome.from_json(own[OUTCOME]) if OUTCOME in own and trial.state.is_finished() else None
        states: dict[TrialState, State] = {
            TrialState.WAITING: "waiting",
            TrialState.RUNNING: "running",
            TrialState.COMPLETE: "complete",
            TrialState.PRUNED: "pruned",
            TrialState.FAIL: "failed",
        }
        state = states[trial.state]
        if outcome is not None and outcome.how == "diverged":
            state = "diverged"
        return cls(
            trial.number,
            own.get(SLOT, -1),
            own.get(ATTEMPT, 0),
            state,
            dict(trial.params),
            outcome,
            own.get(REASON, "no sign of life") if trial.state == TrialState.FAIL else "",
            own.get(WORKER, ""),
            trial.datetime_start,
            trial.datetime_complete,
            trial,
        )


@dataclass
class Board:
    """An open study."""

    study: Study
    store: RDBStorage
    heartbeat_s: int

    @classmethod
    def open(cls, exploration: Exploration, name: str, trials: int, about: Mapping[str, object]) -> Board:
        """Make a study with so many places, or join it; a larger number than before adds places.

        Args:
            about: what the study is of, kept with it.
        """
        optuna.logging.set_verbosity(optuna.logging.WARNING)  # what it tells of, the display shows
        with storage.opened(exploration, _without_a_word) as store:
            study = optuna.create_study(
                storage=store,
                study_name=name,
                directions=DIRECTIONS[: len(exploration.objectives)],
                sampler=sampler_of(exploration),
                pruner=pruner_of(exploration),
                load_if_exists=True,
            )
            for key, value in about.items():
                study.set_user_attr(key, value)
            study.set_metric_names([*exploration.objectives])
            there = {trial.user_attrs.get(SLOT) for trial in study.get_trials(deepcopy=False)}
            for slot in range(trials):
                if slot not in there:
                    study.enqueue_trial({}, user_attrs={SLOT: slot, ATTEMPT: 0})
            board = cls(study, store, exploration.heartbeat_s)
            for place in board.places():  # whose worker was killed after it had failed one attempt, before the next
                if place.state == "failed":
                    own = place.frozen.user_attrs
                    _retry_unless_deadly(study, place.frozen, own.get(DEATHS, 0) + (REASON not in own))
        return board

    def close(self) -> None:
        """Give up the connections to the storage."""
        self.store.remove_session()
        self.store.engine.dispose()

    # --- for workers --------------------------------------------------------------------------------------------------

    def take(
        self, at_most: int, taken: list[Trial] | None = None, undisturbed: Callable[[], Undisturbed] = nullcontext
    ) -> list[Trial]:
        """Trials to do now, none where none waits. They wait for a sign of life within the grace period.

        Args:
            taken: a list they are added to, so that whoever is interrupted in between knows which to give back.
            undisturbed: while it is entered no interruption comes: a trial is either taken and listed, or it waits.
        """
        taken = [] if taken is None else taken
        while len(taken) < at_most and storage.patiently(lambda: self._take_one(taken, undisturbed)):
            pass
        return taken

    def _take_one(self, taken: list[Trial], undisturbed: Callable[[], Undisturbed]) -> bool:
        if not self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            return False
        with undisturbed():
            trial = self.study.ask()
            self.store.record_heartbeat(trial._trial_id)
            if SLOT in trial.user_attrs:
                taken.append(trial)
                trial.set_user_attr(WORKER, f"{socket.gethostname()}:{os.getpid()}")
                return True
            # another worker took the last place in between, and Optuna made a new trial: it is none of the study's
            self.study.tell(trial, state=TrialState.FAIL)
        return False

    @contextmanager
    def alive(self, trials: Sequence[Trial]) -> Iterator[None]:
        """Give a sign of life of these trials now and then while the block runs."""
        ended = threading.Event()

        def beat() -> None:
            with suppress(ExplorationError):  # a storage that is away for good stops the worker itself
                while not ended.wait(self.heartbeat_s):
                    for trial in trials:
                        storage.patiently(partial(self.store.record_heartbeat, trial._trial_id))

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()

    def finish(self, trial: Trial, outcome: Outcome) -> None:
        """Keep how a trial went. If it was taken for dead meanwhile, another attempt counts in its place."""
        values = [outcome.accuracy, outcome.cost][: len(self.study.directions)] if outcome.how == "complete" else None
        state = TrialState.COMPLETE if values else TrialState.PRUNED

        def store() -> None:
            now = self.store.get_trial(trial._trial_id)
            if now.state == TrialState.RUNNING:
                trial.set_user_attr(OUTCOME, outcome.to_json())
                self.study.tell(trial, values, state)

        try:
            storage.patiently(store)
        except UpdateFinishedTrialError:
            return

    def give_back(self, trials: Sequence[Trial], reason: str) -> None:
        """Leave trials that were not finished to whoever comes next, with the same recipes."""
        for trial in trials:
            frozen = self.store.get_trial(trial._trial_id)
            if frozen.state == TrialState.RUNNING:
                trial.set_user_attr(REASON, reason)
                self.study.tell(trial, state=TrialState.FAIL)
                _retry(self.study, frozen, frozen.user_attrs.get(DEATHS, 0))

    def bury(self) -> None:
        """Fail what has given no sign of life for too long, and let its places be tried again."""
        storage.patiently(lambda: optuna.storages.fail_stale_trials(self.study))
        storage.patiently(self._bury_the_stillborn)

    def _bury_the_stillborn(self) -> None:
        """Trials whose worker died before it could give its first sign of life, which Optuna overlooks."""
        latest = datetime.now() - timedelta(seconds=storage.MISSED * self.heartbeat_s)
        running = self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        old = [trial for trial in running if trial.datetime_start and trial.datetime_start < latest]
        if not old:
            return
        with self.store.engine.connect() as connection:
            known = set(connection.execute(sqlalchemy.text("SELECT trial_id FROM trial_heartbeats")).scalars())
        for trial in old:
            if trial._trial_id not in known:
                try:
                    failed = self.store.set_trial_state_values(trial._trial_id, TrialState.FAIL)
                except UpdateFinishedTrialError:  # another worker was quicker
                    continue
                if failed:
                    _without_a_word(self.study, trial)

    # --- for everyone -------------------------------------------------------------------------------------------------

    def attempts(self) -> list[Attempt]:
        """All trials but those that are none of the study's, in the order they were made."""
        trials = storage.patiently(lambda: self.study.get_trials(deepcopy=False))
        return [Attempt.of(trial) for trial in trials if SLOT in trial.user_attrs]

    def places(self) -> list[Attempt]:
        """The last attempt at each place, by place."""
        return latest(self.attempts())


def latest(attempts: Sequence[Attempt]) -> list[Attempt]:
    """The last of the attempts at each place, by place."""
    found = {attempt.slot: attempt for attempt in attempts}
    return [found[slot] for slot in sorted(found)]


def is_over(places: Sequence[Attempt]) -> bool:
    """Whether nothing waits or runs any more."""
    return not any(place.state in ("waiting", "running") for place in places)


def _without_a_word(study: Study, dead: FrozenTrial) -> None:
    _retry_unless_deadly(study, dead, dead.user_attrs.get(DEATHS, 0) + 1)


def _retry_unless_deadly(study: Study, trial: FrozenTrial, deaths: int) -> None:
    if deaths < DEATHS_AT_MOST:
        _retry(study, trial, deaths)


def _retry(study: Study, trial: FrozenTrial, deaths: int) -> None:
    """Let another trial wait with the recipe of one that failed, as far as it had been chosen."""
    own = {SLOT: trial.user_attrs[SLOT], ATTEMPT: trial.user_attrs.get(ATTEMPT, 0) + 1, DEATHS: deaths}
    distributions: dict[str, BaseDistribution] = trial.distributions
    study.add_trial(
        create_trial(state=TrialState.WAITING, params=trial.params, distributions=distributions, user_attrs=own)
    )
