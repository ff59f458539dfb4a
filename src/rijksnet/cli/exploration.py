"""The command that explores what the paper fixed."""

from __future__ import annotations

from typing import Annotated, Literal

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


@app.command(rich_help_panel=EXPLORATION)
def explore(
    collection: CollectionArgument,
    challenge: ChallengeArgument,
    architecture: ArchitectureArgument,
    strategy: Annotated[Literal["off_the_shelf", "fine_tuning"], typer.Argument(show_default=False)],
    start: From = "imagenet",
    trials: Annotated[int | None, typer.Option(min=1, help="recipes to try, in place of exploration.trials")] = None,
    workers: Annotated[int, typer.Option(min=1, help="processes that try them on this machine")] = 1,
    adopt: Annotated[bool, typer.Option("--adopt", help="write the winner's recipe into params.yaml")] = False,
    helps: Annotated[bool, typer.Option("--helps", hidden=True)] = False,
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
    explore(chosen, key, trials, workers, adopts=adopt, helps=helps)
