"""A real `dvc repro`, and what people do around it. The tests share one project and leave it as they found it."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import mlflow
import pytest

from projects import MODEL, Project, checkout, commit, make_tiny

RUNS_OF_THE_SOURCE = ("pretrain", "off_the_shelf", "fine_tuning", "scratch")
EXPLAINED = "miniature-rijksmuseum/type/test_resnet/fine_tuning-imagenet-seed0"
TRAINING = ("pretrain", "features", "off_the_shelf", "fine_tuning", "scratch", "target_")


@pytest.fixture(scope="module")
def reproduced(reproduced: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of the reproduced project, which these tests change one after another."""
    folder = tmp_path_factory.mktemp("projects") / "copy"
    shutil.copytree(reproduced.folder, folder, symlinks=True)
    return replace(reproduced, folder=folder)


def client(project: Project) -> mlflow.MlflowClient:
    """A client of the store as it is now: MLflow keeps a database open by its name, also once it was replaced."""
    copy = Path(tempfile.mkdtemp(dir=project.folder / ".work")) / "mlflow.db"
    shutil.copyfile(project.folder / "mlflow.db", copy)
    return mlflow.MlflowClient(f"sqlite:///{copy}")


def census(project: Project) -> dict[str, dict[str, int]]:
    """Every run of the store, by name: how many values of how many metrics it has."""
    store = client(project)
    runs = store.search_runs([experiment.experiment_id for experiment in store.search_experiments()])
    return {
        run.data.tags["run_key"]: {
            name: len(store.get_metric_history(run.info.run_id, name)) for name in run.data.metrics
        }
        for run in runs
    }


def champion(project: Project) -> str:
    return client(project).get_model_version_by_alias(MODEL, "champion").tags["weights_sha256"]


def records(project: Project) -> list[Path]:
    return sorted((project.folder / "runs").glob("*/*/*/*/run.json"))


def test_every_kind_of_run_leaves_a_record_and_a_run(reproduced: Project) -> None:
    # θ; 2 off the shelf, 2 fine tuned, 1 scratch on the source; 2 challenges × 2 strategies × 2 starts on the target;
    # a support vector machine and a random forest
    assert len(records(reproduced)) == 1 + 5 + 8 + 2
    runs = census(reproduced)
    assert len(runs) == 16
    assert all("test/accuracy" in metrics for metrics in runs.values())
    for table in ("table1.csv", "table2.csv", "table3.csv", "claims.csv", "README.md"):
        assert (reproduced.folder / "results" / table).stat().st_size > 0


def test_runs_are_complete_and_lead_to_their_data(reproduced: Project) -> None:
    store = client(reproduced)
    for experiment in store.search_experiments(filter_string="name LIKE 'miniature-%'"):
        for run in store.search_runs([experiment.experiment_id]):
            tags = run.data.tags
            assert (tags["status"], run.info.status) == ("completed", "FINISHED")
            assert tags["git_dirty"] == "False"
            assert tags["git_commit"] == reproduced.git("rev-parse", "HEAD~1").strip()
            stage = tags["dvc_stage"].split("@")[0]
            assert stage in (*RUNS_OF_THE_SOURCE, "classifiers") or stage.startswith("target_")
            digests = {one.dataset.name: one.dataset.digest for one in run.inputs.dataset_inputs}
            split = f"data/{tags['collection']}/splits/{tags['challenge']}.parquet"
            assert len(digests[split]) == 32
            expected = {"confusion_matrix.png", "per_class.csv", "run"}
            expected |= set() if stage == "classifiers" else {"learning_curve.png", "model"}
            expected |= {"saliency", "probes"} if tags["run_key"] == EXPLAINED else set()
            assert expected <= {artifact.path for artifact in store.list_artifacts(run.info.run_id)}


def test_the_report_leads_to_the_runs_that_mlflow_shows(reproduced: Project) -> None:
    page = (reproduced.folder / "results" / "report.html").read_text(encoding="utf-8")
    store = client(reproduced)
    for experiment in store.search_experiments(filter_string="name LIKE 'miniature-%'"):
        for run in store.search_runs([experiment.experiment_id]):
            if run.data.tags["collection"] != "miniature-photographs":  # θ's stands in no table
                assert f"/#/experiments/{experiment.experiment_id}/runs/{run.info.run_id}" in page
    assert "not published" not in page
    assert "Not run" not in page.split("Side experiments</h2>")[0].split("Claims</h2>")[-1]


