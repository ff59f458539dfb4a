"""What DVC tries in copies of a project is shown by the project, and changes nothing of it."""

from __future__ import annotations

from pathlib import Path

import mlflow

from projects import MODEL, OWN, Project, change, commit, run_of


def test_an_experiment_of_dvc_s_is_shown_by_the_project_s_store_and_moves_no_champion(twin: Project) -> None:
    """In a copy at once, and in one that the queue's worker makes."""
    change(twin, source__challenges=["type"], target__challenges=[], target__architectures=[])
    change(twin, scratch__challenges=[], side_experiments__challenges=[], side_experiments__architectures=[])
    commit(twin, "Little, to be quick")
    pins = {pin.name: pin.read_bytes() for pin in (twin.folder / "pins").iterdir()}
    setting = "training.max_epochs.fine_tuning"
    twin.run("dvc", "exp", "run", "--temp", "--name", "tried-at-once", "-S", f"{setting}=1", "publish")
    check_that_it_is_shown_and_nothing_else_moved(twin, "tried-at-once", pins)
    twin.run("dvc", "exp", "run", "--queue", "--name", "tried-later", "-S", f"{setting}=3", "publish")
    twin.run("dvc", "queue", "start")
    twin.run("dvc", "queue", "logs", "tried-later", "--follow")
    check_that_it_is_shown_and_nothing_else_moved(twin, "tried-later", pins)


def check_that_it_is_shown_and_nothing_else_moved(twin: Project, name: str, pins: dict[str, bytes]) -> None:
    store = mlflow.MlflowClient(f"sqlite:///{twin.folder}/mlflow.db")
    (experiment,) = (e for e in store.search_experiments() if e.name == "miniature-rijksmuseum/type")
    found = store.search_runs([experiment.experiment_id], f"tags.dvc_experiment = '{name}'")
    (tried,) = (run for run in found if run.data.tags["run_key"] == OWN)
    assert tried.info.run_name.endswith(f"({name})")
    assert tried.data.tags["current"] == "no"
    assert Path(tried.info.artifact_uri.removeprefix("file://"), "run", "run.json").is_file()
    (current,) = store.search_runs([experiment.experiment_id], f"tags.run_key = '{OWN}' AND tags.current = 'yes'")
    assert "dvc_experiment" not in current.data.tags
    assert {pin.name: pin.read_bytes() for pin in (twin.folder / "pins").iterdir()} == pins
    champion = store.get_model_version_by_alias(MODEL, "champion")
    assert champion.tags["weights_sha256"] == run_of(twin, OWN)["files"]["weights.safetensors"]
