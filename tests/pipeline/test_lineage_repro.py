"""What a number or a model says it comes from is what it came from: across projects, protocols, experiments, links."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import mlflow
import pytest
from ruamel.yaml import YAML

from conftest import Project, checkout, commit, make_tiny
from rijksnet.files import md5_of
from stores import served

MODEL = "rijksnet-miniature-rijksmuseum-type-test_resnet"
OWN = "miniature-rijksmuseum/type/test_resnet/fine_tuning-imagenet-seed0"
TUNED = "miniature-antwerp/type/test_resnet/fine_tuning-rijksmuseum-seed0"


def change(project: Project, **values: Any) -> None:
    """Set parameters by their dotted names, `__` for a dot."""
    file, yaml = project.folder / "params.yaml", YAML()
    params = yaml.load(file)
    for name, value in values.items():
        *path, last = name.split("__")
        part = params
        for key in path:
            part = part[key]
        part[last] = value
    yaml.dump(params, file)


def run_of(project: Project, key: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((project.folder / "runs" / key / "run.json").read_text(encoding="utf-8"))
    return content


@pytest.fixture
def twin(reproduced: Project, tmp_path: Path) -> Project:
    """A copy of the reproduced project, to change at will: its artifacts follow it."""
    folder = tmp_path / "twin"
    shutil.copytree(reproduced.folder, folder, symlinks=True)
    return Project(folder)


def test_a_source_trained_by_another_protocol_is_what_the_target_starts_from(twin: Project) -> None:
    before = run_of(twin, OWN)
    change(twin, training__protocol="as_released")
    said = twin.run("dvc", "repro", "target_tuned_fine_tuning@type-test_resnet")
    assert f"{MODEL}: θ̂ is version 2 ({OWN}), chosen by a pipeline, in place of version 1" in said
    own, tuned = run_of(twin, OWN), run_of(twin, TUNED)
    assert own["params"]["protocol"] == "as_released"
    assert own["files"]["weights.safetensors"] != before["files"]["weights.safetensors"]
    assert tuned["digests"]["initial_weights"] == own["files"]["weights.safetensors"]
    # a person's choice stays, and everything says what it is
    twin.run("rijksnet", "promote", MODEL, "1", "--yes", "--force", "--reason", "a trial")
    said = twin.run("dvc", "repro", "target_tuned_fine_tuning@type-test_resnet")
    assert f"{MODEL}: θ̂ was chosen by a person and is not this project's own run: " in said
    assert "protocol as_written rather than as_released" in said
    tuned = run_of(twin, TUNED)
    assert tuned["digests"]["initial_weights"] == before["files"]["weights.safetensors"]
    tables = " ".join(twin.run("rijksnet", "tables").split())
    assert f"θ̂ of type, test_resnet: the run `{OWN}`" in tables
    assert "learning_rate 0.001 rather than 0.0001" in tables
    assert "protocol as_written rather than as_released" in tables


def test_two_projects_on_one_server_do_not_take_each_others_weights(reproduced: Project, tmp_path: Path) -> None:
    """The second project's source is another collection under the same challenges and architecture."""
    one, two = Project(tmp_path / "one"), Project(tmp_path / "two")
    for project in (one, two):
        shutil.copytree(reproduced.folder, project.folder, symlinks=True)
    for made in ("runs", "pins", "mlartifacts"):  # what both have in common, θ say, lies in DVC's cache
        shutil.rmtree(two.folder / made)
    file = two.folder / "params.yaml"
    file.write_text(file.read_text().replace("miniature-rijksmuseum", "miniature-louvre"), encoding="utf-8")
    change(two, source__challenges=["type"], target__challenges=["type"], scratch__challenges=[])
    change(two, evidence__challenges=[], evidence__architectures=[])
    commit(two, "Another source")
    (tmp_path / "server").mkdir()
    with served(tmp_path / "server") as address:
        for project in (one, two):
            change(project, tracking__uri=address)
        one.run("rijksnet", "publish")
        two.repro()
        store = mlflow.MlflowClient(address, address)
        models = {model.name: model for model in store.search_registered_models()}
        theirs = MODEL.replace("rijksmuseum", "louvre")
        assert set(models) == {MODEL, MODEL.replace("-type-", "-artist-"), theirs}
        own = OWN.replace("rijksmuseum", "louvre", 1)
        weights = run_of(two, own)["files"]["weights.safetensors"]
        assert run_of(two, TUNED)["digests"]["initial_weights"] == weights
        assert store.get_model_version_by_alias(theirs, "champion").tags["weights_sha256"] == weights
        assert store.get_model_version_by_alias(MODEL, "champion").tags["run_key"] == OWN
        assert two.run("rijksnet", "publish", "--check").strip() == "MLflow shows every record, whole"
        # from its first project's champion the second one transfers as from any θ
        champion = store.get_model_version_by_alias(MODEL, "champion").tags["weights_sha256"]
        change(two, imagenet__pretrain__architectures=[])
        theta = {"model": f"models:/{MODEL}@champion", "store": address, "sha256": champion}
        change(two, imagenet__registry={"test_resnet": theta})
        assert "import_model@test_resnet" in two.repro("target_fine_tuning@type-test_resnet")
    start = run_of(two, TUNED.replace("rijksmuseum-seed0", "imagenet-seed0"))["ancestry"]
    assert [step["from"] for step in start] == ["training", "training", "registry", "training"]
    assert start[1]["name"] == OWN
    assert start[2]["name"] == f"models:/{MODEL}/1"
    # and with the server gone, everything of the second project is there to go on with
    said = two.run("dvc", "repro")
    assert "warning" in said
    assert run_of(two, TUNED)["digests"]["initial_weights"] == run_of(two, own)["files"]["weights.safetensors"]
    assert (two.folder / "results" / "README.md").is_file()


