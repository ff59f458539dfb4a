"""The stage that decodes every image once."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from rijksnet.data.duplicates import repeated
from rijksnet.data.pixels import help_pack, pack
from rijksnet.paths import CollectionPaths
from rijksnet.runs.code import digest

if TYPE_CHECKING:
    from rijksnet.params import Params

#: Repeated pictures told; the audit shows more.
TOLD = 5


def pixels(params: Params, collection: str, *, helps: bool = False) -> None:
    """Pack a collection's images at every size that the architectures read.

    Args:
        helps: take shards alone of what another process packs.
    """
    decoders = [f"{name} {version(name)}" for name in ("pillow", "cykooz.resizer", "numpy")]
    paths, code = CollectionPaths(collection), f"{digest('pixels')} {decoders}"
    if helps:
        help_pack(paths, sizes(params), params.squares, code=code)
        return
    print(pack(paths, sizes(params), params.squares, code=code))
    for one in repeated(paths)[:TOLD]:
        shows = "shows next to nothing and " if one.blank else ""
        objects = f"{len(one.object_ids):,} objects (the first image: {one.image})"
        print(f"one picture {shows}stands for {objects}: see the audit")


def sizes(params: Params) -> list[int]:
    """Sides of the squares that the architectures read, px."""
    if params.input_size != "native":
        return [params.input_size]
    from rijksnet.networks.architectures import input_size  # only this needs the networks

    architectures = [*params.architectures, *params.imagenet.pretrain.architectures]
    return sorted({input_size(architecture, params.input_size) for architecture in architectures})