def test_with_nothing_changed_only_what_looks_outside_runs(reproduced: Project) -> None:
    assert reproduced.repro() == {"champions", "publish"}


def test_metrics_and_plots_can_be_shown(reproduced: Project) -> None:
    shown = json.loads(reproduced.run("dvc", "metrics", "show", "--json"))[""]["data"]["results/metrics.json"]["data"]
    assert len(shown) == 15  # all runs of the tables: θ's is none of them
    assert all(0 <= run["accuracy"] <= 1 for run in shown.values())
    reproduced.run("dvc", "plots", "show", "--out", str(reproduced.folder / "dvc_plots"))
    drawn = (reproduced.folder / "dvc_plots" / "index.html").read_text(encoding="utf-8")
    assert "miniature-antwerp, type" in drawn
    assert drawn.count('"validation_accuracy": ') > 13


def test_a_moved_alias_re_runs_exactly_its_target_stages_and_moved_back_restores_them(twin: Project) -> None:
    first = champion(twin)
    twin.run("rijksnet", "fine_tuning", "miniature-rijksmuseum", "type", "test_resnet", "--seed", "1")
    assert twin.repro("champions") == {"register", "champions"}  # which see the new run; nothing is trained
    before = {path: path.read_bytes() for path in records(twin)}
    store = f"sqlite:///{twin.folder / 'mlflow.db'}"
    mlflow.MlflowClient(store).set_registered_model_alias(MODEL, "champion", "2")  # as the UI does

    ran = {stage for stage in twin.repro() if stage.startswith(("target_", "tuned", "fine", "off", "feat"))}
    assert ran == {
        "tuned@type-test_resnet",
        "target_tuned_features@type-test_resnet",
        "target_tuned_off_the_shelf@type-test_resnet",
        "target_tuned_fine_tuning@type-test_resnet",
    }
    assert champion(twin) != first

    said = twin.run("rijksnet", "rollback", MODEL)
    assert f"version 1 is the champion of {MODEL} again, in place of version 2" in said
    assert not {stage for stage in twin.repro() if stage.startswith(TRAINING)}
    assert champion(twin) == first
    assert {path: path.read_bytes() for path in records(twin)} == before


def test_a_lost_store_is_rebuilt_from_records_and_pins(reproduced: Project) -> None:
    before, champion_before = census(reproduced), champion(reproduced)
    kept = reproduced.folder / "kept.db"
    (reproduced.folder / "mlflow.db").rename(kept)
    try:
        said = reproduced.run("rijksnet", "publish")
        assert "16 runs added, 0 completed, 0 already there; 2 versions registered" in said
        assert census(reproduced) == {key: metrics for key, metrics in before.items() if "seed0" in key}
        assert champion(reproduced) == champion_before
        said = reproduced.run("rijksnet", "publish")
        assert "0 runs added, 0 completed, 16 already there; 0 versions registered" in said
        assert len(client(reproduced).search_model_versions(f"name = '{MODEL}'")) == 1
    finally:
        kept.replace(reproduced.folder / "mlflow.db")


def test_a_pulled_clone_trains_nothing(reproduced: Project, tmp_path: Path) -> None:
    remote = tmp_path / "remote"
    reproduced.run("dvc", "remote", "add", "--force", "shared", str(remote))
    reproduced.run("dvc", "push", "--remote", "shared")
    reproduced.run("dvc", "remote", "remove", "shared")
    clone = replace(reproduced, folder=tmp_path / "clone")
    reproduced.git("clone", "--quiet", str(reproduced.folder), str(clone.folder))
    (clone.folder / ".work").mkdir()
    clone.run("dvc", "remote", "add", "shared", str(remote))
    clone.run("dvc", "pull", "--remote", "shared")
    ran = clone.repro()
    assert not {stage for stage in ran if stage.startswith(TRAINING)}, ran
    pixels = {f"pixels@miniature-{name}" for name in ("rijksmuseum", "antwerp", "photographs")}
    assert ran == pixels | {"champions", "publish", "report"}  # its own store shows the runs, its own page leads there
    assert len(census(clone)) == 16
    assert (clone.folder / "results" / "README.md").read_text() == (
        reproduced.folder / "results" / "README.md"
    ).read_text()


