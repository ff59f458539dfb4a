"""What a number or a model says it comes from is what it came from: across projects, protocols, experiments, links."""

from __future__ import annotations

from pathlib import Path

import mlflow

from projects import MODEL, OWN, TUNED, Project, change, checkout, make_tiny, run_of
from rijksnet.files import md5_of


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


def test_what_is_made_again_by_hand_is_not_written_into_dvc_s_cache(twin: Project) -> None:
    twin.run("dvc", "config", "cache.type", "symlink")
    twin.run("dvc", "checkout", "--relink", "--force")
    weights = twin.folder / "runs" / OWN / "weights.safetensors"
    assert weights.is_symlink()
    cache = twin.folder / ".dvc" / "cache" / "files" / "md5"
    change(twin, training__max_epochs={"off_the_shelf": 1, "fine_tuning": 1}, side_experiments__objects=3)
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
    assert twin.run("rijksnet", "publish", "--check").strip() == "MLflow shows every run, whole"


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
