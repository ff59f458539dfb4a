"""Every image of a catalogue decoded once, in parallel, into memory-mapped uint8 files, one per input size."""

from __future__ import annotations

import csv
import os
import shutil
import time
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
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
from rijksnet.data.packing import PixelFile, Placement, Problem, pack_batch, start_process
from rijksnet.data.phash import Look
from rijksnet.errors import CollectionError
from rijksnet.files import replacing, replacing_folder
from rijksnet.progress import progress

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from concurrent.futures import Future

    from numpy.typing import NDArray

    from rijksnet.data.packing import PackOutcome
    from rijksnet.params import Squares
    from rijksnet.paths import CollectionPaths

#: Images that travel to a decoding process together; so small that a bar moves and an interruption ends soon.
BATCH = 32

#: Of an image that is not there.
NO_LOOK = Look(0, b"")


@dataclass(frozen=True)
class PixelCounts:
    """What `pack` did: numbers of images packed, and of unreadable ones by reason."""

    images: int
    unreadable: dict[str, int]

    def __str__(self) -> str:
        unreadable = ", ".join(f"{n} × {reason}" for reason, n in self.unreadable.items()) or "none"
        return f"{self.images} images packed; unreadable: {unreadable}"


def pack(
    paths: CollectionPaths, sizes: Iterable[int], squares: Squares = "stretched", workers: int | None = None
) -> PixelCounts:
    """Decode the catalogue's images (see `rijksnet.data.decode`) and write them as squares of each size (px).

    Writes `pixels/<size>.npy`, uint8 of shape (N, size, size, 3), where N counts the readable images; `images.parquet`
    (object_id, image, row: int64, phash: uint64, thumbnail: binary; N rows in the catalogue's order), which says whose
    image a row is and what its smallest square looks like (see `rijksnet.data.phash`); and `unreadable.csv` (object_id,
    image, reason, detail). `images.parquet` is removed first and written last: without it nothing here is complete.
    The bytes written do not depend on `workers` (processes; by default one per core that may be used).

    Raises:
        CollectionError: the collection has labels only, no image is readable, the disk is too small, or a decoding
            process died.
    """
    catalogue = read_catalogue(paths.catalogue)
    _require_files(catalogue, paths)
    paths.images.unlink(missing_ok=True)
    with replacing_folder(paths.pixels) as folder:
        targets = _create(folder, catalogue.num_rows, sorted(set(sizes)))
        looks, problems = _decode_all(catalogue, targets, squares, workers or cores(), paths.collection)
        _write_unreadable(catalogue, problems, paths.unreadable)
        counts = PixelCounts(catalogue.num_rows - len(problems), dict(Counter(problem.reason for problem in problems)))
        if not counts.images:
            raise CollectionError(
                f"collection {paths.collection!r} has no readable image ({counts}): see {paths.unreadable}"
            )
        rows = _rows_without_gaps(catalogue.num_rows, [problem.row for problem in problems])
        for target in targets:
            _close_gaps(target, rows)
    keep = rows >= 0
    images = catalogue.select(["object_id", "image"]).append_column("row", pa.array(rows))
    images = images.append_column("phash", pa.array([look.phash for look in looks], pa.uint64()))
    images = images.append_column("thumbnail", pa.array([look.thumbnail for look in looks], pa.binary())).filter(keep)
    with replacing(paths.images) as part:
        pq.write_table(images, part)
    return counts


def _require_files(catalogue: pa.Table, paths: CollectionPaths) -> None:
    without = pc.sum(pc.equal(catalogue["file"], "")).as_py()
    if without:
        raise CollectionError(
            f"collection {paths.collection!r} has labels only: {without} of the {catalogue.num_rows} images in "
            f"{paths.catalogue} have no file; set collections.{paths.collection}.images to the folder or archive of "
            "its images and run the stage `catalogue` again, or name another collection where pixels are needed"
        )


