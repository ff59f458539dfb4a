"""A concluded study in MLflow: one run, and within it one run a trial."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from helpers import KEY, STARTED_MS, epochs, write_run
from rijksnet.params import Params
from rijksnet.publishing import check, publish
from rijksnet.runs.study import Study, StudyFolder, Trial
from rijksnet.tracking.stores import Store

AT = StudyFolder.of(KEY)
TRIAL = Trial(
    number=0, slot=0, attempt=0, state="complete", reason="", worker="a:1", started_ms=STARTED_MS,
    ended_ms=STARTED_MS + 3000, accuracy=0.75, loss=0.9, best_epoch=1, epochs=3, cost=1e9, seconds=3.0,
    params={"optimiser": "sgd", "learning_rate": 0.0123456789, "batch_size": 16}, history=tuple(epochs(3)),
)  # fmt: skip
TRIALS = [
    TRIAL,
    replace(TRIAL, number=1, slot=1, state="pruned", reason="given up after epoch 1", accuracy=None, loss=None,
            best_epoch=None, epochs=2, history=tuple(epochs(2))),
    replace(TRIAL, number=2, slot=2, state="diverged", reason="the loss is inf", accuracy=None, loss=None,
            best_epoch=None, epochs=0, history=()),
    replace(TRIAL, number=3, slot=3, state="failed", reason="no sign of life", ended_ms=None, accuracy=None, loss=None,
            best_epoch=None, epochs=0, cost=None, seconds=None, history=()),
    replace(TRIAL, number=4, slot=3, attempt=1, accuracy=0.5),
]  # fmt: skip


def study(trials: list[Trial]) -> Study:
    recipe = {"optimiser": "sgd", "learning_rate": 0.0123, "momentum": 0.9, "weight_decay": 0.0, "label_smoothing": 0.0}
    recipe |= {"batch_size": 16, "normalisation": "unit"}
    return Study(
        name=f"{KEY} 01234567",
        key=KEY,
        started_ms=STARTED_MS,
        ended_ms=STARTED_MS + 9000,
        exploration={"sampler": "tpe", "pruner": "median", "seed": 0, "objectives": ["accuracy"], "space": {"a": [1]}},
        counts={"complete": 2, "pruned": 1, "diverged": 1, "places": 4, "attempts": len(trials)},
        fixed=recipe | {"learning_rate": 0.001},
        best={"trial": 0, **recipe},
        selection={"trials": 2, "images": 4, "accuracy": 0.75, "fixed": 0.5, "corrected": 0.7, "gain": 0.2, "low": -0.1,
                   "high": 0.4, "again": 0.75},
        test={"n": 10, "accuracy_a": 0.7, "accuracy_b": 0.6, "difference": 0.1, "low": -0.2, "high": 0.4, "p": 0.5},
        cost={"trials": 5e9, "fixed": 1e9, "seconds": 12.0},
        front=[],
        opened=[0],
        doubts=[],
        digests={"split": "5" * 64, "winner": "a" * 64, "fixed": "b" * 64},
        lineage={"git_commit": "c" * 40},
    )  # fmt: skip


@pytest.fixture
def concluded(params: Params, only_weights: None) -> None:
    made = write_run()
    for at in (AT.winner, AT.fixed):
        shutil.copytree(made.root, at.root)
    shutil.rmtree(made.root)
    (AT.root / "history.png").write_bytes(b"a picture")
    AT.write(study(TRIALS), TRIALS)


def runs_of(store: Store) -> tuple[Any, dict[str, Any]]:
    """The study's run, and those of its trials by number."""
    found = store.client.search_runs([store.experiment_of_studies(KEY)])
    (parent,) = [run for run in found if run.data.tags["kind"] == "study"]
    trials = {run.data.tags["trial"]: run for run in found if run.data.tags["kind"] == "trial"}
    assert {run.data.tags["mlflow.parentRunId"] for run in trials.values()} <= {parent.info.run_id}
    return parent, trials


@pytest.mark.usefixtures("concluded")
def test_what_a_study_left_is_read_back_whole() -> None:
    read = AT.read()
    assert read.test["accuracy_a"] == 0.7
    assert set(read.files) == {"trials.csv", "curves.csv", "history.png"}
    found = AT.read_trials()
    assert [replace(trial, params={}) for trial in found] == [replace(trial, params={}) for trial in TRIALS]
    assert found[0].params == {"optimiser": "sgd", "learning_rate": "0.0123456789", "batch_size": "16"}


