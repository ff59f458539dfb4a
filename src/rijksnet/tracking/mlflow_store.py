"""The tracking store: the one module through which run folders become MLflow runs.

Runs are identified by the digest of their `run.json`, so that publishing twice adds nothing. Metrics keep the times
they were measured at, which makes writing them again harmless: the store keeps one value per key, step and time.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag

from rijksnet.files import sha256_of
from rijksnet.runs.folder import Run, RunFolder
from rijksnet.runs.history import read_history
from rijksnet.tracking import artifacts, views
from rijksnet.tracking.stores import experiment_name
from rijksnet.tracking.views import CURRENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from rijksnet.runs.history import Epoch
    from rijksnet.runs.key import RunKey
    from rijksnet.runs.lineage import StageLineage
    from rijksnet.runs.live import Live
    from rijksnet.tracking.stores import Store

WritePictures = Callable[[RunFolder, Run, Path], None]
Outcome = Literal["added", "completed", "mended", "present"]

#: The file of a run's model, among its artifacts, that holds the weights.
MODEL_WEIGHTS = "model/artifacts/weights.safetensors"


def experiment_of(store: Store, of: Live | Run) -> str:
    return store.experiment(of.key, of.params.get("split_rule", "paper"))


def find(store: Store, of: Live | Run, tag: str, value: str) -> list[Any]:
    """The runs of a run's experiment that carry a tag, the newest first."""
    return store.runs(experiment_of(store, of), f"tags.`{tag}` = '{value}'")


def complete_runs(store: Store, of: Iterable[Run]) -> dict[str, Any]:
    """MLflow's complete runs of these runs' experiments, by the digests of what they show."""
    names = sorted({experiment_name(run.key, run.params.get("split_rule", "paper")) for run in of})
    experiments = [experiment for name in names if (experiment := store.standing(name))]
    found = [run for one in experiments for run in reversed(store.runs(one, "tags.status = 'completed'"))]
    return {run.data.tags["run_digest"]: run for run in found if "run_digest" in run.data.tags}


# --- while a run trains -----------------------------------------------------------------------------------------------


def start_live(store: Store, live: Live) -> str:
    """Id of the run that shows a training in progress; made where a resumed training has none yet."""
    found = find(store, live, "run_key_live", _live_name(live))
    if found:
        run_id = str(found[0].info.run_id)
        store.client.update_run(run_id, status="RUNNING")
        store.client.set_tag(run_id, "status", "started")
        return run_id
    tags = _key_tags(live.key) | {"run_key_live": _live_name(live), "status": "started", CURRENT: "yes"}
    run = store.client.create_run(experiment_of(store, live), live.started_ms, tags, run_name(live.key))
    log(store, run.info.run_id, params=_params(live))
    return str(run.info.run_id)


def _live_name(of: Live | Run) -> str:
    return f"{of.key} {of.started_ms}"


def log_epochs(store: Store, run_id: str, epochs: Iterable[Epoch]) -> None:
    log(store, run_id, metrics=epoch_metrics(epochs))


def end_live(store: Store, run_id: str, ended_well: bool) -> None:
    """Mark the run as finished, its folder still to be published, or as failed."""
    store.client.set_terminated(run_id, "FINISHED" if ended_well else "FAILED")
    store.client.set_tag(run_id, "status", "trained" if ended_well else "interrupted")


# --- afterwards -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RunState:
    """How the store shows a run."""

    run_id: str | None  #: None: no complete run does
    amiss: list[str]  #: the artifacts that it lacks, or holds otherwise

    @property
    def whole(self) -> bool:
        return self.run_id is not None and not self.amiss


def look(store: Store, at: RunFolder, run: Run, complete: Mapping[str, Any], thorough: bool = False) -> RunState:
    """Whether the store shows a run as it claims to: artifacts can be lost while their run stays.

    Args:
        complete: what `complete_runs` says.
        thorough: look at the bytes of all its artifacts, pictures and the model's code too, not only whether the run
            and the weights are there in their size.
    """
    found = complete.get(at.digest())
    if found is None:
        return RunState(None, [])
    run_id = found.info.run_id
    wanted = {f"run/{name}": at.root / name for name in _files_of(at, run)}
    if at.weights.name in run.files:
        wanted[MODEL_WEIGHTS] = at.weights
    amiss = artifacts.lacking(store, run_id, wanted)
    return RunState(run_id, sorted(amiss | artifacts.damaged(store, run_id) if thorough else amiss))