def cores() -> int:
    """How many of the machine's cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _create(folder: Path, rows: int, sizes: Sequence[int]) -> list[PixelFile]:
    """Empty pixel files for `rows` images, as sparse files."""
    assert sizes, "some size is always asked for"
    needed, free = sum(rows * size * size * 3 for size in sizes), shutil.disk_usage(folder).free
    if needed > free:
        raise CollectionError(
            f"the pixels of {rows} images at {list(sizes)} px take {needed / 1e9:.1f} GB, but the disk of "
            f"{folder.parent} has {free / 1e9:.1f} GB free: make room or lower input_size"
        )
    targets = []
    for size in sizes:
        path = folder / f"{size}.npy"
        array = npy.open_memmap(path, mode="w+", dtype=np.uint8, shape=(rows, size, size, 3))
        targets.append(PixelFile(str(path), size, array.offset))
    return targets


def _decode_all(
    catalogue: pa.Table, targets: list[PixelFile], squares: Squares, workers: int, name: str
) -> tuple[list[Look], list[Problem]]:
    """Let `workers` processes write every image into its row.

    Returns:
        Perceptual hash and thumbnail by row, `NO_LOOK` where there is none; and the problems in the order of the rows.
    """
    looks, problems = [NO_LOOK] * catalogue.num_rows, list[Problem]()
    pending: dict[Future[PackOutcome], int] = {}
    done, started = 0, time.perf_counter()
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=start_process)
    try:
        with progress(f"pixels {name}", catalogue.num_rows) as report:
            batches = _batches(catalogue)
            while done < catalogue.num_rows:
                for batch in islice(batches, 2 * workers - len(pending)):  # never more in flight
                    pending[pool.submit(pack_batch, batch, targets, squares)] = len(batch)
                for future in wait(pending, return_when=FIRST_COMPLETED).done:
                    done += pending.pop(future)
                    packed = future.result()
                    problems.extend(packed.problems)
                    for row, look in packed.looks.items():
                        looks[row] = look
                report(done, f"{done / (time.perf_counter() - started):.0f} images/s")
    except BrokenProcessPool as error:
        raise CollectionError(
            f"a process that decoded images of collection {name!r} died (killed, or out of memory): nothing is kept; "
            f"run again, with fewer than {workers} workers if memory is short"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)
    return looks, sorted(problems)


def _batches(catalogue: pa.Table) -> Iterator[list[Placement]]:
    """The images in the order in which they lie on the disk, so that a tar is read from front to back."""
    jobs = catalogue.select(["file", "offset", "length"])
    jobs = jobs.append_column("row", pa.array(range(catalogue.num_rows), pa.int64()))
    jobs = jobs.sort_by([("file", "ascending"), ("offset", "ascending")])
    for start in range(0, jobs.num_rows, BATCH):
        yield [Placement(**job) for job in jobs.slice(start, BATCH).to_pylist()]


def _rows_without_gaps(rows: int, unreadable: list[int]) -> NDArray[np.int64]:
    """For each row that was to be written, the row it ends in: the last ones move into the gaps. -1: unreadable."""
    new = np.arange(rows, dtype=np.int64)
    new[unreadable] = -1
    kept = rows - len(unreadable)
    new[kept:][new[kept:] >= 0] = np.flatnonzero(new[:kept] < 0)
    return new


def _close_gaps(target: PixelFile, rows: NDArray[np.int64]) -> None:
    """Move what `rows` moves and cut the file to the rows that are left."""
    kept = int((rows >= 0).sum())
    shape = (kept, target.size, target.size, 3)
    array = npy.open_memmap(target.path, mode="r+")
    for old in range(kept, len(rows)):
        if rows[old] >= 0:
            array[rows[old]] = array[old]
    del array  # unmaps it, so that the file can be cut
    with Path(target.path).open("r+b") as file:
        npy.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        assert file.tell() == target.header, "numpy pads headers so that the number of rows may change"
        file.truncate(target.header + int(np.prod(shape, dtype=np.int64)))


def _write_unreadable(catalogue: pa.Table, problems: list[Problem], path: Path) -> None:
    object_ids, images = catalogue["object_id"], catalogue["image"]
    with replacing(path) as part, part.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["object_id", "image", "reason", "detail"])
        for row, reason, detail in problems:
            writer.writerow([object_ids[row].as_py(), images[row].as_py(), reason, detail])
