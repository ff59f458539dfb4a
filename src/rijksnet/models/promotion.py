"""What a person does with registered models: look at them, promote one, and take it back."""

from __future__ import annotations

import getpass
import json
import time
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rijksnet.errors import RunError, TrackingError
from rijksnet.models.judgement import MARGIN, Judgement, judge
from rijksnet.runs.folder import RunFolder
from rijksnet.runs.result import load_run
from rijksnet.tracking import pins, registry, stores
from rijksnet.tracking.stores import pages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rijksnet.params import Params
    from rijksnet.runs.result import RunResult
    from rijksnet.tracking.stores import Store

#: The registered models of this project; a server may hold other people's.
OURS = "name LIKE 'rijksnet-%'"

#: Tag of a version: on what evidence it became champion, and instead of which.
PROMOTION = "promotion"


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


def promote(
    params: Params,
    name: str,
    version: str,
    ask: Callable[[str], bool] | None,
    margin: float = MARGIN,
    despite: str = "",
) -> None:
    """Move the alias `champion`, if the version is better than the one that has it, or not worse by a margin.

    Args:
        ask: puts a question and returns the answer; None takes it as yes.
        margin: share of the test images.
        despite: a person's reason to do so although the evidence is against it; kept with the version.

    Raises:
        TrackingError: there is no such model or version, or the evidence is against it.
    """
    store = stores.open_store(params.tracking)
    new = _version(store, name, version)
    old = registry.champion(store, name)
    console = Console(highlight=False, soft_wrap=True)
    if old is not None and old.version == new.version:
        console.print(f"version {new.version} is the champion of {name} already")
        return
    console.print(escape(f"{name}\n  champion now: {_described(old)}\n  proposed:     {_described(new)}"))
    judgement = judge_versions(store, new, old, margin)
    console.print(f"  evidence:     {escape(judgement.reason)}")
    if not judgement.accepted and not despite:
        raise TrackingError(
            f"version {new.version} of {name} is not promoted: {judgement.reason}. To do so nevertheless: `rijksnet "
            f"promote {name} {version} --force --reason WHY`"
        )
    if ask is not None and not ask("Move the alias `champion`?"):
        console.print("nothing changed")
        return
    own = _is_own(params, name, new)
    with store.answering(f"promoting version {new.version} of {name}"):
        note(store, new, old, judgement, despite)
        registry.move(store, name, new, "pipeline" if own else "person")
    follows = ", and θ̂ follows this project's own run again" if own else ""
    console.print(f"version {new.version} is the champion of {name}{follows}; `dvc repro` re-runs what depends on it")


def rollback(params: Params, name: str) -> None:
    """Give the alias back to the version that had it before the champion was promoted.

    Raises:
        TrackingError: there is no such model or champion, or nothing says what was before it.
    """
    store = stores.open_store(params.tracking)
    _check_model(store, name)
    now = registry.champion(store, name)
    if now is None:
        raise TrackingError(f"{name} has no champion: `rijksnet promote {name} VERSION` names one")
    before = was_instead_of(now)
    if not before:
        known = [str(one.version) for one in registry.versions(store, name)]
        raise TrackingError(
            f"version {now.version} of {name} does not say which version it replaced: `rijksnet promote` names one of "
            f"{known}"
        )
    old = _version(store, name, before)
    own = _is_own(params, name, old)
    with store.answering(f"rolling {name} back"):
        registry.move(store, name, old, "pipeline" if own else "person")
        store.client.set_model_version_tag(name, now.version, "rolled_back", json.dumps(_who() | {"to": before}))
    Console(highlight=False, soft_wrap=True).print(
        f"version {before} is the champion of {name} again, in place of version {now.version}; `dvc repro` restores "
        "what depends on it"
    )


def judge_versions(store: Store, new: Any, old: Any | None, margin: float = MARGIN) -> Judgement:
    """Judge a version against the champion by what both answered on the test split."""
    if old is None:
        return Judgement(True, "there is no champion yet")
    try:
        reading = store.answering("reading what they answered")
        with reading, _answered(store, new) as candidate, _answered(store, old) as champion:
            return judge(candidate, champion, margin)
    except (RunError, TrackingError) as error:
        return Judgement(False, f"what one of them answered is not known: {error}")


def note(store: Store, new: Any, old: Any | None, judgement: Judgement, despite: str = "") -> None:
    """Keep with a version on what evidence it became champion."""
    test = asdict(judgement.test) if judgement.test else {}
    about = {
        "instead_of": str(old.version) if old is not None else "",
        "accepted": judgement.accepted,
        "evidence": judgement.reason,
        "forced_because": despite,
        **_who(),
        **test,
    }
    store.client.set_model_version_tag(new.name, new.version, PROMOTION, json.dumps(about, ensure_ascii=False))


def was_instead_of(version: Any) -> str:
    """The number of the version that a version replaced as champion; empty: nobody kept it."""
    return str(json.loads(version.tags.get(PROMOTION, "{}")).get("instead_of", ""))


def _who() -> dict[str, Any]:
    return {"by": getpass.getuser(), "time_ms": time.time_ns() // 1_000_000}


@contextmanager
def _answered(store: Store, version: Any) -> Iterator[RunResult]:
    """The run behind a version: its folder here, or the copy that the store keeps.

    Raises:
        RunError: neither is there.
    """
    digest = version.tags.get("run_digest")
    for at in RunFolder.complete_in():
        if at.digest() == digest:
            yield load_run(at.root)
            return
    if not registry.is_backed(store, version):
        raise RunError(f"the run of version {version.version} is gone, and no run here is its")
    with TemporaryDirectory() as folder:
        yield load_run(Path(store.client.download_artifacts(version.run_id, "run", folder)))


def _is_own(params: Params, name: str, version: Any) -> bool:
    """Whether a version is what this project's own run made: the one that the pipeline chooses by itself."""
    runs = [model.own(params.training.seed) for model in pins.source_models(params) if model.name == name]
    return any(run is not None and pins.weights_of(run) == version.tags.get("weights_sha256") for run in runs)


def _check_model(store: Store, name: str) -> None:
    known = [model.name for model in pages(partial(store.client.search_registered_models, filter_string=OURS))]
    if name not in known:
        raise TrackingError(f"there is no registered model {name!r}; the registry has {known}")


def _version(store: Store, name: str, version: str) -> Any:
    found = registry.find(store, registry.Reference(name, version))
    if found is None:
        _check_model(store, name)
        known = [str(one.version) for one in registry.versions(store, name)]
        raise TrackingError(f"{name} has no version {version!r}; it has {known}")
    return found


def _described(version: Any | None) -> str:
    if version is None:
        return "none"
    tags = version.tags
    return (
        f"version {version.version}, test accuracy {tags.get('test_accuracy', 'unknown')}, "
        f"{tags.get('run_key', 'unknown run')}, weights {tags.get('weights_sha256', '?')[:12]}…"
    )
