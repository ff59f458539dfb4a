"""The follower: a process beside a training that streams its growing history to the tracking store."""

from __future__ import annotations

import select
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from rijksnet.errors import TrackingError
from rijksnet.runs.history import read_history
from rijksnet.runs.live import Live
from rijksnet.tracking import mlflow_store, stores

if TYPE_CHECKING:
    from rijksnet.params import Params

#: Seconds between two looks at the history.
PERIOD_S = 2.0


def follow(params: Params, file: Path) -> None:
    """Stream until standard input ends; a store that cannot be used is told once, and training goes on."""
    live = Live.read(file)
    history = Path(live.history)
    try:
        store = stores.open_store(params.tracking)
        run_id = mlflow_store.start_live(store, live)
        sent = 0
        ended = False
        while not ended:
            ended = bool(select.select([sys.stdin], [], [], PERIOD_S)[0])
            epochs = read_history(history) if history.is_file() else []
            mlflow_store.log_epochs(store, run_id, epochs[sent:])
            sent = len(epochs)
        mlflow_store.end_live(store, run_id, ended_well=sys.stdin.readline().strip() == "done")
    except Exception as error:  # whatever the store answers: the run itself must not suffer
        told = error if isinstance(error, TrackingError) else f"{type(error).__name__}: {error}"
        message = escape(f"{live.key} is not shown live: {told}")
        Console(stderr=True, soft_wrap=True).print(f"[yellow]warning[/]: {message}")
