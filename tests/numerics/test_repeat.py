"""The same seed gives the same run, bit for bit; interrupted and resumed too. Another seed gives another."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rijksnet.errors import TrainingError
from rijksnet.params import Params
from rijksnet.paths import CollectionPaths
from rijksnet.runs import lineage
from rijksnet.runs.folder import RunFolder
from rijksnet.runs.history import read_history
from rijksnet.runs.key import RunKey
from rijksnet.stages import train
from rijksnet.stages.features import features
from rijksnet.training import job, loop
from rijksnet.training.checkpoint import Checkpoint

KEYS = [
    RunKey("source", "type", "test_resnet", "off_the_shelf", "imagenet"),
    RunKey("source", "type", "test_resnet", "fine_tuning", "imagenet"),
    RunKey("source", "type", "test_resnet", "scratch", "random"),
]
EPOCHS = 4

pytestmark = pytest.mark.usefixtures("workspace")
Make = Callable[..., Params]
every_strategy = pytest.mark.parametrize("key", KEYS, ids=[key.strategy for key in KEYS])


def carry_out(params: Params, key: RunKey) -> dict[str, Any]:
    """Train, take what the run left, and clear it away; without what the clock measures."""
    if key.strategy == "off_the_shelf":
        features(params, key.collection, key.architecture, None)
        train.off_the_shelf(params, key)
    else:
        train.network(params, key)
    at = RunFolder.of(key)
    at.read(verify=True)
    left: dict[str, Any] = {file.name: file.read_bytes() for file in (at.weights, at.predictions, at.metrics)}
    left["history"] = [replace(epoch, time_ms=0, images_per_s=0) for epoch in read_history(at.history)]
    shutil.rmtree("runs")
    return left


def short(make: Make, epochs: int = EPOCHS, **training: Any) -> Params:
    return make(max_epochs={"off_the_shelf": epochs, "fine_tuning": epochs}, **training)


@pytest.fixture
def every_epoch_is_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job.checkpoint, "Checkpoint", partial(Checkpoint, every_s=0))


def kill(params: Params, key: RunKey, during: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start a run and kill it at the end of an epoch's training, before anything of that epoch is kept."""
    train_epoch = loop._train_epoch

    def killed(*arguments: Any) -> Any:
        result = train_epoch(*arguments)
        if arguments[3][1] == during:
            raise KeyboardInterrupt
        return result

    with monkeypatch.context() as patched:
        patched.setattr(loop, "_train_epoch", killed)
        with pytest.raises(KeyboardInterrupt):
            carry_out(params, key)


