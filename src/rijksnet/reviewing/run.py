"""The review page as a process of this machine's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.middleware.trustedhost import TrustedHostMiddleware

from rijksnet.paths import CollectionPaths
from rijksnet.reviewing.app import make_app
from rijksnet.reviewing.queue import Photographs, read_queue
from rijksnet.service.run import LOOPBACK, answer, listening_at

if TYPE_CHECKING:
    from pathlib import Path

    from rijksnet.params import Challenge

HOST = "127.0.0.1"


def review(collection: str, challenge: Challenge, folder: Path, port: int) -> None:
    """Show the page until the process is ended; only this machine can ask for it.

    Args:
        folder: what `rijksnet suggest --out` was given.
        port: 0: any that is free.

    Raises:
        ReviewError: there are no suggestions, or the decisions beside them are another table.
        ParamsError: the port is taken.
    """
    paths = CollectionPaths(collection)
    queue = read_queue(paths, challenge, folder)
    app = make_app(queue, Photographs(paths))
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=LOOPBACK)
    with listening_at(HOST, port) as listening:
        answer(app, listening, f"{len(queue.objects)} objects", f"; decisions go to {queue.file}")
