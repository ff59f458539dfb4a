"""The command that explores what the paper fixed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rijksnet.cli.app import (
    EXPLORATION,
    ArchitectureArgument,
    ChallengeArgument,
    CollectionArgument,
    From,
    app,
    check_challenge,
    initialisation,
    params_with,
)
from rijksnet.cli.repro import Scheduler, engine_of

if TYPE_CHECKING:
    from rijksnet.params import Params
    from rijksnet.runs.key import RunKey


@app.command(rich_help_panel=EXPLORATION)
def explore(
    collection: CollectionArgument,
    challenge: ChallengeArgument,
    architecture: ArchitectureArgument,
    strategy: Annotated[Literal["off_the_shelf", "fine_tuning"], typer.Argument(show_default=False)],
    start: From = "imagenet",
    trials: Annotated[int | None, typer.Option(min=1, help="recipes to try, in place of exploration.trials")] = None,
    workers: Annotated[
        int, typer.Option(min=0, help="processes that try them; 0: one, or of a scheduler all", show_default=False)
    ] = 0,
    scheduler: Scheduler = "",
    adopt: Annotated[bool, typer.Option("--adopt", help="write the winner's recipe into params.yaml")] = False,
    part: Annotated[Literal["helps", "concludes", ""], typer.Option(hidden=True)] = "",
) -> None:
    """Search how a strategy trains: optimiser, learning rate and what else exploration.space varies.

    The winner is chosen on the validation split; then it and the paper's choice are tested, once. The same command
    goes on with a study that was interrupted, and joins one that is under way, also from another machine.
    """
    from rijksnet.runs.key import RunKey
    from rijksnet.stages.explore import explore

    chosen = params_with(collection)
    key = RunKey(
        collection,
        check_challenge(challenge),
        architecture,
        strategy,
        initialisation(chosen, start),
        chosen.training.seed,
    )
    concluded = False
    if not part and (workers > 1 or scheduler):
        concluded = _on_workers(chosen, key, trials, workers, scheduler)
    if not concluded:
        explore(chosen, key, trials, adopts=adopt, helps=part == "helps")


def _on_workers(chosen: Params, key: RunKey, trials: int | None, workers: int, scheduler: str) -> bool:
    """Have workers carry out a study; whether one of them has concluded it too, where they are other machines'."""
    from contextlib import closing

    from rijksnet.scheduling import study
    from rijksnet.stages.explore import board_of, subject_of, tell_where_it_stands

    subject, command, device = subject_of(chosen, key), sys.argv[1:], chosen.training.device
    with closing(board_of(chosen, subject, trials)) as board, engine_of(chosen, scheduler, workers) as engine:
        number = workers or len(engine.workers)
        try:
            study.carry_out(board, str(key), [*command, "--part", "helps"], engine, number, device)
        except KeyboardInterrupt:
            tell_where_it_stands(board)
            raise
        if not scheduler:
            return False
        print(study.conclude(str(key), [*command, "--part", "concludes"], engine, device), end="")
        return True
