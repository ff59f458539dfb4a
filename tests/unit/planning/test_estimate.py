"""What a stage is expected to take: epochs times images over images a second, of each fold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from rijksnet.params import Params
from rijksnet.paths import CollectionPaths
from rijksnet.planning import durations
from rijksnet.planning.estimate import NOTHING, Estimate, Estimator
from rijksnet.planning.former import FormerRuns
from rijksnet.planning.speed import MeasuredNetwork, Speed
from rijksnet.planning.stages import Stage
from rijksnet.runs.key import RunKey
from rijksnet.training import soundness

TRAINING, READING, HEAD = 10.0, 40.0, 1000.0
NETWORK = MeasuredNetwork(32, 96, 4_000_000, Speed(TRAINING, READING))
KEY = RunKey("source", "type", "test_resnet", "fine_tuning", "imagenet")

#: Of the workspace's collections.
TRAIN, VALIDATION, TEST = 80, 10, 10


def stage(*outs: str) -> Stage:
    return Stage("one", outs, "changed", ())


@pytest.fixture
def params(workspace: Path, tiny_params: Callable[..., Params]) -> Params:
    return tiny_params()


def estimator(params: Params) -> Estimator:
    found = Estimator(params, FormerRuns(params))
    found.speeds._networks = {"test_resnet": NETWORK}
    found.speeds._heads = {NETWORK.feature_size: HEAD}
    return found


def seconds(epochs: float, training: float = TRAINING, reading: float = READING) -> float:
    again = min(TRAIN, soundness.SAMPLE) + VALIDATION + TEST
    return epochs * (TRAIN / training + VALIDATION / reading) + again / reading


def test_a_training_that_was_never_made_may_need_all_its_epochs(params: Params) -> None:
    most = seconds(params.training.max_epochs.fine_tuning)
    expected = Estimate(pytest.approx(most), pytest.approx(most), NETWORK.bytes, (TRAINING,))  # type: ignore[arg-type]
    assert estimator(params).of(stage(f"runs/{KEY}")) == expected


def test_it_is_expected_to_need_as_many_as_the_last_time(params: Params, write_run: Callable[..., Path]) -> None:
    write_run(KEY, [True], epochs=3)
    write_run(replace(KEY, challenge="material"), [True], epochs=1)
    found = estimator(params).of(stage(f"runs/{KEY}"))
    assert found.expected_s == pytest.approx(seconds(3))
    assert found.most_s == pytest.approx(seconds(params.training.max_epochs.fine_tuning))
    other = replace(KEY, collection="target", initialisation="source")
    assert estimator(params).of(stage(f"runs/{other}")).expected_s == pytest.approx(seconds(2)), "the mean of its kind"


def test_a_stage_of_several_runs_is_their_sum(params: Params) -> None:
    head = replace(KEY, strategy="off_the_shelf")
    both = estimator(params).of(stage(f"runs/{KEY}", f"runs/{head}"))
    of_head = seconds(params.training.max_epochs.off_the_shelf, HEAD, HEAD)
    assert both.most_s == pytest.approx(seconds(params.training.max_epochs.fine_tuning) + of_head)


def test_features_are_read_once(params: Params) -> None:
    found = estimator(params).of(stage("features/source/test_resnet-imagenet"))
    assert found == Estimate(100 / READING, 100 / READING, 100 * 96 * 4, (READING,))


def test_without_a_split_nothing_is_known(params: Params) -> None:
    CollectionPaths("source").split("type").unlink()
    CollectionPaths("source").images.unlink()
    assert estimator(params).of(stage(f"runs/{KEY}")).expected_s is None
    assert estimator(params).of(stage("features/source/test_resnet-imagenet")).expected_s is None
    assert (NOTHING + Estimate()).most_s is None


def test_other_stages_take_what_they_took_here(params: Params) -> None:
    assert estimator(params).of(stage("data/source/audit")).expected_s is None
    durations.FILE.parent.mkdir()
    durations.FILE.write_text("one,12.5\n")
    assert estimator(params).of(stage("data/source/audit")).expected_s == 12.5


def test_weights_are_counted(params: Params) -> None:
    assert estimator(params).of(stage("weights/source/type/test_resnet.safetensors")).bytes == NETWORK.bytes
