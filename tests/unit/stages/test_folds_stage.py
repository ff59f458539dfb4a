"""Runs over several folds: trained once a fold, pooled into one run of which every object is tested once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rijksnet.data import labelled
from rijksnet.errors import RunError, SplitError
from rijksnet.files import sha256_of
from rijksnet.params import Params
from rijksnet.paths import CHECKPOINTS, CollectionPaths
from rijksnet.protocol import TEST, TRAIN, VALIDATION
from rijksnet.publishing import check, publish
from rijksnet.runs.folder import RunFolder
from rijksnet.runs.key import RunKey
from rijksnet.runs.predictions import read_predictions
from rijksnet.runs.result import load_run
from rijksnet.stages import train
from rijksnet.stages.classifiers import classifiers
from rijksnet.stages.features import features
from rijksnet.tracking import stores
from rijksnet.training import classifiers as machines
from rijksnet.training import job

FOLDS = 4
TUNED = RunKey("source", "type", "test_resnet", "fine_tuning", "imagenet")
FROZEN = replace(TUNED, strategy="off_the_shelf")

pytestmark = pytest.mark.usefixtures("workspace")


@pytest.fixture
def params(content: dict[str, Any]) -> Params:
    """Four folds of the source's two challenges and the target's."""
    for collection, challenge in (("source", "type"), ("source", "material"), ("target", "type")):
        at = CollectionPaths(collection)
        table = pq.read_table(at.split(challenge))
        parts = np.random.default_rng(len(challenge)).permutation(np.arange(table.num_rows) % FOLDS)
        pq.write_table(table.append_column("fold", pa.array(parts, pa.int8())), at.split(challenge))
    content["splits"]["folds"] = FOLDS
    content["training"]["max_epochs"] = {"off_the_shelf": 4, "fine_tuning": 2}
    return Params.model_validate(content)


def test_every_object_is_tested_once_by_a_network_that_did_not_train_on_it(params: Params) -> None:
    train.network(params, TUNED)
    at = CollectionPaths("source")
    whole = read_predictions(RunFolder.of(TUNED).predictions, TEST)
    assert list(whole.object_ids) == sorted(f"source-{i:03}" for i in range(100))
    answered: dict[str, np.ndarray] = {}
    for fold in range(FOLDS):
        data = labelled.load(at.split("type"), at.images, fold)
        part = read_predictions(RunFolder.of(replace(TUNED, fold=fold)).predictions, TEST)
        assert tuple(part.object_ids) == data[TEST].object_ids
        assert not set(part.object_ids) & {*data[TRAIN].object_ids, *data[VALIDATION].object_ids}
        answered |= zip(part.object_ids, part.probabilities, strict=True)
    assert all(np.array_equal(answered[one], p) for one, p in zip(whole.object_ids, whole.probabilities, strict=True))


def test_the_pooled_run_is_one_like_others(params: Params) -> None:
    train.network(params, TUNED)
    folder = RunFolder.of(TUNED)
    run = folder.read(verify=True)
    assert (run.key, run.params["folds"], run.params["test_images"]) == (TUNED, FOLDS, 100)
    assert run.digests["split"] == labelled.digest_of(
        CollectionPaths("source").split("type"), CollectionPaths("source").images
    )
    assert {name for name in run.files if "/" in name} == {f"fold{fold}/run.json" for fold in range(FOLDS)}
    scores = json.loads(folder.metrics.read_text())
    answers = read_predictions(folder.predictions, TEST)
    right = answers.probabilities.argmax(1) == answers.labels
    assert scores["test"]["accuracy"] == pytest.approx(right.mean())
    assert sum(one["test_accuracy"] * one["test_images"] for one in scores["folds"]) == pytest.approx(right.sum())
    first = RunFolder.of(replace(TUNED, fold=0))
    assert sha256_of(folder.weights) == sha256_of(first.weights) == run.files["weights.safetensors"]
    assert folder.history.read_bytes() == first.history.read_bytes()
    assert not RunFolder.of(replace(TUNED, fold=1)).weights.exists()
    assert [one.root for one in RunFolder.complete_in()] == [folder.root]
    assert load_run(folder.root).fold_accuracies == tuple(one["test_accuracy"] for one in scores["folds"])
    assert not any(CHECKPOINTS.glob("**/fold*"))


def test_a_fold_that_is_damaged_is_noticed(params: Params) -> None:
    train.network(params, TUNED)
    (RunFolder.of(TUNED).root / "fold2" / "run.json").write_text("{}")
    with pytest.raises(RunError, match=r"fold2/run\.json is not the file that the run wrote"):
        RunFolder.of(TUNED).read(verify=True)


def test_an_interrupted_run_trains_no_fold_again(params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where what it has written is gone, as DVC removes it."""
    train.network(params, TUNED)
    whole = read_predictions(RunFolder.of(TUNED).predictions, TEST)
    shutil.rmtree("runs")
    trained: list[str] = []
    fit = job.fit_tasks

    def watched(*arguments: Any) -> Any:
        seed, losses = arguments[5], arguments[7]
        for epoch in fit(*arguments):
            trained.append(f"{seed} after {len(losses)}")
            if len(trained) == 3:  # in the middle of the second fold
                raise KeyboardInterrupt
            yield epoch

    monkeypatch.setattr(job, "fit_tasks", watched)
    with pytest.raises(KeyboardInterrupt):
        train.network(params, TUNED)
    shutil.rmtree("runs")
    train.network(params, TUNED)
    assert len(trained) == 3 + FOLDS * 2 - 2  # the first fold's two epochs are not trained again
    again = read_predictions(RunFolder.of(TUNED).predictions, TEST)
    assert np.array_equal(again.probabilities, whole.probabilities)
    told = [len(load_run(RunFolder.of(replace(TUNED, fold=fold)).root).history()) for fold in range(FOLDS)]
    assert told == [2] * FOLDS, "what the first fold's epochs were is known still"