def test_a_run_of_mlflow_does_not_leak_into_the_stages(reproduced: Project) -> None:
    said = replace(reproduced, warm=None).run(
        "mlflow", "run", ".", "--env-manager", "local", "-e", "train", "-P", "seed=2", "-P", "strategy=off_the_shelf"
    )
    try:
        assert "succeeded" in said
        made = "runs/miniature-rijksmuseum/type/test_resnet/off_the_shelf-imagenet-seed2/run.json"
        assert (reproduced.folder / made).is_file()
        store = client(reproduced)
        outer = store.search_runs(["0"], order_by=["attributes.start_time DESC"])[0]
        assert "test/accuracy" not in outer.data.metrics
    finally:
        shutil.rmtree(reproduced.folder / "runs/miniature-rijksmuseum/type/test_resnet/off_the_shelf-imagenet-seed2")
        shutil.rmtree(reproduced.folder / "mlruns", ignore_errors=True)


def test_a_mistake_in_the_parameters_is_told_before_anything_runs(tmp_path: Path) -> None:
    project = checkout(tmp_path / "project")
    make_tiny(project)
    commit(project, "Tiny parameters")
    file = project.folder / "params.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("frozen: running", "frozen: moving"))
    said = project.run("rijksnet", "draw", "miniature-antwerp", check=False)
    assert "training.batch_norm.frozen" in said
    assert "'running' or 'batch'" in said
    assert "Traceback" not in said
    assert not (project.folder / "data").exists()


@pytest.mark.parametrize("command", ["catalogue", "pixels", "splits", "draw", "audit", "share", "harvest", "fetch"])
def test_an_unknown_collection_is_told_with_those_there_are(reproduced: Project, command: str) -> None:
    said = reproduced.run("rijksnet", command, "louvre", check=False)
    assert "'louvre'" in said
    assert "miniature-antwerp" in said


def test_a_study_s_recipe_is_adopted_and_the_run_says_where_it_is_from(reproduced: Project) -> None:
    """And the stage `explore` makes studies where the parameters ask for them; by default there are none."""
    assert "explore" not in reproduced.run("dvc", "stage", "list", "--all", "--name-only")
    aside = reproduced.folder / ".work" / "before.db"
    shutil.copyfile(reproduced.folder / "mlflow.db", aside)
    key = "miniature-rijksmuseum/type/test_resnet/off_the_shelf-imagenet-seed0"
    run, file = reproduced.folder / "runs" / key / "run.json", reproduced.folder / "params.yaml"
    try:
        asked = file.read_text(encoding="utf-8").replace(
            "challenges: []\n  architectures: []\n  strategies: []",
            "challenges: [type]\n  architectures: [test_resnet]\n  strategies: [off_the_shelf]",
        )
        file.write_text(asked.replace("    off_the_shelf: 200\n", "    off_the_shelf: 4\n"), encoding="utf-8")
        assert reproduced.repro("explore") == {"explore@type-test_resnet-off_the_shelf"}
        study = json.loads((reproduced.folder / "studies" / key / "study.json").read_text(encoding="utf-8"))
        assert study["counts"]["places"] == 4
        said = reproduced.run("rijksnet", "explore", *key.split("/")[:3], "off_the_shelf", "--adopt")
        assert "training.recipe.off_the_shelf" in said
        assert "off_the_shelf@type-test_resnet" in reproduced.repro("off_the_shelf@type-test_resnet")
        assert json.loads(run.read_text(encoding="utf-8"))["params"]["study"] == study["name"]
        winner = reproduced.folder / "studies" / key / "winner" / "weights.safetensors"
        assert (run.parent / "weights.safetensors").read_bytes() == winner.read_bytes()
    finally:
        reproduced.git("checkout", "params.yaml", "dvc.lock")
        reproduced.run("dvc", "checkout", "--force")
        shutil.copyfile(aside, reproduced.folder / "mlflow.db")
    assert json.loads(run.read_text(encoding="utf-8"))["params"]["study"] == ""
