"""Long work in shards, by as many processes and machines as there are; what has ended is kept, whoever ended it.

A shard is a folder of files that appears whole. Whoever works on one holds its lock, which the system lets go of with
the process, so that a shard that a lost worker had begun is another's. All lie on a file system that all workers share.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from rijksnet.errors import RunError
from rijksnet.files import replacing
from rijksnet.paths import CHECKPOINTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import BinaryIO

FOLDER = CHECKPOINTS / "shards"

#: Images of a shard: at most a few minutes' work, and enough that starting and ending one costs next to nothing.
IMAGES = 2048

#: Stands in the folder of a work that is under way; and what has been put together of it, by which shards.
BEGUN, COLLECTED = "begun", "collected.json"

#: Seconds that a helper waits for the work to begin, and between two looks.
PATIENCE_S, LOOK_S = 60.0, 0.5

#: Bytes that are copied at once.
COPIED = 2**22


class Shards:
    """The shards of one piece of work.

    Args:
        name: of the work; a folder's name.
        identity: of all that the files depend on.
        sizes: how many images each shard has.
        identity_of: what is a shard's own of that.
    """

    def __init__(
        self, name: str, identity: str, sizes: Sequence[int], identity_of: Callable[[int], str] = lambda _: ""
    ) -> None:
        # each identity has a folder of its own: a lost process of another one finds its own gone, and no other's
        self.folder = FOLDER / name / hashlib.sha256(identity.encode()).hexdigest()[:12]
        self.sizes = sizes
        self._identity_of = cache(identity_of)
        self._held: dict[int, FileLock] = {}

    @contextmanager
    def begun(self) -> Iterator[None]:
        """The block does this work, or goes on where it was interrupted; what is left of any other goes.

        Raises:
            RunError: another process is at it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder.with_suffix(".lock"), timeout=PATIENCE_S)
        try:
            lock.acquire()
        except Timeout as error:
            raise RunError(f"another process is at this work, in {self.folder}: wait until it has ended") from error
        with lock:
            for other in self.folder.parent.iterdir():
                if other.is_dir() and other != self.folder:
                    shutil.rmtree(other, ignore_errors=True)
            self._drop_stale()
            (self.folder / BEGUN).touch()
            yield

    def _drop_stale(self) -> None:
        """Remove shards of files that have changed since; and all, if some of these are in what has been collected."""
        found = {path.name for path in self.folder.iterdir() if path.is_dir() and path.name[:5].isdigit()}
        stale = {name for name in found if int(name[:5]) >= len(self.sizes) or name != self.of(int(name[:5])).name}
        record = self.folder / COLLECTED
        if record.is_file():
            files = json.loads(record.read_text(encoding="utf-8"))
            if stale or len(found) < len(self.sizes) or not all((self.folder / name).is_file() for name in files):
                stale = found
                record.unlink()
        for name in stale:
            shutil.rmtree(self.folder / name)

    def join(self) -> bool:
        """Wait for this very work to be begun by another process. False: nobody does, within a minute."""
        until = time.monotonic() + PATIENCE_S
        while not (begun := (self.folder / BEGUN).is_file()) and time.monotonic() < until:
            time.sleep(LOOK_S)
        return begun

    def take(self, *, waits: bool) -> Iterator[int]:
        """Shards that are not done, each held for this process until it is `put`.

        Args:
            waits: for those that others hold, and takes them over if these are lost. Whoever waits is to have put what
                it holds before it asks for the next.
        """
        for shard in range(len(self.sizes)):
            if shard in self._held or self.of(shard).exists():
                continue
            assert not (waits and self._held), "two that wait for each other would wait for ever"
            lock = FileLock(self.folder / f"{shard:05}.lock", timeout=-1 if waits else 0)
            try:
                lock.acquire()
            except Timeout:
                continue
            if self.of(shard).exists() or not (self.folder / BEGUN).is_file():  # it was done, or all was, meanwhile
                lock.release()
                continue
            self._held[shard] = lock
            yield shard

    def of(self, shard: int) -> Path:
        """The folder of a shard, which is there when it is done."""
        return self.folder / "-".join(filter(None, (f"{shard:05}", self._identity_of(shard))))

    def part(self, shard: int) -> Path:
        """A fresh folder for the files of a shard that this process holds."""
        folder = self.folder / f".{shard:05}.part"
        shutil.rmtree(folder, ignore_errors=True)  # what a killed process left
        folder.mkdir()
        return folder

    def put(self, shard: int) -> None:
        """The files of a shard are written: it is done, also after a power cut."""
        part = self.folder / f".{shard:05}.part"
        for file in part.iterdir():
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
        part.rename(self.of(shard))
        self._held.pop(shard).release()

    def let_go(self) -> None:
        """Leave to others what this process holds and has not put."""
        while self._held:
            self._held.popitem()[1].release()

    def done(self) -> int:
        """Images of all shards that are done, whoever did them."""
        names = [path.name for path in self.folder.iterdir() if path.suffix != ".lock"]
        return sum(self.sizes[int(name[:5])] for name in names if name[:5].isdigit())

    def collect(self, files: Mapping[str, tuple[bytes, Sequence[int]]]) -> dict[str, Path]:
        """For each name one file of a header and, shard after shard, the file of this name in each, of so many bytes.

        Each is emptied once it is in, so that the disk holds little more than the whole; interrupted, it goes on.

        Raises:
            RunError: a file is not as long as it was written.
        """
        for name in files:
            (self.folder / name).touch()
        with replacing(self.folder / COLLECTED) as part:
            part.write_text(json.dumps([*files]), encoding="utf-8")
        for name, (header, lengths) in files.items():
            with (self.folder / name).open("r+b") as target:
                target.write(header)
                for shard, length in enumerate(lengths):
                    self._move_in(self.of(shard) / name, target, length)
                target.truncate()
        return {name: self.folder / name for name in files}

    def _move_in(self, file: Path, target: BinaryIO, length: int) -> None:
        at, size = target.tell(), file.stat().st_size
        if not size and os.fstat(target.fileno()).st_size >= at + length:
            target.seek(length, os.SEEK_CUR)  # it is in
            return
        if size != length:
            shutil.rmtree(file.parent)
            raise RunError(
                f"{file} has {size} bytes in place of {length}: the shard is removed; the same command makes it anew"
            )
        with file.open("rb") as source:
            shutil.copyfileobj(source, target, COPIED)
        target.flush()
        os.fsync(target.fileno())
        os.truncate(file, 0)

    def clear(self) -> None:
        """Remove what the work has left behind."""
        gone = self.folder.with_suffix(".gone")
        shutil.rmtree(gone, ignore_errors=True)
        self.folder.rename(gone)  # at once: emptied shards without what they are in would be taken for others
        shutil.rmtree(gone, ignore_errors=True)
