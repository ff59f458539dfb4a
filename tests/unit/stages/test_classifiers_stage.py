from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from rijksnet import paths
from rijksnet.errors import RunError, WeightsError
from rijksnet.files import sha256_of
from rijksnet.networks import weights
from rijksnet.networks.architectures import Network
from rijksnet.params import Params
from rijksnet.paths import CollectionPaths
from rijksnet.runs import code, metrics
from rijksnet.runs.folder import RunFolder
from rijksnet.runs.key import RunKey
from rijksnet.runs.plan import classifier_keys
from rijksnet.runs.result import load_asked, load_run
from rijksnet.stages import train
from rijksnet.stages.classifiers import classifiers
from rijksnet.stages.features import features
from rijksnet.training import classifiers as machines

SVM = RunKey("source", "type", "test_resnet", "svm", "imagenet")
FOREST = RunKey("source", "type", "test_resnet", "random_forest", "imagenet")
SOFTMAX = RunKey("source", "type", "test_resnet", "off_the_shelf", "imagenet")
Make = Callable[..., Params]


@pytest.fixture(autouse=True)
def few_trees(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machines, "TREES", 20)


@pytest.fixture
def params(tiny_params: Make) -> Params:
    made = tiny_params()
    features(made, "source", "test_resnet", None)
    return made


def probabilities(key: RunKey, split: str) -> Any:
    table = pq.read_table(RunFolder.of(key).predictions, filters=[("split", "==", split)])
    return np.array(table["probabilities"].to_pylist(), np.float32), table["label"].to_numpy()


def test_both_leave_the_records_that_are_asked_for(params: Params, content: dict[str, Any]) -> None:
    classifiers(params, "type", "test_resnet")
    asked = content["side_experiments"] | {"challenges": ["type"], "architectures": ["test_resnet"]}
    some = Params.model_validate(content | {"side_experiments": asked})
    assert {SVM, FOREST} == set(classifier_keys(some)) == set(load_asked(some, paths.RUNS))
    made_by = [RunFolder.of(key).read(verify=True).lineage["code"] for key in (SVM, FOREST)]
    assert made_by == 2 * [code.digest("classifiers")]


def test_their_records_stand_beside_the_softmaxs(params: Params) -> None:
    train.off_the_shelf(params, SOFTMAX)
    classifiers(params, "type", "test_resnet")
    softmax = load_run(RunFolder.of(SOFTMAX).root)
    for key in (SVM, FOREST):
        run, measured = RunFolder.of(key).read(verify=True), json.loads(RunFolder.of(key).metrics.read_text())
        found = load_run(RunFolder.of(key).root)
        assert (found.split_digest, found.classes, found.settings) == (
            softmax.split_digest,
            softmax.classes,
            softmax.settings,
        )
        assert found.correct().index.equals(softmax.correct().index)  # a paired test is possible
        assert run.digests["initial_weights"] == sha256_of(paths.imagenet_weights("test_resnet"))
        assert (run.best_epoch, measured["best_epoch"], measured["epochs"]) == (None, None, 0)
        assert run.started_ms <= run.ended_ms
        for split in ("validation", "test"):
            answers, labels = probabilities(key, split)
            assert measured[split] == {**metrics.evaluate(answers, labels), "n": 10}
        assert measured["test"]["accuracy"] > measured["majority_accuracy"]
    assert load_run(RunFolder.of(SVM).root).parameters == softmax.parameters


def test_the_machines_weights_are_a_whole_network(params: Params) -> None:
    classifiers(params, "type", "test_resnet")
    at = RunFolder.of(SVM)
    run, (tensors, header) = at.read(verify=True), weights.read(at.weights)
    assert set(run.files) == {"metrics.json", "predictions.parquet", "weights.safetensors"}
    assert run.params["C"] in machines.COSTS
    assert run.params["batch_norm_frozen"] == "running"
    design, classes = weights.design_in(header, at.weights)
    assert classes == run.classes == ["blauw", "geel", "rood"]
    network = Network(design, 3, "unit").eval()
    weights.load_backbone(network.backbone, tensors, at.weights)
    weights.load_softmax(network.softmax, tensors, at.weights)
    data = train.images_of(SVM)["test"]
    pixels = np.load(CollectionPaths("source").pixels_of_size(32))[data.rows]
    with torch.no_grad():
        found = network(torch.from_numpy(pixels)).softmax(1)
    np.testing.assert_allclose(found, probabilities(SVM, "test")[0], rtol=2e-3, atol=1e-5)


def test_a_forest_has_answers_and_no_weights(params: Params) -> None:
    classifiers(params, "type", "test_resnet")
    at = RunFolder.of(FOREST)
    run = at.read(verify=True)
    assert set(run.files) == {"metrics.json", "predictions.parquet"}
    assert sorted(path.name for path in at.root.iterdir()) == ["metrics.json", "predictions.parquet", "run.json"]
    assert run.params.items() >= {"trees": 20, "input_size": 32, "split_rule": "paper", "train_images": 80}.items()
    assert run.params["nodes"] > 20 * 3


def test_the_same_features_give_the_same_answers(params: Params) -> None:
    def answers() -> list[bytes]:
        classifiers(params, "type", "test_resnet")
        kept = [RunFolder.of(SVM).weights, RunFolder.of(SVM).predictions, RunFolder.of(FOREST).predictions]
        return [path.read_bytes() for path in kept]

    assert answers() == answers()


def test_statistics_of_batches_are_for_the_softmax_only(params: Params, tiny_params: Make) -> None:
    classifiers(params, "type", "test_resnet")
    before = RunFolder.of(SVM).predictions.read_bytes()
    batch = tiny_params(batch_norm={"constants": "own", "frozen": "batch"})
    features(batch, "source", "test_resnet", None)
    classifiers(batch, "type", "test_resnet")
    assert RunFolder.of(SVM).predictions.read_bytes() == before
    assert RunFolder.of(FOREST).read(verify=True).params["batch_norm_frozen"] == "running"


def test_features_of_other_weights_are_refused(params: Params) -> None:
    theta = paths.imagenet_weights("test_resnet")
    tensors, header = weights.read(theta)
    tensors["conv1.0.weight"] += 1
    weights.save(theta, tensors, weights.design_in(header, theta)[0], [])
    with pytest.raises(WeightsError, match="extract them again with `rijksnet features`"):
        classifiers(params, "type", "test_resnet")


def test_without_features_the_stage_to_run_is_named(tiny_params: Make) -> None:
    with pytest.raises(RunError, match="run `rijksnet features`"):
        classifiers(tiny_params(), "type", "test_resnet")
