"""`rijksnet explore` as people use it: processes, killed ones too, on a SQLite file and a real PostgreSQL server."""

from __future__ import annotations

import json
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from ruamel.yaml import YAML

import postgres
from dask_cluster import clusters, workers_at
from processes import Process, Warm
from rijksnet.exploration.board import Attempt, Board
from rijksnet.params import Params, load
from rijksnet.runs.folder import RunFolder
from rijksnet.runs.key import RunKey
from rijksnet.runs.study import StudyFolder
from rijksnet.stages import explore, train
from rijksnet.stages.explore import subject_of
from rijksnet.stages.features import features
from waiting import wait_for

HEADS = RunKey("source", "type", "test_resnet", "off_the_shelf", "imagenet")
NETWORKS = RunKey("source", "type", "test_resnet", "fine_tuning", "imagenet")
ARGUMENTS = {key: ["source", "type", "test_resnet", key.strategy] for key in (HEADS, NETWORKS)}


@pytest.fixture
def project(workspace: Path, content: dict[str, Any], blank_store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with params.yaml, features, and nowhere to publish to but its own file."""
    shutil.copyfile(blank_store, "mlflow.db")
    for name in ("MLFLOW_TRACKING_URI", "RIJKSNET_STUDIES"):
        monkeypatch.delenv(name, raising=False)
    write_params(content)
    features(load(Path("params.yaml")), "source", "test_resnet", None)
    return workspace


def write_params(content: dict[str, Any], **exploration: Any) -> Params:
    content["exploration"] |= exploration
    with Path("params.yaml").open("w", encoding="utf-8") as file:
        YAML().dump(content, file)
    return load(Path("params.yaml"))


Start = Callable[..., Process]


@pytest.fixture
def start(warm: Warm) -> Start:
    """A function that starts `rijksnet explore` with some options."""
    return lambda key, *options: warm.start("rijksnet", "explore", *ARGUMENTS[key], *options)


def attempts_of(params: Params, key: RunKey) -> list[Attempt]:
    subject = subject_of(params, key)
    with closing(Board.open(params.exploration, subject.name, 0, {})) as board:
        return board.attempts()


def recipes(at: StudyFolder) -> list[tuple[Any, ...]]:
    trials = pd.read_csv(at.trials)
    varied = [
        name for name in trials if name in {"optimiser", "learning_rate", "batch_size", "normalisation", "momentum"}
    ]
    return [tuple(row) for row in trials[["slot", "accuracy", *varied]].astype(str).to_numpy()]


@pytest.fixture
def no_publication(monkeypatch: pytest.MonkeyPatch) -> None:
    """Publishing is slow, and has tests of its own."""
    monkeypatch.setattr("rijksnet.stages.explore.publish", lambda params: None)


# --- a study of softmax layers ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_publication")
def test_a_study_is_searched_concluded_and_adopted(
    project: Path, content: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    params = load(Path("params.yaml"))
    explore.explore(params, HEADS, None, adopts=False, helps=False)
    at = StudyFolder.of(HEADS)
    study = at.read()
    assert study.counts["places"] == study.counts["attempts"] == 6
    assert {file.name for file in at.root.iterdir()} >= {
        "study.json", "trials.csv", "curves.csv", "params.yaml", "history.png", "slice.png",
        "parallel_coordinates.png", "winner", "fixed",
    }  # fmt: skip
    said = capsys.readouterr().out
    assert "The best of" in said
    assert "The test split was opened for these two alone" in said
    trials = pd.read_csv(at.trials)
    best = trials.sort_values(["accuracy", "loss"], ascending=[False, True]).iloc[0]
    assert study.best["trial"] == best["number"], "chosen by the validation split"
    winner, fixed = at.winner.read(verify=True), at.fixed.read(verify=True)
    assert winner.params["study"] == study.name
    assert fixed.params["study"] == ""
    assert (fixed.params["optimiser"], fixed.params["learning_rate"]) == ("rmsprop", 0.001)
    assert winner.params["learning_rate"] == pytest.approx(best["learning_rate"])
    measured = json.loads(at.winner.metrics.read_text())
    assert measured["validation"]["accuracy"] == pytest.approx(study.selection["accuracy"]), "trained again, the same"
    assert study.test["accuracy_a"] == measured["test"]["accuracy"]
    assert study.opened == [best["number"]]

    # its parameters file is one that a run can be trained with, and that run says where its recipe is from
    adopted = load(at.adopted)
    Path("params.yaml").write_text(at.adopted.read_text(encoding="utf-8"), encoding="utf-8")
    if adopted.training.normalisation.off_the_shelf != "protocol":
        features(adopted, "source", "test_resnet", None)
    train.off_the_shelf(adopted, HEADS)
    assert RunFolder.of(HEADS).read(verify=True).params["study"] == study.name
    assert RunFolder.of(HEADS).weights.read_bytes() == at.winner.weights.read_bytes()

    # a second call finds the study as it is, adopted or not, and trains nothing
    before = at.study.read_bytes()
    explore.explore(adopted, HEADS, None, adopts=True, helps=False)
    assert at.read().digests == study.digests
    assert json.loads(at.study.read_text())["test"] == json.loads(before)["test"]


@pytest.mark.usefixtures("no_publication")
def test_the_same_seed_gives_the_same_trials(project: Path, content: dict[str, Any]) -> None:
    made = []
    for file, seed in (("a.db", 0), ("b.db", 0), ("c.db", 1)):
        params = write_params(content, storage=f"sqlite:///{file}", seed=seed)
        explore.explore(params, HEADS, 12, adopts=False, helps=False)
        made.append(recipes(StudyFolder.of(HEADS)))
    assert made[0] == made[1]
    assert made[0] != made[2]


@pytest.mark.usefixtures("no_publication")
def test_a_longer_study_goes_on_and_opens_the_test_split_again_for_another_winner(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    params = load(Path("params.yaml"))
    explore.explore(params, HEADS, 3, adopts=False, helps=False)
    first = StudyFolder.of(HEADS).read()
    explore.explore(params, HEADS, 24, adopts=False, helps=False)
    second = StudyFolder.of(HEADS).read()
    assert (first.counts["places"], second.counts["places"]) == (3, 24)
    assert second.name == first.name
    if second.best["trial"] != first.best["trial"]:
        assert second.opened == [*first.opened, second.best["trial"]]
        assert "has opened the test split for 2 choices" in " ".join(capsys.readouterr().out.split())


@pytest.mark.usefixtures("no_publication")
def test_accuracy_against_cost(project: Path, content: dict[str, Any]) -> None:
    params = write_params(content, objectives=["accuracy", "cost"], pruner="none")
    explore.explore(params, HEADS, 12, adopts=False, helps=False)
    front = StudyFolder.of(HEADS).read().front
    assert front
    costs, accuracies = [one["cost"] for one in front], [one["accuracy"] for one in front]
    assert costs == sorted(costs, reverse=True)
    assert accuracies == sorted(accuracies, reverse=True)


# --- a study of networks ----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_publication")
def test_hopeless_networks_are_given_up(project: Path, content: dict[str, Any]) -> None:
    content["training"]["max_epochs"]["fine_tuning"] = 8
    params = write_params(content)
    explore.explore(params, NETWORKS, 12, adopts=False, helps=False)
    at = StudyFolder.of(NETWORKS)
    study, trials = at.read(), pd.read_csv(at.trials)
    assert study.counts["pruned"] > 0
    assert study.counts["complete"] > 0
    pruned = trials[trials["state"] == "pruned"]
    assert (pruned["epochs"] < 8).all()
    assert pruned["accuracy"].isna().all()
    assert pruned["reason"].str.startswith("given up after epoch").all()
    winner = at.winner.read(verify=True)
    assert winner.params.items() >= {"unfrozen": study.best["unfrozen"], "layer_rate": study.best["layer_rate"]}.items()


# --- several workers --------------------------------------------------------------------------------------------------


def check_study_of_several(params: Params, out: str) -> None:
    assert "The best of" in out
    at = StudyFolder.of(NETWORKS)
    study = at.read()
    assert study.counts["places"] == study.counts["attempts"] == 2
    assert len({attempt.worker for attempt in attempts_of(params, NETWORKS)}) == 2
    assert at.winner.read(verify=True).params["study"] == study.name


def test_workers_here_fill_a_study_together(project: Path, content: dict[str, Any], start: Start) -> None:
    content["training"]["max_epochs"]["fine_tuning"] = 4
    params = write_params(content, pruner="none")
    out, err = start(NETWORKS, "--trials", "2", "--workers", "2").communicate(timeout=120)
    assert "adopt it" in out, err
    check_study_of_several(params, out)
    assert load(Path("params.yaml")).training.recipe.fine_tuning is None


def test_a_scheduler_s_workers_fill_a_study_and_conclude_it(
    project: Path, content: dict[str, Any], start: Start, warm: Warm, tmp_path: Path
) -> None:
    content["training"]["max_epochs"]["fine_tuning"] = 4
    params = write_params(content, pruner="none")
    with clusters(tmp_path, warm) as started:
        found = started("cores=1", "cores=1")
        workers_at(found.address, 2)
        out, err = start(NETWORKS, "--trials", "2", "--scheduler", found.address, "--adopt").communicate(timeout=120)
    assert "params.yaml has it now as training.recipe.fine_tuning" in out, err
    check_study_of_several(params, out)
    recipe = load(Path("params.yaml")).training.recipe.fine_tuning
    assert recipe is not None
    assert recipe.study == StudyFolder.of(NETWORKS).read().name


# --- workers that die -------------------------------------------------------------------------------------------------


def kill_two_of_three(params: Params, key: RunKey, trials: int, start: Start) -> None:
    """Three workers; one is killed in mid-trial, one is asked to end; the third does what is left."""

    def one_more() -> Process:
        return start(key, "--trials", str(trials), "--part", "helps")

    workers = [one_more() for _ in range(3)]

    def states(worker: Process) -> set[str]:
        return {one.state for one in attempts_of(params, key) if one.worker.rpartition(":")[2] == str(worker.pid)}

    def one_in_trial() -> Process | None:
        return next((one for one in workers if one.returncode is None and "running" in states(one)), None)

    def strike(sign: signal.Signals) -> None:
        struck = wait_for(one_in_trial)
        assert struck is not None
        struck.send_signal(sign)
        struck.wait(60)
        if states(struck) & {"running", "failed"}:
            assert struck.returncode != 0
        else:  # its trial was over by then
            workers.append(one_more())
            strike(sign)

    try:
        strike(signal.SIGKILL)
        strike(signal.SIGTERM)
        for worker in workers:
            if worker.returncode is None:
                out, err = worker.communicate(timeout=300)
                assert worker.returncode == 0, err + out
    finally:
        for worker in workers:
            worker.kill()
            worker.wait(60)


def check_that_all_are_accounted_for(params: Params, key: RunKey, trials: int) -> None:
    attempts = attempts_of(params, key)
    latest = {attempt.slot: attempt for attempt in attempts}
    assert sorted(latest) == list(range(trials))
    assert {attempt.state for attempt in latest.values()} <= {"complete", "pruned", "diverged"}
    reasons = Counter(attempt.reason for attempt in attempts if attempt.state == "failed")
    assert set(reasons) == {"no sign of life", "interrupted"}
    for attempt in attempts:
        if attempt.state == "failed":  # tried again, as it was
            assert latest[attempt.slot].params.items() >= attempt.params.items()
    assert len({attempt.worker for attempt in attempts}) > 1


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if postgres.binaries() is None:
        pytest.skip("PostgreSQL's server is not installed here")
    with postgres.served(tmp_path_factory.mktemp("postgres")) as address:
        yield address


@pytest.mark.parametrize("where", ["sqlite", "postgresql"])
def test_killed_workers_lose_nothing(
    where: str, project: Path, content: dict[str, Any], start: Start, request: pytest.FixtureRequest
) -> None:
    address = "sqlite:///studies.db" if where == "sqlite" else request.getfixturevalue("postgresql")
    content["training"]["max_epochs"]["fine_tuning"] = 16
    params = write_params(content, storage=address, heartbeat_s=1, pruner="none")
    kill_two_of_three(params, NETWORKS, 6, start)
    check_that_all_are_accounted_for(params, NETWORKS, 6)


def test_ctrl_c_leaves_a_study_that_goes_on(project: Path, content: dict[str, Any], start: Start) -> None:
    content["training"]["max_epochs"]["fine_tuning"] = 60
    params = write_params(content)
    worker = start(NETWORKS, "--trials", "8")
    wait_for(lambda: any(one.state == "complete" for one in attempts_of(params, NETWORKS)))
    worker.send_signal(signal.SIGINT)
    _, err = worker.communicate(timeout=60)
    assert worker.returncode == 130
    assert "of 8 trials of study source/type/test_resnet/fine_tuning-imagenet-seed0" in " ".join(err.split())
    assert "Traceback" not in err
    states = Counter(one.state for one in attempts_of(params, NETWORKS))
    assert states["running"] == 0
    assert states["waiting"] > 0
    assert states["complete"] > 0
