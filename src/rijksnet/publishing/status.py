"""Whether a `dvc repro` would change anything: what `dvc status` cannot say, since two stages always run."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from rijksnet.errors import RunError, TrackingError
from rijksnet.paths import RUNS
from rijksnet.publishing import check, publish
from rijksnet.runs.folder import RunFolder
from rijksnet.tracking import address, stores

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rijksnet.params import Params
    from rijksnet.tracking.stores import Store

#: What DVC says of a stage that always runs, beside what has changed of it.
ALWAYS = "always changed"


def status(params: Params) -> list[str]:
    """What `dvc repro` would do, a line each; nothing is changed. A store that is away counts as unchanged.

    Raises:
        RunError: DVC does not say.
    """
    return [*_stages(), *_outside(params)]


def _stages() -> list[str]:
    command = [sys.executable, "-m", "dvc", "status", "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise RunError(f"`dvc status` fails: {' '.join(done.stderr.split()) or done.stdout}")
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


def _outside(params: Params) -> list[str]:
    """What publishing and following the champions would change; of a store that is away, as published.json says."""
    if not address.exists(params.tracking):
        return [f"publish: there is no tracking store at {address.shown(params.tracking)}"]
    try:
        store = stores.open_store(params.tracking)
        with store.answering("looking for what is there"):
            return [*_publish(list(check.unshown(store, params))), *_champions(store, params)]
    except TrackingError as error:
        print(f"warning: {error}", file=sys.stderr)
        shown = publish.known()
        return _publish(
            [str(at.root) for at in RunFolder.complete_in() if at.root.relative_to(RUNS).as_posix() not in shown]
        )


def _publish(unshown: Sequence[str]) -> list[str]:
    more = f" (and {len(unshown) - 1} more)" if len(unshown) > 1 else ""
    return [f"publish: not in MLflow as it is here{more}: {unshown[0]}"] if unshown else []


def _champions(store: Store, params: Params) -> Iterator[str]:
    for model, pin, now in check.moved(store, params):
        if now is None:
            yield f"publish: {model.name} has no champion"
        else:
            pinned = pin.weights_sha256[:12] + "…" if pin else "nothing"
            yield f"champions: {model.name} is version {now.version} now, and {pinned} is pinned"
