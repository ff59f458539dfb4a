"""Stages that follow the champions: pins, and the weights they name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from rijksnet import paths
from rijksnet.errors import TrackingError
from rijksnet.tracking import outside, pins

if TYPE_CHECKING:
    from rijksnet.params import Params

console = Console(stderr=True, highlight=False, soft_wrap=True)


def champions(params: Params) -> None:
    """Write the pins, by what the registry says; a stage that looks at the world outside the project.

    Raises:
        TrackingError: there is no champion, no pin and no run of one's own.
    """

    def look() -> bool:
        from rijksnet.models.pinning import write_pins  # MLflow takes seconds to import

        return write_pins(params)

    if not outside.look_unless_seen("champions", params, look):
        console.print("the champions are as they were")


def tuned(params: Params, challenge: str, architecture: str) -> None:
    """Bring the champion's weights, θ̂, to where the target stages read them."""
    from rijksnet.tracking import registry, stores

    pin = pins.read_pin(challenge, architecture)
    if pin is None:
        raise TrackingError(f"{paths.pin(challenge, architecture)} is not there: run `rijksnet champions` first")
    out = paths.tuned_weights(params.source.collection, challenge, architecture)
    (model,) = (
        one for one in pins.source_models(params) if (one.challenge, one.architecture) == (challenge, architecture)
    )
    found = registry.fetch_weights(pin, model.name, out, lambda: stores.open_store(params.tracking))
    console.print(f"θ̂ for {challenge}, {architecture}: {pin.weights_sha256[:12]}… from {found}")
