"""What a decoding process does: read images, decode them, write them into their rows of the pixel files.

Imports nothing heavier than `rijksnet.data.decode` does, and sends back only hashes and what went wrong.
"""

from __future__ import annotations

import os
import resource
import signal
import threading
import warnings
from contextlib import ExitStack
from multiprocessing import parent_process
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import psutil

from rijksnet.collections.images import read_image
from rijksnet.data.decode import MAX_MEMORY, UnreadableError, decode
from rijksnet.data.phash import look_of
from rijksnet.errors import CollectionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rijksnet.data.phash import Look
    from rijksnet.params import Squares

#: Larger files are refused unread: none of them is one image of an object.
MAX_BYTES = 256 * 2**20

#: Bytes of memory that a decoding process can take beside what it has to begin with. `MAX_MEMORY` bounds what a file's
#: header announces; this, what a decoder then does: it fails, and the other images go on.
MAX_FURTHER = MAX_MEMORY + 96 * 2**20

#: Just below the largest block that the C library (glibc) would keep for later use once it was freed.
KEPT_BLOCK = 2**25 - 2**16


class Placement(NamedTuple):
    """One image and the row it belongs in, of its shard."""

    row: int
    file: str
    offset: int
    length: int


class PixelFile(NamedTuple):
    """A shard's pixels: uint8 rows of shape (size, size, 3)."""

    path: str
    size: int


class Problem(NamedTuple):
    """Why the image of a row is not in the pixel files."""

    row: int
    reason: str
    detail: str


class PackOutcome(NamedTuple):
    """What became of a batch: the looks of every image that is packed, by row; and the others."""

    looks: dict[int, Look]
    problems: list[Problem]


def start_process() -> None:
    """Set a decoding process up.

    It leaves Ctrl-C to its parent, ends with it, keeps Pillow's warnings quiet, cannot fill the memory, and does not
    return memory to the system between images only to get it back, page by page (a sixth of the time).
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.simplefilter("ignore")  # what cannot be used is reported; what can be needs no warning
    hard, most = resource.getrlimit(resource.RLIMIT_DATA)[1], _data_now() + MAX_FURTHER
    resource.setrlimit(resource.RLIMIT_DATA, (most if hard < 0 else min(most, hard), hard))
    bytearray(KEPT_BLOCK)  # made and freed: glibc keeps blocks up to the size of the largest ever freed
    parent = parent_process()
    assert parent is not None
    threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _data_now() -> int:
    """Bytes that RLIMIT_DATA counts already: some 100 MiB, and what numpy's BLAS keeps for each of many cores."""
    try:
        return int(psutil.Process().memory_info().data)
    except (AttributeError, psutil.Error):  # not Linux, or not told: what two cores take
        return 96 * 2**20


def pack_batch(jobs: Sequence[Placement], targets: Sequence[PixelFile], squares: Squares) -> PackOutcome:
    """Decode the images of a batch and write each into its row of every target; the first has the smallest size.

    What a picture looks like is said of it stretched, however it is packed: so near-duplicates, and with them splits,
    are the same for both.
    Rows are written through ordinary files, not a memory map, so that a process holds no more than one image.
    """
    packed = PackOutcome({}, [])
    sizes = [target.size for target in targets]
    stretched, padded = (sizes, []) if squares == "stretched" else (sizes[:1], sizes)
    with ExitStack() as stack:
        files = [stack.enter_context(Path(target.path).open("r+b")) for target in targets]
        for job in jobs:
            try:
                made = decode(_read(job), stretched, padded)
            except UnreadableError as error:
                packed.problems.append(Problem(job.row, error.reason, error.detail))
                continue
            packed.looks[job.row] = look_of(made[0])
            for file, square in zip(files, made[-len(targets) :], strict=True):
                file.seek(job.row * square.nbytes)
                file.write(square.data)
    return packed


def _read(job: Placement) -> bytes:
    if job.length > MAX_BYTES:
        raise UnreadableError("too large", f"{job.length} bytes; at most {MAX_BYTES}")
    try:
        return read_image(job.file, job.offset, job.length)
    except (OSError, CollectionError) as error:
        raise UnreadableError("cannot be read", str(error)) from None


def _end_with(sentinel: int) -> None:
    """A pool's processes wait for work for ever if their parent is killed: end them with it."""
    wait([sentinel])
    os._exit(1)
