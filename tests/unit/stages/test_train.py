from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor, nn

from rijksnet import paths
from rijksnet.data import labelled, subsets
from rijksnet.errors import CollectionError, ParamsError, RunError, SplitError, TrainingError, WeightsError
from rijksnet.files import sha256_of
from rijksnet.networks import weights
from rijksnet.networks.architectures import Network
from rijksnet.networks.batch_norm import batch_norms
from rijksnet.params import Params
from rijksnet.paths import CollectionPaths
from rijksnet.runs import metrics
from rijksnet.runs.folder import Run, RunFolder
from rijksnet.runs.history import Epoch, read_history
from rijksnet.runs.key import RunKey
from rijksnet.stages import train
from rijksnet.stages.features import features
from rijksnet.training import job

OFF_THE_SHELF = RunKey("source", "type", "test_resnet", "off_the_shelf", "imagenet")
FINE_TUNING = replace(OFF_THE_SHELF, strategy="fine_tuning")
SCRATCH = replace(OFF_THE_SHELF, strategy="scratch", initialisation="random")

NO_TARGET: dict[str, Any] = {"challenges": [], "architectures": []}
NO_SCRATCH: dict[str, Any] = {"architecture": "test_densenet", "challenges": []}

pytestmark = pytest.mark.usefixtures("workspace")
Make = Callable[..., Params]


def backbone(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in tensors.items() if not name.startswith("softmax.")}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def answers(key: RunKey, split: str) -> tuple[list[str], Any, Any]:
    """Object ids, labels (n,) and probabilities (n, Q) in a run."""
    rows = [row for row in pq.read_table(RunFolder.of(key).predictions).to_pylist() if row["split"] == split]
    labels, probabilities = (np.array([row[name] for row in rows]) for name in ("label", "probabilities"))
    return [row["object_id"] for row in rows], labels, probabilities


def losses_in(at: RunFolder) -> list[tuple[float, float]]:
    return [(epoch.train_loss, epoch.validation_loss) for epoch in read_history(at.history)]


def pixels_of(collection: str, object_ids: list[str]) -> Tensor:
    at = CollectionPaths(collection)
    images = pq.read_table(at.images)
    row_of = dict(zip(images["object_id"].to_pylist(), images["row"].to_pylist(), strict=True))
    return torch.from_numpy(np.load(at.pixels_of_size(32))[[row_of[name] for name in object_ids]])


def check_run(key: RunKey, epochs: int, start: Path | None) -> Run:
    """What must hold of every run: it is whole, and its files agree with each other and with the data."""
    at = RunFolder.of(key)
    run = at.read(verify=True)
    history = read_history(at.history)
    measured = json.loads(at.metrics.read_text())
    assert run.key == key
    assert run.classes == ["blauw", "geel", "rood"]
    assert (run.feature_size, run.parameters) == (96, 372_688 + 3 * 97)
    assert [epoch.epoch for epoch in history] == list(range(epochs))
    assert run.best_epoch == np.argmin([epoch.validation_loss for epoch in history])
    assert (measured["epochs"], measured["best_epoch"]) == (epochs, run.best_epoch)
    assert run.digests["initial_weights"] == ("" if start is None else sha256_of(start))
    assert run.started_ms <= history[0].time_ms <= history[-1].time_ms <= run.ended_ms
    split = pq.read_table(CollectionPaths(key.collection).split("type")).to_pylist()
    for name in ("validation", "test"):
        object_ids, labels, probabilities = answers(key, name)
        assert object_ids == [row["object_id"] for row in split if row["split"] == name]
        assert [run.classes[label] for label in labels] == [row["label"] for row in split if row["split"] == name]
        assert measured[name] == {**metrics.evaluate(probabilities.astype(np.float32), labels), "n": 10}
    best = history[run.best_epoch]
    assert measured["validation"]["accuracy"] == pytest.approx(best.validation_accuracy)
    assert measured["validation"]["loss"] == pytest.approx(best.validation_loss, rel=1e-5)
    return run


