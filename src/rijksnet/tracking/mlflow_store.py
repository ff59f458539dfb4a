"""The tracking store: the one module through which records become MLflow runs.

Runs are identified by the digest of their record, so that publishing twice adds nothing. Metrics keep the times they
were measured at, which makes writing them again harmless: the store keeps one value per key, step and time.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # two lines for every run
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # the defaults wait minutes for a server that is away
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")

import mlflow
from filelock import FileLock, Timeout
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from rijksnet.errors import TrackingError
from rijksnet.files import sha256_of
from rijksnet.params import Tracking
from rijksnet.paths import RecordPaths, RunKey
from rijksnet.tracking import record, views
from rijksnet.tracking.lineage import StageLineage
from rijksnet.tracking.live import Live
from rijksnet.training.epoch import Epoch

Pictures = Callable[[RecordPaths, record.Run, Path], None]
Outcome = Literal["added", "completed", "present"]

LOCAL_STORE = "sqlite:///"

#: How long to wait for another process to make a local store's tables, which takes it seconds.
PATIENCE_S = 120.0
#: How long to wait for another process that publishes to a local store, s.
PUBLISHING_S = 900.0


@dataclass
class Store:
    """An open tracking store."""

    client: mlflow.MlflowClient
    artifacts: str | None  #: where experiments made here keep artifacts; None leaves it to the server
    file: Path | None  #: the database of a local store
    _experiments: dict[str, str] = field(default_factory=dict)

    def experiment(self, key: RunKey, split_rule: str = "paper") -> str:
        """Id of the experiment that groups the runs of a collection and challenge; made or restored if need be.

        The official split has experiments of its own: its figures do not compare with those of the paper's.
        """
        official = split_rule == "challenge"
        name = f"{key.collection}/{key.challenge}" + (" (official split)" if official else "")
        return self._experiment(name, views.tags(key.collection, key.challenge, official))

    def experiment_of_studies(self, key: RunKey) -> str:
        """Id of the experiment that holds the studies of a collection and challenge, and their trials."""
        name = f"{key.collection}/{key.challenge} (studies)"
        return self._experiment(name, views.study_tags(key.collection, key.challenge))

    def _experiment(self, name: str, tags: dict[str, str]) -> str:
        if name not in self._experiments:
            found = self.client.get_experiment_by_name(name)
            if found and found.lifecycle_stage == "deleted":  # its name stays taken
                self.client.restore_experiment(found.experiment_id)
            found = found or self._create_experiment(name)
            self._describe(found, tags)
            self._experiments[name] = str(found.experiment_id)
        return self._experiments[name]

    def _create_experiment(self, name: str) -> Any:
        try:
            made = self.client.create_experiment(name, artifact_location=self.artifacts)
        except MlflowException:  # another process was quicker
            found = self.client.get_experiment_by_name(name)
            if found is None:
                raise
            return found
        return self.client.get_experiment(made)

    def _describe(self, experiment: Any, tags: dict[str, str]) -> None:
        """Set what is missing or of another version; what a person may have written stays."""
        for name, value in tags.items():
            is_ours = name.startswith(views.VIEW) or name not in experiment.tags
            if is_ours and experiment.tags.get(name) != value:
                self.client.set_experiment_tag(experiment.experiment_id, name, value)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes of this machine from publishing to a local store, where both would add the same runs.

        A server's other clients are not kept out: publish to it from one machine at a time.

        Raises:
            TrackingError: another process has been at it for too long.
        """
        if self.file is None:
            yield
            return
        lock = FileLock(f"{self.file}.publish.lock", timeout=PUBLISHING_S)
        try:
            lock.acquire()
        except Timeout as error:
            raise TrackingError(
                f"another process has been publishing to {self.file} for {PUBLISHING_S:.0f} s: wait for it, or end it; "
                "the next `rijksnet publish` completes what it leaves"
            ) from error
        try:
            yield
        finally:
            lock.release()

    def runs(self, of: Live | record.Run, tag: str, value: str) -> list[Any]:
        """The runs of an experiment that carry a tag, the newest first."""
        return list(self.client.search_runs([self.experiment_of(of)], f"tags.`{tag}` = '{value}'"))

    def experiment_of(self, of: Live | record.Run) -> str:
        return self.experiment(of.key, of.params.get("split_rule", "paper"))

    def published_run(self, run: record.Run, digest: str) -> str | None:
        """Id of the complete run of a record."""
        found = self.runs(run, "record_digest", digest)
        return next((run.info.run_id for run in found if run.data.tags.get("status") == "completed"), None)


