from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from rijksnet.data import labelled
from rijksnet.errors import RunError
from rijksnet.files import sha256_of
from rijksnet.params import Params
from rijksnet.paths import CollectionPaths
from rijksnet.protocol import TEST
from rijksnet.runs import code
from rijksnet.runs.findings import FindingPaths
from rijksnet.runs.folder import RunFolder
from rijksnet.runs.key import RunKey
from rijksnet.runs.result import load_run
from rijksnet.stages import train
from rijksnet.stages.features import features
from rijksnet.stages.saliency import evenly, saliency

OF = ("source", "type", "test_resnet")
THETA, TUNED = RunKey(*OF, "off_the_shelf", "imagenet"), RunKey(*OF, "fine_tuning", "imagenet")
FOLDER = FindingPaths(*OF).saliency

pytestmark = pytest.mark.usefixtures("workspace")


@pytest.fixture
def params(tiny_params: Callable[..., Params]) -> Params:
    made = tiny_params(max_epochs={"off_the_shelf": 3, "fine_tuning": 2})
    features(made, "source", "test_resnet", None)
    train.off_the_shelf(made, THETA)
    train.network(made, TUNED)
    return made.model_copy(update={"side_experiments": made.side_experiments.model_copy(update={"objects": 5})})


def test_objects_are_looked_at_by_every_method_with_both_weights(params: Params) -> None:
    saliency(params, "type", "test_resnet")
    assert sorted(file.name for file in FOLDER.iterdir()) == ["gallery.png", "objects.csv", "saliency.json"]
    frame = pd.read_csv(FOLDER / "objects.csv")
    methods = ["visual_backprop", "grad_cam", "integrated_gradients", "random"]
    assert list(frame["method"].drop_duplicates()) == methods
    assert frame.groupby("method").size().tolist() == [5] * 4
    assert frame.filter(regex="deletion|insertion").stack().between(0, 1).all()
    maps = frame[frame["method"] != "random"]
    assert maps["correlation"].between(-1, 1).all()
    assert maps["displacement"].between(0, 1).all()
    assert frame.loc[frame["method"] == "random", "correlation"].isna().all()
    content = json.loads((FOLDER / "saliency.json").read_text())
    for row in content["faithfulness"]:
        values = frame.loc[frame["method"] == row["method"], f"{row['measure']}_{row['weights']}"]
        assert row["mean"] == pytest.approx(values.mean())
        assert row["low"] <= row["mean"] <= row["high"]
    of_weights = {(row["method"], row["measure"]): row for row in content["shift"] if row["between"] == "weights"}
    for method in methods[:3]:
        values = frame.loc[frame["method"] == method, "divergence"]
        assert of_weights[method, "divergence"]["mean"] == pytest.approx(values.mean())


def test_answers_are_those_of_the_records(params: Params) -> None:
    saliency(params, "type", "test_resnet")
    frame = pd.read_csv(FOLDER / "objects.csv").query("method == 'random'")
    for name, key in (("imagenet", THETA), ("tuned", TUNED)):
        run = load_run(RunFolder.of(key).root)
        answers = run.predictions()
        answer_of = dict(zip(answers.index, answers.probabilities.argmax(1), strict=True))
        asked = zip(frame["object_id"], frame["image"], strict=True)
        assert [run.classes[answer_of[one]] for one in asked] == list(frame[f"answer_{name}"])


def test_what_it_was_made_from_is_told_and_the_same_again(params: Params) -> None:
    saliency(params, "type", "test_resnet")
    first = {file.name: sha256_of(file) for file in FOLDER.iterdir()}
    content = json.loads((FOLDER / "saliency.json").read_text())
    assert content["runs"] == {"imagenet": str(THETA), "tuned": str(TUNED)}
    assert content["lineage"]["code"] == code.digest("saliency")
    assert content["weights"]["tuned"] == sha256_of(RunFolder.of(TUNED).weights)
    assert content["files"] == {name: first[name] for name in ("gallery.png", "objects.csv")}
    assert content["settings"]["objects"] == 5
    saliency(params, "type", "test_resnet")
    assert {file.name: sha256_of(file) for file in FOLDER.iterdir()} == first


def test_runs_on_different_inputs_are_not_compared(params: Params) -> None:
    at = RunFolder.of(TUNED)
    run = at.read(verify=True)
    at.write(replace(run, params={**run.params, "normalisation": "pretrained"}, files={}))
    with pytest.raises(RunError, match="their maps cannot be compared"):
        saliency(params, "type", "test_resnet")
    assert not FOLDER.exists()


def test_objects_are_chosen_evenly_over_the_classes() -> None:
    at = CollectionPaths("source")
    test = labelled.load(at.split("type"), at.images)[TEST]
    classes = len(set(test.labels.tolist()))
    chosen = evenly(test, classes)
    assert sorted(test.labels[chosen]) == sorted(set(test.labels.tolist()))
    everything = evenly(test, 10_000)
    assert len({test.object_ids[i] for i in everything}) == len(everything) == len(set(test.object_ids))
    np.testing.assert_array_equal(everything[:classes], chosen)