def publish(
    store: Store,
    at: RunFolder,
    run: Run,
    shown: RunState,
    lineage: StageLineage | None,
    pictures: WritePictures,
    folder: Path,
) -> tuple[str, Outcome]:
    """Make the store show a run, whole: parameters, metrics, lineage, data, artifacts and the model.

    Args:
        shown: how it does so far.
        lineage: what dvc.lock says of the stage that made the run, if one did.
        pictures: writes artifacts of the run into a folder.
        folder: an empty folder to build artifacts in.

    Returns:
        The run's id, and whether it was added, completed (it had been streamed live), mended or already there.
    """
    digest = at.digest()
    if shown.run_id is not None:
        if shown.amiss:
            _log_artifacts(store, shown.run_id, at, run, pictures, folder)
        return shown.run_id, "mended" if shown.amiss else "present"
    streamed = find(store, run, "run_key_live", _live_name(run)) + find(store, run, "run_digest", digest)
    if streamed:
        run_id = str(streamed[0].info.run_id)
        store.client.set_tag(run_id, "run_digest", digest)
    else:
        tags = _key_tags(run.key) | {"status": "started", "run_digest": digest}
        made = store.client.create_run(
            experiment_of(store, run), run.started_ms, tags, run_name(run.key, run.experiment)
        )
        run_id = str(made.info.run_id)
    measured = json.loads(at.metrics.read_text(encoding="utf-8"))
    history = read_history(at.history) if at.history.name in run.files else []
    values = [*epoch_metrics(history), *_final_metrics(measured, run)]
    log(store, run_id, _params(run), values, _tags(run, lineage) | {views.DESCRIPTION: _description(run, measured)})
    store.client.log_inputs(run_id, list(_datasets(run, lineage)))
    _log_artifacts(store, run_id, at, run, pictures, folder)
    store.client.set_terminated(run_id, "FINISHED", run.ended_ms)
    store.client.set_tag(run_id, "status", "completed")  # last: what lacks it is published again
    return run_id, "completed" if streamed else "added"


def _log_artifacts(store: Store, run_id: str, at: RunFolder, run: Run, pictures: WritePictures, folder: Path) -> None:
    pictures(at, run, folder)
    _copy_run(at, run, folder / "run")
    artifacts.write(store, run_id, folder)


def tell_current(store: Store, shown: Mapping[str, Run], experiment: str) -> None:
    """Tag runs with `current`: `yes` for those that show runs as they are now, `no` for others of their keys.

    A run that was trained again stands beside the one that it replaces, under the same name. What an experiment of
    DVC's makes is not current, and replaces nothing, until the experiment is applied and published.

    Args:
        shown: by the ids of the runs that show them.
        experiment: of DVC's, in which this runs; empty: none.
    """
    if experiment:
        for run_id in (run_id for run_id, run in shown.items() if run.experiment == experiment):
            store.client.set_tag(run_id, CURRENT, "no")
        return
    keys = {str(run.key) for run in shown.values()}
    for of in {experiment_of(store, run) for run in shown.values()}:
        for one in store.runs(of, ""):
            run_id, tags = one.info.run_id, one.data.tags
            if tags.get("run_key") in keys:
                current = "yes" if run_id in shown else "no"
                if tags.get(CURRENT) != current:
                    store.client.set_tag(run_id, CURRENT, current)


def shows_finding(store: Store, run: Any, folder: Path, thorough: bool = False) -> bool:
    """Whether a run shows a finding's folder, as artifacts of the folder's name.

    A finding is complete once `<folder>/<its name>.json` is there, whose digest the run keeps in a tag. What is not
    complete need not be shown.
    """
    marker = folder / f"{folder.name}.json"
    if not marker.is_file():
        return True
    if run.data.tags.get(f"finding.{folder.name}") != sha256_of(marker):
        return False
    return not thorough or artifacts.is_copied(store, run.info.run_id, folder)


def publish_finding(store: Store, run_id: str, folder: Path, thorough: bool = False) -> bool:
    """Make a run show a finding's folder; False where it does so already."""
    if shows_finding(store, store.client.get_run(run_id), folder, thorough):
        return False
    artifacts.write_copy(store, run_id, folder)
    store.client.set_tag(run_id, f"finding.{folder.name}", sha256_of(folder / f"{folder.name}.json"))
    return True


def run_name(key: RunKey, experiment: str = "") -> str:
    """What the UI's run list shows inside the experiment `collection/challenge`.

    Args:
        experiment: of DVC's, in which the run was made.
    """
    return str(key).split("/", 2)[2] + (f" ({experiment})" if experiment else "")


def _key_tags(key: RunKey) -> dict[str, str]:
    return {name: str(value) for name, value in key.to_dict().items()} | {"run_key": str(key)}


def _params(of: Live | Run) -> dict[str, Any]:
    """The key's parts are parameters too: the UI compares runs by parameters, not by tags."""
    return of.params | of.key.to_dict()


