from __future__ import annotations

import csv
import io
import mmap
import multiprocessing
import os
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from rijksnet import shards
from rijksnet.collections.build import build
from rijksnet.collections.records import Record
from rijksnet.data import pixels
from rijksnet.data.decode import MAX_MEMORY, decode
from rijksnet.data.labelled import open_pixels, read_images
from rijksnet.data.packing import MAX_BYTES, start_process
from rijksnet.data.phash import look_of
from rijksnet.data.pixels import BATCH, pack
from rijksnet.errors import CollectionError
from rijksnet.paths import CollectionPaths


def jpeg(seed: int) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).save(stream, "JPEG")
    return stream.getvalue()


def fill(paths: CollectionPaths, contents: dict[str, bytes]) -> None:
    """A catalogue of these images, which lie one after the other in one file, the last first; objects are o-<name>."""
    records, at = [], 0
    with Path("all").open("wb") as stream:
        for name, data in reversed(contents.items()):
            records.append(Record(f"o-{name}", name, "all", at, len(data)))
            at += stream.write(data)
    build(records, paths)


def made(paths: CollectionPaths) -> dict[str, bytes]:
    files = [paths.images, paths.unreadable, *paths.pixels.iterdir()]
    return {file.name: file.read_bytes() for file in files}


def left_behind(paths: CollectionPaths) -> set[str]:
    return {path.name for path in paths.root.iterdir()} - {"catalogue.parquet", "rejects.csv", "cleaning.csv"}


