"""The service as a process: a network is loaded, an address opened, and the champion followed until it is ended."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from ipaddress import ip_address
from typing import TYPE_CHECKING

import uvicorn
from rich.console import Console
from rich.markup import escape
from starlette.middleware.trustedhost import TrustedHostMiddleware

from rijksnet.errors import ParamsError
from rijksnet.service.app import Office, make_app
from rijksnet.service.desk import Desk, Follower, load_adviser
from rijksnet.tracking import registry

if TYPE_CHECKING:
    from fastapi import FastAPI

    from rijksnet.params import Params

console = Console(stderr=True, highlight=False, soft_wrap=True)

#: Names under which a service on the loopback interface may be asked for: another's page cannot have it answer.
LOOPBACK = ["127.0.0.1", "localhost", "[::1]"]

#: Seconds that requests under way have once the service is to end.
GRACE_S = 10


def serve(params: Params, what: str, asked: float, host: str, port: int, token: str, every_s: float) -> None:
    """Serve a network until the process is ended.

    Args:
        what: a run, or a registered model; of the latter's name or alias, what that names later is served later.
        asked: precision in (0, 1) of what is suggested.
        port: 0: any that is free.
        token: that requests have to bear; needed where others than this machine can ask.
        every_s: seconds between looks at the registry.

    Raises:
        ParamsError: others could ask without a token, or the address cannot be opened.
        RunError, TrackingError, WeightsError: there is no such model.
    """
    is_local = _is_loopback(host)
    if not is_local and not token:
        raise ParamsError(
            f"--host {host} lets other machines ask: set RIJKSNET_TOKEN to a token that they have to bear, or leave "
            "--host at 127.0.0.1"
        )
    desk = Desk(load_adviser(params, what, asked))
    reference = None if desk.adviser.name == str(desk.adviser.run.key) else registry.Reference.parse(what)
    with ExitStack() as stack:
        listening = stack.enter_context(listening_at(host, port))
        follower = None
        if reference is not None and not reference.number:
            follower = stack.enter_context(Follower(desk, params, what, every_s))
        office = Office(desk, params.service, token, lambda: follower.said if follower else "")
        stack.callback(office.close)
        app = make_app(office)
        if is_local:
            app.add_middleware(TrustedHostMiddleware, allowed_hosts=LOOPBACK)
        follows = f"; the registry is looked at every {every_s:g} s" if follower else ""
        answer(app, listening, f"{desk.adviser.name} answers", follows)


def answer(app: FastAPI, listening: socket.socket, what: str, further: str = "") -> None:
    """Have an application answer until the process is ended; says where it does."""
    host, port, *_ = listening.getsockname()
    console.print(escape(f"{what} at http://{f'[{host}]' if ':' in host else host}:{port}{further}"))
    config = uvicorn.Config(
        app, log_level="warning", server_header=False, timeout_graceful_shutdown=GRACE_S, timeout_keep_alive=15
    )
    uvicorn.Server(config).run([listening])


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listening_at(host: str, port: int) -> socket.socket:
    """An open address.

    Raises:
        ParamsError: it cannot be opened.
    """
    try:
        found = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise ParamsError(f"{host}:{port} cannot be opened ({error}): name another with --host and --port") from error
    return found
