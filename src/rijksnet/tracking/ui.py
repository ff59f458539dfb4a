"""The MLflow UI as a person opens it: a server on the project's own store, and where the prepared views are."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from rijksnet.errors import TrackingError
from rijksnet.tracking import address, stores, views

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

    from rijksnet.params import Params

#: Seconds that a server may take until it answers: ten times what two slow cores need.
PATIENCE_S = 120.0
#: Seconds that a server may take to end when it is asked to.
FAREWELL_S = 10.0


#: What a server answers to by itself.
OWN_NAMES = ("localhost", "127.0.0.1", "[::1]", "0.0.0.0")

#: No proxy stands between this process and a server that it has started.
DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def ui(params: Params, host: str, port: int, names: Sequence[str] = ()) -> None:
    """Serve the UI of a local store until Ctrl-C; of a store that is a server, say where its views are.

    Args:
        names: further names of this machine; MLflow's server refuses requests that call it by others.

    Raises:
        TrackingError: there is no store yet, the port is taken, or the server ends by itself.
    """
    at = address.uri(params.tracking)
    if address.database(params.tracking) is None:
        _show(params, at)
        return
    if not address.exists(params.tracking):
        raise TrackingError(f"there is no tracking store at {at} yet: `rijksnet publish` makes it from the run folders")
    _check_port(host, port)
    with _served(address.absolute(params.tracking), host, port, names) as server:
        here = "127.0.0.1" if host == "0.0.0.0" else host
        _wait_for(server, f"http://{here}:{port}/health")
        _show(params, f"http://{names[0] if names else here}:{port}")
        Console(soft_wrap=True).print("\nCtrl-C ends it")
        raise TrackingError(f"the MLflow server ended by itself, with exit status {server.wait()}")


def _show(params: Params, at: str) -> None:
    """Print the addresses of the views that a publication has prepared, by experiment."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"[bold]MLflow UI[/] {at}")
    store = stores.open_store(params.tracking)
    experiments = store.client.search_experiments(order_by=["name ASC"])
    prepared = [(one, found) for one in experiments if (found := views.prepared(one.tags))]
    if not prepared:
        console.print("it has no run of this project yet: `rijksnet publish` brings them there from their folders")
    for experiment, found in prepared:
        console.print(f"\n{experiment.name}")
        for view in found:
            console.print(f"  {view.name:<28} {view.address(at, experiment.experiment_id)}")


def _check_port(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does: a port just left is free
        try:
            probe.bind((host, port))
        except OSError as error:
            raise TrackingError(f"cannot listen on {host}:{port} ({error.strerror}): choose another --port") from error


@contextmanager
def _served(uri: str, host: str, port: int, names: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A server with one worker and no job runner, which starts in a quarter of the time, ended with all its processes.

    It is a process group of its own, so that whoever ends this process ends it only once.
    """
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri, "--host", host]
    command += ["--port", str(port), "--workers", "1", "--uvicorn-opts", "--log-level warning"]
    if names or host not in OWN_NAMES:
        known = [*OWN_NAMES, host, *names]
        command += ["--allowed-hosts", ",".join([*known, *(f"{name}:*" for name in known)])]
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}

    def end(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    server = subprocess.Popen(command, cwd=Path(), env=environment, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        yield server
    except KeyboardInterrupt:
        Console(stderr=True).print("ended")
    finally:
        signal.signal(signal.SIGTERM, before)
        _end(server)


def _end(server: subprocess.Popen[bytes]) -> None:
    for how in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(server.pid, how)
        with suppress(subprocess.TimeoutExpired):
            server.wait(FAREWELL_S)
            return


def _wait_for(server: subprocess.Popen[bytes], at: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and server.poll() is None:
        with suppress(OSError), DIRECTLY.open(at, timeout=5):
            return
        time.sleep(0.2)
    raise TrackingError(f"the MLflow server does not answer at {at} (exit status {server.poll()})")
