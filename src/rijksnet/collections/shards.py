"""Downloaded images on disk: tar files of bounded size, and an index (SQLite) of what lies where in them.

A row enters the index only once the bytes that it points to are safe on disk, and whatever lies in a tar file behind
what the index knows is cut off when writing goes on. So a writer killed at any moment loses what was in flight, and no
row ever points to bytes other than its own. `rijksnet.harvesting.shard_writer` writes.
"""

from __future__ import annotations

import sqlite3
import tarfile
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from rijksnet.collections.records import Extent
from rijksnet.errors import CollectionError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

INDEX = "index.db"
BLOCK = tarfile.BLOCKSIZE

#: `offset` is where the image begins, one block behind its tar header; `last` is in s since 1970.
SCHEMA = """
CREATE TABLE IF NOT EXISTS images (
  url TEXT PRIMARY KEY, object_id TEXT NOT NULL, name TEXT NOT NULL UNIQUE,
  shard INTEGER NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL, sha256 TEXT NOT NULL,
  content_type TEXT NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS failures (
  url TEXT PRIMARY KEY, object_id TEXT NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL,
  attempts INTEGER NOT NULL, permanent INTEGER NOT NULL, last REAL NOT NULL);
"""


class Found(NamedTuple):
    """An image that is there: the name of its tar member, unique in the whole folder, and where its bytes lie."""

    name: str
    extent: Extent


class Failure(NamedTuple):
    """Why an image is not there. `permanent`: asking again would give the same; `last`: s since 1970."""

    reason: str
    detail: str
    permanent: bool
    last: float


@dataclass(frozen=True)
class Shards:
    """A folder of downloaded images, to be read while `open` lasts; one that is not there yet holds nothing."""

    folder: Path
    _index: sqlite3.Connection | None

    @classmethod
    @contextmanager
    def open(cls, folder: Path) -> Iterator[Shards]:
        """
        Raises:
            CollectionError: the index is damaged, or names bytes that are not there.
        """
        if not (folder / INDEX).is_file():
            yield cls(folder, None)
            return
        with index_of(folder, "rw") as index:
            index.execute("PRAGMA query_only = ON")
            made = index.execute("SELECT count(*) FROM sqlite_master WHERE name = 'failures'").fetchone()[0]
            if made:
                require_whole(folder, index)
            yield cls(folder, index if made else None)

    def find(self, url: str) -> Found | None:
        query = "SELECT name, shard, offset, length FROM images WHERE url = ?"
        row = None if self._index is None else self._index.execute(query, (url,)).fetchone()
        if row is None:
            return None
        name, shard, offset, length = row
        return Found(name, Extent(shard_path(self.folder, shard).as_posix(), offset, length))

    def failure(self, url: str) -> str | None:
        """Why an image is not there; None where it is, or was never asked for."""
        found = None if self._index is None else failure_of(self._index, url)
        return None if found is None else f"{found.reason}: {found.detail}"


def shard_path(folder: Path, shard: int) -> Path:
    return folder / f"{shard:05}.tar"


def failure_of(index: sqlite3.Connection, url: str) -> Failure | None:
    query = "SELECT reason, detail, permanent, last FROM failures WHERE url = ?"
    row = index.execute(query, (url,)).fetchone()
    return None if row is None else Failure(row[0], row[1], bool(row[2]), row[3])


def ends(index: sqlite3.Connection) -> dict[int, int]:
    """Where the last image in each shard ends, padding included."""
    rows = index.execute("SELECT shard, max(offset + length) FROM images GROUP BY shard")
    return {shard: end + -end % BLOCK for shard, end in rows}


def require_whole(folder: Path, index: sqlite3.Connection) -> None:
    """
    Raises:
        CollectionError: a tar file is absent, or ends before its last image does.
    """
    for shard, end in ends(index).items():
        path = shard_path(folder, shard)
        size = path.stat().st_size if path.is_file() else 0
        if size < end:
            raise CollectionError(
                f"{path} has {size} bytes, but its index says {end}: `rijksnet fetch --verify` finds what is lost and "
                "fetches it again"
            )


@contextmanager
def index_of(folder: Path, mode: str) -> Iterator[sqlite3.Connection]:
    """A folder's index, in autocommit mode.

    Raises:
        CollectionError: it is damaged, or SQLite cannot do what the block asks of it.
    """
    # Reading takes "rw", which "ro" cannot replace: what a killed writer left of a commit has to be undone first.
    address = f"{(folder / INDEX).absolute().as_uri()}?mode={mode}"
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=60, isolation_level=None)) as index:
            yield index
    except sqlite3.Error as error:
        raise CollectionError(
            f"{folder / INDEX} cannot be used ({error}); if it is damaged, remove {folder} and fetch again"
        ) from error
