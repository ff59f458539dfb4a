"""What a catalogue of N rows costs the stages that read all of it, without pictures: seconds and peak memory.

    python benchmarks/rows.py [100000 1000000 10000000] [--csv benchmarks/rows.csv]

In a folder of its own a catalogue is drawn, one image an object (ids, makers, types and materials as frequent as
Zipf's law has them, titles of forty letters), with a hash and a thumbnail an image, of which one in a thousand is
nearly another's. Then it is split twice: objects kept together, and near-duplicates too; and what training reads of a
split is read. Memory is the peak of one process (maximum resident set).
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from ruamel.yaml import YAML

from rijksnet.collections.catalogue import SCHEMA
from rijksnet.data.phash import THUMBNAIL_SIDE
from rijksnet.paths import CollectionPaths

ROOT = Path(__file__).parents[1]

COLUMNS = ("rows", "what", "seconds", "mib")

#: Rows that are drawn at once.
AT_ONCE = 1_000_000

PATHS = CollectionPaths("rows")

#: What a process of its own does, by what is said of it.
WORK = {
    "pictures that stand for several": "from rijksnet.data import duplicates; "
    "from rijksnet.paths import CollectionPaths as P; duplicates.repeated(P('rows'))",
    "splits by objects": "from rijksnet.cli.app import app; app(['splits', 'rows'])",
    "what training reads": "from rijksnet.data import labelled; from rijksnet.paths import CollectionPaths as P; "
    "labelled.load(P('rows').split('type'), P('rows').images)",
    "splits by near-duplicates": "from rijksnet.cli.app import app; app(['splits', 'rows'])",
}


def zipf(generator: np.random.Generator, values: pa.Array, rows: int) -> pa.Array:
    """Lists of one value each."""
    weights = 1 / np.arange(1, len(values) + 1)
    chosen = generator.choice(len(values), rows, p=weights / weights.sum())
    return pa.ListArray.from_arrays(pa.array(np.arange(rows + 1), pa.int32()), values.take(pa.array(chosen)))


def draw(rows: int) -> None:
    generator = np.random.default_rng(0)
    words = {name: pa.array([f"{name} {i}" for i in range(n)]) for name, n in
             (("creator", 50_000), ("type", 1_000), ("material", 200))}  # fmt: skip
    PATHS.root.mkdir(parents=True)
    images_schema = pa.schema(
        [*(SCHEMA.field(name) for name in ("object_id", "image")), ("row", pa.int64()), ("phash", pa.uint64()),
         ("thumbnail", pa.binary())]
    )  # fmt: skip
    with (
        pq.ParquetWriter(PATHS.catalogue, SCHEMA) as catalogue,
        pq.ParquetWriter(PATHS.images, images_schema) as images,
    ):
        for start in range(0, rows, AT_ONCE):
            n = min(AT_ONCE, rows - start)
            numbers = pc.utf8_lpad(pa.array(np.arange(start, start + n)).cast(pa.string()), 9, "0")
            ids = pc.binary_join_element_wise("SK-A", numbers, "-")
            names = pc.binary_join_element_wise(numbers, "jpg", ".")
            titles = pc.binary_join_element_wise("A title of some forty letters, as usual", numbers, " ")
            columns = [ids, names, pa.array(["all.tar"] * n), pa.array(np.arange(start, start + n) * 100_000),
                       pa.array(np.full(n, 100_000)), *(zipf(generator, words[w], n) for w in words),
                       titles, pa.array([""] * n), pa.array([""] * n)]  # fmt: skip
            catalogue.write_table(pa.table(columns, schema=SCHEMA))
            grey = generator.integers(0, 256, (n, THUMBNAIL_SIDE**2), dtype=np.uint8)
            hashes = generator.integers(0, 2**64, n, dtype=np.uint64)
            near = np.arange(1, n, 1000)
            grey[near], hashes[near] = grey[near - 1] // 2 * 2, hashes[near - 1] ^ np.uint64(5)
            thumbnails = pa.FixedSizeBinaryArray.from_buffers(
                pa.binary(THUMBNAIL_SIDE**2), n, [None, pa.py_buffer(grey.tobytes())]
            )
            images.write_table(
                pa.table(
                    [ids, names, pa.array(np.arange(start, start + n)), pa.array(hashes), thumbnails.cast(pa.binary())],
                    schema=images_schema,
                )
            )


def params(together: str) -> None:
    yaml = YAML()
    content = yaml.load(ROOT / "params.yaml")
    content["collections"]["rows"] = {**content["collections"][content["source"]["collection"]], "raw": "data/rows/raw"}
    content["drawn"].append("rows")
    content["source"]["collection"] = "rows"
    content["splits"]["together"] = together
    yaml.dump(content, Path("params.yaml"))


def carried_out(code: str) -> tuple[float, float]:
    """Seconds, and MiB at most."""
    measured = f"import resource, sys\ntry:\n    {code}\nexcept SystemExit: pass\n"
    measured += "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", measured], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1] if done.stderr else f"ended by {done.returncode}")
    return time.perf_counter() - started, int(done.stderr.split()[-1]) / 2**10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", type=int, default=[100_000, 1_000_000, 10_000_000])
    parser.add_argument("--without", default="none", help="leave out what has this in its name; pairs take n²")
    parser.add_argument("--csv", type=Path)
    asked = parser.parse_args()
    file = asked.csv.resolve() if asked.csv else None
    found = []
    for rows in asked.rows:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            draw(rows)
            for what, code in WORK.items():
                if asked.without in what:
                    continue
                params("near_duplicates" if "near" in what else "object")
                try:
                    seconds, mib = carried_out(code)
                except RuntimeError as error:  # such as a want of memory, under a limit of the shell's
                    print(f"{rows:>11,} rows, {what:32} {error}", flush=True)
                    continue
                found.append((rows, what, f"{seconds:.1f}", f"{mib:.0f}"))
                print(f"{rows:>11,} rows, {what:32} {seconds:8.1f} s {mib:8.0f} MiB", flush=True)
            os.chdir(ROOT)
    if file:
        with file.open("a", encoding="utf-8", newline="") as stream:
            csv.writer(stream, lineterminator="\n").writerows(found if stream.tell() else [COLUMNS, *found])


if __name__ == "__main__":
    main()
