"""Whether MLflow shows everything that is here: runs, findings, studies, registered versions, champions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rijksnet.errors import RunError
from rijksnet.publishing import publish
from rijksnet.runs.folder import RunFolder
from rijksnet.runs.study import StudyFolder
from rijksnet.tracking import mlflow_store, pins, registry, stores, studies

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rijksnet.params import Params
    from rijksnet.runs.folder import Run
    from rijksnet.tracking.pins import Pin, SourceModel
    from rijksnet.tracking.stores import Store


def check(params: Params) -> list[str]:
    """What is amiss in the store, a line each, to the bytes of every artifact; nothing is changed.

    Raises:
        TrackingError: it fails.
    """
    store = stores.open_store(params.tracking)
    with store.answering("looking for what is there"):
        return [*unshown(store, params, thorough=True), *_unpinned(store, params)]


def unshown(store: Store, params: Params, thorough: bool = False) -> Iterator[str]:
    """What `rijksnet publish` would add or complete, a line each.

    Args:
        thorough: look at the bytes of what is there, too.
    """
    runs: dict[RunFolder, Run] = {}
    for at in RunFolder.complete_in():
        try:
            runs[at] = at.read(verify=thorough)
        except RunError as error:
            yield f"{at.root}: the run is damaged: {error}"
    complete = mlflow_store.complete_runs(store, runs.values())
    for at, run in runs.items():
        shown = mlflow_store.look(store, at, run, complete, thorough)
        if shown.run_id is None:
            yield f"{at.root}: no run shows it"
        elif shown.amiss:
            yield f"{at.root}: run {shown.run_id} lacks {', '.join(shown.amiss)}"
        if publish.is_candidate(params, run):
            yield from _version(store, at, run)
    yield from _findings(store, params, runs, complete, thorough)
    yield from _studies(store, thorough)


def _version(store: Store, at: RunFolder, run: Run) -> Iterator[str]:
    name = pins.model_of(run.key).name
    version = registry.with_weights(store, name, pins.weights_of(run))
    if version is None:
        yield f"{at.root}: {name} has no version of it that can be loaded"
    elif not version.description:
        yield f"{at.root}: version {version.version} of {name} has no card"


def _findings(
    store: Store, params: Params, runs: Mapping[RunFolder, Run], complete: Mapping[str, Any], thorough: bool
) -> Iterator[str]:
    for at, folder in publish.findings(params):
        shown = complete.get(at.digest()) if at in runs else None
        if shown is not None and not mlflow_store.shows_finding(store, shown, folder, thorough):
            yield f"{folder}: run {shown.info.run_id} does not show it"


def _studies(store: Store, thorough: bool) -> Iterator[str]:
    for at in StudyFolder.concluded_in():
        try:
            if not studies.shows(store, at, at.read(), thorough):
                yield f"{at.root}: no run shows it whole"
        except RunError as error:
            yield f"{at.root}: the study is damaged: {error}"


def moved(store: Store, params: Params) -> Iterator[tuple[SourceModel, Pin | None, Any | None]]:
    """The models whose champion and pin have different weights: model, pin, champion."""
    for model in pins.source_models(params):
        pin, now = pins.read_pin(model.challenge, model.architecture), registry.champion(store, model.name)
        pinned, champion = pin and pin.weights_sha256, now and now.tags.get("weights_sha256", "")
        if pinned != champion:
            yield model, pin, now


def _unpinned(store: Store, params: Params) -> Iterator[str]:
    for model, pin, now in moved(store, params):
        if pin is not None:
            which = "has none" if now is None else f"names version {now.version}"
            yield f"{pin.file}: {pin.weights_sha256[:12]}… is not the champion: {model.name} {which}"
