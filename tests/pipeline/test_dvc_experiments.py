"""What DVC tries in copies of a project is shown by the project, and changes nothing of it."""

from __future__ import annotations

from pathlib import Path

import mlflow
import pytest

from projects import MODEL, OWN, Project, change, commit, run_of


@pytest.mark.parametrize("how", [["--temp"], ["--queue"]])
def test_an_experiment_of_dvc_s_is_shown_by_the_project_s_store_and_moves_no_champion(
    twin: Project, how: list[str]
) -> None:
    change(twin, source__challenges=["type"], target__challenges=["type"], side_experiments__challenges=[])
    change(twin, side_experiments__architectures=[])
    commit(twin, "One challenge, to be quick")
    pins = {pin.name: pin.read_bytes() for pin in (twin.folder / "pins").iterdir()}
    setting = ["-S", "training.max_epochs.fine_tuning=1"]
    twin.run("dvc", "exp", "run", *how, "--name", "tried-once", *setting, "publish")
    if how == ["--queue"]:
        twin.run("dvc", "queue", "start")
        twin.run("dvc", "queue", "logs", "tried-once", "--follow")
    store = mlflow.MlflowClient(f"sqlite:///{twin.folder}/mlflow.db")
    (experiment,) = (e for e in store.search_experiments() if e.name == "miniature-rijksmuseum/type")
    found = store.search_runs([experiment.experiment_id], "tags.dvc_experiment = 'tried-once'")
    (tried,) = (run for run in found if run.data.tags["run_key"] == OWN)
    assert tried.info.run_name.endswith("(tried-once)")
    assert tried.data.tags["current"] == "no"
    assert Path(tried.info.artifact_uri.removeprefix("file://"), "run", "run.json").is_file()
    (current,) = store.search_runs([experiment.experiment_id], f"tags.run_key = '{OWN}' AND tags.current = 'yes'")
    assert "dvc_experiment" not in current.data.tags
    assert {pin.name: pin.read_bytes() for pin in (twin.folder / "pins").iterdir()} == pins
    champion = store.get_model_version_by_alias(MODEL, "champion")
    assert champion.tags["weights_sha256"] == run_of(twin, OWN)["files"]["weights.safetensors"]
