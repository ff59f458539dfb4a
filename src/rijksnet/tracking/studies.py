"""Studies in the tracking store: a run for each, and within it a run for each of its trials."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rijksnet.runs.folder import RunFolder
from rijksnet.tracking import artifacts, mlflow_store, views
from rijksnet.tracking.stores import studies_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rijksnet.runs.study import Study, StudyFolder, Trial
    from rijksnet.tracking.mlflow_store import Outcome
    from rijksnet.tracking.stores import Store

PARENT = "mlflow.parentRunId"

#: How the store calls a trial that is over; a pruned or diverged one did what it should. Interrupted attempts were made
#: again, and did not.
STATUS = {"complete": "FINISHED", "pruned": "FINISHED", "diverged": "FINISHED", "failed": "KILLED"}


def shows(store: Store, at: StudyFolder, study: Study, thorough: bool = False) -> bool:
    """Whether the store shows a concluded study as it is.

    Args:
        thorough: look at the bytes of its artifacts, too.
    """
    experiment, digest = store.standing(studies_name(study.key)), at.digest()
    found = store.runs(experiment, _is_of(study)) if experiment else []
    shown = next((run.info.run_id for run in found if run.data.tags.get("study_digest") == digest), None)
    return shown is not None and not (thorough and artifacts.damaged(store, shown))


def _is_of(study: Study) -> str:
    return f"tags.study = '{study.name}' AND tags.kind = 'study'"


def publish(store: Store, at: StudyFolder, study: Study, says: str, folder: Path, thorough: bool = False) -> Outcome:
    """Make the store show a concluded study; one that has grown since is completed.

    Args:
        says: what there is to say of it, in Markdown.
        folder: an empty folder to build artifacts in.
        thorough: look at the bytes of what is there, too.
    """
    if shows(store, at, study, thorough):
        return "present"
    experiment, digest = store.experiment_of_studies(study.key), at.digest()
    found = store.runs(experiment, _is_of(study))
    if found:
        run_id = str(found[0].info.run_id)
    else:
        tags = {**study.key.to_dict(), "kind": "study", "study": study.name, "run_key": str(study.key)}
        made = store.client.create_run(
            experiment, study.started_ms, {name: str(value) for name, value in tags.items()}, _name(study)
        )
        run_id = str(made.info.run_id)
        mlflow_store.log(store, run_id, params=dict(_params(study)))
    published = _published_trials(store, experiment, run_id)
    for trial in at.read_trials():
        if str(trial.number) not in published:
            _publish_trial(store, experiment, run_id, study, trial)
    mlflow_store.log(store, run_id, None, mlflow_store.metrics(_measured(study), study.ended_ms), _tags(study, says))
    _copy(at, folder)
    artifacts.write(store, run_id, folder)
    store.client.set_terminated(run_id, "FINISHED", study.ended_ms)
    store.client.set_tag(run_id, "study_digest", digest)  # last: what lacks it is published again
    return "completed" if found else "added"


def _name(study: Study) -> str:
    return study.name.split("/", 2)[2]


def _params(study: Study) -> Iterator[tuple[str, Any]]:
    """What a study is of; what a longer one changes is no parameter, for those never change in the store."""
    yield from study.key.to_dict().items()
    yield from ((name, study.exploration[name]) for name in ("sampler", "pruner", "seed", "objectives"))
    for name, varied in study.exploration["space"].items():
        yield f"space.{name}", varied


def _measured(study: Study) -> dict[str, float]:
    measured: dict[str, float] = {f"study/{name}": value for name, value in study.counts.items()}
    measured |= {f"selection/{name}": value for name, value in study.selection.items()}
    measured |= {"test/accuracy": study.test["accuracy_a"], "test/fixed_accuracy": study.test["accuracy_b"]}
    measured |= {f"test/{name}": study.test[name] for name in ("difference", "low", "high", "p", "n")}
    return measured | {f"cost/{name}": value for name, value in study.cost.items()}


def _tags(study: Study, says: str) -> dict[str, str]:
    tags = {f"best.{name}": str(value) for name, value in study.best.items()}
    tags |= {f"digest.{name}": value for name, value in study.digests.items()}
    return tags | {name: str(value) for name, value in study.lineage.items()} | {views.DESCRIPTION: says}


def _published_trials(store: Store, experiment: str, run_id: str) -> set[str]:
    """Numbers of the trials that the store shows whole; what an interrupted publication left unfinished goes."""
    numbers = set()
    for run in store.runs(experiment, f"tags.`{PARENT}` = '{run_id}'"):
        if run.info.status == "RUNNING":
            store.client.delete_run(run.info.run_id)
        else:
            numbers.add(run.data.tags["trial"])
    return numbers


def _publish_trial(store: Store, experiment: str, run_id: str, study: Study, trial: Trial) -> None:
    tags = {PARENT: run_id, "kind": "trial", "study": study.name, "state": trial.state, "trial": str(trial.number)}
    tags |= {"slot": str(trial.slot), "attempt": str(trial.attempt), "worker": trial.worker, "reason": trial.reason}
    made = store.client.create_run(experiment, trial.started_ms, tags, f"trial {trial.number}")
    measured = {"tested/accuracy": trial.accuracy, "tested/loss": trial.loss, "run/cost": trial.cost}
    measured |= {"run/seconds": trial.seconds, "run/epochs": trial.epochs, "run/best_epoch": trial.best_epoch}
    ended_ms = trial.ended_ms or study.ended_ms
    known = {name: value for name, value in measured.items() if value is not None}
    values = [*mlflow_store.epoch_metrics(trial.history), *mlflow_store.metrics(known, ended_ms)]
    of = {"architecture": study.key.architecture, "strategy": study.key.strategy}
    mlflow_store.log(store, made.info.run_id, {**of, **trial.params}, values)
    store.client.set_terminated(made.info.run_id, STATUS[trial.state], ended_ms)


def _copy(at: StudyFolder, folder: Path) -> None:
    """All that the study left, but the weights of its two tested runs."""
    for file in at.root.iterdir():
        if file.is_file():
            shutil.copyfile(file, folder / file.name)
    for one in (at.winner, at.fixed):
        shutil.copytree(one.root, folder / one.root.name, ignore=shutil.ignore_patterns(RunFolder(Path()).weights.name))
