"""Long work in shards, by as many processes and machines as there are; what has ended is kept, whoever ended it.

A shard is a folder of files that appears whole. Whoever works on one holds its lock, which the system lets go of with
the process, so that a shard that a lost worker had begun is another's. All lie on a file system that all workers share.
"""

from __future__ import annotations

import os
import shutil
import time
from functools import cache
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from rijksnet.errors import RunError
from rijksnet.files import replacing
from rijksnet.paths import CHECKPOINTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

FOLDER = CHECKPOINTS / "shards"

#: Images of a shard: at most a few minutes' work, and enough that starting and ending one costs next to nothing.
IMAGES = 2048

#: What holds a work's identity, by which it is told from work on other data or by other code.
IDENTITY = "identity"

#: Seconds that a helper waits for the work to begin, and between two looks.
PATIENCE_S, LOOK_S = 60.0, 0.5


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
        self.folder, self.sizes, self._identity = FOLDER / name, sizes, identity
        self._identity_of = cache(identity_of)
        self._held: dict[int, FileLock] = {}

    def begin(self) -> None:
        """Begin, or go on where this very work was interrupted; what is left of any other goes."""
        if self._is_begun():
            return
        self.clear()
        self.folder.mkdir(parents=True)
        with replacing(self.folder / IDENTITY) as part:
            part.write_text(self._identity, encoding="utf-8")

    def join(self) -> bool:
        """Wait for this very work to be begun by another process. False: nobody does, within a minute."""
        until = time.monotonic() + PATIENCE_S
        while not (begun := self._is_begun()) and time.monotonic() < until:
            time.sleep(LOOK_S)
        return begun

    def _is_begun(self) -> bool:
        mark = self.folder / IDENTITY
        try:
            return mark.read_text(encoding="utf-8") == self._identity
        except FileNotFoundError:
            return False

    def take(self, *, waits: bool) -> Iterator[int]:
        """Shards that are not done, each held for this process until it is `put`.

        Args:
            waits: at last for those that others hold, and takes them over if these are lost.
        """
        for timeout in (0, -1) if waits else (0,):
            for shard in range(len(self.sizes)):
                if shard in self._held or self.of(shard).exists():
                    continue
                lock = FileLock(self.folder / f"{shard:05}.lock", timeout=timeout)
                try:
                    lock.acquire()
                except Timeout:
                    continue
                if self.of(shard).exists():
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
        """The files of a shard are written: it is done."""
        (self.folder / f".{shard:05}.part").rename(self.of(shard))
        self._held.pop(shard).release()

    def let_go(self) -> None:
        """Leave to others what this process holds and has not put."""
        while self._held:
            self._held.popitem()[1].release()

    def done(self) -> int:
        """Images of all shards that are done, whoever did them."""
        names = [path.name for path in self.folder.iterdir() if path.suffix != ".lock"]
        return sum(self.sizes[int(name[:5])] for name in names if name[:5].isdigit())

    def collect(self, name: str, header: bytes, lengths: Sequence[int]) -> Path:
        """One file of a header and, shard after shard, the file of this name in each, `lengths` bytes.

        Each is emptied once it is in, so that the disk holds little more than the whole; interrupted, it goes on.

        Raises:
            RunError: a file is not as long as it was written.
        """
        whole = self.folder / name
        whole.touch()
        with whole.open("r+b") as target:
            target.write(header)
            for shard, length in enumerate(lengths):
                at, file = target.tell(), self.of(shard) / name
                size = file.stat().st_size
                if not size and os.fstat(target.fileno()).st_size >= at + length:
                    target.seek(length, os.SEEK_CUR)
                    continue
                if size != length:
                    shutil.rmtree(file.parent)
                    raise RunError(
                        f"{file} has {size} bytes in place of {length}: was the power cut? The shard is removed; the "
                        "same command makes it anew"
                    )
                with file.open("rb") as source:
                    shutil.copyfileobj(source, target, 2**22)
                target.flush()
                os.fsync(target.fileno())
                os.truncate(file, 0)
        return whole

    def hand_over(self, files: dict[Path, Path]) -> None:
        """Move collected files to where they belong: from here on this work is no more."""
        (self.folder / IDENTITY).unlink(missing_ok=True)
        for collected, out in files.items():
            with replacing(out) as part:
                shutil.move(collected, part)

    def clear(self) -> None:
        """Remove what the work has left behind."""
        shutil.rmtree(self.folder, ignore_errors=True)
