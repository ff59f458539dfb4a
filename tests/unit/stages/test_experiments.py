"""Other seeds, common classes, one network for several challenges: which runs they leave, and on what."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from rijksnet import paths
from rijksnet.data import labelled
from rijksnet.errors import ParamsError, SplitError
from rijksnet.networks import weights
from rijksnet.networks.architectures import Network
from rijksnet.params import Params
from rijksnet.paths import CollectionPaths
from rijksnet.protocol import SPLITS
from rijksnet.runs import metrics, plan, writing
from rijksnet.runs.folder import RunFolder
from rijksnet.runs.history import read_history
from rijksnet.runs.key import RunKey
from rijksnet.runs.predictions import Predictions
from rijksnet.runs.result import load_run
from rijksnet.stages import train
from rijksnet.stages.features import features
from rijksnet.stages.train import common_classes, multi_task, seeds
from rijksnet.training import batches, job, loop
from rijksnet.training.checkpoint import Checkpoint

pytestmark = pytest.mark.usefixtures("workspace")


@pytest.fixture
def content(content: dict[str, Any]) -> dict[str, Any]:
    content["seeds"] = {
        "further": [1, 2],
        "source_challenges": ["type"],
        "target_challenges": ["type"],
        "architectures": ["test_resnet"],
    }
    content["side_experiments"] |= {"common_classes": ["type"], "architectures": ["test_resnet"]}
    content["training"]["max_epochs"] = {"off_the_shelf": 2, "fine_tuning": 2}
    return content


@pytest.fixture
def params(content: dict[str, Any]) -> Params:
    return Params.model_validate(content)


@pytest.fixture
def transferable(workspace: Path, params: Params) -> None:
    """θ̂ and all features that the target's runs read."""
    tuned = paths.tuned_weights("source", "type", "test_resnet")
    tuned.parent.mkdir(parents=True)
    shutil.copy(paths.imagenet_weights("test_resnet"), tuned)
    features(params, "source", "test_resnet", None)
    features(params, "target", "test_resnet", None)
    features(params, "target", "test_resnet", "type")


def complete() -> set[str]:
    """The keys of all runs on disk; each is whole."""
    return {str(at.read(verify=True).key) for at in RunFolder.complete_in()}


def images(key: RunKey, split: str) -> list[str]:
    return [row["image"] for row in pq.read_table(RunFolder.of(key).predictions).to_pylist() if row["split"] == split]


def relabel(collection: str, challenge: str, change: Callable[[dict[str, Any]], str]) -> None:
    """Give the images of a split other labels."""
    file = CollectionPaths(collection).split(challenge)
    table = pq.read_table(file)
    rows = [{**row, "label": change(row), "values": [change(row)]} for row in table.to_pylist()]
    pq.write_table(table.from_pylist(rows, table.schema), file)


# --- seeds ------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("transferable")
def test_seeds_leave_the_runs_that_are_asked_for(params: Params) -> None:
    for collection in ("source", "target"):
        for seed in params.seeds.further:
            seeds(params, collection, "type", "test_resnet", seed)
    assert complete() == set(map(str, plan.seed_keys(params)))


def test_seeds_are_of_the_source_or_the_target(params: Params) -> None:
    with pytest.raises(ParamsError, match=r"'photographs' is neither .* choose from \['target', 'source'\]"):
        seeds(params, "photographs", "type", "test_resnet", 1)


# --- common classes ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("transferable")
def test_transfer_on_the_classes_that_the_source_has_too(params: Params) -> None:
    relabel("source", "type", lambda row: "groen" if row["label"] == "geel" else row["label"])
    common_classes(params, "type", "test_resnet")
    keys = plan.common_classes_keys(params)
    assert complete() == set(map(str, keys))
    rows = pq.read_table(CollectionPaths("target").split("type")).to_pylist()
    for key in keys:
        run = RunFolder.of(key).read(verify=True)
        assert run.classes == ["blauw", "rood"]
        assert run.parameters == 372_688 + 2 * 97
        for split in ("validation", "test"):
            kept = [row["image"] for row in rows if row["split"] == split and row["label"] != "geel"]
            assert images(key, split) == kept
            assert run.params[f"{split}_images"] == len(kept)


def test_two_classes_have_to_be_common(params: Params) -> None:
    relabel("source", "type", lambda row: row["label"] if row["label"] == "rood" else row["label"] + "achtig")
    with pytest.raises(SplitError, match=r"only the classes \['rood'\] are common"):
        common_classes(params, "type", "test_resnet")


# --- one network for several challenges -------------------------------------------------------------------------------

TOGETHER = [RunKey("source", challenge, "test_resnet", "multi_task", "imagenet") for challenge in ("material", "type")]
ALONE = [RunKey("source", challenge, "test_resnet", "single_task", "imagenet") for challenge in ("material", "type")]


@pytest.fixture
def two_challenges(workspace: Path) -> None:
    """Materials whose names and number differ from the types'."""
    relabel("source", "material", lambda row: "papier" if row["label"] == "rood" else "doek")


def splits_of(challenge: str) -> dict[str, labelled.LabelledRows]:
    at = CollectionPaths("source")
    return labelled.load(at.split(challenge), at.images)


