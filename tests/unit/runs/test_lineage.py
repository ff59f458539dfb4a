"""Where a run comes from."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rijksnet.runs import code, lineage


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository with one commit, and no configuration but its own."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    folder = tmp_path / "project"
    (folder / "results").mkdir(parents=True)
    for name in ("code.py", "dvc.lock", "results/table.csv"):
        (folder / name).write_text("1")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "-c", "user.name=n", "-c", "user.email=e", "commit", "-qm", "m")
    return folder


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def test_a_clean_repository(repository: Path) -> None:
    assert lineage.git_state(repository) == {"git_commit": git(repository, "rev-parse", "HEAD"), "git_dirty": False}


@pytest.mark.parametrize(
    ("changed", "dirty"),
    [("code.py", True), ("dvc.lock", False), ("results/table.csv", False), ("a_new_file", False)],
)
def test_what_counts_as_a_change(repository: Path, changed: str, dirty: bool) -> None:
    (repository / changed).write_text("2")
    assert lineage.git_state(repository)["git_dirty"] is dirty


def test_outside_a_repository_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    found = lineage.git_state(tmp_path)
    assert (found["git_commit"], found["git_dirty"]) == (None, None)
    assert "not a git repository" in found["git_error"]


def test_a_checkout_of_another_user_is_told(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    found = lineage.git_state(repository)
    assert (found["git_commit"], found["git_dirty"]) == (None, None)
    assert "dubious ownership" in found["git_error"]


def test_a_process_has_one_origin(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was committed since it began is not what it runs."""
    monkeypatch.chdir(repository)
    monkeypatch.setenv("DVC_EXP_NAME", "tried-once")
    found = lineage.origin()
    assert found["git_commit"] == git(repository, "rev-parse", "HEAD")
    assert found["code"] == code.digest("train")
    assert lineage.origin("probes") == found | {"code": code.digest("probes")}
    assert found["code"] != code.digest("probes")
    assert found["dvc_experiment"] == "tried-once"
    (repository / "code.py").write_text("2")
    git(repository, "-c", "user.name=n", "-c", "user.email=e", "commit", "-qam", "later")
    assert lineage.origin() == found
    assert capsys.readouterr().err == ""


def test_a_record_without_a_commit_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.chdir(tmp_path)
    lineage.origin()
    assert "runs made here name no commit: fatal: not a git repository" in capsys.readouterr().err


def test_a_folder_is_known_as_dvc_knows_it(tmp_path: Path) -> None:
    """As `dvc add` names this folder."""
    folder = tmp_path / "out"
    (folder / "b").mkdir(parents=True)
    (folder / "b" / "é.txt").write_text("2")
    (folder / "a.txt").write_text("1")
    subprocess.run([sys.executable, "-m", "dvc", "init", "--no-scm", "-q"], cwd=tmp_path, check=True)
    subprocess.run([sys.executable, "-m", "dvc", "add", "-q", "out"], cwd=tmp_path, check=True)
    assert f"md5: {lineage.dvc_md5(folder)}" in (tmp_path / "out.dvc").read_text()


def test_a_repository_without_a_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    assert lineage.git_state(tmp_path)["git_commit"] is None


def test_the_environment_names_what_computes() -> None:
    found = lineage.environment()
    assert found["torch"].startswith("2.")
    assert set(found) == {"torch", "timm", "numpy", "pillow", "cykooz.resizer", "python", "machine"}


LOCK = """\
schema: '2.0'
stages:
  fine_tuning@type-resnet50:
    cmd: rijksnet fine_tuning c type resnet50
    deps:
    - path: data/c/pixels
      hash: md5
      md5: 0123456789abcdef0123456789abcdef.dir
      size: 7
      nfiles: 1
    - path: data/c/images.parquet
      hash: md5
      md5: fedcba9876543210fedcba9876543210
      size: 7
    outs:
    - path: runs/c/type/resnet50/fine_tuning-imagenet/run.json
      hash: md5
      md5: '00000000000000000000000000000000'
      size: 7
    - path: runs/c/type/resnet50/fine_tuning-imagenet/history.csv
      hash: md5
      md5: '11111111111111111111111111111111'
      size: 7
  champions:
    cmd: rijksnet champions
    outs:
    - path: pins
      hash: md5
      md5: 22222222222222222222222222222222.dir
"""


def test_a_lock_file_tells_the_stage_of_each_output(tmp_path: Path) -> None:
    lock = tmp_path / "dvc.lock"
    lock.write_text(LOCK)
    found = lineage.stages_by_output(lock)
    training = found["runs/c/type/resnet50/fine_tuning-imagenet/run.json"]
    assert training is found["runs/c/type/resnet50/fine_tuning-imagenet/history.csv"]
    assert training.stage == "fine_tuning@type-resnet50"
    assert training.deps == {
        "data/c/pixels": "0123456789abcdef0123456789abcdef.dir",
        "data/c/images.parquet": "fedcba9876543210fedcba9876543210",
    }
    assert list(training.outs.values()) == ["0" * 32, "1" * 32]
    assert found["pins"].deps == {}


@pytest.mark.parametrize("content", [None, "", "schema: '2.0'\n"], ids=["absent", "empty", "no stages"])
def test_before_the_first_reproduction_there_are_no_stages(tmp_path: Path, content: str | None) -> None:
    lock = tmp_path / "dvc.lock"
    if content is not None:
        lock.write_text(content)
    assert lineage.stages_by_output(lock) == {}
