"""The stage that repeats runs with another seed: of initialisation and batch order, not of the split."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rijksnet.errors import ParamsError
from rijksnet.paths import RunKey
from rijksnet.stages import train

if TYPE_CHECKING:
    from rijksnet.params import Initialisation, Params


def seeds(params: Params, collection: str, challenge: str, architecture: str, seed: int) -> None:
    """Off the shelf and fine tuning: on the source from θ, on the target from θ and from θ̂.

    Raises:
        ParamsError: `collection` is neither.
    """
    starts: dict[str, list[Initialisation]] = {
        params.target.collection: ["imagenet", "rijksmuseum"],
        params.source.collection: ["imagenet"],
    }
    if collection not in starts:
        raise ParamsError(f"collection {collection!r} is neither the source nor the target: choose from {list(starts)}")
    for start in starts[collection]:
        train.off_the_shelf(params, RunKey(collection, challenge, architecture, "off_the_shelf", start, seed))
        train.network(params, RunKey(collection, challenge, architecture, "fine_tuning", start, seed))