def uri(tracking: Tracking) -> str:
    """The store's address: MLFLOW_TRACKING_URI where it is set (as by `mlflow run`), else the parameter."""
    return os.environ.get("MLFLOW_TRACKING_URI") or tracking.uri


def exists(tracking: Tracking) -> bool:
    """Whether there is a store to ask; a server may still be away."""
    at = uri(tracking)
    return not at.startswith(LOCAL_STORE) or Path(at.removeprefix(LOCAL_STORE)).is_file()


def open_store(tracking: Tracking) -> Store:
    """Open the store; a local one is made where it is not there, by one process while the others wait.

    Processes that first touch a new SQLite file together would break its migrations for good.

    Raises:
        TrackingError: the store cannot be reached.
    """
    at = uri(tracking)
    try:
        if not at.startswith(LOCAL_STORE):
            client = mlflow.MlflowClient(at, at)
            client.search_experiments(max_results=1)
            return Store(client, None, None)
        file = Path(at.removeprefix(LOCAL_STORE)).absolute()
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{file}.lock", timeout=PATIENCE_S):
            client = mlflow.MlflowClient(f"{LOCAL_STORE}{file}", f"{LOCAL_STORE}{file}")
            client.search_experiments(max_results=1)
        return Store(client, Path(tracking.artifacts).absolute().as_uri(), file)
    except Exception as error:  # whatever the server, the network or the database answers
        raise TrackingError(
            f"the tracking store {at} cannot be used ({type(error).__name__}: {error}); start it, or set tracking.uri "
            "or MLFLOW_TRACKING_URI. Nothing is lost: `rijksnet publish` brings it up to date from the records"
        ) from error


# --- while a run trains -----------------------------------------------------------------------------------------------


def start_live(store: Store, live: Live) -> str:
    """Id of the run that shows a training in progress; made where a resumed training has none yet."""
    found = store.runs(live, "run_key_live", _live_name(live))
    if found:
        run_id = str(found[0].info.run_id)
        store.client.update_run(run_id, status="RUNNING")
        store.client.set_tag(run_id, "status", "started")
        return run_id
    tags = _key_tags(live.key) | {"run_key_live": _live_name(live), "status": "started"}
    run = store.client.create_run(store.experiment_of(live), live.started_ms, tags, run_name(live.key))
    log(store, run.info.run_id, params=_params(live))
    return str(run.info.run_id)


def _live_name(of: Live | record.Run) -> str:
    return f"{of.key} {of.started_ms}"


def log_epochs(store: Store, run_id: str, epochs: Iterable[Epoch]) -> None:
    log(store, run_id, metrics=epoch_metrics(epochs))


def end_live(store: Store, run_id: str, ended_well: bool) -> None:
    """Mark the run as finished, its record still to be published, or as failed."""
    store.client.set_terminated(run_id, "FINISHED" if ended_well else "FAILED")
    store.client.set_tag(run_id, "status", "trained" if ended_well else "interrupted")


# --- afterwards -------------------------------------------------------------------------------------------------------


