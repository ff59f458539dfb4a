"""The stage that splits a collection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rijksnet.data.splits import split_collection
from rijksnet.paths import CollectionPaths

if TYPE_CHECKING:
    from rijksnet.params import Challenge, Params


def splits(params: Params, collection: str) -> None:
    """Split it for each of its challenges."""
    split_collection(CollectionPaths(collection), challenges_of(params, collection), params.splits)


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
