"""The command line: every stage of dvc.yaml and what a person does beside it.

Each command imports what it needs when it runs, so that `rijksnet --help` answers at once.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

if TYPE_CHECKING:
    from rijksnet.params import Challenge, Collection, Initialisation, Params, Strategy

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="""Teach networks to recognise what museum objects are made of, what they are and who made them.

`make reproduce` or `dvc repro` runs the whole experiment; these commands are its stages, and what one does beside it.
Run them from the project root. Parameters come from params.yaml.""",
)

MUSEUMS, STAGES = "From a museum's servers", "Stages of the pipeline"
RESULTS, MODELS = "Results and tracking", "Registered models"

CollectionArgument = Annotated[str, typer.Argument(help="a collection in params.yaml", show_default=False)]
ChallengeArgument = Annotated[str, typer.Argument(help="material, type or artist", show_default=False)]
ArchitectureArgument = Annotated[str, typer.Argument(help="vgg19, …, or any timm model name", show_default=False)]
From = Annotated[
    Literal["imagenet", "rijksmuseum"], typer.Option("--from", help="θ, or θ̂ tuned on the source's same challenge")
]
Seed = Annotated[int | None, typer.Option(help="in place of training.seed; the run gets a key of its own")]


def params() -> Params:
    from rijksnet.params import load
    from rijksnet.paths import PARAMS

    return load(PARAMS)


# --- from a museum's servers ------------------------------------------------------------------------------------------


@app.command(rich_help_panel=MUSEUMS)
def harvest(collection: CollectionArgument) -> None:
    """Harvest a museum's records over OAI-PMH; a second call asks only for what has changed."""
    from rijksnet.errors import ParamsError
    from rijksnet.harvesting.harvest import harvest
    from rijksnet.params import OaiCollection

    chosen = _collection(collection)
    if not isinstance(chosen, OaiCollection):
        raise ParamsError(f"collections.{collection} has reader {chosen.reader!r}: only `oai_pmh` is harvested")
    print(harvest(chosen, collection))


@app.command(rich_help_panel=MUSEUMS)
def fetch(
    collection: CollectionArgument,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="ask for refused images again too")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="check what is there first, and fetch what is damaged")
    ] = False,
) -> None:
    """Download a collection's images (IIIF or plain addresses) into tar files; it goes on where it was interrupted."""
    from rijksnet.collections.readers import downloads_of
    from rijksnet.harvesting.fetch import fetch
    from rijksnet.harvesting.shard_writer import verify as check

    reader, download, folder = downloads_of(collection, _collection(collection))
    if verify:
        print(check(folder))
    print(fetch(reader, download, folder, retry_failed))


@app.command(rich_help_panel=MUSEUMS)
def share(collection: CollectionArgument) -> None:
    """Write a collection's splits as CSV files (object id, split) that others can import: `splits.rule: imported`."""
    from rijksnet.data.sharing import export
    from rijksnet.paths import CollectionPaths

    _collection(collection)
    for file in export(CollectionPaths(collection), params().challenges_of(collection)):
        print(file)


@app.command(rich_help_panel=MUSEUMS)
def groundtruth(
    file: Annotated[Path, typer.Argument(help="rijksgt.mat of the Rijksmuseum Challenge 2014", show_default=False)],
) -> None:
    """Count Table 1 on the real ground truth, before and after the split rule; writes reference/."""
    from rijksnet.data.table1 import write_groundtruth_table

    print(write_groundtruth_table(file).drop(columns="groundtruth_sha256").to_string(index=False))


# --- stages -----------------------------------------------------------------------------------------------------------


@app.command(rich_help_panel=STAGES)
def code() -> None:
    """Write which modules each stage runs, with their digests: what DVC compares to know that code has changed."""
    from rijksnet.tracking.code import write_manifests

    write_manifests()


@app.command(rich_help_panel=STAGES)
def draw(collection: CollectionArgument) -> None:
    """Draw a miniature collection: images and records, the same for the same seed."""
    from rijksnet.collections.miniature import draw
    from rijksnet.errors import ParamsError
    from rijksnet.params import MiniatureCollection

    chosen = _collection(collection)
    if not isinstance(chosen, MiniatureCollection):
        raise ParamsError(f"collections.{collection} has reader {chosen.reader!r}: only a `miniature` can be drawn")
    draw(chosen, Path(chosen.raw))


@app.command(rich_help_panel=STAGES)
def catalogue(collection: CollectionArgument) -> None:
    """Read a collection's records into catalogue.parquet; those that cannot be used go to rejects.csv."""
    from rijksnet.collections.build import build
    from rijksnet.collections.readers import reader_for
    from rijksnet.paths import CollectionPaths

    chosen = _collection(collection)
    print(build(reader_for(chosen), CollectionPaths(collection), chosen.cleaning, Path(chosen.raw)))


@app.command(rich_help_panel=STAGES)
def pixels(collection: CollectionArgument) -> None:
    """Decode every image once, at each size that the architectures read."""
    from rijksnet.data.pixels import pack
    from rijksnet.paths import CollectionPaths

    chosen = params()
    size = chosen.input_size
    if size == "native":
        from rijksnet.networks.architectures import input_size

        sizes = [input_size(architecture, size) for architecture in chosen.all_architectures()]
    else:
        sizes = [size]
    _collection(collection)
    print(pack(CollectionPaths(collection), sizes))


@app.command(rich_help_panel=STAGES)
def splits(collection: CollectionArgument) -> None:
    """Split a collection for each of its challenges; classes that are not in all three splits are removed."""
    from rijksnet.data.splits import split_collection
    from rijksnet.paths import CollectionPaths

    _collection(collection)
    split_collection(CollectionPaths(collection), params().challenges_of(collection), params().splits)


