"""Stages that look at the world outside look again as soon as anything there, or here, has changed."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from helpers import KEY, write_run
from rijksnet.params import Params
from rijksnet.runs.folder import RunFolder
from rijksnet.stages.publish import publish
from rijksnet.tracking import outside
from rijksnet.tracking.stores import Store
from stores import write_lock

pytestmark = pytest.mark.usefixtures("only_weights")

AS_IT_DID = "MLflow shows everything, as it did"


@pytest.fixture
def said(params: Params, capfd: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """Publishes, and gives what was said last; one run is shown, and has been looked at without a change."""

    def call() -> str:
        publish(params)
        return capfd.readouterr().err.strip().splitlines()[-1]

    write_run()
    write_lock()
    assert call().startswith("1 runs added")
    assert call().startswith("0 runs added, 0 completed, 1 already there")
    assert call() == AS_IT_DID
    return call


def test_nothing_is_looked_at_again_that_is_as_it_was(said: Callable[[], str]) -> None:
    assert said() == AS_IT_DID


def test_an_artifact_that_is_lost_is_brought_back(said: Callable[[], str]) -> None:
    (lost,) = Path("mlartifacts").rglob("run/predictions.parquet")
    lost.unlink()
    assert said().startswith("0 runs added, 0 completed, 1 mended")
    assert lost.is_file()
    assert said().startswith("0 runs added, 0 completed, 1 already there")
    assert said() == AS_IT_DID


def test_a_run_that_somebody_deletes_is_shown_anew(said: Callable[[], str], store: Store) -> None:
    (run,) = store.client.search_runs([store.experiment(KEY)])
    store.client.delete_run(run.info.run_id)
    assert said().startswith("1 runs added")


def test_a_run_that_is_new_here_is_shown(said: Callable[[], str]) -> None:
    write_run(replace(KEY, seed=1), seed=1)
    assert said().startswith("1 runs added, 0 completed, 1 already there")


def test_published_json_that_is_changed_is_written_again(said: Callable[[], str]) -> None:
    file = Path("published.json")
    before = file.read_text()
    file.write_text("{}\n")
    assert said().startswith("0 runs added")
    assert file.read_text() == before


def test_a_damaged_run_is_warned_of_each_time(said: Callable[[], str]) -> None:
    RunFolder.of(KEY).run.write_text("{")
    for _ in range(3):
        assert said().startswith("0 runs added, 0 completed, 0 already there")


def test_other_parameters_and_another_experiment_are_other_questions(
    said: Callable[[], str], params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []

    def look() -> bool:
        looks.append(1)
        return True

    for count, answered in enumerate((True, False), 1):
        assert outside.look_unless_seen("champions", params, look) is answered
        assert len(looks) == 1, count
    other = params.model_copy(update={"input_size": params.input_size + 32})
    assert outside.look_unless_seen("champions", other, look)
    monkeypatch.setenv("DVC_EXP_NAME", "tried")
    assert outside.look_unless_seen("champions", other, look)


def test_a_look_that_failed_or_saw_a_change_is_no_look(said: Callable[[], str], params: Params) -> None:
    def change() -> bool:
        os.utime("mlflow.db")
        return True

    for look in (lambda: False, change):
        assert outside.look_unless_seen("champions", params, look)
        assert outside.look_unless_seen("champions", params, look)

    def fail() -> bool:
        raise OSError("away")

    assert outside.look_unless_seen("champions", params, lambda: True)
    write_run(replace(KEY, seed=1), seed=1)
    with pytest.raises(OSError, match="away"):
        outside.look_unless_seen("champions", params, fail)
    assert outside.look_unless_seen("champions", params, lambda: True)


@pytest.mark.parametrize(("name", "value"), [("uri", "http://127.0.0.1:1"), ("artifacts", "s3://bucket/artifacts")])
def test_what_no_file_shows_is_asked_each_time(params: Params, name: str, value: str) -> None:
    elsewhere = params.model_copy(update={"tracking": params.tracking.model_copy(update={name: value})})
    for _ in range(3):
        assert outside.look_unless_seen("publish", elsewhere, lambda: True)
