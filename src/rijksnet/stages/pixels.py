"""The stage that decodes every image once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rijksnet.data.pixels import pack
from rijksnet.paths import CollectionPaths

if TYPE_CHECKING:
    from rijksnet.params import Params


def pixels(params: Params, collection: str) -> None:
    """Pack a collection's images at every size that the architectures read."""
    print(pack(CollectionPaths(collection), sizes(params), params.squares))


def sizes(params: Params) -> list[int]:
    """Sides of the squares that the architectures read, px."""
    if params.input_size != "native":
        return [params.input_size]
    from rijksnet.networks.architectures import input_size  # only this needs the networks

    architectures = [*params.architectures, *params.imagenet.pretrain.architectures]
    return sorted({input_size(architecture, params.input_size) for architecture in architectures})
