"""Stages that bring runs to MLflow: what may become θ̂ before the target's stages, everything after all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from rijksnet.paths import REGISTERED
from rijksnet.tracking import outside

if TYPE_CHECKING:
    from rijksnet.params import Params

console = Console(stderr=True, highlight=False, soft_wrap=True)


def register(params: Params) -> None:
    """Publish the source's fine-tuned runs and make their weights versions of the registered models."""
    from rijksnet.publishing import publish as publishing

    publishing.register(params, REGISTERED)


def publish(params: Params) -> None:
    """Make MLflow complete; a store that fails is told, and the next `dvc repro` goes on, for this always runs."""

    def look() -> bool:
        from rijksnet.publishing.publish import publish_or_warn  # MLflow takes seconds to import

        return publish_or_warn(params)

    if not outside.look_unless_seen("publish", params, look):
        console.print("MLflow shows everything, as it did")
