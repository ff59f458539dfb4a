"""Whether a `dvc repro` would change anything: what `dvc status` cannot say, since two stages always run."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from rijksnet.errors import RecordError, TrackingError
from rijksnet.params import Params
from rijksnet.paths import RUNS
from rijksnet.stages import publish
from rijksnet.tracking import address, pins, record, registry, stores

#: What DVC says of a stage that always runs, beside what has changed of it.
ALWAYS = "always changed"


def status(params: Params) -> list[str]:
    """What `dvc repro` would do, a line each; nothing is changed. A store that is away counts as unchanged.

    Raises:
        RecordError: DVC does not say.
    """
    return [*_stages(), *_unpublished(), *_moved(params)]


def _stages() -> list[str]:
    command = [sys.executable, "-m", "dvc", "status", "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise RecordError(f"`dvc status` fails: {' '.join(done.stderr.split()) or done.stdout}")
    changed: dict[str, list[Any]] = json.loads(done.stdout)
    found = []
    for stage, said in changed.items():
        what = [_told(one) for one in said if one != ALWAYS]
        if what:
            found.append(f"{stage}: {', '.join(what)}")
    return found


def _told(change: Any) -> str:
    """`changed deps: a (modified), b (new)`."""
    if not isinstance(change, dict):
        return str(change)
    return "; ".join(
        f"{kind} {', '.join(f'{path} ({how})' for path, how in paths.items()) if isinstance(paths, dict) else paths}"
        for kind, paths in change.items()
    )


def _unpublished() -> list[str]:
    shown = publish.known()
    missing = [at for at in record.find() if at.root.relative_to(RUNS).as_posix() not in shown]
    return [f"publish: {len(missing)} records are not shown in MLflow, {missing[0].root} first"] if missing else []


def _moved(params: Params) -> list[str]:
    """Champions that are no longer those pinned."""
    if not address.exists(params.tracking):
        return [f"publish: there is no tracking store at {address.shown(params.tracking)}"]
    found = []
    try:
        store = stores.open_store(params.tracking)
        for model in pins.source_models(params):
            pin = pins.read_pin(model.challenge, model.architecture)
            with store.answering(f"who is champion of {model.name}"):
                now = registry.champion(store, model.name)
            weights = now.tags.get("weights_sha256") if now else None
            if now is not None and (pin is None or weights != pin.weights_sha256):
                pinned = pin.weights_sha256[:12] + "…" if pin else "nothing"
                found.append(f"champions: {model.name} is version {now.version} now, and {pinned} is pinned")
        return found
    except TrackingError as error:
        print(f"warning: {error}", file=sys.stderr)
        return []
