"""What a person may ask the origin of: a file, a digest, a run, a model's version, a cell of a table, a prediction."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq

from rijksnet.errors import RunError, TrackingError
from rijksnet.models.promotion import PROMOTION
from rijksnet.paths import RUNS, CollectionPaths
from rijksnet.runs.folder import RunFolder
from rijksnet.runs.key import base_challenge
from rijksnet.trace.graph import runs_here
from rijksnet.tracking import address, registry, stores
from rijksnet.tracking.pins import weights_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rijksnet.params import Params
    from rijksnet.trace.graph import Graph

ACCEPTED = (
    "a file or folder of the pipeline, an md5 or sha256, a run's key or folder, the id of an MLflow run, a model's "
    "version (NAME/2 or models:/NAME@champion), a cell (results/table2.csv:type,resnet50:fine_tuning_percent) or a "
    "prediction (RUN#OBJECT)"
)


@dataclass(frozen=True)
class Question:
    """What was asked for: what it is, in lines, and the files by which its origin is known."""

    about: list[str]
    paths: list[str]


def resolve(params: Params, graph: Graph, what: str) -> Question:
    """
    Raises:
        RunError: it is nothing that is known here; says what may be asked for, and what is near.
    """
    for how in (_cell, _prediction, _version, _run, _path, _sha256, _md5, _mlflow_run):
        found = how(params, graph, what)
        if found is not None:
            return found
    near = get_close_matches(what, [*graph.paths(), *runs_here()], n=5)
    raise RunError(f"{what!r} is not known here. Ask for {ACCEPTED}" + (f"; near are {near}" if near else ""))


def _cell(params: Params, graph: Graph, what: str) -> Question | None:
    asked = re.fullmatch(r"(?P<file>[^:]+\.csv):(?P<row>[^:]+):(?P<column>[^:]+)", what)
    if asked is None:
        return None
    file = Path(asked["file"])
    if not file.is_file():
        raise RunError(f"{file} is not there: `dvc repro report` makes the tables")
    with file.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    names = asked["row"].split(",")
    fitting = [row for row in rows if list(row.values())[: len(names)] == names]
    if len(fitting) != 1:
        first = [",".join(list(row.values())[:2]) for row in rows]
        raise RunError(f"{len(fitting)} rows of {file} begin with {asked['row']!r}; they begin with {first}")
    (row,) = fitting
    if asked["column"] not in row:
        raise RunError(f"{file} has no column {asked['column']!r}; it has {list(row)}")
    runs = {name.removesuffix("run"): row[name] for name in row if name.endswith("run") and row[name]}
    of = [key for prefix, key in runs.items() if prefix and asked["column"].startswith(prefix)] or list(runs.values())
    about = [f"{asked['column']} of {asked['row']} in {file}: {row[asked['column']]}", f"measured by {', '.join(of)}"]
    return Question(about if of else about[:1], [(RUNS / key).as_posix() for key in of] or [file.as_posix()])


def _prediction(params: Params, graph: Graph, what: str) -> Question | None:
    key, mark, wanted = what.partition("#")
    at = RunFolder(RUNS / key.removeprefix(f"{RUNS}/"))
    if not mark or not at.run.is_file():
        return None
    run = at.read(verify=True)
    of = [[("object_id", "==", wanted)], [("image", "==", wanted)]]
    found = pq.read_table(at.predictions, filters=of).to_pylist()
    if not found:
        known = pq.read_table(at.predictions, columns=["object_id"])["object_id"].to_pylist()
        near = get_close_matches(wanted, known, n=5, cutoff=0.0)
        raise RunError(f"{at.root} answered for no object or image {wanted!r}; near are {near}")
    about = []
    for row in found:
        answers = np.array(row["probabilities"])
        best = int(answers.argmax())
        about.append(
            f"{row['image']} of {row['object_id']} ({row['split']} split): {run.classes[best]} ({answers[best]:.1%}), "
            + ("rightly" if best == row["label"] else f"though it is {run.classes[row['label']]}")
        )
    at_collection = CollectionPaths(run.key.collection)
    if at_collection.catalogue.is_file():
        of = found[0]["object_id"]
        for one in pq.read_table(at_collection.catalogue, filters=[("object_id", "==", of)]).to_pylist()[:1]:
            said = {name: one[name] for name in ("title", "creator", "type", "material", "rights") if one.get(name)}
            about.append(f"{at_collection.catalogue} says of it: {said}")
    split = at_collection.split(base_challenge(run.key.challenge)).as_posix()
    return Question(about, [at.root.as_posix(), split])


def _version(params: Params, graph: Graph, what: str) -> Question | None:
    asked = registry.Reference.parse(what)
    if asked is None or not asked.name.startswith("rijksnet-") or not (asked.number or asked.alias):
        return None
    store, name = stores.open_store(params.tracking), asked.name
    with store.answering(f"looking for {what}"):
        version = registry.find(store, asked)
        if version is None:
            known = [str(one.version) for one in registry.versions(store, name)]
            raise TrackingError(f"there is no {what}; {name} has versions {known}")
    identity = version.tags.get("weights_sha256", "")
    about = [f"version {version.version} of {name}: {version.tags.get('run_key')}, weights {identity[:12]}…"]
    if PROMOTION in version.tags:
        about.append(f"promoted: {version.tags[PROMOTION]}")
    here = [key for key, run in runs_here().items() if identity and weights_of(run) == identity]
    if not here:
        about.append(f"no run here has these weights; MLflow's run {version.run_id} has a copy of its files")
    return Question(about, [(RUNS / key).as_posix() for key in here])


def _run(params: Params, graph: Graph, what: str) -> Question | None:
    key = what.removeprefix(f"{RUNS}/").rstrip("/")
    return Question([], [(RUNS / key).as_posix()]) if RunFolder(RUNS / key).run.is_file() else None


def _path(params: Params, graph: Graph, what: str) -> Question | None:
    path = Path(what)
    if path.is_absolute() and path.is_relative_to(Path.cwd()):
        path = path.relative_to(Path.cwd())
    name = path.as_posix()
    known = graph.written(name) or graph.readers(name)
    return Question([], [name]) if known or path.exists() else None


def _sha256(params: Params, graph: Graph, what: str) -> Question | None:
    """Weights, or a run by its digest."""
    if not re.fullmatch(r"[0-9a-f]{64}", what):
        return None
    found, about = [], []
    for key, run in runs_here().items():
        at = RUNS / key
        if weights_of(run) == what or RunFolder(at).digest() == what:
            found.append(at.as_posix())
        if run.digests["initial_weights"] == what:
            about.append(f"{key} starts from it")
    return Question(about, found) if found or about else None


def _md5(params: Params, graph: Graph, what: str) -> Question | None:
    if not re.fullmatch(r"[0-9a-f]{32}(\.dir)?", what):
        return None
    paths, about = graph.with_md5(what), []
    if paths:
        about.append(f"dvc.lock names {', '.join(paths)} by it")
    runs = _runs_that_read(params, [what] if what.endswith(".dir") else [what, f"{what}.dir"])
    if runs:
        about.append(f"MLflow knows {len(runs)} runs that read it: {', '.join(sorted(runs))}")
    return Question(about, paths) if about else None


def _runs_that_read(params: Params, digests: Sequence[str]) -> set[str]:
    """Keys of the MLflow runs, of whatever state of the project, that read data of a digest."""
    if not address.exists(params.tracking):
        return set()
    store = stores.open_store(params.tracking)
    with store.answering("looking for runs that read it"):
        return {
            f"{run.data.tags.get('run_key')} ({run.info.run_id[:8]}…)"
            for experiment in stores.pages(store.client.search_experiments)
            for digest in digests
            for run in store.runs(experiment.experiment_id, f"dataset.digest = '{digest}'")
        }


def _mlflow_run(params: Params, graph: Graph, what: str) -> Question | None:
    if not re.fullmatch(r"[0-9a-f]{32}", what) or not address.exists(params.tracking):
        return None
    store = stores.open_store(params.tracking)
    with store.answering("looking for the run"):
        run = store.run(what)
    if run is None:
        return None
    tags = run.data.tags
    at = RunFolder(RUNS / tags.get("run_key", "-"))
    about = [f"MLflow's run {what} of {tags.get('run_key')}, commit {tags.get('git_commit', 'not known')}"]
    if at.run.is_file() and at.digest() == tags.get("run_digest"):
        return Question(about, [at.root.as_posix()])
    about.append(
        "the run that it shows is not here as it was: "
        + ("it was made again since" if at.run.is_file() else "it is gone")
    )
    about += [f"{name}: {value}" for name, value in sorted(tags.items()) if name.startswith("dvc.dep.data")]
    return Question(about, [])