@app.command(rich_help_panel=STAGES)
def audit(collection: CollectionArgument) -> None:
    """Look at a collection as it will be trained on: classes, rights, near-duplicates across splits; with pictures."""
    from rich.console import Console

    from rijksnet.analysis.audit import render, write_audit
    from rijksnet.paths import CollectionPaths

    _collection(collection)
    paths = CollectionPaths(collection)
    Console().print(render(write_audit(paths, paths.audit)))
    print(paths.audit / "audit.html")


@app.command(rich_help_panel=STAGES)
def pretrain(architecture: ArchitectureArgument) -> None:
    """Make θ here: train from random weights on the collection of photographs."""
    from rijksnet.stages.train import pretrain

    pretrain(params(), architecture)


@app.command("import_weights", rich_help_panel=STAGES)
def import_weights(architecture: ArchitectureArgument) -> None:
    """Take θ from the file that imagenet.file names."""
    from rijksnet.errors import ParamsError
    from rijksnet.networks.theta import import_file
    from rijksnet.paths import imagenet_weights

    files = params().imagenet.file
    if architecture not in files:
        raise ParamsError(f"imagenet.file names no file for {architecture!r}; it has {sorted(files)}")
    import_file(architecture, Path(files[architecture]), imagenet_weights(architecture))


@app.command(rich_help_panel=STAGES)
def download(architecture: ArchitectureArgument) -> None:
    """Download θ as timm publishes it."""
    from rijksnet.networks.theta import download
    from rijksnet.paths import imagenet_weights

    download(architecture, imagenet_weights(architecture))


@app.command(rich_help_panel=STAGES)
def features(
    collection: CollectionArgument,
    architecture: ArchitectureArgument,
    tuned_on: Annotated[str | None, typer.Option(help="challenge whose θ̂ to use; without it, θ")] = None,
) -> None:
    """Extract the features of a whole collection in one forward pass."""
    from rijksnet.stages.features import features

    features(params(), collection, architecture, tuned_on)


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
    from rijksnet.paths import REGISTERED
    from rijksnet.stages.publish import register

    register(params(), REGISTERED)


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
    """Write the tables, curves and claims into results/."""
    from rijksnet.analysis.report import write_report
    from rijksnet.paths import DATA, RESULTS, RUNS

    write_report(params(), RUNS, DATA, RESULTS)


# --- results and tracking ---------------------------------------------------------------------------------------------


@app.command(rich_help_panel=RESULTS)
def tables() -> None:
    """Print the paper's tables, ours beside the paper's figures."""
    from rich.console import Console

    from rijksnet.analysis.report import render_tables
    from rijksnet.paths import DATA, RUNS

    console = Console()
    if not console.is_terminal:  # in a file or a log there is room
        console = Console(width=160)
    console.print(render_tables(params(), RUNS, DATA))


@app.command(rich_help_panel=RESULTS)
def publish() -> None:
    """Make MLflow complete from the records: runs, registered versions, champions. A second call adds nothing."""
    from rijksnet.stages.publish import publish

    publish(params())


@app.command(rich_help_panel=RESULTS, hidden=True)
def follow(file: Path) -> None:
    """Stream a training's history to MLflow until standard input ends; a training starts this itself."""
    from rijksnet.stages.follow import follow

    follow(params(), file)


# --- models -----------------------------------------------------------------------------------------------------------


@app.command(rich_help_panel=MODELS)
def models() -> None:
    """List the registered models, their versions and champions."""
    from rich.console import Console

    from rijksnet.stages.promotion import models_table

    Console().print(models_table(params()))


@app.command(rich_help_panel=MODELS)
def promote(
    model: Annotated[str, typer.Argument(help="a registered model, e.g. rijksnet-type-resnet50", show_default=False)],
    version: Annotated[str, typer.Argument(help="the version to make champion", show_default=False)],
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
) -> None:
    """Make a version the champion; the next `dvc repro` re-runs exactly what depends on it."""
    from rijksnet.stages.promotion import promote

    promote(params(), model, version, ask=None if yes else lambda question: typer.confirm(question))


# --- what they share --------------------------------------------------------------------------------------------------


def _collection(name: str) -> Collection:
    from rijksnet.errors import ParamsError

    collections = params().collections
    if name not in collections:
        raise ParamsError(f"there is no collection {name!r} in params.yaml; it has {sorted(collections)}")
    return collections[name]


def _train(
    collection: str, challenge: str, architecture: str, strategy: Strategy, start: Initialisation, seed: int | None
) -> None:
    from rijksnet.paths import RunKey
    from rijksnet.stages import train

    chosen = params()
    _collection(collection)
    _check_challenge(challenge)
    key = RunKey(collection, challenge, architecture, strategy, start, chosen.training.seed if seed is None else seed)
    (train.off_the_shelf if strategy == "off_the_shelf" else train.network)(chosen, key)


def _check_challenge(name: str) -> Challenge:
    from typing import get_args

    from rijksnet.errors import ParamsError
    from rijksnet.params import Challenge

    if name not in get_args(Challenge):
        raise ParamsError(f"there is no challenge {name!r}; the challenges are {get_args(Challenge)}")
    return cast("Challenge", name)


def main() -> None:
    """Run a command; a person's mistake gets one message, a mistake of ours a traceback."""
    from rijksnet.errors import RijksNetError

    # threads that wait for each other spin briefly, then sleep: spinning on is as fast on an idle machine, and many
    # times slower on a busy one (docs/decisions.md)
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    try:
        app()
    except RijksNetError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        print("interrupted; the same command goes on where the last checkpoint stands", file=sys.stderr)
        raise SystemExit(130) from None
