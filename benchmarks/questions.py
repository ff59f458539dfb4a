"""What the paper fixed, questioned on real objects: each choice against another, on the same folds of the same objects.

    python benchmarks/questions.py PROJECT OUT --collection NAME [--strategies off_the_shelf fine_tuning]

PROJECT is a folder in which the stages `pixels`, `splits` and θ of NAME have run; runs that it has are used. Each other
answer is a clone of this repository under OUT with PROJECT's data and a parameter changed, in which the pipeline's own
commands run; what stands there complete is not made again. A row a comparison goes to --csv: accuracies over all folds,
the difference with its paired bootstrap interval over objects, McNemar's p, and the interval over folds, which counts
what other training images would change, too.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from ruamel.yaml import YAML

from rijksnet.params import load
from rijksnet.paths import CollectionPaths
from rijksnet.runs.key import RunKey
from rijksnet.runs.result import RunResult, load_run
from rijksnet.statistics.significance import fold_test, paired_test

ROOT = Path(__file__).parents[1]

#: Question: the two answers, as parameters; and the strategies that it is put to. The first answer is the paper's.
QUESTIONS: dict[str, tuple[dict[str, Any], dict[str, Any], tuple[str, ...]]] = {
    "[0,1] or the weights' own mean and deviation": (
        {"training.normalisation.off_the_shelf": "unit", "training.normalisation.fine_tuning": "unit"},
        {},
        ("off_the_shelf", "fine_tuning"),
    ),
    "batch statistics of a frozen network (old Keras) or running ones": (
        {"training.batch_norm.frozen": "batch"},
        {},
        ("off_the_shelf",),
    ),
    "stretched or padded squares": ({}, {"squares": "padded"}, ("off_the_shelf", "fine_tuning")),
    "twelve epochs or early stopping": ({"training.max_epochs.fine_tuning": 12}, {}, ("fine_tuning",)),
    "128 px or the network's own size": ({}, {"input_size": "native"}, ("off_the_shelf", "fine_tuning")),
}

#: What changes pixels, so that they are packed anew.
OF_PIXELS = ("squares", "input_size")

COLUMNS = ("question", "strategy", "collection", "challenge", "architecture", "objects", "a", "b", "difference", "low",
           "high", "p", "fold_low", "fold_high", "fold_p", "a_run", "b_run")  # fmt: skip


def name_of(changes: dict[str, Any]) -> str:
    return "-".join(f"{key.split('.')[-1]}_{value}" for key, value in changes.items()) or "as_it_is"


def prepared(project: Path, out: Path, collection: str, changes: dict[str, Any]) -> Path:
    """A clone with the project's data and parameters, but for `changes`."""
    folder = out / name_of(changes)
    if not (folder / "params.yaml").is_file():
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
        (folder / "params.yaml").unlink()
    yaml, file = YAML(), folder / "params.yaml"
    content = yaml.load(project / "params.yaml")
    content.setdefault("squares", "stretched")
    for key, value in changes.items():
        *path, last = key.split(".")
        part = content
        for step in path:
            part = part[step]
        part[last] = value
    yaml.dump(content, file)
    raw = folder / content["collections"][collection]["raw"]
    if not raw.exists():
        place = Path(os.path.normpath(raw))
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to((project / content["collections"][collection]["raw"]).resolve())
    theirs, ours = project / CollectionPaths(collection).root, folder / CollectionPaths(collection).root
    if not ours.exists():
        anew = any(key in OF_PIXELS for key in changes)
        left_out = shutil.ignore_patterns("raw", "pixels", *(["images.parquet", "unreadable.csv"] if anew else []))
        shutil.copytree(theirs, ours, ignore=left_out)
        if anew:
            command(folder, "pixels", collection)
        else:
            (ours / "pixels").symlink_to((theirs / "pixels").resolve())
    if not (folder / "weights").exists():
        (folder / "weights").symlink_to((project / "weights").resolve())
    return folder


def command(folder: Path, *words: str) -> None:
    print(f"{folder.name}: rijksnet {' '.join(words)}", flush=True)
    subprocess.run([sys.executable, "-m", "rijksnet", *words], cwd=folder, check=True, env=environment(folder))