@pytest.mark.usefixtures("concluded")
def test_a_study_is_one_run_with_a_run_for_each_trial(store: Store, params: Params) -> None:
    publish.publish(params)
    parent, trials = runs_of(store)
    assert sorted(trials) == ["0", "1", "2", "3", "4"]
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics["test/difference"] == 0.1
    assert parent.data.metrics["selection/corrected"] == 0.7
    assert parent.data.params["space.a"] == "[1]"
    assert "flatters itself" in parent.data.tags["mlflow.note.content"]
    artifacts = {one.path for one in store.client.list_artifacts(parent.info.run_id)}
    assert artifacts == {"artifacts.json", "curves.csv", "fixed", "history.png", "study.json", "trials.csv", "winner"}
    kept = {one.path for one in store.client.list_artifacts(parent.info.run_id, "winner")}
    assert kept == {f"winner/{name}" for name in ("history.csv", "metrics.json", "predictions.parquet", "run.json")}


@pytest.mark.usefixtures("concluded")
def test_a_pruned_trial_is_marked_as_such_and_not_failed(store: Store, params: Params) -> None:
    publish.publish(params)
    _, trials = runs_of(store)
    shown = {number: (run.data.tags["state"], run.info.status) for number, run in trials.items()}
    assert shown == {
        "0": ("complete", "FINISHED"),
        "1": ("pruned", "FINISHED"),
        "2": ("diverged", "FINISHED"),
        "3": ("failed", "KILLED"),
        "4": ("complete", "FINISHED"),
    }
    assert trials["1"].data.tags["reason"] == "given up after epoch 1"
    first = trials["0"]
    of = {"architecture": "test_resnet", "strategy": "fine_tuning"}
    assert first.data.params == of | {"optimiser": "sgd", "learning_rate": "0.0123456789", "batch_size": "16"}
    assert first.data.metrics["tested/accuracy"] == 0.75
    assert "tested/accuracy" not in trials["1"].data.metrics
    history = store.client.get_metric_history(first.info.run_id, "validation/accuracy")
    assert [(one.step, one.value, one.timestamp) for one in sorted(history, key=lambda one: one.step)] == [
        (epoch.epoch, epoch.validation_accuracy, epoch.time_ms) for epoch in epochs(3)
    ]


@pytest.mark.usefixtures("concluded")
def test_publishing_twice_adds_nothing_and_a_longer_study_adds_what_is_new(store: Store, params: Params) -> None:
    publish.publish(params)
    before, _ = runs_of(store)
    assert publish.publish_studies(store) == 0
    longer = [*TRIALS, replace(TRIAL, number=5, slot=4, accuracy=0.9)]
    AT.write(study(longer), longer)
    assert publish.publish_studies(store) == 1
    after, trials = runs_of(store)
    assert after.info.run_id == before.info.run_id
    assert sorted(trials) == ["0", "1", "2", "3", "4", "5"]
    assert after.data.metrics["study/attempts"] == 6


@pytest.mark.usefixtures("concluded")
def test_a_study_that_is_not_shown_whole_is_told_and_mended(store: Store, params: Params) -> None:
    told = [f"{AT.root}: no run shows it whole"]
    assert list(check.unshown(store, params)) == told
    publish.publish(params)
    assert check.check(params) == []
    (kept,) = Path("mlartifacts").rglob("trials.csv")
    kept.unlink()
    assert (list(check.unshown(store, params)), check.check(params)) == ([], told)
    publish.publish(params, thorough=True)
    assert check.check(params) == []
    assert len(runs_of(store)[1]) == len(TRIALS)


@pytest.mark.usefixtures("concluded")
def test_an_interrupted_publication_is_completed(store: Store, params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    from rijksnet.tracking import studies

    log, done = studies.mlflow_store.log, []

    def failing(*arguments: Any, **named: Any) -> None:  # in the midst of the third trial
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(arguments)
        log(*arguments, **named)

    with monkeypatch.context() as patched:
        patched.setattr(studies.mlflow_store, "log", failing)
        with pytest.raises(KeyboardInterrupt):
            publish.publish_studies(store)
    assert publish.publish_studies(store) == 1
    assert sorted(runs_of(store)[1]) == ["0", "1", "2", "3", "4"]


@pytest.mark.usefixtures("concluded")
def test_a_damaged_study_is_left_out_with_a_warning(
    store: Store, params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    AT.trials.write_text("something else")
    assert publish.publish_studies(store) == 0
    assert "trials.csv is not the file that the study wrote: conclude the study again" in " ".join(
        capsys.readouterr().err.split()
    )


@pytest.mark.usefixtures("concluded")
def test_a_study_of_an_earlier_form_is_left_out_with_a_warning(
    params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    AT.study.write_text(AT.study.read_text().replace('"normalisation"', '"pixels"'))
    publish.publish(params)
    assert f"{AT.study} cannot be read ('normalisation'): conclude the study again" in capsys.readouterr().err
