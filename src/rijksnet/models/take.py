"""Weights of another project as a version of this project's model: θ̂ that was tuned elsewhere."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from rijksnet.errors import RunError, TrackingError
from rijksnet.publishing.card import card
from rijksnet.publishing.publish import publish_runs
from rijksnet.runs.folder import RunFolder
from rijksnet.tracking import address, pins, registry, stores

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rijksnet.params import Params

console = Console(stderr=True, highlight=False, soft_wrap=True)


def take(params: Params, what: str, store_uri: str) -> None:
    """Show another project's run in this project's store and make its weights a version; no alias moves.

    Args:
        what: a registered model's version in `store_uri`, or a run's folder.

    Raises:
        RunError: the run is not complete, or is of a challenge or architecture that this project does not have.
        TrackingError: a store is away, or has no such model.
    """
    with _run_folder(what, store_uri) as at:
        run = at.read(verify=True)
        models = {(str(one.challenge), one.architecture): one for one in pins.source_models(params)}
        model = models.get((run.key.challenge, run.key.architecture))
        if model is None:
            raise RunError(
                f"{what} is of {run.key.challenge}, {run.key.architecture}; this project tunes {sorted(models)}"
            )
        origin = f"{what} {address.without_password(store_uri)}".strip()
        store = stores.open_store(params.tracking)
        with store.alone():
            (shown,) = publish_runs(store, [at])
            with store.answering(f"registering {run.key}"):
                store.client.set_tag(shown.run_id, "taken_from", origin)
                version, is_new = registry.register(store, at, run, shown.run_id, card(at, run), model)
                store.client.set_model_version_tag(model.name, version, "taken_from", origin)
    despite = "" if run.key.collection == model.collection else " --force --reason WHY"
    console.print(
        escape(
            f"{model.name}: version {version} {'is new' if is_new else 'is there already'} ({run.key}, from {what}); "
            f"`rijksnet promote {model.name} {version}{despite}` makes it θ̂"
        )
    )


@contextmanager
def _run_folder(what: str, store_uri: str) -> Iterator[RunFolder]:
    """A whole run, weights included, in a folder of its own where it has to be fetched."""
    if not what.startswith("models:/"):
        if not RunFolder(Path(what)).run.is_file():
            raise RunError(f"{what} is no run's folder; a model is models:/NAME@ALIAS or models:/NAME/VERSION")
        yield RunFolder(Path(what))
        return
    if not store_uri:
        raise TrackingError(f"{what} is in which store? Name it: --store https://… or --store sqlite:///FILE")
    store = stores.open_other(store_uri)
    with TemporaryDirectory() as folder:
        with store.answering(f"fetching {what}"):
            version = registry.find(store, registry.Reference.parse(what))
            if version is None:
                raise TrackingError(f"fetching {what}: {address.without_password(store_uri)} does not have it")
            file = registry.fetch_version(store, version, Path(folder) / "model")
            at = RunFolder(Path(store.client.download_artifacts(str(version.run_id), "run", folder)))
        shutil.move(file, at.weights)
        yield at
