"""What a finished study says: its winner and the fixed choice, trained again with folders of their own and tested."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock

from rijksnet import protocol
from rijksnet.errors import ExplorationError, RunError
from rijksnet.exploration import adopt, plots, selection
from rijksnet.exploration.board import is_over, latest
from rijksnet.exploration.space import suggest
from rijksnet.files import replacing
from rijksnet.paths import PARAMS
from rijksnet.protocol import VALIDATION
from rijksnet.runs import lineage, writing
from rijksnet.runs.result import load_run
from rijksnet.runs.study import Study, StudyFolder, Trial
from rijksnet.statistics.significance import paired_test
from rijksnet.training import job
from rijksnet.training.cost import network_cost, softmax_cost

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from rijksnet.data import labelled
    from rijksnet.exploration.board import Attempt, Board
    from rijksnet.exploration.space import Choice
    from rijksnet.exploration.trials import Subject
    from rijksnet.runs.folder import RunFolder

#: Attributes of a study: the trials for which the test split was opened, and the digests of the runs of the two.
OPENED, RUN_DIGESTS = "test_split_opened_for", "run_digests"


def conclude(subject: Subject, board: Board) -> Study:
    """Test the winner of a finished study and the fixed choice, once, and write what there is to know of it.

    A second call finds all that it needs and writes the same.

    Raises:
        ExplorationError: the study is not finished, or nothing in it completed.
    """
    places = board.places()
    if not is_over(places):
        raise ExplorationError(f"study {subject.name} is not finished: `rijksnet explore` goes on with it")
    ranked = selection.ranked(places)
    if not ranked:
        reasons = Counter((place.outcome.note if place.outcome else place.reason) for place in places)
        raise ExplorationError(
            f"no trial of study {subject.name} completed ({reasons.most_common(1)[0][0]}, among others): narrow "
            "exploration.space, above all learning_rate"
        )
    at = StudyFolder.of(subject.key)
    at.root.mkdir(parents=True, exist_ok=True)
    with FileLock(at.root.with_name(f".{at.root.name}.lock")):
        at.study.unlink(missing_ok=True)
        return _conclude(subject, board, at, ranked)


def _conclude(subject: Subject, board: Board, at: StudyFolder, ranked: Sequence[Attempt]) -> Study:
    winner = ranked[0]
    choice = choice_of(subject, winner)
    opened = list(board.study.user_attrs.get(OPENED, []))
    if opened[-1:] != [winner.number]:
        opened.append(winner.number)
        board.study.set_user_attr(OPENED, opened)  # before it is opened: a killed conclusion counts
    known: Mapping[str, str] = board.study.user_attrs.get(RUN_DIGESTS, {})
    digests = {
        name: _made(subject, made_by, paths, known.get(f"{name} {number}"))
        for name, made_by, paths, number in (
            ("winner", choice, at.winner, winner.number),
            ("fixed", subject.fixed, at.fixed, ""),
        )
    }
    board.study.set_user_attr(RUN_DIGESTS, {f"winner {winner.number}": digests["winner"], "fixed ": digests["fixed"]})
    attempts = board.attempts()
    trials = [_row(attempt) for attempt in attempts if attempt.state not in ("waiting", "running")]
    adopt.write(PARAMS, subject.strategy, choice, at.adopted)
    chosen = _selection(subject, at, ranked)
    for name, picture in plots.pictures(board.study, latest(attempts), chosen.fixed, subject.name).items():
        with replacing(at.root / name) as partial:
            partial.write_bytes(picture)
    study = _study(subject, at, ranked, choice, attempts, chosen, opened, digests)
    at.write(study, trials)
    return at.read()


def choice_of(subject: Subject, attempt: Attempt) -> Choice:
    """The recipe of a finished trial."""
    return suggest(
        _TrialAgain(attempt.params), subject.params.exploration.space, subject.strategy, subject.fixed, subject.name
    )


class _TrialAgain:
    """A finished trial, asked again what it tried."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self._params = params

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        return float(self._params[name])

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._params[name]


