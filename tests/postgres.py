"""A real PostgreSQL server on the loopback interface, for as long as a test needs it."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def binaries() -> Path | None:
    """Where initdb and pg_ctl are; None where there is no PostgreSQL server."""
    on_path = shutil.which("initdb")
    folders = [Path(on_path).parent] if on_path else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "initdb").exists()), None)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of an empty database. The server refuses to run as root, so that root lets `postgres` run it."""
    found = binaries()
    assert found is not None
    user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    as_user = ["setpriv", "--reuid", user, "--regid", user, "--clear-groups"] if os.geteuid() == 0 else []
    data = folder / "data"
    data.mkdir(parents=True)
    if as_user:
        shutil.chown(data, user, user)
        for parent in data.parents:  # pytest's folders are their owner's alone
            if parent.stat().st_mode & 0o001 == 0:
                parent.chmod(parent.stat().st_mode | 0o001)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def run(*command: str) -> None:
        done = subprocess.run(
            [*as_user, str(found / command[0]), *command[1:]], cwd="/", capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr + done.stdout

    run("initdb", "-D", str(data), "-U", "studies", "--auth", "trust", "--no-sync", "-E", "UTF8")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
    run("pg_ctl", "-D", str(data), "-l", str(data / "log"), "-w", "-o", options, "start")
    try:
        yield f"postgresql://studies@127.0.0.1:{port}/postgres"
    finally:
        run("pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop")
