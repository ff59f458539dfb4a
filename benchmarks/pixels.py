"""How fast `rijksnet pixels` packs, against a plain loop over Pillow in one thread, and how much memory it takes.

    python benchmarks/pixels.py [--images 5000] [--side 500] [--sizes 224] [--workers 2]

Drawn JPEGs, by default like those of the Rijksmuseum Challenge (350 to 500 px a side, 100 kB; with and without
reduced colour), lie one after the other in one file as in a tar; 200 pictures repeat, each time with bytes of their
own. `--side 2000` is like museums' scans. The plain loop opens, converts and stretches a sample of the same images to
the same sizes and keeps nothing; one half of the sample is timed before `pack` and one after it, as machines vary.

Memory is the peak of the summed proportional sizes (PSS, which counts shared pages once) of the packing process and its
decoding processes, at a tenth of the images and at all; the page cache is not counted. Both packs are watched twice
a second.
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

from rijksnet.collections.build import build
from rijksnet.collections.records import Record
from rijksnet.data.pixels import pack
from rijksnet.paths import CollectionPaths

#: Different pictures; the others repeat them.
DRAWN = 200

#: Images in each half of the plain loop's sample.
SAMPLE = 500


def draw(generator: np.random.Generator, side: int) -> bytes:
    """A JPEG with coarse shapes and fine grain, as of a print on paper; its sides are 70 to 100 % of `side`."""
    width, height = (int(n) for n in generator.integers(side * 7 // 10, side + 1, 2))
    shapes = generator.integers(0, 256, (height // 12, width // 12, 3), dtype=np.uint8)
    picture = np.asarray(Image.fromarray(shapes).resize((width, height), Image.Resampling.BICUBIC))
    grain = generator.normal(0, 12, (height, width, 1))
    stream = io.BytesIO()
    subsampling = int(generator.choice([0, 2]))
    drawn = Image.fromarray((picture + grain).clip(0, 255).astype(np.uint8))
    drawn.save(stream, "JPEG", quality=91, subsampling=subsampling)
    return stream.getvalue()


def fill(images: int, side: int) -> list[Record]:
    """One file with all images, and their records."""
    generator = np.random.default_rng(0)
    drawn = [draw(generator, side) for _ in range(min(images, DRAWN))]
    records, at = [], 0
    with Path("all.bin").open("wb") as stream:
        for i in range(images):
            data = drawn[i % len(drawn)]
            records.append(Record(f"{i:07}", f"{i:07}.jpg", "all.bin", at, len(data)))
            at += stream.write(data)
    return records


def plain_loop(records: Sequence[Record], sizes: Sequence[int]) -> float:
    """Seconds that the plain loop takes."""
    started = time.perf_counter()
    with Path("all.bin").open("rb") as stream:
        for record in records:
            stream.seek(record.offset)
            image = Image.open(io.BytesIO(stream.read(record.length))).convert("RGB")
            for size in sizes:
                np.asarray(image.resize((size, size), Image.Resampling.BICUBIC))
    return time.perf_counter() - started


def timed_pack(records: list[Record], sizes: Sequence[int], workers: int) -> tuple[float, int]:
    """Seconds that `pack` takes, and its peak of memory in bytes."""
    paths = CollectionPaths("benchmark")
    build(records, paths)
    with peak_memory() as peak:
        started = time.perf_counter()
        counts = pack(paths, sizes, workers=workers)
        seconds = time.perf_counter() - started
    assert counts.images == len(records)
    return seconds, peak[0]


@contextmanager
def peak_memory() -> Iterator[list[int]]:
    """Bytes (one number) that this process and its children took together at most while the block ran."""
    peak, ended = [0], threading.Event()

    def sample() -> None:
        while not ended.wait(0.5):
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
    parser.add_argument("--images", type=int, default=5000, help="images to pack; the challenge has 112039")
    parser.add_argument("--side", type=int, default=500, help="longest side of an image, px")
    parser.add_argument("--sizes", type=int, nargs="+", default=[224], help="sides of the squares, px")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)), help="decoding processes")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        records = fill(chosen.images, chosen.side)
        kilobytes = Path("all.bin").stat().st_size / 1000 / chosen.images
        print(f"{chosen.images} JPEGs of {kilobytes:.0f} kB on average, to {chosen.sizes} px")

        few = records[: max(1, chosen.images // 10)]
        few_peak = timed_pack(few, chosen.sizes, chosen.workers)[1]
        sample = records[:SAMPLE], records[-SAMPLE:]
        before = plain_loop(sample[0], chosen.sizes)
        seconds, peak = timed_pack(records, chosen.sizes, chosen.workers)
        after = plain_loop(sample[1], chosen.sizes)

        plain, packed = sum(map(len, sample)) / (before + after), chosen.images / seconds
        print(f"plain loop, one thread:  {plain:7.1f} images/s, over {sum(map(len, sample))} of them")
        print(f"pack, {chosen.workers:2d} processes:      {packed:7.1f} images/s, {packed / plain:.2f} times as fast")
        print(
            f"peak memory of pack:     {few_peak / 2**20:7.0f} MiB with {len(few)} images, "
            f"{peak / 2**20:.0f} MiB with {chosen.images}, parent and children"
        )
        os.chdir("/")


if __name__ == "__main__":
    main()
