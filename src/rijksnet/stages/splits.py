"""The stage that splits a collection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from rijksnet.data.splits import split_collection
from rijksnet.paths import CollectionPaths

if TYPE_CHECKING:
    from rijksnet.params import Challenge, Params

console = Console(stderr=True, highlight=False, soft_wrap=True)


def splits(params: Params, collection: str) -> None:
    """Split it for each of its challenges, and say what remains of each."""
    summary, refused = split_collection(CollectionPaths(collection), challenges_of(params, collection), params.splits)
    for challenge, said in summary.items():
        kept, labelled = said["kept"], said["labelled"]
        print(
            f"{challenge}: {kept['objects']:,} of {labelled['objects']:,} labelled objects remain, and "
            f"{kept['classes']:,} of {labelled['classes']:,} classes: those that occur in every part"
        )
    for why in refused.values():
        console.print(f"[yellow]not split[/]: {escape(why)}")
    if refused:
        console.print(
            f"the others are split. Take {', '.join(refused)} out of the challenges in params.yaml: `dvc repro` stops "
            "where it comes to them, or goes round them with --keep-going"
        )


def challenges_of(params: Params, collection: str) -> list[Challenge]:
    """The challenges that a collection is split for, in the order they are listed."""
    asked: list[Challenge] = []
    if collection == params.source.collection:
        asked += params.source.challenges
    if collection == params.target.collection:
        asked += params.target.challenges
    if collection == params.imagenet.pretrain.collection and params.imagenet.pretrain.architectures:
        asked.append("type")
    return list(dict.fromkeys(asked))
