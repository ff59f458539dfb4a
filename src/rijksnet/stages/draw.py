"""The stage that draws a miniature collection."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rijksnet.errors import ParamsError
from rijksnet.miniature import draw as miniature

if TYPE_CHECKING:
    from rijksnet.params import Params


def draw(params: Params, collection: str) -> None:
    """Draw images and records, the same for the same seed.

    Raises:
        ParamsError: it is a museum's.
    """
    asked = params.collections[collection]
    if asked.reader != "miniature":
        raise ParamsError(f"collections.{collection} has reader {asked.reader!r}: only a `miniature` can be drawn")
    miniature.draw(asked, Path(asked.raw))