def _made(subject: Subject, choice: Choice, at: RunFolder, digest: str | None) -> str:
    """Digest of the run of a choice; trained unless the study knows the very run that lies there."""
    try:
        at.read(verify=True)
        if at.digest() == digest:
            return digest
    except RunError:
        pass
    params = subject.under(choice)
    # what the tracking store shows of it is shown with its study
    tracking = params.tracking.model_copy(update={"live_after_s": math.inf})
    job.carry_out(params.model_copy(update={"tracking": tracking}), subject.job(choice, at))
    return at.digest()


def _study(
    subject: Subject,
    at: StudyFolder,
    ranked: Sequence[Attempt],
    choice: Choice,
    attempts: Sequence[Attempt],
    chosen: selection.Selection,
    opened: Sequence[int],
    digests: Mapping[str, str],
) -> Study:
    winner, fixed = load_run(at.winner.root), load_run(at.fixed.root)
    test = paired_test(winner.correct(), fixed.correct())
    places = latest(attempts)
    states = Counter(place.state for place in places)
    of_fixed = len(subject.data[protocol.TRAIN]) * _cost_of_fixed(subject) * fixed.epochs
    outcomes = [attempt.outcome for attempt in attempts if attempt.outcome]
    times = [moment for attempt in attempts for moment in (attempt.started, attempt.ended) if moment]
    exploration = subject.params.exploration
    front = selection.front(ranked) if len(exploration.objectives) > 1 else []
    return Study(
        name=subject.name,
        key=subject.key,
        started_ms=_ms(min(times)) or 0,
        ended_ms=_ms(max(times)) or 0,
        exploration=exploration.model_dump(exclude={"storage", "challenges", "architectures", "strategies"}),
        counts={**{str(state): n for state, n in states.items()}, "places": len(places), "attempts": len(attempts)},
        fixed=subject.fixed.settings(),
        best={"trial": ranked[0].number, **choice.settings()},
        selection={**asdict(chosen), "again": winner.validation.accuracy},
        test=asdict(test),
        cost={
            "trials": sum(one.cost for one in outcomes),
            "fixed": of_fixed,
            "seconds": sum(one.seconds for one in outcomes),
        },
        front=[
            {
                "trial": one.number,
                "accuracy": one.outcome.accuracy,
                "cost": one.outcome.cost,
                "settings": dict(choice_of(subject, one).settings()),
            }
            for one in front
            if one.outcome
        ],
        opened=opened,
        doubts=[
            f"{name} {doubt}"
            for name, run in (("the winner", winner), ("the fixed choice", fixed))
            for doubt in run.doubts
        ],
        digests={**writing.digests(subject.data, at.fixed.read(verify=True).digests["initial_weights"]), **digests},
        lineage=lineage.origin("explore"),
    )


def _selection(subject: Subject, at: StudyFolder, ranked: Sequence[Attempt]) -> selection.Selection:
    answers = load_run(at.fixed.root).predictions(VALIDATION)
    fixed = answers.probabilities.argmax(axis=1) == answers.labels
    hits = np.stack([place.outcome.hits for place in ranked if place.outcome])
    validation: labelled.LabelledRows = subject.data[VALIDATION]
    return selection.correct(hits, fixed, validation.object_ids)


def _cost_of_fixed(subject: Subject) -> float:
    """Per image."""
    made = subject.job(subject.fixed)
    if subject.strategy == "off_the_shelf":
        return softmax_cost(made.feature_size, made.sizes[0])
    return network_cost(made.model, made.inputs)


def _row(attempt: Attempt) -> Trial:
    outcome = attempt.outcome
    complete = outcome is not None and outcome.how == "complete"
    return Trial(
        number=attempt.number,
        slot=attempt.slot,
        attempt=attempt.attempt,
        state=attempt.state,
        reason=outcome.note if outcome else attempt.reason,
        worker=attempt.worker,
        started_ms=_ms(attempt.started),
        ended_ms=_ms(attempt.ended),
        accuracy=outcome.accuracy if outcome and complete else None,
        loss=outcome.loss if outcome and complete else None,
        best_epoch=outcome.best_epoch if outcome else None,
        epochs=len(outcome.history) if outcome else 0,
        cost=outcome.cost if outcome else None,
        seconds=outcome.seconds if outcome else None,
        params=attempt.params,
        history=outcome.history if outcome else (),
    )


def _ms(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp() * 1000)
