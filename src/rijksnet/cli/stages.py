"""The stages of dvc.yaml, a command each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from rijksnet.cli.app import (
    STAGES,
    ArchitectureArgument,
    ChallengeArgument,
    CollectionArgument,
    From,
    app,
    check_challenge,
    initialisation,
    params,
    params_with,
)

if TYPE_CHECKING:
    from rijksnet.params import Strategy

Helps = Annotated[bool, typer.Option("--helps", hidden=True)]
Seed = Annotated[int | None, typer.Option(help="in place of training.seed; the run gets a key of its own")]


@app.command(rich_help_panel=STAGES)
def code() -> None:
    """Write which modules each stage runs, with their digests: what DVC compares to know that code has changed."""
    from rijksnet.runs.code import write_manifests

    write_manifests()


@app.command(rich_help_panel=STAGES)
def draw(collection: CollectionArgument) -> None:
    """Draw a miniature collection: images and records, the same for the same seed."""
    from rijksnet.stages.draw import draw

    draw(params_with(collection), collection)


@app.command(rich_help_panel=STAGES)
def catalogue(collection: CollectionArgument) -> None:
    """Read a collection's records into catalogue.parquet; those that cannot be used go to rejects.csv."""
    from rijksnet.stages.catalogue import catalogue

    catalogue(params_with(collection), collection)


@app.command(rich_help_panel=STAGES)
def pixels(collection: CollectionArgument, helps: Helps = False) -> None:
    """Decode every image once, at each size that the architectures read."""
    from rijksnet.stages.pixels import pixels

    pixels(params_with(collection), collection, helps=helps)


@app.command(rich_help_panel=STAGES)
def splits(collection: CollectionArgument) -> None:
    """Split a collection for each of its challenges; classes that are not in all three splits are removed."""
    from rijksnet.stages.splits import splits

    splits(params_with(collection), collection)


@app.command(rich_help_panel=STAGES)
def audit(collection: CollectionArgument) -> None:
    """Look at a collection as it will be trained on: classes, rights, near-duplicates across splits; with pictures."""
    from rijksnet.stages.audit import audit

    audit(params_with(collection), collection)


@app.command(rich_help_panel=STAGES)
def pretrain(architecture: ArchitectureArgument) -> None:
    """Make θ here: train from random weights on the collection of photographs."""
    from rijksnet.stages.train import pretrain

    pretrain(params(), architecture)


@app.command("import_weights", rich_help_panel=STAGES)
def import_weights(architecture: ArchitectureArgument) -> None:
    """Take θ from the file that imagenet.file names."""
    from rijksnet.stages.theta import import_weights

    import_weights(params(), architecture)


@app.command("import_model", rich_help_panel=STAGES)
def import_model(architecture: ArchitectureArgument) -> None:
    """Take θ from the MLflow registry that imagenet.registry names, for example another project's champion."""
    from rijksnet.stages.import_model import import_model

    import_model(params(), architecture)


@app.command(rich_help_panel=STAGES)
def download(architecture: ArchitectureArgument) -> None:
    """Download θ as timm publishes it."""
    from rijksnet.stages.theta import download

    download(architecture)


@app.command(rich_help_panel=STAGES)
def features(
    collection: CollectionArgument,
    architecture: ArchitectureArgument,
    tuned_on: Annotated[str | None, typer.Option(help="challenge whose θ̂ to use; without it, θ")] = None,
    helps: Helps = False,
) -> None:
    """Extract the features of a whole collection in one forward pass."""
    from rijksnet.stages.features import features

    features(params(), collection, architecture, tuned_on, helps=helps)


@app.command("off_the_shelf", rich_help_panel=STAGES)
def off_the_shelf(
    collection: CollectionArgument,
    challenge: ChallengeArgument,
    architecture: ArchitectureArgument,
    start: From = "imagenet",
    seed: Seed = None,
) -> None:
    """Train a softmax layer on cached features."""
    _train(collection, challenge, architecture, "off_the_shelf", start, seed)


@app.command("fine_tuning", rich_help_panel=STAGES)
def fine_tuning(
    collection: CollectionArgument,
    challenge: ChallengeArgument,
    architecture: ArchitectureArgument,
    start: From = "imagenet",
    seed: Seed = None,
) -> None:
    """Train a whole network, from θ or from θ̂."""
    _train(collection, challenge, architecture, "fine_tuning", start, seed)


@app.command(rich_help_panel=STAGES)
def scratch(
    collection: CollectionArgument,
    challenge: ChallengeArgument,
    architecture: ArchitectureArgument,
    seed: Seed = None,
) -> None:
    """Train a whole network from He-uniform random weights."""
    _train(collection, challenge, architecture, "scratch", "random", seed)


@app.command(rich_help_panel=STAGES)
def register() -> None:
    """Publish the source's fine-tuned runs and register their weights."""
    from rijksnet.stages.publish import register

    register(params())


@app.command(rich_help_panel=STAGES)
def champions() -> None:
    """Look up the champions and write their pins; stages that follow a moved alias run again."""
    from rijksnet.stages.champions import champions

    champions(params())


@app.command(rich_help_panel=STAGES)
def tuned(challenge: ChallengeArgument, architecture: ArchitectureArgument) -> None:
    """Fetch θ̂, the champion's weights."""
    from rijksnet.stages.champions import tuned

    tuned(params(), challenge, architecture)


@app.command(rich_help_panel=STAGES)
def report() -> None:
    """Write the report into results/: tables, claims, curves, and all of it as one page, report.html."""
    from rijksnet.stages.report import report

    report(params())


def _train(
    collection: str, challenge: str, architecture: str, strategy: Strategy, start: str, seed: int | None
) -> None:
    from rijksnet.runs.key import RunKey
    from rijksnet.stages import train

    chosen = params_with(collection)
    check_challenge(challenge)
    seed = chosen.training.seed if seed is None else seed
    key = RunKey(collection, challenge, architecture, strategy, initialisation(chosen, start), seed)
    (train.off_the_shelf if strategy == "off_the_shelf" else train.network)(chosen, key)