def check_weights(key: RunKey) -> dict[str, Tensor]:
    """A run's weights give the run's answers."""
    at = RunFolder.of(key)
    tensors, header = weights.read(at.weights)
    design, classes = weights.design_in(header, at.weights)
    network = Network(design, len(classes), at.read(verify=True).params["normalisation"]).eval()
    weights.load_backbone(network.backbone, tensors, at.weights)
    weights.load_softmax(network.softmax, tensors, at.weights)
    object_ids, _, probabilities = answers(key, "test")
    with torch.no_grad():
        found = network(pixels_of(key.collection, object_ids)).softmax(1)
    np.testing.assert_allclose(found, probabilities, rtol=1e-4, atol=1e-6)
    return tensors


# --- the strategies ---------------------------------------------------------------------------------------------------


def test_off_the_shelf(tiny_params: Make) -> None:
    params, theta = tiny_params(), paths.imagenet_weights("test_resnet")
    features(params, "source", "test_resnet", None)
    train.off_the_shelf(params, OFF_THE_SHELF)
    run = check_run(OFF_THE_SHELF, 20, theta)
    recipe = {"optimiser": "rmsprop", "learning_rate": 0.001, "decay": 0.9, "epsilon": 1e-8, "batch_size": 32}
    assert (
        run.params.items()
        >= {**recipe, "patience": 7, "max_epochs": 20, "normalisation": "unit", "input_size": 32}.items()
    )
    assert run.params.items() >= {"train_images": 80, "validation_images": 10, "test_images": 10}.items()
    tensors = check_weights(OFF_THE_SHELF)
    assert same(backbone(tensors), weights.read(theta)[0])
    history = read_history(RunFolder.of(OFF_THE_SHELF).history)
    assert history[-1].train_loss < history[0].train_loss


@pytest.mark.parametrize("normalisation", ["unit", "pretrained"])
def test_fine_tuning(normalisation: str, tiny_params: Make) -> None:
    theta = paths.imagenet_weights("test_resnet")
    train.network(tiny_params(normalisation=normalisation), FINE_TUNING)
    run = check_run(FINE_TUNING, 4, theta)
    assert run.params["normalisation"] == normalisation
    recipe = {"optimiser": "sgd", "learning_rate": 0.001, "momentum": 0.9, "nesterov": True, "drop_last": False}
    assert run.params.items() >= recipe.items()
    tuned, started = backbone(check_weights(FINE_TUNING)), weights.read(theta)[0]
    assert not any(torch.equal(tuned[name], started[name]) for name in started if name.endswith("weight"))
    assert all((tuned[name] - started[name]).abs().max() < 0.1 for name in started if name.endswith("weight"))


def test_from_scratch(tiny_params: Make) -> None:
    paths.imagenet_weights("test_resnet").unlink()  # it needs no θ
    train.network(tiny_params(), SCRATCH)
    check_run(SCRATCH, 4, None)
    largest = check_weights(SCRATCH)["layer4.0.conv2.weight"]
    bound = (6 / largest[0].numel()) ** 0.5
    assert largest.abs().max() == pytest.approx(bound, rel=0.05)  # He-uniform, and a few steps
    assert largest.std() == pytest.approx(bound / 3**0.5, rel=0.05)


def test_pretraining_leaves_a_theta(tiny_params: Make) -> None:
    theta = paths.imagenet_weights("test_resnet")
    before = theta.read_bytes()
    train.pretrain(tiny_params(seed=3), "test_resnet")
    key = RunKey("photographs", "type", "test_resnet", "scratch", "random", 3)
    run = check_run(key, 3, None)
    assert run.params.items() >= {"learning_rate": 0.05, "max_epochs": 3, "momentum": 0.9, "nesterov": True}.items()
    history = read_history(RunFolder.of(key).history)
    assert history[-1].train_loss < history[0].train_loss
    tensors, header = weights.read(theta)
    assert theta.read_bytes() != before
    assert same(tensors, backbone(check_weights(key)))
    design, classes = weights.design_in(header, theta)
    assert (design.architecture, classes) == ("test_resnet", [])
    train.network(tiny_params(), FINE_TUNING)  # it can be transferred from
    check_run(FINE_TUNING, 4, theta)


