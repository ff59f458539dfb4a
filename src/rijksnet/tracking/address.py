"""Where the tracking store and its artifacts are; addresses are read by the library that they are meant for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from rijksnet.errors import TrackingError

if TYPE_CHECKING:
    from rijksnet.params import Tracking

#: Below a project, the copies in which DVC tries experiments (`dvc exp run --temp`, `--queue`).
TRIED = (".dvc", "tmp", "exps")


def project() -> Path:
    """The project whose store it is: the working directory, or what it is a copy of that DVC tries something in.

    Such a copy is deleted when its experiment has ended, and what only its own store knew would be gone.
    """
    here = Path.cwd()
    for folder in here.parents:
        if folder.parts[-3:] == TRIED:
            return folder.parents[2]
    return here


def experiment() -> str:
    """The experiment of DVC's in which this process runs; empty: none."""
    return os.environ.get("DVC_EXP_NAME", "")


def uri(tracking: Tracking) -> str:
    """The store's address: MLFLOW_TRACKING_URI where it is set (as by `mlflow run`), else the parameter."""
    return os.environ.get("MLFLOW_TRACKING_URI") or tracking.uri


def shown(tracking: Tracking) -> str:
    """The store's address as it may be printed and kept."""
    return without_password(uri(tracking))


def without_password(address: str) -> str:
    parts = urlsplit(address)
    if parts.password is None:
        return address
    return urlunsplit(parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", ":***@")))


def database(tracking: Tracking) -> Path | None:
    """The file of a local store; None if the store is a server.

    Raises:
        TrackingError: it is a database that is kept in no file.
    """
    return file_of(uri(tracking))


def file_of(address: str) -> Path | None:
    """The file of a store that is an SQLite database, relative to the project; None if it is a server.

    Raises:
        TrackingError: it is a database that is kept in no file.
    """
    try:
        url = make_url(address)
    except ArgumentError:  # an address that MLflow alone understands
        return None
    if url.get_backend_name() != "sqlite":
        return None
    if url.database in (None, "", ":memory:"):
        raise TrackingError(f"the tracking store {url} is kept in no file: name one, as in sqlite:///mlflow.db")
    return project() / str(url.database)


def absolute(tracking: Tracking) -> str:
    """The store's address for a process of any working directory."""
    file = database(tracking)
    if file is None:
        return uri(tracking)
    return make_url(uri(tracking)).set(database=str(file)).render_as_string(hide_password=False)


def artifacts(tracking: Tracking) -> str:
    """Address of the place where a local store's experiments keep artifacts: a folder, or `s3://…` and the like."""
    folder = artifact_folder(tracking)
    return tracking.artifacts if folder is None else folder.as_uri()


def artifact_folder(tracking: Tracking) -> Path | None:
    """The folder in which a local store's experiments keep artifacts; None: they are elsewhere."""
    return None if "://" in tracking.artifacts else project() / tracking.artifacts


def exists(tracking: Tracking) -> bool:
    """Whether there is a store to ask; a server may still be away."""
    file = database(tracking)
    return file is None or file.is_file()
