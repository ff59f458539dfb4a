"""`rijksnet` from a process that has imported what it needs already: tests of the pipeline run hundreds of commands.

    python warm.py SOCKET                   the server: imports once, and forks for each command
    python -IS warm.py SOCKET rijksnet …    a command: as if it were `rijksnet …`, in this folder and environment

The server imports nothing of rijksnet: each command imports the code of its folder, as a new process would.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
from pathlib import Path

#: What others' libraries take seconds to import: networks, tables, pictures, pages, the store, the command line.
HEAVY = (
    *("torch", "timm", "safetensors.torch", "captum.attr", "sklearn.svm", "sklearn.ensemble", "scipy.stats"),
    *("pandas", "pyarrow.parquet", "PIL.Image", "cykooz_resizer", "matplotlib.backends.backend_agg", "lxml.etree"),
    *("mlflow", "mlflow.store.tracking.sqlalchemy_store", "mlflow.store.model_registry.sqlalchemy_store"),
    *("typer", "rich.progress", "rich.table", "rich.markdown", "pydantic", "ruamel.yaml", "requests", "filelock"),
    *("grimp", "jinja2", "markdown_it", "optuna"),
)


def ask(address: str, command: list[str]) -> int:
    """Run a command by the server, with this process's streams; its exit status."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        asked = json.dumps({"command": command, "folder": str(Path.cwd()), "environment": dict(os.environ)}).encode()
        socket.send_fds(connection, [len(asked).to_bytes(4, "big")], [0, 1, 2])
        connection.sendall(asked)
        status = connection.recv(1)
    return status[0] if status else 1


def serve(address: str) -> None:
    """Answer until this process is ended."""
    for name in HEAVY:
        __import__(name)
    from mlflow.utils.requirements_utils import warn_dependency_requirement_mismatches

    warn_dependency_requirement_mismatches(["torch"])  # it reads the metadata of all that is installed, once
    gc.freeze()  # what is shared with the commands is not written to
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # who has answered is waited for by nobody
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen()
        while True:
            connection, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                answer(connection)
            connection.close()


def answer(connection: socket.socket) -> None:
    """Run what is asked for in a child, and tell its exit status; does not return."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    length, streams, _, _ = socket.recv_fds(connection, 4, 3)
    asked = b""
    while len(asked) < int.from_bytes(length, "big"):
        asked += connection.recv(65536)
    child = os.fork()
    if child == 0:
        connection.close()
        run(json.loads(asked), streams)
    _, status = os.waitpid(child, 0)
    connection.sendall(bytes([os.waitstatus_to_exitcode(status) & 0xFF]))
    os._exit(0)


def run(asked: dict[str, object], streams: list[int]) -> None:
    """Be the command; does not return."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", buffering=1)  # noqa: SIM115
    environment, sys.argv = dict(asked["environment"]), list(asked["command"])  # type: ignore[call-overload]
    os.chdir(str(asked["folder"]))
    os.environ.clear()
    os.environ.update(environment)
    # the folder's own code first, to which the command line would else go over in a new process (cli/own_code.py)
    sys.path[:] = [str(Path("src").resolve()), *environment.get("PYTHONPATH", "").split(os.pathsep), *sys.path[1:]]
    status = 1
    try:
        from rijksnet.cli import main

        main()
        status = 0
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


if __name__ == "__main__":
    if sys.argv[2:]:
        sys.exit(ask(sys.argv[1], sys.argv[2:]))
    serve(sys.argv[1])
