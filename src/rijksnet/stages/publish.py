"""Stages that bring runs to MLflow: what may become θ̂ before the target's stages, everything after all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rijksnet.paths import REGISTERED
from rijksnet.publishing import publish as publishing

if TYPE_CHECKING:
    from rijksnet.params import Params


def register(params: Params) -> None:
    """Publish the source's fine-tuned runs and make their weights versions of the registered models."""
    publishing.register(params, REGISTERED)


def publish(params: Params) -> None:
    """Make MLflow complete; a store that fails is told, and the next `dvc repro` goes on, for this always runs."""
    publishing.publish_or_warn(params)