@pytest.mark.parametrize("how", [["--temp"], ["--queue"]])
def test_an_experiment_of_dvc_s_is_shown_by_the_project_s_store_and_moves_no_champion(
    twin: Project, how: list[str]
) -> None:
    twin.git("add", "--all")
    twin.git("commit", "--quiet", "--allow-empty", "--message", "As it is")
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
    assert Path(tried.info.artifact_uri.removeprefix("file://"), "record", "run.json").is_file()
    (current,) = store.search_runs([experiment.experiment_id], f"tags.run_key = '{OWN}' AND tags.current = 'yes'")
    assert "dvc_experiment" not in current.data.tags
    assert {pin.name: pin.read_bytes() for pin in (twin.folder / "pins").iterdir()} == pins
    champion = store.get_model_version_by_alias(MODEL, "champion")
    assert champion.tags["weights_sha256"] == run_of(twin, OWN)["files"]["weights.safetensors"]


def test_what_is_made_again_by_hand_is_not_written_into_dvc_s_cache(twin: Project) -> None:
    twin.run("dvc", "config", "cache.type", "symlink")
    twin.run("dvc", "checkout", "--relink", "--force")
    weights = twin.folder / "runs" / OWN / "weights.safetensors"
    assert weights.is_symlink()
    cache = twin.folder / ".dvc" / "cache" / "files" / "md5"
    change(twin, training__max_epochs={"off_the_shelf": 1, "fine_tuning": 1}, evidence__objects=3)
    source, target = "miniature-rijksmuseum", "miniature-antwerp"
    for command in (
        f"draw {target}", f"catalogue {target}", f"pixels {target}", f"splits {target}", f"audit {target}",
        "pretrain test_resnet", f"features {source} test_resnet", f"features {target} test_resnet --tuned-on type",
        f"off_the_shelf {source} type test_resnet", f"fine_tuning {source} type test_resnet",
        f"scratch {source} type test_resnet", "classifiers type test_resnet", "probes type test_resnet",
        "saliency type test_resnet", "register", "champions", "tuned type test_resnet", "publish", "code", "report",
    ):  # fmt: skip
        twin.run("rijksnet", *command.split())
    files = [file for file in cache.rglob("*") if file.is_file()]
    names = ["".join(file.relative_to(cache).parts).removesuffix(".dir") for file in files]
    changed = {name for name, file in zip(names, files, strict=True) if md5_of(file) != name}
    assert changed == set()
    assert twin.run("rijksnet", "publish", "--check").strip() == "MLflow shows every record, whole"


def test_whether_a_repro_would_change_anything_can_be_a_gate(twin: Project) -> None:
    def status() -> tuple[str, str]:
        said = twin.run("sh", "-c", "rijksnet status && echo fine || echo due", check=False).strip().splitlines()
        return "\n".join(said[:-1]), said[-1]

    twin.run("rijksnet", "publish")  # which corrects the places of a copied project
    assert status() == ("everything is as the parameters ask", "fine")
    store = mlflow.MlflowClient(f"sqlite:///{twin.folder}/mlflow.db")
    store.delete_registered_model_alias(MODEL, "champion")
    twin.run("rijksnet", "fine_tuning", *OWN.split("/")[:3], "--seed", "1")
    said, then = status()
    assert then == "due"
    assert f": runs/{OWN.removesuffix('0')}1: no run shows it" in said
    assert "publish: not in MLflow as it is here (and 1 more)" in said
    assert f"publish: {MODEL} has no champion" in said
    twin.run("rijksnet", "publish")
    store.set_registered_model_alias(MODEL, "champion", "2")
    said, then = status()
    assert (f"champions: {MODEL} is version 2 now, and " in said, then) == (True, "due")
    change(twin, training__max_epochs__fine_tuning=1)
    said, then = status()
    assert then == "due"
    assert "fine_tuning@type-test_resnet: changed deps params.yaml" in said


def test_a_name_that_is_a_command_is_none(tmp_path: Path) -> None:
    project = checkout(tmp_path / "project")
    make_tiny(project)
    file = project.folder / "params.yaml"
    file.write_text(file.read_text().replace("miniature-antwerp", "x;touch pwned;x"), encoding="utf-8")
    said = project.run("dvc", "repro", check=False)
    assert "'x;touch pwned;x' is no name: it may have 60 at most of the letters a to z, digits, - and _" in said
    assert not list(project.folder.rglob("pwned"))