def epochs_trained(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the epochs trained from now on."""
    trained, fit = [], job.fit_tasks

    def noting(*arguments: Any) -> Any:
        for tasks in fit(*arguments):
            trained.append(tasks[0].epoch)
            yield tasks

    monkeypatch.setattr(job, "fit_tasks", noting)
    return trained


@every_strategy
def test_the_same_seed_gives_the_same_run_and_another_seed_another(key: RunKey, tiny_params: Make) -> None:
    one, same, other = (carry_out(short(tiny_params), replace(key, seed=seed)) for seed in (1, 1, 2))
    assert one == same
    assert len(one["history"]) == EPOCHS
    assert one["weights.safetensors"] != other["weights.safetensors"]
    assert one["predictions.parquet"] != other["predictions.parquet"]
    assert one["history"] != other["history"]


@every_strategy
@pytest.mark.usefixtures("every_epoch_is_saved")
def test_a_resumed_run_is_the_uninterrupted_one(
    key: RunKey, tiny_params: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = short(tiny_params)
    whole = carry_out(params, key)
    for during in (2, 3):  # killed twice
        kill(params, key, during, monkeypatch)
        assert not RunFolder.of(key).run.exists()
    trained = epochs_trained(monkeypatch)
    assert carry_out(params, key) == whole
    assert trained == [3]
    assert not Path(".checkpoints", RunFolder.of(key).root).exists()


@pytest.mark.parametrize("change", [{"epochs": 3}, {"precision": "bf16"}, {"normalisation": "pretrained"}])
@pytest.mark.usefixtures("every_epoch_is_saved")
def test_a_checkpoint_of_other_settings_is_ignored(
    change: dict[str, Any], tiny_params: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    params, other, key = short(tiny_params), short(tiny_params, **change), KEYS[1]
    kill(params, key, 2, monkeypatch)
    assert Path(".checkpoints", RunFolder.of(key).root, "checkpoint.pt").exists()
    trained = epochs_trained(monkeypatch)
    resumed = carry_out(other, key)
    assert trained == list(range(change.get("epochs", EPOCHS)))
    assert carry_out(other, key) == resumed


CHECKPOINT = Path(".checkpoints", RunFolder.of(KEYS[1]).root, "checkpoint.pt")


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.99])
@pytest.mark.usefixtures("every_epoch_is_saved")
def test_a_torn_checkpoint_is_told_and_the_run_begins_again(
    kept: float, tiny_params: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    params, key = short(tiny_params), KEYS[1]
    whole = carry_out(params, key)
    kill(params, key, 2, monkeypatch)
    content = CHECKPOINT.read_bytes()
    CHECKPOINT.write_bytes(content[: int(len(content) * kept)])
    trained = epochs_trained(monkeypatch)
    assert carry_out(params, key) == whole
    assert trained == list(range(EPOCHS))
    assert f"is trained from its beginning: {CHECKPOINT} is damaged" in capsys.readouterr().err


@pytest.mark.parametrize("changed", ["pixels", "code"])
@pytest.mark.usefixtures("every_epoch_is_saved")
def test_a_run_is_not_resumed_with_other_data_or_code(
    changed: str, tiny_params: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    params, key = short(tiny_params), KEYS[1]
    kill(params, key, 2, monkeypatch)
    if changed == "pixels":
        file = CollectionPaths("source").pixels_of_size(32)
        pixels = np.load(file)
        pixels[np.load(file).shape[0] // 2] //= 2
        np.save(file, pixels)
    else:
        origin = lineage.origin()
        monkeypatch.setattr(lineage, "origin", lambda: origin | {"code": "0" * 64})
    trained = epochs_trained(monkeypatch)
    carry_out(params, key)
    assert trained == list(range(EPOCHS))
    assert "is of other settings, other data or other code" in capsys.readouterr().err


@pytest.mark.usefixtures("every_epoch_is_saved")
def test_large_pixels_are_told_by_their_file(tiny_params: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    params, key = short(tiny_params), KEYS[1]
    monkeypatch.setattr(job, "READ_AT_ONCE", 0)
    kill(params, key, 2, monkeypatch)
    trained = epochs_trained(monkeypatch)
    file = CollectionPaths("source").pixels_of_size(32)
    shutil.copyfile(file, "copy.npy")
    Path("copy.npy").replace(file)
    carry_out(params, key)
    assert trained == list(range(EPOCHS))


def test_two_processes_do_not_train_one_run(tiny_params: Make) -> None:
    params, key = short(tiny_params), KEYS[1]
    at = RunFolder.of(key)
    whole = carry_out(params, key)
    train.network(params, key)
    holds = "lock = filelock.FileLock(sys.argv[1]); lock.acquire(); print(1, flush=True); sys.stdin.read()"
    other = f"import sys, filelock; {holds}"
    CHECKPOINT.parent.mkdir(parents=True)
    command = [sys.executable, "-c", other, str(CHECKPOINT.with_name("lock"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline()
        with pytest.raises(TrainingError, match=f"another process is training {key}"):
            train.network(params, key)
        assert at.read(verify=True).files["weights.safetensors"]  # what is there stays
        process.kill()
    assert carry_out(params, key) == whole


@pytest.mark.usefixtures("every_epoch_is_saved")
def test_momentum_is_part_of_what_is_resumed(tiny_params: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the tests above could fail: without the optimiser's state, the run is another one."""
    params, key = short(tiny_params), KEYS[1]
    whole = carry_out(params, key)["history"]
    kill(params, key, 2, monkeypatch)
    monkeypatch.setattr("rijksnet.training.loop.SGD.load_state_dict", lambda *_: None)
    resumed = carry_out(params, key)["history"]
    assert resumed[:2] == whole[:2]
    assert resumed[3] != whole[3]
