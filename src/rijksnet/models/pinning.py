"""Pins: what θ̂ is, as the registry says, or without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from rijksnet import paths
from rijksnet.errors import TrackingError
from rijksnet.models import promotion
from rijksnet.tracking import address, pins, registry, stores
from rijksnet.tracking.pins import Pin

if TYPE_CHECKING:
    from rijksnet.params import Params
    from rijksnet.runs.folder import Run
    from rijksnet.tracking.pins import SourceModel
    from rijksnet.tracking.registry import Champion
    from rijksnet.tracking.stores import Store

console = Console(stderr=True, highlight=False, soft_wrap=True)


def write_pins(params: Params) -> bool:
    """Write the pins, by what the registry says.

    Where the registry is away or does not know a model, the pin of a person's champion stays, with a warning, and
    otherwise θ̂ is this project's own run. So it is in an experiment of DVC's: it moves no alias.

    Returns:
        Whether the registry knew all that was asked, and nothing was to be warned of.

    Raises:
        TrackingError: there is no champion, no pin and no run of one's own.
    """
    store, away = _registry(params)
    paths.PINS.mkdir(exist_ok=True)
    settled = True
    for model in pins.source_models(params):
        own, pin = model.own(params.training.seed), pins.read_pin(model.challenge, model.architecture)
        choice = None
        if store is not None:
            try:
                choice = registry.ensure_champion(store, model.name, own, pin)
            except TrackingError as error:  # it went away since, and is not asked again
                store, away = None, str(error)
        following = registry.pin_of(choice, model) if choice else _without(model, own, pin, away)
        if following != pin:
            following.write()
            console.print(escape(f"{model.name}: θ̂ is {_described(following, choice, pin)}"))
            if store is not None and choice is not None and pin is not None:
                _judge_what_was_moved_elsewhere(store, choice, pin)
        differences = following.differences(own) if own else []
        settled &= choice is not None and not differences
        if differences:
            console.print(
                f"[yellow]warning[/]: {model.name}: θ̂ was chosen by a {following.chosen_by} and is not this project's "
                f"own run: {escape('; '.join(differences))}"
            )
    return settled


def _judge_what_was_moved_elsewhere(store: Store, choice: Champion, pin: Pin) -> None:
    """Say of a champion that a person chose in the MLflow UI what `rijksnet promote` would have said.

    The alias is followed all the same: it is that person's to move.
    """
    new = choice.version
    if choice.by != "person":
        return
    try:
        with store.answering(f"judging version {new.version} of {new.name}"):
            pinned = registry.with_weights(store, new.name, pin.weights_sha256)
            if pinned is None or pinned.version == new.version or promotion.was_instead_of(new) == str(pinned.version):
                return
            judgement = promotion.judge_versions(store, new, pinned)
            promotion.note(store, new, pinned, judgement)
    except TrackingError as error:
        console.print(f"[yellow]warning[/]: {escape(str(error))}")
        return
    said = f"{new.name}: version {new.version} was made champion by hand, in place of version {pinned.version}"
    if judgement.accepted:
        console.print(escape(f"{said}; {judgement.reason}"))
    else:
        console.print(
            f"[yellow]warning[/]: {escape(said)}; `rijksnet promote` would have refused it: {escape(judgement.reason)}"
        )


def _registry(params: Params) -> tuple[Store | None, str]:
    """The store, or why it is not asked."""
    if address.experiment():
        return None, "an experiment of DVC moves no champion"
    if not address.exists(params.tracking):
        return None, f"there is no tracking store at {address.shown(params.tracking)} yet"
    try:
        return stores.open_store(params.tracking), "the registry knows no version of it; `rijksnet publish` adds it"
    except TrackingError as error:
        return None, str(error)


def _without(model: SourceModel, own: Run | None, pin: Pin | None, why: str) -> Pin:
    """What θ̂ is where the registry does not say."""
    if own is not None and (pin is None or pin.chosen_by == "pipeline"):
        following = Pin.of_run(own)
        if following != pin:
            console.print(f"[yellow]warning[/]: {model.name}: this project's own run is θ̂: {escape(why)}")
            return following
    if pin is None:
        raise TrackingError(
            f"{model.name} has no champion, no pin and no run of its own here: {why}; `dvc repro` makes one"
        )
    console.print(f"[yellow]warning[/]: {model.name}: keeping the pin {pin.weights_sha256[:12]}…: {escape(why)}")
    return pin


def _described(pin: Pin, choice: Champion | None, before: Pin | None) -> str:
    said = f"{pin.run_key}, weights {pin.weights_sha256[:12]}…"
    if choice is not None:
        said = f"version {choice.version.version} ({pin.run_key}), chosen by a {choice.by}"
        if choice.instead_of is not None:
            said += f", in place of version {choice.instead_of.version}, since the run was trained again"
    if before is not None and before.weights_sha256 != pin.weights_sha256:
        said += f"; it was {before.weights_sha256[:12]}… of {before.run_key or 'an unnamed run'}"
    return said