def unreadable(paths: CollectionPaths) -> list[dict[str, str]]:
    with paths.unreadable.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads instead of processes, where a test is not about them: they start at once."""

    class Pool(ThreadPoolExecutor):
        def __init__(self, workers: int, **_: Any) -> None:
            super().__init__(workers)

    monkeypatch.setattr(pixels, "ProcessPoolExecutor", Pool)


def test_every_readable_image_has_its_row_whatever_the_number_of_workers(paths: CollectionPaths) -> None:
    contents = {f"{i:03}.jpg": jpeg(i) for i in range(64)}
    bad = {
        "000.jpg": (b"", "empty"),
        "007.jpg": (b"<html>", "not an image"),
        "008.jpg": (jpeg(0)[:400], "damaged"),
        "063.jpg": (b"\0", "not an image"),
    }
    contents |= {name: data for name, (data, _) in bad.items()}
    fill(paths, contents)

    counts = pack(paths, [24, 16, 16], workers=1)
    once = made(paths)
    assert pack(paths, [16, 24], workers=3) == counts
    assert made(paths) == once

    assert sorted(once) == ["16.npy", "24.npy", "images.parquet", "unreadable.csv"]
    assert str(counts) == "60 images packed; unreadable: 1 × empty, 2 × not an image, 1 × damaged"
    assert {row["image"]: row["reason"] for row in unreadable(paths)} == {name: why for name, (_, why) in bad.items()}
    assert [row["object_id"] for row in unreadable(paths)] == [f"o-{name}" for name in sorted(bad)]
    images = read_images(paths.images).to_pylist()
    assert [(row["object_id"], row["image"]) for row in images] == [
        (f"o-{name}", name) for name in contents if name not in bad
    ]
    looks = pq.read_table(paths.images, columns=["image", "phash", "thumbnail"]).to_pylist()
    for look in looks:
        (square,) = decode(contents[look["image"]], [16])
        assert (look["phash"], look["thumbnail"]) == look_of(square)
    assert sorted(row["row"] for row in images) == list(range(60)), "no row is without an image"
    for size in (16, 24):
        packed = open_pixels(paths.pixels_of_size(size))
        assert packed.shape == (60, size, size, 3)
        assert not packed.flags.writeable
        for row in images:
            np.testing.assert_array_equal(packed[row["row"]], decode(contents[row["image"]], [size])[0])


@pytest.mark.usefixtures("threads")
def test_padded_squares_are_packed_and_near_duplicates_stay_what_they_are(paths: CollectionPaths) -> None:
    wide = {f"{i}.jpg": jpeg(i) for i in range(3)}
    fill(paths, wide)
    pack(paths, [16, 24])
    looks = pq.read_table(paths.images)
    pack(paths, [16, 24], "padded")
    assert pq.read_table(paths.images).equals(looks)
    for size in (16, 24):
        packed = open_pixels(paths.pixels_of_size(size))
        for row in looks.select(["image", "row"]).to_pylist():
            np.testing.assert_array_equal(packed[row["row"]], decode(wide[row["image"]], [], [size])[0])


@pytest.mark.usefixtures("threads")
def test_other_sizes_take_the_place_of_the_old(paths: CollectionPaths) -> None:
    fill(paths, {"a.jpg": jpeg(0)})
    pack(paths, [16, 24])
    pack(paths, [32])
    assert [file.name for file in paths.pixels.iterdir()] == ["32.npy"]


@pytest.mark.usefixtures("threads")
def test_files_that_cannot_be_read_are_listed(paths: CollectionPaths) -> None:
    Path("a.jpg").write_bytes(jpeg(0))
    sparse = Path("huge.jpg")
    sparse.touch()
    os.truncate(sparse, MAX_BYTES + 1)
    records = [
        Record("1", "a.jpg", "a.jpg", 0, len(jpeg(0))),
        Record("2", "gone.jpg", "gone.jpg", 0, 10),
        Record("3", "shorter.jpg", "a.jpg", 0, len(jpeg(0)) + 1),
        Record("4", "huge.jpg", "huge.jpg", 0, MAX_BYTES + 1),
    ]
    build(records, paths)
    assert pack(paths, [16]).images == 1
    found = {row["image"]: (row["reason"], row["detail"]) for row in unreadable(paths)}
    assert found["gone.jpg"] == ("cannot be read", "[Errno 2] No such file or directory: 'gone.jpg'")
    assert found["shorter.jpg"][0] == "cannot be read"
    assert "make the catalogue again" in found["shorter.jpg"][1]
    assert found["huge.jpg"][0] == "too large"


def tiff_of_one_tile(side: int) -> bytes:
    """A picture of 10 x 10 px whose tile, which a decoder makes room for, has other sides."""
    data = zlib.compress(b"\0" * 100)
    tags = [(256, 10), (257, 10), (258, 8), (259, 8), (262, 1), (277, 1)]  # sides, depth, deflate, grey
    tags += [(322, side), (323, side), (324, 8), (325, len(data))]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    directory = struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0)
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + directory


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts mapped memory against RLIMIT_DATA")
def test_what_fills_the_memory_is_refused_and_the_rest_goes_on(paths: CollectionPaths) -> None:
    hostile = {"1.tif": tiff_of_one_tile(40_000), "2.jpg": b"<html>404</html>", "3.jpg": jpeg(0)[:400]}
    fill(paths, {"0.jpg": jpeg(0), **hostile, "4.jpg": jpeg(4)})
    assert pack(paths, [16], workers=1).images == 2
    found = {row["image"]: (row["reason"], row["detail"]) for row in unreadable(paths)}
    assert found["1.tif"] == ("damaged", "OSError: decoder error -9")  # Pillow's number for want of memory
    assert {image: reason for image, (reason, _) in found.items()} == {
        "1.tif": "damaged", "2.jpg": "not an image", "3.jpg": "damaged",
    }  # fmt: skip


def start_large() -> None:
    """As on a machine of many cores, where numpy takes memory for each when it is imported."""
    ballast.append(mmap.mmap(-1, 900 * 2**20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
    start_process()


ballast: list[mmap.mmap] = []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts mapped memory against RLIMIT_DATA")
def test_a_process_may_decode_however_much_it_has_to_begin_with() -> None:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"), initializer=start_large) as pool:
        assert pool.submit(can_have, MAX_MEMORY).result()
        assert not pool.submit(can_have, 2 * MAX_MEMORY).result()


def can_have(size: int) -> bool:
    try:
        return len(bytearray(size)) == size
    except MemoryError:
        return False


@pytest.mark.usefixtures("threads")
def test_no_readable_image_is_an_error_that_leaves_no_pixels(paths: CollectionPaths) -> None:
    fill(paths, {"a.jpg": jpeg(0)})
    pack(paths, [16])
    fill(paths, {"a.jpg": b"", "b.jpg": b"<html>"})
    with pytest.raises(CollectionError, match=r"no readable image .*1 × empty, 1 × not an image\): see data/c/unread"):
        pack(paths, [16])
    assert not paths.images.exists()
    assert len(unreadable(paths)) == 2


def test_too_small_a_disk_is_an_error_before_any_work(paths: CollectionPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(paths, {"a.jpg": jpeg(0)})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 0))
    with pytest.raises(CollectionError, match=r"1 images at \[16\] px take 0\.0 GB.*has 0\.0 GB free"):
        pack(paths, [16])
    assert left_behind(paths) == set()


def test_without_a_catalogue(paths: CollectionPaths) -> None:
    with pytest.raises(CollectionError, match="run the stage `catalogue`"):
        pack(paths, [16])


def test_never_more_than_two_batches_a_worker_are_in_flight(
    paths: CollectionPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_flight: list[int] = []
    waiting: set[Future[Any]] = set()

    class Pool(ThreadPoolExecutor):
        def __init__(self, workers: int, **_: Any) -> None:
            super().__init__(workers)

        def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            future = super().submit(function, *args, **kwargs)
            waiting.add(future)
            in_flight.append(sum(not future.done() for future in waiting))
            return future

    monkeypatch.setattr(pixels, "ProcessPoolExecutor", Pool)
    fill(paths, {f"{i:03}.jpg": jpeg(i) for i in range(10 * BATCH)})
    assert pack(paths, [16], workers=2).images == 10 * BATCH
    assert len(in_flight) == 10
    assert max(in_flight) <= 4


# --- interruptions -------------------------------------------------------------------------------------------------


def fill_with_minutes_of_work(paths: CollectionPaths) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (600, 800, 3), dtype=np.uint8)
    Image.fromarray(noise).save("one.jpg")
    size = Path("one.jpg").stat().st_size
    build([Record(f"{i}", f"{i}.jpg", "one.jpg", 0, size) for i in range(10_000)], paths)


SHARDS = Path(".checkpoints/shards/pixels-c")


def wait_until_at_work() -> None:
    """Return as soon as a process has written pixels."""
    wait_until(lambda: any(file.read_bytes()[:50_000].strip(b"\0") for file in SHARDS.glob("*/.*.part/16.pixels")))


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while True:
        with suppress(FileNotFoundError):  # what was looked at is put meanwhile
            if true():
                return
        assert time.monotonic() < deadline, "not within a minute"
        time.sleep(0.02)


def once_at_work(then: Callable[[], None]) -> None:
    def act() -> None:
        wait_until_at_work()
        then()

    threading.Thread(target=act, daemon=True).start()


def test_a_dead_process_is_a_named_error(paths: CollectionPaths) -> None:
    fill_with_minutes_of_work(paths)
    once_at_work(lambda: multiprocessing.active_children()[0].kill())
    with pytest.raises(
        CollectionError, match=r"a process that decoded images of collection 'c' died.*goes on from 0 im"
    ):
        pack(paths, [16], workers=2)
    assert left_behind(paths) == set()
    fill(paths, {"a.jpg": jpeg(0)})
    assert pack(paths, [16], workers=1).images == 1


def test_an_interruption_leaves_nothing_that_looks_complete(paths: CollectionPaths) -> None:
    fill_with_minutes_of_work(paths)
    once_at_work(lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        pack(paths, [16], workers=1)
    assert left_behind(paths) == set()
    assert multiprocessing.active_children() == []


SCRIPT = """
import sys
from rijksnet import shards
from rijksnet.data import pixels
from rijksnet.paths import CollectionPaths

