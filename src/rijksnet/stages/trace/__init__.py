"""The command that says what anything came from and what came of it."""

from rijksnet.stages.trace.render import render
from rijksnet.stages.trace.resolve import resolve

__all__ = ["render", "resolve"]
