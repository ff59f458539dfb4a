"""The stages beside the paper's tables: its side experiments, other seeds, and what networks look at."""

from __future__ import annotations

from typing import Annotated

import typer

from rijksnet.cli.app import (
    SIDE_EXPERIMENTS,
    ArchitectureArgument,
    ChallengeArgument,
    CollectionArgument,
    app,
    check_challenge,
    params,
    params_with,
)


@app.command(rich_help_panel=SIDE_EXPERIMENTS)
def classifiers(challenge: ChallengeArgument, architecture: ArchitectureArgument) -> None:
    """Train a support vector machine and a random forest on the source's features (footnote 7)."""
    from rijksnet.stages.classifiers import classifiers

    classifiers(params(), check_challenge(challenge), architecture)


@app.command(rich_help_panel=SIDE_EXPERIMENTS)
def probes(challenge: ChallengeArgument, architecture: ArchitectureArgument) -> None:
    """Which layers matter: a linear probe at every depth, for θ, θ̂ and random weights."""
    from rijksnet.stages.probes import probes

    probes(params(), check_challenge(challenge), architecture)


@app.command(rich_help_panel=SIDE_EXPERIMENTS)
def saliency(challenge: ChallengeArgument, architecture: ArchitectureArgument) -> None:
    """What networks look at (Figure 4), with θ and with θ̂: maps, how faithful they are, how far attention moved."""
    from rijksnet.stages.saliency import saliency

    saliency(params(), check_challenge(challenge), architecture)


@app.command("multi_task", rich_help_panel=SIDE_EXPERIMENTS)
def multi_task(architecture: ArchitectureArgument) -> None:
    """Train one network for all three challenges, and three single ones on the same images."""
    from rijksnet.stages.train import multi_task

    multi_task(params(), architecture)


@app.command("common_classes", rich_help_panel=SIDE_EXPERIMENTS)
def common_classes(challenge: ChallengeArgument, architecture: ArchitectureArgument) -> None:
    """Repeat the target's runs on only the classes that the source has too."""
    from rijksnet.stages.train import common_classes

    common_classes(params(), check_challenge(challenge), architecture)


@app.command(rich_help_panel=SIDE_EXPERIMENTS)
def seeds(
    collection: CollectionArgument,
    challenge: ChallengeArgument,
    architecture: ArchitectureArgument,
    seed: Annotated[int, typer.Argument(help="one of seeds.further", show_default=False)],
) -> None:
    """Repeat a collection's runs of one challenge and architecture with another seed."""
    from rijksnet.stages.train import seeds

    seeds(params_with(collection), collection, check_challenge(challenge), architecture, seed)
