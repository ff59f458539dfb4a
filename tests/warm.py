"""Commands from a process that has imported what they need: tests start hundreds of them.

    python warm.py SOCKET                   the server: imports once, forks for each command, ends when nobody keeps it
    python -IS warm.py SOCKET rijksnet …    a command: as if it were `rijksnet …`, in this folder and environment

The server imports nothing of rijksnet: each command imports the code of its folder, as a new process would. Commands
are `rijksnet …`, `dvc …`, `mlflow …`, `dask …` and `python -c …`.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import struct
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

#: What the server sends: the process of a command, then how it ended: its exit status, or minus a signal.
PROCESS, ENDED = struct.Struct("i"), struct.Struct("h")

#: What others' libraries take seconds to import: networks, tables, pictures, pages, the store, the command line.
HEAVY = (
    *("torch", "timm", "safetensors.torch", "captum.attr", "sklearn.svm", "sklearn.ensemble", "scipy.stats"),
    *("pandas", "pyarrow.parquet", "PIL.Image", "cykooz_resizer", "matplotlib.backends.backend_agg", "lxml.etree"),
    *("mlflow.cli", "mlflow.store.tracking.sqlalchemy_store", "mlflow.store.model_registry.sqlalchemy_store"),
    *("typer", "rich.progress", "rich.table", "rich.markdown", "pydantic", "ruamel.yaml", "requests", "filelock"),
    *("grimp", "jinja2", "markdown_it", "optuna"),
    *("dvc.cli", "dvc.repo.reproduce", "dvc.commands.repro", "dvc.commands.checkout", "networkx"),
    *("dask.cli", "distributed.cli.dask_scheduler", "distributed.cli.dask_worker"),
)


def begin(
    address: str, command: Sequence[str], folder: Path, environment: Mapping[str, str], streams: Sequence[int]
) -> tuple[socket.socket, int]:
    """Have the server run a command with these streams; where it tells how that ended, and the process."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(address)
    asked = {"command": list(command), "folder": str(folder), "environment": dict(environment)}
    content = json.dumps(asked).encode()
    socket.send_fds(connection, [len(content).to_bytes(4, "big")], list(streams))
    connection.sendall(content)
    (process,) = PROCESS.unpack(connection.recv(PROCESS.size, socket.MSG_WAITALL))
    return connection, process


def keep(address: str) -> socket.socket:
    """A connection that keeps the server."""
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(address)
        connection.sendall(bytes(4))
    except OSError:
        connection.close()
        raise
    return connection


def serve(address: str) -> None:
    """Answer until the last who keeps this process is gone."""
    for name in HEAVY:
        __import__(name)
    prepare()
    ended, told = os.pipe()
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    keepers: set[socket.socket] = set()
    waiting: dict[int, socket.socket] = {}  # for the end of which process
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen()
        kept = False
        while keepers or not kept:
            ready, _, _ = select.select([listening, ended, *keepers], [], [])
            for gone in keepers.intersection(ready):
                gone.close()
                keepers.remove(gone)
            if ended in ready:
                os.read(ended, 4096)
                tell_who_waits(waiting)
            if listening in ready:
                connection, _ = listening.accept()
                asked, streams = read(connection)
                if asked is None:
                    keepers.add(connection)
                    kept = True
                    continue
                if (process := os.fork()) == 0:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    for mine in (listening, connection, *waiting.values(), *keepers):
                        mine.close()
                    run(asked, streams)
                waiting[process] = connection
                with suppress(BrokenPipeError):
                    connection.sendall(PROCESS.pack(process))
                for stream in streams:
                    os.close(stream)


def prepare() -> None:
    """Do once what each command would do for itself, and leave out what tells a test nothing."""
    import atexit

    import torch._dynamo.utils
    from mlflow.store.db import utils
    from mlflow.utils.requirements_utils import warn_dependency_requirement_mismatches

    warn_dependency_requirement_mismatches(["torch"])  # it reads the metadata of all that is installed
    newest = utils._get_latest_schema_revision()  # it goes through all of MLflow's migrations
    utils._get_latest_schema_revision = lambda: newest
    atexit.unregister(torch._dynamo.utils.dump_compile_times)
    gc.freeze()  # what is shared with the commands is not written to


def read(connection: socket.socket) -> tuple[dict[str, object] | None, list[int]]:
    """What is asked for, and the streams of who asks; nothing is asked by who keeps the server."""
    length, streams, _, _ = socket.recv_fds(connection, 4, 3)
    size = int.from_bytes(length, "big")
    return json.loads(connection.recv(size, socket.MSG_WAITALL)) if size else None, streams


def tell_who_waits(waiting: dict[int, socket.socket]) -> None:
    """Tell of each command that has ended how it did."""
    while waiting:
        process, status = os.waitpid(-1, os.WNOHANG)
        if process == 0:
            return
        with waiting.pop(process) as connection, suppress(BrokenPipeError):
            connection.sendall(ENDED.pack(os.waitstatus_to_exitcode(status)))


def run(asked: dict[str, object], streams: list[int]) -> None:
    """Be the command, in a session of its own; does not return."""
    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    environment, sys.argv = dict(asked["environment"]), list(asked["command"])  # type: ignore[call-overload]
    os.chdir(str(asked["folder"]))
    os.environ.clear()
    os.environ.update(environment)
    # the folder's own code first, to which the command line would else go over in a new process (cli/own_code.py)
    further = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:] = [str(Path("src").resolve()), *further, *sys.path[1:]]
    status = 1
    try:
        status = carry_out() or 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
    except BaseException:
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
    finally:
        import atexit

        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def carry_out() -> int | None:
    """What `sys.argv` says; its exit status, where it is not 0."""
    match sys.argv:
        case ["python", "-c", code, *arguments]:
            sys.argv = ["-c", *arguments]
            exec(compile(code, "-c", "exec"), {"__name__": "__main__"})
            return 0
        case ["dvc", *_]:
            from dvc.cli import main
        case ["mlflow", *_]:
            from mlflow.cli import cli as main
        case ["dask", *_]:
            from dask.__main__ import main
        case ["rijksnet", *_]:
            from rijksnet.cli import main
        case [other, *_]:
            raise LookupError(other)
    return main()


if __name__ == "__main__":
    if sys.argv[2:]:
        talk, _ = begin(sys.argv[1], sys.argv[2:], Path.cwd(), os.environ, [0, 1, 2])
        (how,) = ENDED.unpack(talk.recv(ENDED.size, socket.MSG_WAITALL))
        sys.exit(how if how >= 0 else 128 - how)
    serve(sys.argv[1])