def environment(folder: Path) -> dict[str, str]:
    rest = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder.resolve() / "src"), *([rest] if rest else [])])}


def trained(folder: Path, key: RunKey, project: Path) -> RunResult:
    """The run, made now if it is not there; the project's own, if it is what is asked for."""
    if folder.name == name_of({}) and (project / "runs" / str(key) / "run.json").is_file():
        return load_run(project / "runs" / str(key))
    if not (folder / "runs" / str(key) / "run.json").is_file():
        features = folder / key.features
        if key.strategy == "off_the_shelf" and not features.is_dir():
            command(folder, "features", key.collection, key.architecture)
        command(folder, key.strategy, key.collection, key.challenge, key.architecture)
    return load_run(folder / "runs" / str(key))


def compared(question: str, key: RunKey, a: RunResult, b: RunResult) -> dict[str, Any]:
    """A row: b − a, in shares of the images."""
    test = paired_test(b.correct(), a.correct())
    row = {"question": question, "strategy": key.strategy, "collection": key.collection, "challenge": key.challenge,
           "architecture": key.architecture, "objects": test.objects, "a": test.accuracy_b, "b": test.accuracy_a,
           "difference": test.difference, "low": test.low, "high": test.high, "p": test.p,
           "a_run": a.digest[:12], "b_run": b.digest[:12]}  # fmt: skip
    if a.fold_accuracies:
        folds = fold_test(list(np.subtract(b.fold_accuracies, a.fold_accuracies)))
        row |= {"fold_low": folds.low, "fold_high": folds.high, "fold_p": folds.p}
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in row.items()}


def asked(chosen: argparse.Namespace) -> Iterator[tuple[str, RunKey, list[Path]]]:
    """Each question to a run: its name, the run's key, and the folders of the two answers."""
    params = load(prepared(chosen.project, chosen.out, chosen.collection, {}) / "params.yaml")
    challenges = (params.source if chosen.collection == params.source.collection else params.target).challenges
    for question, (a, b, strategies) in QUESTIONS.items():
        if not any(word in question for word in chosen.questions):
            continue
        for strategy in strategies:
            if strategy not in chosen.strategies:
                continue
            for architecture in chosen.architectures or params.architectures:
                folders = [prepared(chosen.project, chosen.out, chosen.collection, one) for one in (a, b)]
                for challenge in challenges:
                    key = RunKey(chosen.collection, challenge, architecture, strategy, "imagenet", params.training.seed)
                    yield question, key, folders


def answered(chosen: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row a question, once both of its runs are there; they are made side by side, each once."""
    questions = list(asked(chosen))
    runs = dict.fromkeys((folder, key) for _, key, folders in questions for folder in folders)
    for folder, key in runs:
        if key.strategy == "off_the_shelf":  # runs of one folder share their features
            trained(folder, key, chosen.project)
    with ThreadPoolExecutor(chosen.jobs) as pool:
        made = {run: pool.submit(trained, *run, chosen.project) for run in runs}
        for question, key, folders in questions:
            yield compared(question, key, *(made[folder, key].result() for folder in folders))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--collection", required=True)
    parser.add_argument("--strategies", nargs="+", default=["off_the_shelf", "fine_tuning"])
    parser.add_argument("--architectures", nargs="*", help="those of the project's parameters, otherwise")
    parser.add_argument("--questions", nargs="+", default=[""], help="words of those to ask; all, otherwise")
    parser.add_argument("--jobs", type=int, default=1, help="trainings of whole networks side by side")
    parser.add_argument("--csv", type=Path, default=Path(__file__).with_suffix(".csv"))
    chosen = parser.parse_args()
    chosen.project, chosen.out = chosen.project.resolve(), chosen.out.resolve()
    rows: dict[tuple[str, ...], dict[str, Any]] = {}
    if chosen.csv.is_file():
        with chosen.csv.open(encoding="utf-8", newline="") as file:
            rows = {tuple(row[name] for name in COLUMNS[:5]): row for row in csv.DictReader(file)}
    for row in answered(chosen):
        rows[tuple(row[name] for name in COLUMNS[:5])] = row
        with chosen.csv.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows.values())


if __name__ == "__main__":
    main()