def test_other_strategies_are_pooled_alike(params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machines, "TREES", 20)
    features(params, "source", "test_resnet", None)
    train.off_the_shelf(params, FROZEN)
    classifiers(params, "type", "test_resnet")
    for strategy in ("off_the_shelf", "svm", "random_forest"):
        key = replace(FROZEN, strategy=strategy)
        assert len(read_predictions(RunFolder.of(key).predictions, TEST).labels) == 100
        assert RunFolder.of(key).read(verify=True).params["folds"] == FOLDS


def test_several_challenges_at_once_hold_out_a_fold_of_each(params: Params) -> None:
    train.multi_task(params, "test_resnet")
    for challenge in ("material", "type"):
        for strategy in ("multi_task", "single_task"):
            folder = RunFolder.of(replace(TUNED, challenge=challenge, strategy=strategy))
            assert len(read_predictions(folder.predictions, TEST).labels) == 100
            folder.read(verify=True)


def test_θ_is_pretrained_once(params: Params, tiny_params: Callable[..., Params]) -> None:
    train.pretrain(params, "test_resnet")
    key = RunKey("photographs", "type", "test_resnet", "scratch", "random")
    assert RunFolder.of(key).read(verify=True).params["test_images"] == 10
    assert not list(RunFolder.of(key).root.glob("fold*"))


def test_one_split_has_no_other_fold() -> None:
    at = CollectionPaths("target")
    with pytest.raises(SplitError, match="has no fold 1"):
        labelled.load(at.split("type"), at.images, 1)


def test_mlflow_shows_a_run_of_folds_whole(params: Params, blank_store: Path) -> None:
    shutil.copyfile(blank_store, "mlflow.db")
    train.network(params, TUNED)
    publish.publish(params)
    store = stores.open_store(params.tracking)
    (shown,) = store.client.search_runs([store.experiment(TUNED)])
    folds = store.client.get_metric_history(shown.info.run_id, "folds/test_accuracy")
    assert [one.value for one in folds] == list(load_run(RunFolder.of(TUNED).root).fold_accuracies)
    assert "fold" not in shown.data.params
    held = {one.path for one in store.client.list_artifacts(shown.info.run_id, "run/fold3")}
    assert held == {"run/fold3/run.json"}
    assert check.check(params) == []
