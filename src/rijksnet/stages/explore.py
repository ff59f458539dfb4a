"""`rijksnet explore`: be a worker of a study, wait for the others, and conclude it."""

from __future__ import annotations

import hashlib
import json
import signal
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape

from rijksnet import paths
from rijksnet.data import labelled
from rijksnet.errors import ExplorationError, TrackingError
from rijksnet.exploration import adopt, conclude, trials, verdict
from rijksnet.exploration.board import Board, is_over
from rijksnet.exploration.display import shown
from rijksnet.exploration.space import fixed_choice, unexplored
from rijksnet.exploration.trials import Subject
from rijksnet.files import sha256_of
from rijksnet.runs import lineage
from rijksnet.runs.study import StudyFolder
from rijksnet.training import strategies

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from optuna.trial import Trial

    from rijksnet.exploration.display import Display
    from rijksnet.exploration_params import ExploredStrategy
    from rijksnet.params import Params
    from rijksnet.runs.key import RunKey
    from rijksnet.runs.study import Study

#: Seconds between two looks at a study whose last trials other workers have.
LOOK_S = 1.0

console = Console(highlight=False, soft_wrap=True)


def explore(params: Params, key: RunKey, trials_asked: int | None, *, adopts: bool, helps: bool) -> None:
    """Search a strategy's recipe: make the study or join it, work until its places are filled, and conclude it.

    Args:
        key: of the runs whose recipe is explored.
        trials_asked: places of the study, in place of exploration.trials; more than it has adds some.
        adopts: write the winner's recipe into params.yaml.
        helps: work only, and leave the rest to another process.

    Raises:
        ExplorationError: the storage is away, or nothing completed.
        RunError, SplitError, WeightsError: what the trials read is not there.
    """
    for group in ("explore", "train"):  # of a study, too, and of its runs, is the code as it was when it began
        lineage.origin(group)
    subject = subject_of(params, key)
    with closing(board_of(params, subject, trials_asked)) as board:
        _work_with_others(board, subject, helps)
        if helps:
            return
        study = conclude.conclude(subject, board)
        console.print(verdict.render(study))
        publish(params)
        if adopts:
            adopt_winner(subject, board, study)
        else:
            console.print(f"adopt it: `--adopt`, or cp {StudyFolder.of(key).adopted} {paths.PARAMS}")


def board_of(params: Params, subject: Subject, trials_asked: int | None) -> Board:
    """The study's places, made or joined."""
    asked = trials_asked or getattr(params.exploration.trials, subject.strategy)
    about = {"rijksnet run": str(subject.key), "split": labelled.digest(subject.data)}
    return Board.open(params.exploration, subject.name, asked, about)


def _work_with_others(board: Board, subject: Subject, helps: bool) -> None:
    name, places = None if helps else str(subject.key), len(board.places())
    with _interruptible() as ending, shown(name, places) as display:
        try:
            work(board, subject, display, ending)
        except KeyboardInterrupt:
            if not helps:
                tell_where_it_stands(board)
            raise


def subject_of(params: Params, key: RunKey) -> Subject:
    """What is explored, and under which name: the same only where data, weights, search and training are the same."""
    strategy: ExploredStrategy = key.strategy  # type: ignore[assignment]
    data = strategies.images_of(key)
    exploration = params.exploration.model_dump(
        include={"space", "sampler", "seed", "pruner", "objectives"}, mode="json"
    )
    training = unexplored(params).training.model_dump(exclude={"device"}, mode="json")
    identity = [str(key), labelled.digest(data), sha256_of(_weights(key)), params.input_size, exploration, training]
    if params.squares != "stretched":  # what all studies were before it could be otherwise
        identity.append(params.squares)
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:8]
    return Subject(params, key, f"{key} {digest}", fixed_choice(params, strategy))


def _weights(key: RunKey) -> Any:
    file = key.initial_weights
    if not file.is_file():
        raise ExplorationError(
            f"{file} is not there, which the trials start from: `dvc repro` makes it, if `architectures` in "
            f"{paths.PARAMS} names {key.architecture!r}"
        )
    return file


def work(board: Board, subject: Subject, display: Display, ending: Ending) -> None:
    """Take trials until every place is filled, by this worker or by others; what is interrupted is given back."""

    def told(note: str) -> None:
        ending.check()
        display.note(note)

    while True:
        ending.check()
        board.bury()
        taken: list[Trial] = []
        try:
            board.take(trials.at_once(subject), taken, ending.held)
            display.update(board.places())
            if worked := bool(taken):
                with board.alive(taken):
                    trials.carry_out(board, taken, subject, told)
                taken.clear()
        finally:
            with ending.held():
                board.give_back(taken, "interrupted")
        if worked:
            display.update(board.places())
        elif is_over(board.places()):
            return
        else:
            display.note("waiting for other workers")
            time.sleep(LOOK_S)


def adopt_winner(subject: Subject, board: Board, study: Study) -> None:
    """Write the winner's recipe into params.yaml."""
    winner = next(one for one in board.attempts() if one.number == study.best["trial"])
    adopt.write(paths.PARAMS, subject.strategy, conclude.choice_of(subject, winner), paths.PARAMS)
    console.print(
        f"{paths.PARAMS} has it now as training.recipe.{subject.strategy}, with its normalisation: `dvc repro` or "
        f"`dvc exp run` trains by it; null in its place is the protocol's again"
    )


def publish(params: Params) -> None:
    """Show the study in MLflow; a store that is away is told, and `rijksnet publish` brings it later."""
    from rijksnet.publishing.publish import publish_studies
    from rijksnet.tracking import stores

    try:
        store = stores.open_store(params.tracking)
        with store.alone():
            publish_studies(store)
    except TrackingError as error:
        Console(stderr=True, soft_wrap=True).print(f"[yellow]warning[/]: {escape(str(error))}")


def tell_where_it_stands(board: Board) -> None:
    """What a person reads who interrupts a study."""
    done = [place for place in board.places() if place.state not in ("waiting", "running")]
    Console(stderr=True, soft_wrap=True).print(
        f"{len(done)} of {len(board.places())} trials of study {escape(board.study.study_name)} are done and kept"
    )


@dataclass
class Ending:
    """Whether this worker has been asked to end. An interruption at a bad moment is lost, such as within the import of
    a library that catches everything; so it is remembered, and looked at between epochs."""

    asked: bool = False
    waits: bool = False  #: whether an interruption waits for the end of what must not be left half done

    def check(self) -> None:
        if self.asked:
            raise KeyboardInterrupt

    @contextmanager
    def held(self) -> Iterator[None]:
        """A block that an interruption does not break off: it is raised after it."""
        self.waits = True
        try:
            yield
        finally:
            self.waits = False
        self.check()


@contextmanager
def _interruptible() -> Iterator[Ending]:
    """SIGTERM ends the block as Ctrl-C does, so that its trials are given back at once."""
    ending = Ending()

    def end(_: int, __: FrameType | None) -> None:
        ending.asked = True
        if not ending.waits:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield ending
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
