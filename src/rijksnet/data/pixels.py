"""Every image of a catalogue decoded once, in parallel, into memory-mapped uint8 files, one per input size."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import shutil
import time
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.lib import format as npy

from rijksnet.collections.catalogue import read_catalogue
from rijksnet.data.packing import PixelFile, Placement, pack_batch, start_process
from rijksnet.data.phash import Look
from rijksnet.errors import CollectionError
from rijksnet.files import replacing, replacing_folder
from rijksnet.progress import progress
from rijksnet.shards import IMAGES, Shards

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from concurrent.futures import Future

    from numpy.typing import NDArray

    from rijksnet.data.packing import PackOutcome, Problem
    from rijksnet.params import Squares
    from rijksnet.paths import CollectionPaths
    from rijksnet.progress import Report

#: Images that travel to a decoding process together; so small that a bar moves and an interruption ends soon.
BATCH = 32

#: Of an image that is not there.
NO_LOOK = Look(0, b"")

#: What a shard says of its images, in the catalogue's order: the row that each has among the shard's pixels (-1: it is
#: unreadable, and why), and what it looks like.
PACKED = "images.parquet"
PACKED_SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("phash", pa.uint64()),
        ("thumbnail", pa.binary()),
        ("reason", pa.string()),
        ("detail", pa.string()),
    ]
)

#: Rows of images.parquet that are written at once.
AT_ONCE = 2**20


@dataclass(frozen=True)
class PixelCounts:
    """What `pack` did: numbers of images packed, and of unreadable ones by reason."""

    images: int
    unreadable: dict[str, int]

    def __str__(self) -> str:
        unreadable = ", ".join(f"{n} × {reason}" for reason, n in self.unreadable.items()) or "none"
        return f"{self.images} images packed; unreadable: {unreadable}"


def pack(
    paths: CollectionPaths,
    sizes: Iterable[int],
    squares: Squares = "stretched",
    workers: int | None = None,
    code: str = "",
) -> PixelCounts:
    """Decode the catalogue's images (see `rijksnet.data.decode`) and write them as squares of each size (px).

    Writes `pixels/<size>.npy`, uint8 of shape (N, size, size, 3), where N counts the readable images; `images.parquet`
    (object_id, image, row: int64, phash: uint64, thumbnail: binary; N rows in the catalogue's order), which says whose
    image a row is and what its smallest square looks like (see `rijksnet.data.phash`); and `unreadable.csv` (object_id,
    image, reason, detail). `images.parquet` is removed first and written last: without it nothing here is complete.
    The bytes written do not depend on `workers` (processes; by default one per core that may be used), nor on whether
    others help (`help_pack`). What is interrupted goes on where it was, if neither images, `sizes`, `squares` nor
    `code` (the digest of what runs) have changed.

    Raises:
        CollectionError: the collection has labels only, no image is readable, the disk is too small, or a decoding
            process died.
    """
    packing = Packing(paths, sizes, squares, code)
    paths.images.unlink(missing_ok=True)
    with packing.shards.begun():
        packing.require_room()
        packing.run(workers or cores(), waits=True)
        return packing.write()


def help_pack(
    paths: CollectionPaths, sizes: Iterable[int], squares: Squares, workers: int | None = None, code: str = ""
) -> None:
    """Take shards of what another process packs, until none is left to begin."""
    packing = Packing(paths, sizes, squares, code)
    if packing.shards.join():
        packing.run(workers or cores(), waits=False)


def cores() -> int:
    """How many of the machine's cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass
class _Open:
    """A shard that is worked on: its files, and what has come of its images so far, by their place in it."""

    targets: list[PixelFile]
    left: int
    looks: dict[int, Look] = field(default_factory=dict)
    problems: dict[int, Problem] = field(default_factory=dict)


class Packing:
    """The images of a catalogue, in shards of consecutive rows."""

    def __init__(self, paths: CollectionPaths, sizes: Iterable[int], squares: Squares, code: str) -> None:
        self._paths, self._sizes, self._squares = paths, sorted(set(sizes)), squares
        assert self._sizes, "some size is always asked for"
        self._catalogue = read_catalogue(paths.catalogue)
        _require_files(self._catalogue, paths)
        rows = self._catalogue.num_rows
        self.shards = Shards(
            f"pixels-{paths.collection}",
            json.dumps([rows, self._sizes, squares, code]),
            [min(IMAGES, rows - start) for start in range(0, rows, IMAGES)],
            self._identity_of,
        )
        self._open: dict[int, _Open] = {}
        self._began, self._started = 0, 0.0

    def _identity_of(self, shard: int) -> str:
        """Digest of where a shard's images lie, and of the size and time of each file."""
        rows = self._rows(shard).select(["file", "offset", "length"])
        files = [[file, *_stat(file)] for file in pc.unique(rows["file"]).to_pylist()]
        return hashlib.sha256(json.dumps([rows.to_pydict(), files]).encode()).hexdigest()[:16]

    def _rows(self, shard: int) -> pa.Table:
        return self._catalogue.slice(shard * IMAGES, IMAGES)

    def require_room(self) -> None:
        """
        Raises:
            CollectionError: the disk is too small for what is not done.
        """
        rows, done = self._catalogue.num_rows, self.shards.done()
        needed, free = sum((rows - done) * size * size * 3 for size in self._sizes), shutil.disk_usage(".").free
        if needed > free:
            raise CollectionError(
                f"the pixels of {rows - done} images at {self._sizes} px take {needed / 1e9:.1f} GB, but the disk of "
                f"this project has {free / 1e9:.1f} GB free: make room or lower input_size"
            )

    def run(self, workers: int, *, waits: bool) -> None:
        """Let `workers` processes do shard after shard, the next begun while the last images of one are decoded.

        Args:
            waits: at last for shards that others hold, and takes them over if these are lost.
        """
        self._began, self._started = self.shards.done(), time.perf_counter()
        pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=start_process)
        try:
            with progress(f"pixels {self._paths.collection}", self._catalogue.num_rows) as report:
                self._work(pool, 2 * workers, self.shards.take(waits=False), report)
                for shard in self.shards.take(waits=True) if waits else ():
                    self._work(pool, 2 * workers, [shard], report)
        except BrokenProcessPool as error:
            raise CollectionError(
                f"a process that decoded images of collection {self._paths.collection!r} died (killed, or out of "
                f"memory): the same command goes on from {self.shards.done()} images that are packed; if memory is "
                f"short, on a machine with fewer than {workers} cores, or more memory"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)
            self.shards.let_go()

    def _work(self, pool: ProcessPoolExecutor, in_flight: int, shards: Iterable[int], report: Report) -> None:
        """Do these shards, never more than so many batches at a time."""
        pending: dict[Future[PackOutcome], int] = {}
        batches, put = self._batches(shards), self.shards.done()
        while True:
            for shard, batch in islice(batches, in_flight - len(pending)):
                pending[pool.submit(pack_batch, batch, self._open[shard].targets, self._squares)] = shard
            if not pending:
                return
            for future in wait(pending, return_when=FIRST_COMPLETED).done:
                shard = pending.pop(future)
                self._take_in(shard, future.result())
                if not self._open[shard].left:
                    self._put(shard)
                    put = self.shards.done()
            done = put + sum(len(one.looks) + len(one.problems) for one in self._open.values())
            report(done, f"{(done - self._began) / (time.perf_counter() - self._started):.0f} images/s")

    def _batches(self, shards: Iterable[int]) -> Iterator[tuple[int, list[Placement]]]:
        """Batches of these shards, each shard's in the order in which images lie on the disk, so that a tar is read
        from front to back."""
        for shard in shards:
            jobs = self._rows(shard).select(["file", "offset", "length"])
            jobs = jobs.append_column("row", pa.array(range(jobs.num_rows), pa.int64()))
            jobs = jobs.sort_by([("file", "ascending"), ("offset", "ascending")])
            self._open[shard] = _Open(self._create(self.shards.part(shard), jobs.num_rows), jobs.num_rows)
            for start in range(0, jobs.num_rows, BATCH):
                yield shard, [Placement(**job) for job in jobs.slice(start, BATCH).to_pylist()]

    def _create(self, folder: Path, rows: int) -> list[PixelFile]:
        """Empty pixel files for `rows` images, as sparse files."""
        targets = []
        for size in self._sizes:
            path = folder / _name(size)
            path.touch()
            os.truncate(path, rows * size * size * 3)
            targets.append(PixelFile(str(path), size))
        return targets

    def _take_in(self, shard: int, outcome: PackOutcome) -> None:
        its = self._open[shard]
        its.looks |= outcome.looks
        its.problems |= {problem.row: problem for problem in outcome.problems}
        its.left -= len(outcome.looks) + len(outcome.problems)

    def _put(self, shard: int) -> None:
        """Close the gaps of a shard whose images are all decoded, and say what it holds."""
        its = self._open.pop(shard)
        count = len(its.looks) + len(its.problems)
        rows = _rows_without_gaps(count, sorted(its.problems))
        for target in its.targets:
            _close_gaps(target, rows)
        looks = [its.looks.get(row, NO_LOOK) for row in range(count)]
        problems = [its.problems.get(row) for row in range(count)]
        columns = [
            rows,
            [look.phash for look in looks],
            [look.thumbnail for look in looks],
            ["" if problem is None else problem.reason for problem in problems],
            ["" if problem is None else problem.detail for problem in problems],
        ]
        arrays = [pa.array(values, one.type) for values, one in zip(columns, PACKED_SCHEMA, strict=True)]
        pq.write_table(pa.table(arrays, schema=PACKED_SCHEMA), Path(its.targets[0].path).with_name(PACKED))
        self.shards.put(shard)

    def write(self) -> PixelCounts:
        """Put the shards together.

        Raises:
            CollectionError: no image is readable.
        """
        shards, paths = range(len(self.shards.sizes)), self._paths
        reasons, kept = Counter[str](), list[int]()
        with replacing(paths.unreadable) as part, part.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(["object_id", "image", "reason", "detail"])
            for shard in shards:
                packed = self._packed(shard, ["object_id", "image", "row", "reason", "detail"])
                problems = packed.filter(pc.less(packed["row"], 0)).drop_columns("row")
                writer.writerows(problem.values() for problem in problems.to_pylist())
                reasons.update(problems["reason"].to_pylist())
                kept.append(packed.num_rows - problems.num_rows)
        counts = PixelCounts(sum(kept), dict(reasons))
        if not counts.images:
            self.shards.clear()
            raise CollectionError(
                f"collection {paths.collection!r} has no readable image ({counts}): see {paths.unreadable}"
            )
        files = {}
        for size in self._sizes:
            header = io.BytesIO()
            shape = (counts.images, size, size, 3)
            npy.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
            files[_name(size)] = (header.getvalue(), [size * size * 3 * images for images in kept])
        collected = self.shards.collect(files)
        with replacing(paths.images) as images:
            self._write_images(images, kept)
            with replacing_folder(paths.pixels) as folder:
                for size in self._sizes:
                    shutil.move(collected[_name(size)], folder / f"{size}.npy")
        self.shards.clear()
        return counts

    def _packed(self, shard: int, columns: Sequence[str]) -> pa.Table:
        """What a shard says of its images, and whose they are."""
        packed = pq.read_table(self.shards.of(shard) / PACKED, schema=PACKED_SCHEMA)
        for name in ("object_id", "image"):
            packed = packed.append_column(name, self._rows(shard)[name].combine_chunks())
        return packed.select(columns)

    def _write_images(self, file: Path, kept: Sequence[int]) -> None:
        first, tables, writer = 0, list[pa.Table](), None
        for shard, images in enumerate(kept):
            packed = self._packed(shard, ["object_id", "image", "row", "phash", "thumbnail"])
            packed = packed.filter(pc.greater_equal(packed["row"], 0))
            tables.append(packed.set_column(2, "row", pc.add(packed["row"], first)))
            first += images
            if sum(table.num_rows for table in tables) < AT_ONCE - IMAGES and shard + 1 < len(kept):
                continue
            writer = writer or pq.ParquetWriter(file, tables[0].schema)
            writer.write_table(pa.concat_tables(tables).combine_chunks())
            tables = []
        assert writer is not None
        writer.close()


