"""Where studies live: a SQLite file, or a PostgreSQL server for several machines."""

from __future__ import annotations

import os
import warnings
import zlib
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import optuna
import sqlalchemy
from filelock import FileLock
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.study import Study
from optuna.trial import FrozenTrial
from sqlalchemy.exc import SQLAlchemyError
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from rijksnet.errors import ExplorationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rijksnet.exploration_params import Exploration

SQLITE = "sqlite:///"

#: Environment variable with the storage's address, for passwords that params.yaml should not hold.
ADDRESS = "RIJKSNET_STUDIES"

#: Signs of life that may be missed before a trial is taken for dead.
MISSED = 3
#: How long a lock on a SQLite file is waited for, s.
BUSY_S = 60.0
#: How long a storage may be away before a worker gives up, s.
AWAY_S = 300.0

T = TypeVar("T")
Stale = Callable[[Study, FrozenTrial], None]


def address(exploration: Exploration) -> str:
    return os.environ.get(ADDRESS) or exploration.storage


def shown(url: str) -> str:
    """An address without its password."""
    return sqlalchemy.make_url(url).render_as_string(hide_password=True)


@contextmanager
def opened(exploration: Exploration, stale: Stale) -> Iterator[RDBStorage]:
    """The storage, its tables made where they are not there, while no other process makes any.

    Processes that first touch a new database together would make its tables twice. What the block makes of studies is
    made by one process at a time too.

    Args:
        stale: told of each trial that gives no sign of life any more.

    Raises:
        ExplorationError: it cannot be reached.
    """
    url = address(exploration)
    try:
        with _alone(url), _quiet():
            yield RDBStorage(
                url,
                engine_kwargs=_engine(url),
                heartbeat_interval=exploration.heartbeat_s,
                grace_period=MISSED * exploration.heartbeat_s,
                heartbeat_stale_trial_callback=stale,
            )
    except (SQLAlchemyError, StorageInternalError, OSError, ImportError, RuntimeError) as error:
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        raise ExplorationError(
            f"the studies at {shown(url)} cannot be opened ({type(error).__name__}: {reason}): start the server, or "
            f"set exploration.storage, or {ADDRESS} in the environment"
        ) from error


def _engine(url: str) -> dict[str, object]:
    if url.startswith(SQLITE):
        return {"connect_args": {"timeout": BUSY_S}}
    return {"pool_pre_ping": True}  # a connection that a restarted server has closed is made again


@contextmanager
def _alone(url: str) -> Iterator[None]:
    if url.startswith(SQLITE):
        file = Path(url.removeprefix(SQLITE)).absolute()
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{file}.lock"):
            yield
        return
    engine = sqlalchemy.create_engine(url)
    try:
        with engine.connect() as connection:
            key = {"key": zlib.crc32(b"rijksnet studies")}
            connection.execute(sqlalchemy.text("SELECT pg_advisory_lock(:key)"), key)  # gone with the connection
            yield
    finally:
        engine.dispose()


@contextmanager
def _quiet() -> Iterator[None]:
    """Optuna calls heartbeats experimental, wherever they are used."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        warnings.filterwarnings("ignore", "Heartbeat of storage", UserWarning)
        yield


def patiently(what: Callable[[], T]) -> T:
    """Do what needs the storage; where it is away for a while, again until it is back.

    Raises:
        ExplorationError: it has been away for too long.
    """
    away = (SQLAlchemyError, StorageInternalError)
    try:
        for attempt in Retrying(
            retry=retry_if_exception_type(away),
            wait=wait_random_exponential(multiplier=0.5, max=20),
            stop=stop_after_delay(AWAY_S),
            reraise=True,
        ):
            with attempt, _quiet():
                return what()
    except away as error:
        raise ExplorationError(
            f"the studies' storage has been away for {AWAY_S:.0f} s ({type(error).__name__}: {error}); nothing that "
            "was finished is lost: the same command goes on where the study stands"
        ) from error
    raise AssertionError("an attempt returns or raises")
