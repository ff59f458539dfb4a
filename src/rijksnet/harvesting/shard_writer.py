"""Writing and verifying the shards of downloaded images that `rijksnet.collections.shards` reads."""

from __future__ import annotations

import csv
import hashlib
import os
import re
import sqlite3
import tarfile
import time
from contextlib import contextmanager
from io import FileIO
from typing import TYPE_CHECKING, NamedTuple

from filelock import FileLock, Timeout

from rijksnet.collections.images import FORMATS
from rijksnet.collections.shards import (
    BLOCK,
    INDEX,
    SCHEMA,
    ends,
    failure_of,
    index_of,
    require_whole,
    shard_path,
)
from rijksnet.errors import CollectionError
from rijksnet.files import replacing
from rijksnet.progress import progress

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rijksnet.collections.records import Address
    from rijksnet.collections.shards import (
        Failure,
    )

FAILURES, LOCK = "failures.csv", ".lock"

#: A tar file ends before it grows beyond this, unless one image alone does.
SHARD_BYTES = 256 << 20

#: What is written before it is made safe and enters the index, at most: images, bytes, seconds.
BATCH, BATCH_BYTES, BATCH_S = 64, 32 << 20, 2.0

SHARDS = "[0-9]" * 5 + ".tar"
END_OF_ARCHIVE = bytes(2 * BLOCK)

ADD = "INSERT INTO images VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
FAIL = """
INSERT INTO failures VALUES (?, ?, ?, ?, 1, ?, ?) ON CONFLICT (url) DO UPDATE SET
  (object_id, reason, detail, attempts, permanent, last)
  = (excluded.object_id, excluded.reason, excluded.detail, attempts + 1, excluded.permanent, excluded.last)
"""


class ImageHeader(NamedTuple):
    """What an image's header says: Pillow's name of its format, and its size in px."""

    format: str
    width: int
    height: int


class ShardWriter:
    """The one writer of a folder; `open` makes it.

    What is added enters the index with the next commit. That comes by itself every few images, bytes or seconds, as
    long as any of `add`, `fail` and `commit_if_due` is called.
    """

    def __init__(self, folder: Path, index: sqlite3.Connection) -> None:
        self.folder = folder
        self._index = index
        self._shard: int = index.execute("SELECT coalesce(max(shard), 0) FROM images").fetchone()[0]
        for path in folder.glob(SHARDS):
            if int(path.stem) > self._shard:
                path.unlink()  # begun by a writer that was killed before its first commit
        self._tar = _open_shard(folder, self._shard)
        self._end = self._cut()
        self._start_batch()

    @classmethod
    @contextmanager
    def open(cls, folder: Path) -> Iterator[ShardWriter]:
        """Go on where the index ends. When the block ends, also by an error or Ctrl-C, what is whole is kept.

        Raises:
            CollectionError: another process writes, the index is damaged or names bytes that are not there, or the
                disk does not take what is written.
        """
        with _writing(folder) as index:
            require_whole(folder, index)
            writer = cls(folder, index)
            try:
                yield writer
            except (OSError, sqlite3.Error):
                raise  # what the disk holds now is not known: the index stays at its last commit
            except BaseException:
                writer._finish()
                raise
            else:
                writer._finish()
            finally:
                writer._tar.close()

    def has(self, url: str) -> bool:
        return self._index.execute("SELECT 1 FROM images WHERE url = ?", (url,)).fetchone() is not None

    def failure(self, url: str) -> Failure | None:
        return failure_of(self._index, url)

    def add(self, address: Address, data: bytes, content_type: str, picture: ImageHeader) -> None:
        """Append an image whose address the index does not have, and forget its failures."""
        name = _member_name(address, picture.format)
        member = b"".join((_header(name, len(data)), data, bytes(-len(data) % BLOCK)))
        if self._end and self._end + len(member) + len(END_OF_ARCHIVE) > SHARD_BYTES:
            self._next_shard()
        self._begin()
        _write_at(self._tar, self._end, member)
        place = (self._shard, self._end + BLOCK, len(data))
        digest = hashlib.sha256(data).hexdigest()
        row = (address.url, address.object_id, name, *place, digest, content_type, picture.width, picture.height)
        self._index.execute(ADD, row)
        self._index.execute("DELETE FROM failures WHERE url = ?", (address.url,))
        self._end += len(member)
        self._waiting += 1
        self._waiting_bytes += len(member)
        self.commit_if_due()

    def fail(self, address: Address, reason: str, detail: str, permanent: bool) -> None:
        """Remember why an image could not be had, and that it was asked for once more."""
        self._begin()
        self._index.execute(FAIL, (address.url, address.object_id, reason, detail, permanent, time.time()))
        self._waiting += 1
        self.commit_if_due()

    def commit_if_due(self) -> None:
        late = time.monotonic() - self._batch_began > BATCH_S
        if self._waiting >= BATCH or self._waiting_bytes >= BATCH_BYTES or (self._waiting and late):
            self.commit()

    def commit(self) -> None:
        """First the bytes are made safe, then they enter the index."""
        os.fsync(self._tar.fileno())
        if self._index.in_transaction:
            self._index.execute("COMMIT")
        self._start_batch()

    def _start_batch(self) -> None:
        self._waiting, self._waiting_bytes, self._batch_began = 0, 0, time.monotonic()

    def _begin(self) -> None:
        if not self._index.in_transaction:
            self._index.execute("BEGIN IMMEDIATE")
            self._batch_began = time.monotonic()

    def _cut(self) -> int:
        """Cut off what lies behind the last image that the index knows, and return where that ends."""
        end = ends(self._index).get(self._shard, 0)
        self._tar.truncate(end)
        return end

    def _close_shard(self) -> None:
        end = self._cut()  # by the index: an interrupted `add` may have written more, or not counted what it wrote
        _write_at(self._tar, end, END_OF_ARCHIVE)
        self.commit()

    def _next_shard(self) -> None:
        self._close_shard()
        full = self._tar
        self._shard, self._tar = self._shard + 1, _open_shard(self.folder, self._shard + 1)
        full.close()
        self._end = self._cut()

    def _finish(self) -> None:
        self._close_shard()
        with (
            replacing(self.folder / FAILURES) as part,
            part.open("w", encoding="utf-8", newline="") as stream,
        ):
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(["object_id", "url", "reason", "detail", "attempts"])
            columns = "object_id, url, reason, detail, attempts"
            writer.writerows(self._index.execute(f"SELECT {columns} FROM failures ORDER BY object_id, url"))