def _require_files(catalogue: pa.Table, paths: CollectionPaths) -> None:
    without = pc.sum(pc.equal(catalogue["file"], "")).as_py()
    if without:
        raise CollectionError(
            f"collection {paths.collection!r} has labels only: {without} of the {catalogue.num_rows} images in "
            f"{paths.catalogue} have no file; set collections.{paths.collection}.images to the folder or archive of "
            "its images and run the stage `catalogue` again, or name another collection where pixels are needed"
        )


def _stat(file: str) -> list[int]:
    """Size and time of a file; nothing of one that is not there."""
    try:
        stat = Path(file).stat()
    except OSError:
        return []
    return [stat.st_size, stat.st_mtime_ns]


def _name(size: int) -> str:
    return f"{size}.pixels"


def _rows_without_gaps(rows: int, unreadable: list[int]) -> NDArray[np.int64]:
    """For each row that was to be written, the row it ends in: the last ones move into the gaps. -1: unreadable."""
    new = np.arange(rows, dtype=np.int64)
    new[unreadable] = -1
    kept = rows - len(unreadable)
    new[kept:][new[kept:] >= 0] = np.flatnonzero(new[:kept] < 0)
    return new


def _close_gaps(target: PixelFile, rows: NDArray[np.int64]) -> None:
    """Move what `rows` moves and cut the file to the rows that are left."""
    kept, row_bytes = int((rows >= 0).sum()), target.size * target.size * 3
    with Path(target.path).open("r+b") as file:
        for old in range(kept, len(rows)):
            if rows[old] >= 0:
                file.seek(old * row_bytes)
                square = file.read(row_bytes)
                file.seek(int(rows[old]) * row_bytes)
                file.write(square)
        file.truncate(kept * row_bytes)
