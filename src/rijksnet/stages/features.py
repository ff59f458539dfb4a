"""The stage that looks at every image once with a frozen network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rijksnet import paths
from rijksnet.training.extraction import extract_collection

if TYPE_CHECKING:
    from rijksnet.params import Params


def features(params: Params, collection: str, architecture: str, challenge: str | None, *, helps: bool = False) -> None:
    """Features of a whole collection from θ, or from the θ̂ that was tuned on `challenge`.

    Args:
        helps: take shards alone of what another process extracts.
    """
    if challenge is None:
        file, folder = paths.imagenet_weights(architecture), paths.features(collection, architecture, "imagenet", None)
    else:
        file = paths.tuned_weights(params.source.collection, challenge, architecture)
        folder = paths.features(collection, architecture, params.source.collection, challenge)
    extract_collection(params, collection, architecture, file, folder, helps=helps)
