"""How fast `rijksnet pixels` packs, against a plain loop over Pillow in one thread, and how much memory it takes.

    python benchmarks/pixels.py [--images 600] [--sizes 224 299] [--workers 2]

Both ways decode the same drawn JPEGs (500 to 800 px a side, about as many bytes as museums' web images) and stretch
them to the same sizes; the loop keeps nothing. Memory is the peak of the summed proportional sizes (PSS, which counts
shared pages once) of the packing process and its decoding processes; the page cache is not counted.
"""

from __future__ import annotations

import argparse
import io
import os
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from rijksnet.collections.catalogue import build
from rijksnet.collections.records import Record
from rijksnet.data.pixels import pack
from rijksnet.paths import CollectionPaths

#: Different pictures; the others repeat them, each with bytes of its own in the file.
DRAWN = 60


def draw(generator: np.random.Generator) -> bytes:
    """A JPEG with coarse shapes and fine grain, as of a print on paper."""
    width, height = generator.integers(500, 801, 2)
    shapes = generator.integers(0, 256, (height // 12, width // 12, 3), dtype=np.uint8)
    picture = np.asarray(Image.fromarray(shapes).resize((int(width), int(height)), Image.Resampling.BICUBIC))
    grain = generator.normal(0, 8, (height, width, 1))
    stream = io.BytesIO()
    Image.fromarray((picture + grain).clip(0, 255).astype(np.uint8)).save(stream, "JPEG", quality=85)
    return stream.getvalue()


def fill(paths: CollectionPaths, images: int) -> list[Record]:
    """One file with all images, one after the other as in a tar, and its catalogue."""
    generator = np.random.default_rng(0)
    drawn = [draw(generator) for _ in range(min(images, DRAWN))]
    records, at = [], 0
    with Path("all.bin").open("wb") as stream:
        for i in range(images):
            data = drawn[i % len(drawn)]
            records.append(Record(f"{i:07}", f"{i:07}.jpg", "all.bin", at, len(data)))
            at += stream.write(data)
    build(records, paths)
    return records


def plain_loop(records: Sequence[Record], sizes: Sequence[int]) -> None:
    with Path("all.bin").open("rb") as stream:
        for record in records:
            stream.seek(record.offset)
            image = Image.open(io.BytesIO(stream.read(record.length))).convert("RGB")
            for size in sizes:
                np.asarray(image.resize((size, size), Image.Resampling.BICUBIC))


@contextmanager
def peak_memory() -> Iterator[list[int]]:
    """Bytes (one number) that this process and its children took together at most while the block ran."""
    peak, ended = [0], threading.Event()

    def sample() -> None:
        while not ended.wait(0.2):
            total = 0
            for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
                try:
                    total += process.memory_full_info().pss
                except psutil.Error:
                    continue  # it ended meanwhile
            peak[0] = max(peak[0], total)

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=600, help="images to pack")
    parser.add_argument("--sizes", type=int, nargs="+", default=[224], help="sides of the squares, px")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)), help="decoding processes")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        paths = CollectionPaths("benchmark")
        records = fill(paths, chosen.images)
        kilobytes = Path("all.bin").stat().st_size / 1000 / chosen.images
        print(f"{chosen.images} JPEGs of {kilobytes:.0f} kB on average, to {chosen.sizes} px")

        started = time.perf_counter()
        plain_loop(records, chosen.sizes)
        plain = chosen.images / (time.perf_counter() - started)
        started = time.perf_counter()
        counts = pack(paths, chosen.sizes, chosen.workers)
        packed = chosen.images / (time.perf_counter() - started)
        with peak_memory() as peak:  # in a run of its own: looking at memory slows the processes down
            pack(paths, chosen.sizes, chosen.workers)
        assert counts.images == chosen.images
        print(f"plain loop, one thread:  {plain:7.1f} images/s")
        print(f"pack, {chosen.workers:2d} processes:      {packed:7.1f} images/s, {packed / plain:.2f} times as fast")
        print(f"peak memory of pack:     {peak[0] / 2**20:7.0f} MiB, parent and children")
        os.chdir("/")


if __name__ == "__main__":
    main()