def _description(run: Run, measured: dict[str, Any]) -> str:
    test, key = measured["test"], run.key
    return (
        f"{key.architecture}, {key.strategy.replace('_', ' ')} from {key.initialisation} weights, seed {key.seed}: "
        f"**{test['accuracy']:.1%}** of {test['n']:,} test images of {key.collection} right for {key.challenge}; "
        f"always answering the most frequent class gives {measured['majority_accuracy']:.1%}."
        + "".join(f"\n\n**Doubtful**: {doubt}." for doubt in run.doubts)
    )


def _copy_run(at: RunFolder, run: Run, folder: Path) -> None:
    """All of a run but its weights, which the model holds."""
    for name in _files_of(at, run):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(at.root / name, folder / name)


def _files_of(at: RunFolder, run: Run) -> set[str]:
    return {at.run.name, *run.files} - {at.weights.name}


def _tags(run: Run, lineage: StageLineage | None) -> dict[str, str]:
    tags = {
        "split_digest": run.digests["split"],
        "initial_weights_sha256": run.digests["initial_weights"] or "random",
        **{name: str(value) for name, value in run.lineage.items() if value is not None},
    }
    if "weights.safetensors" in run.files:
        tags["weights_sha256"] = run.files["weights.safetensors"]
    if run.ancestry:
        tags["ancestry"] = " → ".join(f"{step['from']} {step['name']}" for step in run.ancestry)
    if run.doubts:
        tags["doubts"] = "; ".join(run.doubts)
    if run.lineage.get("git_commit"):
        tags["mlflow.source.git.commit"] = run.lineage["git_commit"]
    if lineage is not None:
        tags["dvc_stage"] = lineage.stage
        tags |= {f"dvc.dep.{path}": md5 for path, md5 in lineage.deps.items()}
        tags |= {f"dvc.out.{path}": md5 for path, md5 in lineage.outs.items()}
    return tags


#: How the store calls what an epoch measures: the UI groups charts and metrics by what stands before the slash.
EPOCH_METRICS = {
    "train_loss": "train/loss",
    "train_accuracy": "train/accuracy",
    "validation_loss": "validation/loss",
    "validation_accuracy": "validation/accuracy",
    "images_per_s": "run/images_per_s",
}


def epoch_metrics(epochs: Iterable[Epoch]) -> list[Metric]:
    return [
        Metric(shown, getattr(epoch, name), epoch.time_ms, epoch.epoch)
        for epoch in epochs
        for name, shown in EPOCH_METRICS.items()
    ]


def metrics(values: Mapping[str, float], time_ms: int) -> list[Metric]:
    """Values that are measured once."""
    return [Metric(name, float(value), time_ms, 0) for name, value in values.items()]


def _final_metrics(measured: dict[str, Any], run: Run) -> list[Metric]:
    """What the tested weights score, on the test split and (`tested/`) on the validation split, and what they took."""
    values = {f"test/{name}": value for name, value in measured["test"].items()}
    values |= {f"tested/{name}": value for name, value in measured["validation"].items()}
    if "train" in measured:
        values["tested/train_accuracy"] = measured["train"]["accuracy"]
    values |= {
        "test/majority_accuracy": measured["majority_accuracy"],
        "run/parameters": run.parameters,
        "run/seconds": (run.ended_ms - run.started_ms) / 1000,
    }
    if run.best_epoch is not None:
        values |= {"run/epochs": measured["epochs"], "run/best_epoch": run.best_epoch}
    of_folds = [
        Metric("folds/test_accuracy", fold["test_accuracy"], run.ended_ms, number)
        for number, fold in enumerate(measured.get("folds", []))
    ]
    return [*metrics(values, run.ended_ms), *of_folds]


def _datasets(run: Run, lineage: StageLineage | None) -> Iterator[DatasetInput]:
    """The data a run read, each file or folder with DVC's digest of it."""
    if lineage is None:
        return
    profile = json.dumps({name: run.params[name] for name in run.params if name.endswith("_images")})
    for path, md5 in lineage.deps.items():
        if path.startswith(("data/", "features/", "weights/")):
            source = json.dumps({"path": path, "md5": md5})
            dataset = Dataset(path, md5, source_type="dvc", source=source, profile=profile)
            yield DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])


def log(
    store: Store,
    run_id: str,
    params: dict[str, Any] | None = None,
    metrics: list[Metric] | None = None,
    tags: dict[str, str] | None = None,
) -> None:
    """Log in batches that every store accepts (1,000 entries, of which at most 100 parameters and 100 tags)."""
    waiting = metrics or []
    for start in range(0, len(waiting), 800):
        store.client.log_batch(run_id, metrics=waiting[start : start + 800])
    parameters = [Param(name, str(value)) for name, value in (params or {}).items()]
    entries = [RunTag(name, value) for name, value in (tags or {}).items()]
    for start in range(0, max(len(parameters), len(entries)), 90):
        store.client.log_batch(run_id, params=parameters[start : start + 90], tags=entries[start : start + 90])