@pytest.mark.usefixtures("two_challenges")
def test_one_network_and_single_ones_learn_from_the_same_images(
    params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained_on = []

    def spy(model: Any, optimiser: Any, training: batches.Examples, *rest: Any) -> Any:
        trained_on.append(training)
        return fit_tasks(model, optimiser, training, *rest)

    fit_tasks = job.fit_tasks
    monkeypatch.setattr(job, "fit_tasks", spy)
    multi_task(params, "test_resnet")
    assert complete() == set(map(str, [*TOGETHER, *ALONE]))
    both, *singles = trained_on
    data = {challenge: splits_of(challenge) for challenge in ("material", "type")}
    held_out = {row for splits in data.values() for name in SPLITS[1:] for row in splits[name].rows.tolist()}
    assert not held_out & set(both.rows.tolist())
    assert len(both) == 100 - len(held_out) < 80
    for t, (challenge, single) in enumerate(zip(data, singles, strict=True)):
        has = both.labels[:, t] != batches.UNLABELLED
        assert dict(zip(both.rows[has].tolist(), both.labels[has, t].tolist(), strict=True)) == dict(
            zip(single.rows.tolist(), single.labels[:, 0].tolist(), strict=True)
        )
        one, other = (RunFolder.of(keys[t]).read(verify=True) for keys in (TOGETHER, ALONE))
        assert one.params == other.params
        assert one.digests == other.digests
        assert (one.classes, one.parameters) == (other.classes, other.parameters)
        assert one.parameters == 372_688 + len(one.classes) * 97
        for split in ("validation", "test"):
            assert images(TOGETHER[t], split) == images(ALONE[t], split) == list(data[challenge][split].images)


@pytest.mark.usefixtures("two_challenges")
def test_each_record_of_one_network_stands_on_its_own(params: Params) -> None:
    multi_task(params, "test_resnet")
    backbones, tested = [], []
    for key in TOGETHER:
        at = RunFolder.of(key)
        tensors, header = weights.read(at.weights)
        design, classes = weights.design_in(header, at.weights)
        network = Network(design, len(classes), "unit").eval()
        weights.load_backbone(network.backbone, tensors, at.weights)
        weights.load_softmax(network.softmax, tensors, at.weights)
        splits = splits_of(key.challenge)
        assert tuple(classes) == splits["test"].classes
        pixels = np.load(CollectionPaths("source").pixels_of_size(32))
        with torch.no_grad():
            found = network(torch.from_numpy(pixels[splits["test"].rows])).softmax(1).numpy()
        answers = load_run(at.root).predictions()
        np.testing.assert_allclose(found, answers.probabilities, rtol=1e-4, atol=1e-6)
        measured = json.loads(at.metrics.read_text())
        assert measured["test"] == metrics.evaluate(answers.probabilities, answers.labels) | {"n": 10}
        best = read_history(at.history)[measured["best_epoch"]]
        assert measured["validation"]["loss"] == pytest.approx(best.validation_loss, rel=1e-5)
        backbones.append({name: tensor for name, tensor in tensors.items() if not name.startswith("softmax.")})
        tested.append(measured["best_epoch"])
    assert tested[0] == tested[1]
    assert all(torch.equal(tensor, backbones[1][name]) for name, tensor in backbones[0].items())


@pytest.mark.usefixtures("two_challenges")
def test_an_interrupted_network_for_several_challenges_goes_on_bit_for_bit(
    content: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    content["training"]["max_epochs"]["fine_tuning"] = 3
    params = Params.model_validate(content)
    monkeypatch.setattr(job.checkpoint, "Checkpoint", partial(Checkpoint, every_s=0))

    def carry_out() -> dict[str, bytes]:
        train.networks(params, TOGETHER, lambda keys: {key: splits_of(key.challenge) for key in keys})
        files = (file for key in TOGETHER for file in (RunFolder.of(key).weights, RunFolder.of(key).predictions))
        left = {str(file): file.read_bytes() for file in files}
        shutil.rmtree("runs")
        return left

    def killed(*arguments: Any) -> Any:
        result = train_epoch(*arguments)
        epochs.append(arguments[3][1])
        if epochs == [0, 1]:
            raise KeyboardInterrupt
        return result

    whole, train_epoch, epochs = carry_out(), loop._train_epoch, list[int]()
    monkeypatch.setattr(loop, "_train_epoch", killed)
    with pytest.raises(KeyboardInterrupt):
        carry_out()
    assert not list(RunFolder.complete_in())
    assert carry_out() == whole
    assert epochs == [0, 1, 1, 2]
    assert not list(Path(".checkpoints").rglob("*.pt"))


# --- what any classifier leaves ---------------------------------------------------------------------------------------


def test_a_classifier_without_epochs_and_weights_leaves_a_record(params: Params) -> None:
    key, data = RunKey("source", "type", "test_resnet", "random_forest", "imagenet"), splits_of("type")
    at = RunFolder.of(key)
    at.root.mkdir(parents=True)
    answers = [
        Predictions(name, rows.object_ids, rows.images, rows.labels, np.eye(3, dtype=np.float32)[rows.labels])
        for name, rows in data.items()
        if name != "train"
    ]
    writing.evaluate_and_write(params, data, answers, at, epochs=0, best_epoch=None)
    flat = writing.settings(params, key.strategy, data, input_size=32) | {"trees": 10}
    writing.complete(
        key,
        at,
        data,
        started_ms=1,
        flat=flat,
        parameters=5,
        feature_size=96,
        best_epoch=None,
        initial_weights="ab",
        origin={},
        start=[],
    )
    run = load_run(at.root)
    assert (run.test.accuracy, run.test.n, run.epochs, run.best_epoch) == (1.0, 10, 0, None)
    assert run.split_digest == labelled.digest(data)
    assert at.read(verify=True).params.items() >= {"trees": 10, "train_images": 80, "classes": 3}.items()