@pytest.mark.parametrize("strategy", ["off_the_shelf", "fine_tuning"])
def test_transfer_starts_from_the_weights_tuned_on_the_source(strategy: Any, tiny_params: Make) -> None:
    params = tiny_params(max_epochs={"off_the_shelf": 2, "fine_tuning": 2})
    train.network(params, FINE_TUNING)
    tuned = paths.tuned_weights("source", "type", "test_resnet")
    tuned.parent.mkdir(parents=True)
    shutil.copy(RunFolder.of(FINE_TUNING).weights, tuned)
    key = RunKey("target", "type", "test_resnet", strategy, "source")
    if strategy == "off_the_shelf":
        features(params, "target", "test_resnet", "type")
        train.off_the_shelf(params, key)
    else:
        train.network(params, key)
    check_run(key, 2, tuned)
    found, started = check_weights(key), weights.read(tuned)[0]
    assert same(backbone(found), backbone(started)) is (strategy == "off_the_shelf")
    assert not torch.equal(found["softmax.weight"], started["softmax.weight"])  # the softmax layer is a new one


# --- which weights are tested -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("protocol", "losses", "tested"),
    [
        ("as_written", [3.0, 1.0, 2.0], 1),
        ("as_written", [3.0, 1.0, 1.0], 1),  # the first of equals
        ("as_written", [3.0, 2.0, 1.0], 2),
        ("as_released", [3.0, 1.0, 2.0], 2),
        ("as_released", [1.0, 2.0, 3.0], 2),
    ],
)
def test_the_best_weights_are_tested_as_written_and_the_last_as_released(
    protocol: str, losses: list[float], tested: int, tiny_params: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scripted(model: nn.Linear, *_: Any) -> Iterator[tuple[Epoch, ...]]:
        for epoch, loss in enumerate(losses):
            nn.init.constant_(model.bias, epoch)
            yield (Epoch(epoch, epoch, 0.0, 0.0, loss, 0.0, 0.0),)

    params = tiny_params(protocol=protocol)
    features(params, "source", "test_resnet", None)
    monkeypatch.setattr(job, "fit_tasks", scripted)
    train.off_the_shelf(params, OFF_THE_SHELF)
    run = RunFolder.of(OFF_THE_SHELF).read(verify=True)
    assert run.best_epoch == tested
    assert weights.read(RunFolder.of(OFF_THE_SHELF).weights)[0]["softmax.bias"].tolist() == [tested] * 3
    assert run.params["drop_last"] is (protocol == "as_released")
    assert run.params["normalisation"] == ("pretrained" if protocol == "as_released" else "unit")


def test_the_test_split_has_no_part_in_training(tiny_params: Make) -> None:
    params = tiny_params()
    train.network(params, FINE_TUNING)
    at, file = RunFolder.of(FINE_TUNING), CollectionPaths("source").split("type")
    before, history = sha256_of(at.weights), losses_in(at)
    table = pq.read_table(file)
    rows = table.to_pylist()
    for row in rows:
        row["label"] = "rood" if row["split"] == "test" else row["label"]
    pq.write_table(table.from_pylist(rows, table.schema), file)
    train.network(params, FINE_TUNING)
    assert sha256_of(at.weights) == before
    assert losses_in(at) == history
    assert set(answers(FINE_TUNING, "test")[1]) == {2}


KERAS = {"constants": "keras", "frozen": "running"}


def test_keras_constants_of_batch_normalisation(tiny_params: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """In training as in use: what is recorded is what its weights give."""
    kept = {}
    fit = job.fit_tasks

    def spy(model: nn.Module, *rest: Any) -> Any:
        kept["layers"] = {(layer.eps, round(1 - layer.momentum, 9)) for layer in batch_norms(model)}
        return fit(model, *rest)

    monkeypatch.setattr(job, "fit_tasks", spy)
    train.network(tiny_params(batch_norm=KERAS), FINE_TUNING)
    assert kept["layers"] == {(1e-3, 0.99)}
    assert check_run(FINE_TUNING, 4, paths.imagenet_weights("test_resnet")).params["batch_norm_constants"] == "keras"
    check_weights(FINE_TUNING)
    train.network(tiny_params(), FINE_TUNING)
    assert kept["layers"] == {(1e-5, 0.9)}


def test_features_of_other_constants_are_refused(tiny_params: Make) -> None:
    params = tiny_params(batch_norm=KERAS)
    features(tiny_params(), "source", "test_resnet", None)
    with pytest.raises(RunError, match=r"(?s)batch_norm_epsilon=None.*training\.batch_norm\.constants.*0\.001"):
        train.off_the_shelf(params, OFF_THE_SHELF)
    features(params, "source", "test_resnet", None)
    train.off_the_shelf(params, OFF_THE_SHELF)
    check_weights(OFF_THE_SHELF)


def test_a_training_that_breaks_says_so(tiny_params: Make, capsys: pytest.CaptureFixture[str]) -> None:
    """Statistics of each batch while the softmax trains, running ones in use: where the two differ, it shows."""
    batch_norm = {"constants": "own", "frozen": "batch"}
    params = tiny_params(protocol="as_released", batch_norm=batch_norm)  # which tests the last weights
    features(params, "source", "test_resnet", None)
    folder = OFF_THE_SHELF.features
    at = CollectionPaths("source")
    data = labelled.load(at.split("type"), at.images)
    batch = np.zeros_like(np.load(folder / "batch.npy"))
    for rows in data.values():
        batch[rows.rows, rows.labels] = 100  # as if batch statistics told the classes apart
    np.save(folder / "batch.npy", batch)
    train.off_the_shelf(params, OFF_THE_SHELF)
    run = RunFolder.of(OFF_THE_SHELF).read(verify=True)
    assert re.match(r"in use it classifies [34].\.\d% of 80 training images rightly, where .* saw [67]", run.doubts[0])
    assert run.doubts[0].endswith("set training.batch_norm.frozen to 'running'")
    said = " ".join(capsys.readouterr().err.split())
    assert f"warning: {OFF_THE_SHELF} is doubtful: {run.doubts[0]}" in said
    measured = json.loads(RunFolder.of(OFF_THE_SHELF).metrics.read_text())
    assert measured["train"]["n"] == 80
    assert measured["train"]["accuracy"] < 0.7


def test_a_sound_training_says_nothing(tiny_params: Make, capsys: pytest.CaptureFixture[str]) -> None:
    params = tiny_params()
    features(params, "source", "test_resnet", None)
    train.off_the_shelf(params, OFF_THE_SHELF)
    run, at = RunFolder.of(OFF_THE_SHELF).read(verify=True), RunFolder.of(OFF_THE_SHELF)
    assert run.doubts == []
    assert "doubtful" not in capsys.readouterr().err
    measured, history = json.loads(at.metrics.read_text()), read_history(at.history)
    tensors = check_weights(OFF_THE_SHELF)
    rows = labelled.load(CollectionPaths("source").split("type"), CollectionPaths("source").images)["train"]
    x = torch.from_numpy(np.load(OFF_THE_SHELF.features / "running.npy")[rows.rows])
    logits = x @ tensors["softmax.weight"].T + tensors["softmax.bias"]
    right = (logits.argmax(1).numpy() == rows.labels).mean()
    assert measured["train"] == {"accuracy": pytest.approx(right), "n": 80}
    assert len(history) == 20


def test_one_image_alone_is_not_normalised(tiny_params: Make) -> None:
    data = train.images_of(FINE_TUNING)
    alone = {**data, "train": subsets.at(data["train"], np.array([0]))}
    with pytest.raises(TrainingError, match="1 training images in batches of 32 leave one alone in its batch"):
        train.network(tiny_params(), FINE_TUNING, lambda _: alone)


def test_an_input_too_small_for_a_network_is_refused(content: dict[str, Any], workspace: Path) -> None:
    architecture = "test_densenet"  # its third pooling would be of less than a pixel
    edited = {**content, "input_size": 16, "architectures": [architecture], "target": NO_TARGET, "scratch": NO_SCRATCH}
    edited["target"]["collection"] = "target"
    edited["imagenet"]["pretrain"]["architectures"] = [architecture]
    edited["exploration"]["architectures"] = []
    params = Params.model_validate(edited)
    key = replace(SCRATCH, architecture=architecture)
    with pytest.raises(ParamsError, match=r"input_size is 16, which test_densenet cannot take .*its own is 224"):
        train.network(params, key)


def test_batch_statistics_are_only_for_the_images_trained_on(
    tiny_params: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    params, folder = tiny_params(batch_norm={"constants": "own", "frozen": "batch"}), OFF_THE_SHELF.features
    features(params, "source", "test_resnet", None)
    running, batch = np.load(folder / "running.npy"), np.load(folder / "batch.npy")
    seen = []

    def spy(model: nn.Module, optimiser: Any, training: Any, validation: Any, *rest: Any) -> Any:
        seen.extend([training, validation])
        return fit(model, optimiser, training, validation, *rest)

    fit = job.fit_tasks
    monkeypatch.setattr(job, "fit_tasks", spy)
    train.off_the_shelf(params, OFF_THE_SHELF)
    training, validation = seen
    np.testing.assert_array_equal(training.inputs[training.rows], batch[training.rows])
    np.testing.assert_array_equal(validation.inputs[validation.rows], running[validation.rows])
    assert not np.allclose(batch, running)
    check_weights(OFF_THE_SHELF)  # what is tested is what would be served


def test_features_of_other_weights_are_refused(tiny_params: Make) -> None:
    params, theta = tiny_params(), paths.imagenet_weights("test_resnet")
    features(params, "source", "test_resnet", None)
    tensors, header = weights.read(theta)
    design, _ = weights.design_in(header, theta)
    weights.save(theta, {name: tensor + 1 for name, tensor in tensors.items()}, design, [])
    with pytest.raises(WeightsError, match=r"were extracted with weights .*: extract them again"):
        train.off_the_shelf(params, OFF_THE_SHELF)


def test_an_official_split_is_measured_as_the_challenge_measures(content: dict[str, Any], tiny_params: Make) -> None:
    params = tiny_params()
    features(params, "source", "test_resnet", None)
    for rule in ("paper", "challenge"):
        params = Params.model_validate({**content, "splits": {**content["splits"], "rule": rule}})
        train.off_the_shelf(params, OFF_THE_SHELF)
        measured = json.loads(RunFolder.of(OFF_THE_SHELF).metrics.read_text())["test"]
        assert ("mean_average_precision" in measured) == (rule == "challenge")
        assert RunFolder.of(OFF_THE_SHELF).read(verify=True).params["split_rule"] == rule


# --- interruptions and damage -----------------------------------------------------------------------------------------


def test_a_killed_run_leaves_no_complete_record(tiny_params: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    params, at = tiny_params(), RunFolder.of(FINE_TUNING)
    train.network(params, FINE_TUNING)

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("rijksnet.training.loop._train_epoch", killed)
        with pytest.raises(KeyboardInterrupt):
            train.network(params, FINE_TUNING)
    with pytest.raises(RunError, match=r"has no run\.json: the run is not complete; `dvc repro` completes it"):
        at.read(verify=True)
    train.network(params, FINE_TUNING)
    check_run(FINE_TUNING, 4, paths.imagenet_weights("test_resnet"))


@pytest.mark.parametrize("name", ["history.csv", "metrics.json", "predictions.parquet", "weights.safetensors"])
@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_a_damaged_record_is_refused(name: str, damage: str, finished: RunFolder) -> None:
    file = finished.root / name
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(RunError, match=rf"{name} is not the file that the run wrote: restore it with `dvc checkout"):
        finished.read(verify=True)


@pytest.fixture(scope="module")
def finished_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("finished")


@pytest.fixture
def finished(finished_once: Path, tiny_params: Make) -> RunFolder:
    """The run of a short run, trained once and copied for each test."""
    at, kept = RunFolder.of(FINE_TUNING), finished_once / "record"
    if not kept.exists():
        train.network(tiny_params(max_epochs={"off_the_shelf": 1, "fine_tuning": 1}), FINE_TUNING)
        shutil.copytree(at.root, kept)
    shutil.copytree(kept, at.root, dirs_exist_ok=True)
    return at


# --- what is not there ------------------------------------------------------------------------------------------------


def test_what_a_run_needs_is_asked_for_by_name(tiny_params: Make) -> None:
    params = tiny_params()
    with pytest.raises(RunError, match="test_resnet-imagenet holds no complete features"):
        train.off_the_shelf(params, OFF_THE_SHELF)
    with pytest.raises(WeightsError, match=r"weights/source/type/test_resnet\.safetensors does not exist"):
        train.network(params, replace(FINE_TUNING, initialisation="source"))
    with pytest.raises(SplitError, match=r"splits/artist\.parquet is not there"):
        train.network(params, replace(FINE_TUNING, challenge="artist"))
    CollectionPaths("source").pixels_of_size(32).unlink()
    with pytest.raises(CollectionError, match=r"pixels/32\.npy is not there"):
        train.network(params, FINE_TUNING)
    assert not Path("runs").exists()
