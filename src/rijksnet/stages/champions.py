"""Stages that follow the champions: pins, and the weights they name."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape

from rijksnet import paths
from rijksnet.errors import TrackingError
from rijksnet.params import Params
from rijksnet.tracking import mlflow_store, registry
from rijksnet.tracking.mlflow_store import Store

console = Console(stderr=True, highlight=False, soft_wrap=True)


def champions(params: Params) -> None:
    """Write the pins: the one stage that looks at the world outside the project.

    A pin stays as it is, with a warning, where the registry is away or does not know its model.

    Raises:
        TrackingError: there is neither a champion nor a pin.
    """
    store: Store | None = None
    away = f"there is no tracking store at {mlflow_store.uri(params.tracking)} yet"
    if mlflow_store.exists(params.tracking):
        try:
            store = mlflow_store.open_store(params.tracking)
        except TrackingError as error:
            away = str(error)
    paths.PINS.mkdir(exist_ok=True)
    for challenge, architecture in registry.source_models(params):
        name, pin = registry.model_name(challenge, architecture), registry.read_pin(challenge, architecture)
        version = None
        if store is not None:
            try:
                version = registry.ensure_champion(store, challenge, architecture, pin)
            except TrackingError as error:  # it went away since, and is not asked again
                store, away = None, str(error)
        if version is not None:
            following = registry.pin_of(version, challenge, architecture)
            if following != pin:
                following.write()
                console.print(f"{name}: the champion is version {version.version} ({version.tags.get('run_key')})")
        elif pin is None:
            raise TrackingError(
                f"{name} has no champion and no pin: "
                + (away if store is None else "the registry knows no version of it")
                + "; `rijksnet register` makes one from the records"
            )
        else:
            why = away if store is None else "the registry does not know the pinned version; `rijksnet publish` adds it"
            console.print(f"[yellow]warning[/]: {name}: keeping the pin {pin.weights_sha256[:12]}…: {escape(why)}")


def tuned(params: Params, challenge: str, architecture: str) -> None:
    """Bring the champion's weights, θ̂, to where the target stages read them."""
    pin = registry.read_pin(challenge, architecture)
    if pin is None:
        raise TrackingError(f"{paths.pin(challenge, architecture)} is not there: run `rijksnet champions` first")
    out = paths.tuned_weights(challenge, architecture)
    found = registry.fetch_weights(pin, out, lambda: mlflow_store.open_store(params.tracking))
    console.print(f"θ̂ for {challenge}, {architecture}: {pin.weights_sha256[:12]}… from {found}")
