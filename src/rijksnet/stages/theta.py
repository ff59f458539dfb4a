"""The stages that take θ from elsewhere: from timm's hub, or from a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from rijksnet.errors import ParamsError
from rijksnet.networks import theta
from rijksnet.paths import imagenet_weights

if TYPE_CHECKING:
    from rijksnet.params import Params

console = Console(stderr=True, highlight=False, soft_wrap=True)


def download(architecture: str) -> None:
    """Download θ as timm publishes it."""
    theta.download(architecture, imagenet_weights(architecture))


def import_weights(params: Params, architecture: str) -> None:
    """Take θ from the file that imagenet.file names.

    Raises:
        ParamsError: it names none.
    """
    files = params.imagenet.file
    if architecture not in files:
        raise ParamsError(f"imagenet.file names no file for {architecture!r}; it has {sorted(files)}")
    for note in theta.import_file(architecture, Path(files[architecture]), imagenet_weights(architecture)):
        console.print(escape(f"θ of {architecture}: {note}"))
