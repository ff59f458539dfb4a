"""What the commands share: the application, its arguments, and the parameters.

Each command imports what it needs when it runs, so that `rijksnet --help` answers at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from rijksnet.params import Challenge, Params

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="""Teach networks to recognise what museum objects are made of, what they are and who made them.

`make reproduce` or `dvc repro` runs the whole experiment; these commands are its stages, and what one does beside it.
Run them from the project root. Parameters come from params.yaml.""",
)

MUSEUMS, STAGES, SIDE_EXPERIMENTS = "From a museum's servers", "Stages of the pipeline", "Stages: side experiments"
STARTING = "To begin"
USE = "A trained network in use"
EXPLORATION, RESULTS, MODELS = "Beside the pipeline: exploration", "Results and tracking", "Registered models"

CollectionArgument = Annotated[str, typer.Argument(help="a collection in params.yaml", show_default=False)]
ChallengeArgument = Annotated[str, typer.Argument(help="material, type or artist", show_default=False)]
ArchitectureArgument = Annotated[str, typer.Argument(help="vgg19, …, or any timm model name", show_default=False)]
From = Annotated[
    Literal["imagenet", "source"], typer.Option("--from", help="θ, or θ̂ tuned on the source's same challenge")
]


def params() -> Params:
    from rijksnet.params import load
    from rijksnet.paths import PARAMS

    return load(PARAMS)


def console(width: int, *, highlight: bool = True) -> Console:
    """For tables and trees: as wide as the terminal; in a file or a log, where there is room, of this width."""
    from rich.console import Console

    found = Console(highlight=highlight)
    return found if found.is_terminal else Console(highlight=highlight, width=width)


def params_with(collection: str) -> Params:
    """The parameters, which name this collection."""
    from rijksnet.errors import ParamsError

    found = params()
    if collection not in found.collections:
        raise ParamsError(f"there is no collection {collection!r} in params.yaml; it has {sorted(found.collections)}")
    return found


def initialisation(chosen: Params, start: str) -> str:
    """Where a run's weights start, as its key names it."""
    return chosen.source.collection if start == "source" else start


def check_challenge(name: str) -> Challenge:
    from typing import get_args

    from rijksnet.errors import ParamsError
    from rijksnet.params import Challenge

    if name not in get_args(Challenge):
        raise ParamsError(f"there is no challenge {name!r}; the challenges are {get_args(Challenge)}")
    return cast("Challenge", name)
