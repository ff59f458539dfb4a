"""The stage that takes θ from an MLflow registry: another museum's tuned weights, say, to transfer from."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from rijksnet import paths
from rijksnet.errors import ParamsError, TrackingError
from rijksnet.files import sha256_of
from rijksnet.networks import theta
from rijksnet.tracking import address, registry, stores

if TYPE_CHECKING:
    from rijksnet.params import Params

console = Console(stderr=True, highlight=False, soft_wrap=True)


def import_model(params: Params, architecture: str) -> None:
    """Fetch the weights that `imagenet.registry` names for an architecture, once, and keep where they are from.

    Raises:
        ParamsError: it names none.
        TrackingError: the store is away, has no such model, or its weights are not those that are pinned.
        WeightsError: they are another architecture's.
    """
    if architecture not in params.imagenet.registry:
        raise ParamsError(
            f"imagenet.registry names no model for {architecture!r}; it has {sorted(params.imagenet.registry)}"
        )
    wanted = params.imagenet.registry[architecture]
    store = stores.open_other(wanted.store)
    at = address.without_password(wanted.store)
    with TemporaryDirectory() as folder:
        with store.answering(f"fetching {wanted.model}"):
            name, file = registry.fetch_model(store, wanted.model, Path(folder))
        found = sha256_of(file)
        if found != wanted.sha256:
            raise TrackingError(
                f"the weights of {wanted.model} at {at} ({name}) are {found}, but imagenet.registry."
                f"{architecture}.sha256 pins {wanted.sha256}: set it to the former to take them, or name the version "
                "that holds the latter"
            )
        step = {"from": "registry", "name": name, "store": at, "sha256": found}
        theta.import_file(architecture, file, paths.imagenet_weights(architecture), step)
    console.print(escape(f"θ of {architecture}: {found[:12]}… from {name} at {at}"))
