"""What a graph of N stages costs beside what the stages do: seconds of `dvc` and of `rijksnet repro`.

    python benchmarks/graph.py [100 1000 10000] [--ends 20] [--csv benchmarks/graph.csv]

In a folder of its own a pipeline of N stages is made, a tenth of which are read by nine others each; what each does is
copy a file. Its dvc.lock is written as if all but `--ends` of the last had run. Then `rijksnet repro` runs these, which
says what a stage costs at its end, with a dvc.lock of so many stages; and `rijksnet repro` and `dvc repro` find nothing
to do. Up to a thousand stages `dvc repro` runs the last ones too.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]

COLUMNS = ("stages", "what", "seconds")


def prepare(stages: int, ends: int) -> None:
    """A project with its dvc.lock; the outputs are there, but of the last stages."""
    shutil.copy(ROOT / "params.yaml", "params.yaml")
    Path("out").mkdir()
    Path("in").write_text("in\n", encoding="utf-8")
    digest = hashlib.md5(b"in\n", usedforsecurity=False).hexdigest()
    pipeline, lock = ["stages:"], ["schema: '2.0'", "stages:"]
    for number in range(stages):
        name, above = f"s{number:05}", number // 10 * 10
        needs = "in" if number == above else f"out/s{above:05}"
        pipeline += [
            *(f"  {name}:", f"    cmd: cp {needs} out/{name}"),
            *("    deps:", f"      - {needs}", "    outs:", f"      - out/{name}: {{cache: false}}"),
        ]
        if number < stages - ends:
            shutil.copy("in", f"out/{name}")
            lock += [f"  {name}:", f"    cmd: cp {needs} out/{name}"]
            for kind, path in (("deps", needs), ("outs", f"out/{name}")):
                lock += [
                    f"    {kind}:",
                    f"    - path: {path}",
                    "      hash: md5",
                    f"      md5: {digest}",
                    "      size: 3",
                ]
    Path("dvc.yaml").write_text("\n".join(pipeline) + "\n", encoding="utf-8")
    Path("dvc.lock").write_text("\n".join(lock) + "\n", encoding="utf-8")
    for command in (["git", "init", "--quiet"], ["dvc", "init", "--quiet"], ["git", "add", "dvc.yaml", "in"]):
        subprocess.run(command, check=True)


def seconds(*command: str) -> float:
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stdout[-1000:]}{done.stderr[-2000:]}")
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stages", nargs="*", type=int, default=[100, 1000, 10_000])
    parser.add_argument("--ends", type=int, default=20, help="stages that are run")
    parser.add_argument("--dvc-up-to", type=int, default=1000, help="stages up to which `dvc repro` runs them too")
    parser.add_argument("--csv", type=Path)
    asked = parser.parse_args()
    file = asked.csv.resolve() if asked.csv else None
    repro = (sys.executable, "-m", "rijksnet", "repro", "--jobs", "2")
    dvc = ("dvc", "repro", "--quiet")
    rows = []
    for stages in asked.stages:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            prepare(stages, asked.ends)
            whats = [
                (f"rijksnet repro of the last {asked.ends}", repro),
                ("rijksnet repro, nothing to do", repro),
                ("dvc repro, nothing to do", dvc),
            ]
            if stages <= asked.dvc_up_to:
                whats.append((f"dvc repro of the last {asked.ends}", dvc))
            for what, command in whats:
                if what.startswith("dvc repro of"):
                    shutil.rmtree(folder)
                    Path(folder).mkdir()
                    os.chdir(folder)
                    prepare(stages, asked.ends)
                rows.append((stages, what, f"{seconds(*command):.1f}"))
                print(f"{stages:>6} stages, {what}: {rows[-1][2]} s", flush=True)
            os.chdir(ROOT)
    if file:
        with file.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream, lineterminator="\n").writerows([COLUMNS, *rows])


if __name__ == "__main__":
    main()
