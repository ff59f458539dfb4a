"""The command that says what anything came from and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rijksnet.trace.graph import Graph
from rijksnet.trace.render import render
from rijksnet.trace.resolve import resolve

if TYPE_CHECKING:
    from rich.console import Group

    from rijksnet.params import Params


def trace(params: Params, what: str) -> Group:
    """The origin of something, and what came of it, for a rich console.

    Raises:
        RunError: it is nothing that is known here; says what may be asked for, and what is near.
    """
    graph = Graph.read()
    return render(graph, resolve(params, graph, what))