class Verification(NamedTuple):
    """Numbers of images that are as they were downloaded, and of others, which the index has forgotten."""

    whole: int
    damaged: int

    def __str__(self) -> str:
        return f"{self.whole} images are whole; {self.damaged} are damaged and will be fetched again"


def verify(folder: Path) -> Verification:
    """Hash every image anew and forget those that are not what was downloaded, so that they are fetched again.

    Damaged tar headers and ends of archives are mended on the way.

    Raises:
        CollectionError: another process writes, or the index is damaged.
    """
    query = "SELECT url, name, shard, offset, length, sha256 FROM images ORDER BY shard, offset"
    damaged: list[tuple[str]] = []
    with _writing(folder) as index:
        total: int = index.execute("SELECT count(*) FROM images").fetchone()[0]
        with progress("verifying", total) as report:
            for done, (url, name, shard, offset, length, digest) in enumerate(index.execute(query), start=1):
                if not _is_whole(shard_path(folder, shard), name, offset, length, digest):
                    damaged.append((url,))
                report(done, f"{len(damaged)} damaged")
        index.execute("BEGIN IMMEDIATE")
        index.executemany("DELETE FROM images WHERE url = ?", damaged)
        index.execute("COMMIT")
        for shard, end in ends(index).items():
            _end_archive(shard_path(folder, shard), end)
    return Verification(total - len(damaged), len(damaged))


def _is_whole(tar: Path, name: str, offset: int, length: int, digest: str) -> bool:
    if not tar.is_file():
        return False
    header = _header(name, length)
    with FileIO(tar, "r+") as stream:
        stream.seek(offset - BLOCK)
        found = stream.read(BLOCK)
        data = stream.read(length)
        if hashlib.sha256(data).hexdigest() != digest:
            return False
        if found != header:
            _write_at(stream, offset - BLOCK, header)
            os.fsync(stream.fileno())
    return True


def _end_archive(tar: Path, end: int) -> None:
    """Mend a tar file that was cut off behind its last image, which ends at `end`."""
    with FileIO(tar, "r+") as stream:
        if stream.seek(0, os.SEEK_END) < end + len(END_OF_ARCHIVE):
            stream.truncate(end)
            _write_at(stream, end, END_OF_ARCHIVE)


def _member_name(address: Address, picture_format: str) -> str:
    """The object's id in letters that every file system takes, and a digest of the address: at most 86 characters."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", address.object_id).lstrip(".-_")[:64]
    digest = hashlib.sha256(address.url.encode()).hexdigest()[:16]
    return f"{plain or 'object'}-{digest}{FORMATS[picture_format]}"


def _header(name: str, length: int) -> bytes:
    """The one block of ustar header before a member: the same for the same member, whenever it is written."""
    member = tarfile.TarInfo(name)
    member.size = length
    header = member.tobuf(tarfile.USTAR_FORMAT)
    assert len(header) == BLOCK
    return header


def _write_at(stream: FileIO, offset: int, data: bytes) -> None:
    stream.seek(offset)
    rest = memoryview(data)
    while rest:
        rest = rest[stream.write(rest) :]


def _open_shard(folder: Path, shard: int) -> FileIO:
    """Open for writing without a buffer, so that an interruption leaves nothing half given to the system."""
    path = shard_path(folder, shard)
    stream = FileIO(path, "r+" if path.exists() else "x+")
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)  # the file's name, too, must outlast a power cut
    finally:
        os.close(descriptor)
    return stream


def _require_index_of_tars(folder: Path) -> None:
    """What lies behind the index is cut off: never in files that are somebody else's, or whose index was lost."""
    tars = sorted(path.name for path in folder.glob(SHARDS))
    if tars and not (folder / INDEX).exists():
        raise CollectionError(
            f"{folder} holds {', '.join(tars[:3])} but no {INDEX}: fetch into a folder of its own, or move them away"
        )


@contextmanager
def _writing(folder: Path) -> Iterator[sqlite3.Connection]:
    """The index of a folder that nobody else writes to meanwhile."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _require_index_of_tars(folder)
        lock = FileLock(folder / LOCK, timeout=0)
        with lock, index_of(folder, "rwc") as index:
            index.executescript(SCHEMA)
            yield index
    except Timeout:
        raise CollectionError(f"another process fetches into {folder}: wait until it ends, or stop it") from None
    except OSError as error:
        raise CollectionError(f"{folder} cannot be written ({error}); once it can, the same command goes on") from error
