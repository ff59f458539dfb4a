"""What a collection of N objects takes, stage by stage: seconds, and the peak memory of a stage's processes.

    python benchmarks/scale.py [1000 10000 112039] [--csv benchmarks/scale.csv]

In a folder of its own a miniature collection of N objects is drawn, read, packed and split (near-duplicates and objects
together), looked through by the audit, its features extracted by a tiny network, and a softmax layer trained on them:
what a stage does beside a network's own arithmetic, for which benchmarks/training.py has the speeds. 112,039 objects
are those of the Rijksmuseum Challenge. Memory is the sum of proportional sizes (PSS), looked at five times a second.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]

#: The stages, in their order: what `rijksnet` is told.
STAGES = (
    ("draw", "drawn"),
    ("catalogue", "drawn"),
    ("pixels", "drawn"),
    ("splits", "drawn"),
    ("audit", "drawn"),
    ("pretrain", "test_resnet"),
    ("features", "drawn", "test_resnet"),
    ("off_the_shelf", "drawn", "type", "test_resnet"),
)

COLUMNS = ("objects", "stage", "seconds", "mib", "written_mb")


def prepare(folder: Path, objects: int) -> None:
    yaml = YAML()
    content = yaml.load(ROOT / "params.yaml")
    small = {"reader": "miniature", "museum": "photographs", "objects": 500, "seed": 3}
    content["collections"] = {
        "drawn": {
            "reader": "miniature",
            "raw": "data/drawn/raw",
            "museum": "rijksmuseum",
            "objects": objects,
            "seed": 1,
        },
        "photographs": {**small, "raw": "data/photographs/raw"},
    }
    content["drawn"] = ["drawn", "photographs"]
    content["source"] = {"collection": "drawn", "challenges": ["material", "type", "artist"]}
    content["target"] = {"collection": "drawn", "challenges": [], "architectures": []}
    content["architectures"] = ["test_resnet"]
    content["imagenet"]["pretrain"] |= {"collection": "photographs", "architectures": ["test_resnet"], "max_epochs": 1}
    content["scratch"] = {"architecture": "test_resnet", "challenges": []}
    content["splits"]["together"] = "near_duplicates"
    content["training"]["max_epochs"]["off_the_shelf"] = 5
    for part in ("seeds", "side_experiments"):
        content[part] = {key: [] if isinstance(value, list) else value for key, value in content[part].items()}
    yaml.dump(content, folder / "params.yaml")


def carried_out(words: tuple[str, ...]) -> tuple[float, float]:
    """Seconds, and MiB at most."""
    started = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-m", "rijksnet", *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        peak = [0.0]
        over = threading.Event()
        watching = threading.Thread(target=watch, args=(psutil.Process(process.pid), over, peak))
        watching.start()
        said = process.stderr.read() if process.stderr else b""
        code = process.wait()
        seconds = time.perf_counter() - started
        over.set()
        watching.join()
    if code:
        raise SystemExit(f"rijksnet {' '.join(words)}: {said.decode()[-2000:]}")
    return seconds, peak[0]


def watch(process: psutil.Process, over: threading.Event, peak: list[float]) -> None:
    while not over.wait(0.2):
        with suppress(psutil.Error):
            family = [process, *process.children(recursive=True)]
            peak[0] = max(peak[0], sum(one.memory_full_info().pss for one in family) / 2**20)


def size_mb() -> float:
    return sum(file.stat().st_size for file in Path().rglob("*") if file.is_file()) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("objects", nargs="*", type=int, default=[1000, 10_000, 112_039])
    parser.add_argument("--csv", type=Path)
    asked = parser.parse_args()
    file = asked.csv.resolve() if asked.csv else None
    rows: dict[tuple[str, str], dict[str, str]] = {}
    if file and file.is_file():
        with file.open(encoding="utf-8", newline="") as stream:
            rows = {(row["objects"], row["stage"]): row for row in csv.DictReader(stream)}
    for objects in asked.objects:
        folder = Path(tempfile.mkdtemp())
        try:
            os.chdir(folder)
            prepare(folder, objects)
            for words in (
                ("draw", "photographs"),
                ("catalogue", "photographs"),
                ("pixels", "photographs"),
                ("splits", "photographs"),
            ):
                carried_out(words)
            for words in STAGES:
                before = size_mb()
                seconds, mib = carried_out(words)
                row = {"objects": str(objects), "stage": words[0], "seconds": f"{seconds:.1f}", "mib": f"{mib:.0f}",
                       "written_mb": f"{size_mb() - before:.1f}"}  # fmt: skip
                rows[row["objects"], row["stage"]] = row
                print(f"{objects:>9,} objects, {words[0]:13} {seconds:8.1f} s {mib:7.0f} MiB", flush=True)
        finally:
            os.chdir(ROOT)
            shutil.rmtree(folder)
        if file:
            with file.open("w", encoding="utf-8", newline="") as stream:
                writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows.values())


if __name__ == "__main__":
    main()
