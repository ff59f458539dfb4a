"""Two projects on one tracking server: neither takes what is the other's, unless it is named."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import mlflow

from processes import Warm
from projects import MODEL, OWN, TUNED, Project, change, commit, run_of
from stores import served


def test_two_projects_on_one_server_do_not_take_each_others_weights(
    reproduced: Project, blank_store: Path, warm: Warm, tmp_path: Path
) -> None:
    """The second project's source is another collection under the same challenges and architecture."""
    one, two = (replace(reproduced, folder=tmp_path / name) for name in ("one", "two"))
    for project in (one, two):
        shutil.copytree(reproduced.folder, project.folder, symlinks=True)
    for made in ("runs", "pins", "mlartifacts"):  # what both have in common, θ say, lies in DVC's cache
        shutil.rmtree(two.folder / made)
    shutil.rmtree(one.folder / "runs" / "miniature-antwerp")  # of the first only its models are asked for
    file = two.folder / "params.yaml"
    file.write_text(file.read_text().replace("miniature-rijksmuseum", "miniature-louvre"), encoding="utf-8")
    change(two, source__challenges=["type"], target__challenges=["type"], scratch__challenges=[])
    change(two, side_experiments__challenges=[], side_experiments__architectures=[])
    commit(two, "Another source")
    (tmp_path / "server").mkdir()
    shutil.copyfile(blank_store, tmp_path / "server" / "mlflow.db")
    with served(tmp_path / "server", warm) as address:
        for project in (one, two):
            change(project, tracking__uri=address)
        one.run("rijksnet", "publish")
        store = mlflow.MlflowClient(address, address)
        # from its first project's champion the second one transfers as from any θ
        champion = store.get_model_version_by_alias(MODEL, "champion").tags["weights_sha256"]
        theta = {"model": f"models:/{MODEL}@champion", "store": address, "sha256": champion}
        change(two, imagenet__pretrain__architectures=[], imagenet__registry={"test_resnet": theta})
        assert "import_model@test_resnet: done" in two.run("rijksnet", "repro")
        models = {model.name: model for model in store.search_registered_models()}
        theirs = MODEL.replace("rijksmuseum", "louvre")
        assert set(models) == {MODEL, MODEL.replace("-type-", "-artist-"), theirs}
        own = OWN.replace("rijksmuseum", "louvre", 1)
        tuned = TUNED.replace("rijksmuseum-seed", "louvre-seed")
        weights = run_of(two, own)["files"]["weights.safetensors"]
        assert run_of(two, tuned)["digests"]["initial_weights"] == weights
        assert store.get_model_version_by_alias(theirs, "champion").tags["weights_sha256"] == weights
        assert store.get_model_version_by_alias(MODEL, "champion").tags["run_key"] == OWN
        assert two.run("rijksnet", "publish", "--check").strip() == "MLflow shows every run, whole"
    start = run_of(two, TUNED.replace("miniature-rijksmuseum-seed0", "imagenet-seed0"))["ancestry"]
    assert [step["from"] for step in start] == ["training", "training", "registry", "training"]
    assert start[1]["name"] == OWN
    assert start[2]["name"] == f"models:/{MODEL}/1"
    # and with the server gone, everything of the second project is there to go on with
    change(two, training__max_epochs__off_the_shelf=4)
    said = two.run("dvc", "repro")
    assert "Running stage 'target_tuned_off_the_shelf@type-test_resnet'" in said
    assert "warning" in said
    assert run_of(two, tuned)["digests"]["initial_weights"] == run_of(two, own)["files"]["weights.safetensors"]
    assert (two.folder / "results" / "README.md").is_file()
