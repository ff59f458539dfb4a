"""What a person does with registered models: look at them, and promote one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from rich.console import Console
from rich.table import Table

from rijksnet.errors import TrackingError
from rijksnet.params import Params
from rijksnet.tracking import registry, stores
from rijksnet.tracking.stores import Store, pages

#: The registered models of this project; a server may hold other people's.
OURS = "name LIKE 'rijksnet-%'"


def models_table(params: Params) -> Table:
    """The registered models, a line per version."""
    store = stores.open_store(params.tracking)
    table = Table(title="registered models")
    for heading in ("model", "version", "champion", "test accuracy", "run", "weights"):
        table.add_column(heading)
    for model in pages(partial(store.client.search_registered_models, filter_string=OURS)):
        champion = registry.champion(store, model.name)
        for version in registry.versions(store, model.name):
            is_champion = champion is not None and champion.version == version.version
            tags = version.tags
            table.add_row(
                model.name,
                str(version.version),
                "★" if is_champion else "",
                tags.get("test_accuracy", "?"),
                tags.get("run_key", "?"),
                tags.get("weights_sha256", "?")[:12],
            )
    return table


def promote(params: Params, name: str, version: str, ask: Callable[[str], bool] | None) -> None:
    """Move the alias `champion`, showing what it moves from and to.

    Args:
        ask: puts a question and returns the answer; None takes it as yes.

    Raises:
        TrackingError: there is no such model or version.
    """
    store = stores.open_store(params.tracking)
    new = _version(store, name, version)
    old = registry.champion(store, name)
    console = Console(highlight=False, soft_wrap=True)
    if old is not None and old.version == new.version:
        console.print(f"version {new.version} is the champion of {name} already")
        return
    console.print(f"{name}\n  champion now: {_described(old)}\n  proposed:     {_described(new)}")
    if old is not None and old.tags.get("split_digest") != new.tags.get("split_digest"):
        console.print("[yellow]warning[/]: the two were tested on different splits: their accuracies do not compare")
    if ask is not None and not ask("Move the alias `champion`?"):
        console.print("nothing changed")
        return
    registry.move(store, name, new, "person")
    console.print(f"version {new.version} is the champion of {name}; `dvc repro` re-runs what depends on it")


def _version(store: Store, name: str, version: str) -> Any:
    known = [model.name for model in pages(partial(store.client.search_registered_models, filter_string=OURS))]
    if name not in known:
        raise TrackingError(f"there is no registered model {name!r}; the registry has {known}")
    found = registry.versions(store, name)
    for one in found:
        if str(one.version) == version:
            return one
    raise TrackingError(f"{name} has no version {version!r}; it has {[str(one.version) for one in found]}")


def _described(version: Any | None) -> str:
    if version is None:
        return "none"
    tags = version.tags
    return (
        f"version {version.version}, test accuracy {tags.get('test_accuracy', 'unknown')}, "
        f"{tags.get('run_key', 'unknown run')}, weights {tags.get('weights_sha256', '?')[:12]}…"
    )
