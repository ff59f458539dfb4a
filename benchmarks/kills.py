"""How a `dvc repro` that is killed again and again ends: what differs from an undisturbed one, and what was done twice.

    python benchmarks/kills.py [--kills 30] [--seed 0] [--keep FOLDER]

Two checkouts of this project with the tiny parameters of tests/pipeline: one is reproduced in peace, in the other
`dvc repro` and all its processes get SIGKILL at random moments and are started again, until so many kills have hit or
the pipeline has ended. Compared: weights, scores and answers of every run, the report, and the runs and
versions that MLflow shows. Exit status 1 if anything differs.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests")]

from projects import Project, checkout, commit, make_tiny  # noqa: E402  that folder is no package

#: Seconds until a kill, drawn evenly: DVC itself needs some until the first stage runs.
FIRST, LAST = 1.0, 14.0
#: Files of a run that say when it was made, where and how fast, beside what it found.
TIMED = ("history.csv", "run.json")


def attempt(project: Project, log: Path, kill_after: float | None) -> bool:
    """One `dvc repro`; whether it came to its end."""
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(project.folder / "src"),
        "DVC_NO_ANALYTICS": "1",
    }
    with log.open("a") as out:
        process = subprocess.Popen(
            ["dvc", "repro"], cwd=project.folder, env=environment, stdout=out, stderr=out, start_new_session=True
        )
        try:
            return process.wait(kill_after) == 0
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return False


def ran(log: Path) -> Counter[str]:
    return Counter(re.findall(r"Running stage '([^']+)'", log.read_text(encoding="utf-8")))


def results(project: Project) -> dict[str, str]:
    """Digest of everything that a repetition should give again."""
    found = {}
    for file in sorted((project.folder / "runs").rglob("*")):
        if file.is_file() and file.name not in TIMED:
            name = file.relative_to(project.folder).as_posix()
            content = file.read_bytes()
            if file.suffix == ".json" and file.name != "metrics.json":
                content = json.dumps(
                    {k: v for k, v in json.loads(content).items() if k not in ("lineage", "run_digests")}
                ).encode()
            found[name] = hashlib.sha256(content).hexdigest()
    for file in sorted((project.folder / "results").glob("table*.csv")):
        found[file.name] = hashlib.sha256(file.read_bytes()).hexdigest()
    return found


def shown(project: Project) -> Counter[str]:
    """The complete runs and the versions in MLflow, by what they are of."""
    import mlflow

    store = mlflow.MlflowClient(f"sqlite:///{project.folder}/mlflow.db")
    experiments = [one.experiment_id for one in store.search_experiments()]
    found: Counter[str] = Counter()
    for run in store.search_runs(experiments):
        found[f"{run.data.tags.get('run_key')} {run.data.tags.get('status')} {len(run.data.metrics)}"] += 1
    for version in store.search_model_versions():
        found[f"{version.name} {version.tags['weights_sha256'][:12]}"] += 1
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for the two projects, which stay there")
    chosen = parser.parse_args()
    folder = chosen.keep or Path(tempfile.mkdtemp())
    projects = []
    for name in ("peace", "killed"):
        project = checkout(folder / name)
        make_tiny(project)
        commit(project, "Tiny parameters")
        projects.append(project)
    peace, killed = projects
    logs = folder / "peace.log", folder / "killed.log"
    started = time.perf_counter()
    assert attempt(peace, logs[0], None), logs[0].read_text()
    undisturbed = time.perf_counter() - started
    moments, hits, ended, started = random.Random(chosen.seed), 0, False, time.perf_counter()
    while not ended and hits < chosen.kills:
        ended = attempt(killed, logs[1], moments.uniform(FIRST, LAST))
        hits += not ended
        print(f"kill {hits} after {time.perf_counter() - started:.0f} s", flush=True)
    while not ended:
        ended = attempt(killed, logs[1], None)
        assert ended, logs[1].read_text()[-3000:]
    disturbed = time.perf_counter() - started
    once, again = ran(logs[0]), ran(logs[1])
    repeated = {stage: n - 1 for stage, n in again.items() if n > 1 and stage not in ("champions", "publish")}
    print(
        f"{hits} kills: {disturbed:.0f} s rather than {undisturbed:.0f} s; {sum(once.values())} stages undisturbed, "
        f"{sum(repeated.values())} repetitions: {repeated}"
    )
    differing = {name for name, digest in results(peace).items() if results(killed).get(name) != digest}
    differing |= {str(one) for one in (shown(peace) - shown(killed)) + (shown(killed) - shown(peace))}
    print("everything is equal" if not differing else f"different: {sorted(differing)}")
    if not chosen.keep:
        shutil.rmtree(folder)
    raise SystemExit(bool(differing))


if __name__ == "__main__":
    main()