if __name__ == "__main__":
    pixels.IMAGES = int(sys.argv[2])
    getattr(pixels, sys.argv[1])(CollectionPaths("c"), [16], "stretched", workers=1)
"""


def start(what: str, images: int = 2048) -> subprocess.Popen[bytes]:
    Path("script.py").write_text(SCRIPT)
    return subprocess.Popen([sys.executable, "script.py", what, str(images)], stderr=subprocess.DEVNULL)


def kill(run: subprocess.Popen[bytes]) -> None:
    """With no time to clean up; its processes end by themselves."""
    children = psutil.Process(run.pid).children(recursive=True)
    run.kill()
    run.wait()
    assert children
    assert psutil.wait_procs(children, timeout=60)[1] == [], "these go on without their parent"


@pytest.mark.usefixtures("threads")
def test_a_killed_run_takes_its_processes_with_it_and_other_work_starts_cleanly(paths: CollectionPaths) -> None:
    fill_with_minutes_of_work(paths)
    run = start("pack")
    wait_until_at_work()
    kill(run)
    assert left_behind(paths) == set()
    fill(paths, {"a.jpg": jpeg(0)})
    pack(paths, [16])
    assert left_behind(paths) == {"images.parquet", "unreadable.csv", "pixels"}
    assert [path.suffix for path in SHARDS.iterdir() if path.is_dir()] == []


# --- shards --------------------------------------------------------------------------------------------------------


def fill_shards(paths: CollectionPaths, images: int, broken: int = 7) -> None:
    """Images of which each `broken`-th cannot be read."""
    fill(paths, {f"{i:04}.jpg": b"<html>" if i % broken == 3 else jpeg(i) for i in range(images)})


@pytest.mark.usefixtures("threads")
def test_a_killed_run_goes_on_with_whole_shards_to_the_same_bytes(
    paths: CollectionPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pixels, "IMAGES", 40)
    fill_shards(paths, 1000)
    run = start("pack", 40)
    wait_until(lambda: len([*SHARDS.glob("*/00*/16.pixels")]) > 2)
    kill(run)
    kept = {file: file.stat().st_mtime_ns for file in SHARDS.glob("*/00*/images.parquet")}
    assert 2 < len(kept) < 25
    decoded: list[int] = []
    packed = pixels.pack_batch
    monkeypatch.setattr(pixels, "pack_batch", lambda *its: decoded.append(len(its[0])) or packed(*its))
    assert pack(paths, [16]).images == 1000 - 143
    assert sum(decoded) == 1000 - 40 * len(kept)
    resumed = made(paths)
    pack(paths, [16])
    assert made(paths) == resumed
    assert sum(decoded) == 2000 - 40 * len(kept)
    rows = read_images(paths.images).to_pylist()
    squares = open_pixels(paths.pixels_of_size(16))
    assert [row["row"] for row in rows[:34]] != [row["row"] for row in rows[34:68]]
    for row in rows[::50]:
        np.testing.assert_array_equal(squares[row["row"]], decode(jpeg(int(row["image"][:4])), [16])[0])


@pytest.mark.usefixtures("threads")
def test_a_helper_takes_shards_and_the_bytes_stay_the_same(
    paths: CollectionPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pixels, "IMAGES", 20)
    fill_shards(paths, 1000)
    pack(paths, [16])
    alone = made(paths)
    own: list[int] = []
    packed = pixels.pack_batch

    def slowly(*its: Any) -> Any:
        own.append(len(its[0]))
        time.sleep(0.1)
        return packed(*its)

    monkeypatch.setattr(pixels, "pack_batch", slowly)
    helper = start("help_pack", 20)
    assert pack(paths, [16], workers=1).images == 857
    assert helper.wait(60) == 0
    assert made(paths) == alone
    assert 0 < sum(own) < 1000, "both have worked"


@pytest.mark.usefixtures("threads")
def test_a_helper_of_other_work_does_nothing(paths: CollectionPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "PATIENCE_S", 0.1)
    fill_shards(paths, 10)
    with pixels.Packing(paths, [16], "stretched", "this code").shards.begun():
        pixels.help_pack(paths, [16], "stretched", code="other code")
    assert [file.name for file in SHARDS.glob("*/*")] == ["begun"]


@pytest.mark.usefixtures("threads")
def test_an_image_that_changed_meanwhile_is_decoded_anew(
    paths: CollectionPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pixels, "IMAGES", 2)
    contents = {name: jpeg(i) for i, name in enumerate(("a", "b", "c", "d"))}
    size = max(map(len, contents.values()))
    contents = {name: data.ljust(size, b"\0") for name, data in contents.items()}
    for name, data in contents.items():
        Path(name).write_bytes(data)
    build([Record(name, name, name, 0, size) for name in contents], paths)
    packing = pixels.Packing(paths, [16], "stretched", "")
    with packing.shards.begun():
        packing.run(1, waits=True)
    Path("c").write_bytes(jpeg(9).ljust(size, b"\0"))
    pack(paths, [16])
    squares = open_pixels(paths.pixels_of_size(16))
    for square, seed in zip(squares, (0, 1, 9, 3), strict=True):
        np.testing.assert_array_equal(square, decode(jpeg(seed), [16])[0])


def test_decoding_processes_import_nothing_heavy() -> None:
    names = "pandas, pyarrow, torch, rich, pydantic, matplotlib"
    code = f"import sys, rijksnet.data.packing; print({{*'{names}'.split(', ')}} & {{*sys.modules}})"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"


# --- rows ----------------------------------------------------------------------------------------------------------


@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_rows_end_without_gaps(readable: list[bool]) -> None:
    bad = [row for row, good in enumerate(readable) if not good]
    new = pixels._rows_without_gaps(len(readable), bad)
    kept = sum(readable)
    assert [int(row) for row in np.flatnonzero(new < 0)] == bad
    assert sorted(new[new >= 0]) == list(range(kept))
    stay = [row for row, good in enumerate(readable) if good and row < kept]
    assert [int(row) for row in new[stay]] == stay, "only the last ones move"


def test_a_collection_of_labels_only_has_no_pixels(paths: CollectionPaths) -> None:
    build([Record("row-000001", "row-000001", "", 0, 0), Record("row-000002", "row-000002", "", 0, 0)], paths)
    with pytest.raises(CollectionError, match="has labels only: 2 of the 2 images"):
        pack(paths, [16])
