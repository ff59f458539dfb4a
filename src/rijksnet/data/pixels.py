"""Every image of a catalogue decoded once, in parallel, into memory-mapped uint8 files, one per input size."""

from __future__ import annotations

import csv
import os
import shutil
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.lib import format as npy
from numpy.typing import NDArray

from rijksnet.collections.catalogue import read_catalogue
from rijksnet.data.packing import Job, Problem, Target, pack_batch, start_process
from rijksnet.errors import CollectionError
from rijksnet.files import replacing, replacing_folder
from rijksnet.paths import CollectionPaths
from rijksnet.progress import progress

#: Images that travel to a decoding process together; so small that a bar moves and an interruption ends soon.
BATCH = 16


@dataclass(frozen=True)
class Counts:
    """What `pack` did: numbers of images packed, and of unreadable ones by reason."""

    images: int
    unreadable: dict[str, int]

    def __str__(self) -> str:
        unreadable = ", ".join(f"{n} × {reason}" for reason, n in self.unreadable.items()) or "none"
        return f"{self.images} images packed; unreadable: {unreadable}"


def pack(paths: CollectionPaths, sizes: Iterable[int], workers: int | None = None) -> Counts:
    """Decode the catalogue's images (see `rijksnet.data.decode`) and write them, stretched to each size (px).

    Writes `pixels/<size>.npy`, uint8 of shape (N, size, size, 3), where N counts the readable images; `images.parquet`
    (object_id, image, row: int64), which says whose image a row is; and `unreadable.csv` (object_id, image, reason,
    detail). `images.parquet` is removed first and written last: without it nothing here is complete. The bytes
    written do not depend on `workers` (processes; by default one per core that may be used).

    Raises:
        CollectionError: no image is readable, the disk is too small, or a decoding process died.
    """
    catalogue = read_catalogue(paths.catalogue)
    paths.images.unlink(missing_ok=True)
    with replacing_folder(paths.pixels) as folder:
        targets = _create(folder, catalogue.num_rows, sorted(set(sizes)))
        problems = _decode_all(catalogue, targets, workers or _cores(), paths.collection)
        _write_unreadable(catalogue, problems, paths.unreadable)
        counts = Counts(catalogue.num_rows - len(problems), dict(Counter(problem.reason for problem in problems)))
        if not counts.images:
            raise CollectionError(
                f"collection {paths.collection!r} has no readable image ({counts}): see {paths.unreadable}"
            )
        rows = _rows_without_gaps(catalogue.num_rows, [problem.row for problem in problems])
        for target in targets:
            _close_gaps(target, rows)
    keep = rows >= 0
    images = catalogue.select(["object_id", "image"]).append_column("row", pa.array(rows)).filter(keep)
    with replacing(paths.images) as part:
        pq.write_table(images, part)
    return counts


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _create(folder: Path, rows: int, sizes: Sequence[int]) -> list[Target]:
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
        targets.append(Target(str(path), size, array.offset))
    return targets


def _decode_all(catalogue: pa.Table, targets: list[Target], workers: int, name: str) -> list[Problem]:
    """Let `workers` processes write every image into its row; the problems come back in the order of the rows."""
    problems: list[Problem] = []
    pending: dict[Future[list[Problem]], int] = {}
    done, started = 0, time.perf_counter()
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=start_process)
    try:
        with progress(f"pixels {name}", catalogue.num_rows) as report:
            batches = _batches(catalogue)
            while done < catalogue.num_rows:
                for batch in islice(batches, 2 * workers - len(pending)):  # never more in flight
                    pending[pool.submit(pack_batch, batch, targets)] = len(batch)
                for future in wait(pending, return_when=FIRST_COMPLETED).done:
                    done += pending.pop(future)
                    problems.extend(future.result())
                report(done, f"{done / (time.perf_counter() - started):.0f} images/s")
    except BrokenProcessPool as error:
        raise CollectionError(
            f"a process that decoded images of collection {name!r} died (killed, or out of memory): nothing is kept; "
            f"run again, with fewer than {workers} workers if memory is short"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)
    return sorted(problems)


def _batches(catalogue: pa.Table) -> Iterator[list[Job]]:
    """The images in the order in which they lie on the disk, so that a tar is read from front to back."""
    jobs = catalogue.select(["file", "offset", "length"])
    jobs = jobs.append_column("row", pa.array(range(catalogue.num_rows), pa.int64()))
    jobs = jobs.sort_by([("file", "ascending"), ("offset", "ascending")])
    for start in range(0, jobs.num_rows, BATCH):
        yield [Job(**job) for job in jobs.slice(start, BATCH).to_pylist()]


def _rows_without_gaps(rows: int, unreadable: list[int]) -> NDArray[np.int64]:
    """For each row that was to be written, the row it ends in: the last ones move into the gaps. -1: unreadable."""
    new = np.arange(rows, dtype=np.int64)
    new[unreadable] = -1
    kept = rows - len(unreadable)
    new[kept:][new[kept:] >= 0] = np.flatnonzero(new[:kept] < 0)
    return new


def _close_gaps(target: Target, rows: NDArray[np.int64]) -> None:
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