def publish(
    store: Store, at: RecordPaths, run: record.Run, lineage: StageLineage | None, pictures: Pictures, folder: Path
) -> tuple[str, Outcome]:
    """Make the store show a record, whole: parameters, metrics, lineage, data, artifacts and the model.

    Args:
        lineage: what dvc.lock says of the stage that made the record, if one did.
        pictures: writes artifacts of the run into a folder.
        folder: an empty folder to build artifacts in.

    Returns:
        The run's id, and whether it was added, completed (it had been streamed live) or already there.
    """
    digest = record.digest(at)
    present = store.published_run(run, digest)
    if present:
        return present, "present"
    streamed = store.runs(run, "run_key_live", _live_name(run)) + store.runs(run, "record_digest", digest)
    if streamed:
        run_id = str(streamed[0].info.run_id)
        store.client.set_tag(run_id, "record_digest", digest)
    else:
        tags = _key_tags(run.key) | {"status": "started", "record_digest": digest}
        made = store.client.create_run(store.experiment_of(run), run.started_ms, tags, run_name(run.key))
        run_id = str(made.info.run_id)
    measured = json.loads(at.metrics.read_text(encoding="utf-8"))
    history = record.read_history(at.history) if at.history.name in run.files else []
    values = [*epoch_metrics(history), *_final_metrics(measured, run)]
    log(store, run_id, _params(run), values, _tags(run, lineage) | {views.DESCRIPTION: _description(run, measured)})
    store.client.log_inputs(run_id, list(_datasets(run, lineage)))
    pictures(at, run, folder)
    _copy_record(at, run, folder / "record")
    store.client.log_artifacts(run_id, str(folder))
    store.client.set_terminated(run_id, "FINISHED", run.ended_ms)
    store.client.set_tag(run_id, "status", "completed")  # last: what lacks it is published again
    return run_id, "completed" if streamed else "added"


def publish_evidence(store: Store, run_id: str, folder: Path) -> bool:
    """Make a run show a folder of evidence, as artifacts of the folder's name; False where it does so already.

    Evidence is complete once `<folder>/<its name>.json` is there, whose digest the run keeps in a tag.
    """
    marker = folder / f"{folder.name}.json"
    if not marker.is_file():
        return False
    tag, digest = f"evidence.{folder.name}", sha256_of(marker)
    if store.client.get_run(run_id).data.tags.get(tag) == digest:
        return False
    store.client.log_artifacts(run_id, str(folder), folder.name)
    store.client.set_tag(run_id, tag, digest)
    return True


def run_name(key: RunKey) -> str:
    """What the UI's run list shows inside the experiment `collection/challenge`."""
    return str(key).split("/", 2)[2]


def _key_tags(key: RunKey) -> dict[str, str]:
    return {name: str(value) for name, value in asdict(key).items()} | {"run_key": str(key)}


def _params(of: Live | record.Run) -> dict[str, Any]:
    """The key's parts are parameters too: the UI compares runs by parameters, not by tags."""
    return of.params | asdict(of.key)


def _description(run: record.Run, measured: dict[str, Any]) -> str:
    test, key = measured["test"], run.key
    return (
        f"{key.architecture}, {key.strategy.replace('_', ' ')} from {key.initialisation} weights, seed {key.seed}: "
        f"**{test['accuracy']:.1%}** of {test['n']:,} test images of {key.collection} right for {key.challenge}; "
        f"always answering the most frequent class gives {measured['majority_accuracy']:.1%}."
        + "".join(f"\n\n**Doubtful**: {doubt}." for doubt in run.doubts)
    )


def _copy_record(at: RecordPaths, run: record.Run, folder: Path) -> None:
    """All of a record but its weights, which the model holds."""
    folder.mkdir()
    for name in {at.run.name, *run.files} - {at.weights.name}:
        shutil.copyfile(at.root / name, folder / name)


def _tags(run: record.Run, lineage: StageLineage | None) -> dict[str, str]:
    tags = {
        "split_digest": run.digests["split"],
        "initial_weights_sha256": run.digests["initial_weights"] or "random",
        **{name: str(value) for name, value in run.lineage.items()},
    }
    if "weights.safetensors" in run.files:
        tags["weights_sha256"] = run.files["weights.safetensors"]
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


def _final_metrics(measured: dict[str, Any], run: record.Run) -> list[Metric]:
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
    return metrics(values, run.ended_ms)


def _datasets(run: record.Run, lineage: StageLineage | None) -> Iterator[DatasetInput]:
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
