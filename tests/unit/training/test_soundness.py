from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from torch import nn

from rijksnet.protocol import SGD_AS_WRITTEN, Recipe
from rijksnet.runs.history import Epoch
from rijksnet.training.soundness import SAMPLE, Accuracy, TrainingOutcome, doubts, sample

RECIPE = Recipe(SGD_AS_WRITTEN, max_epochs=40)
NORMALISED = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))


def training(
    train: list[float], validation: list[float], model: nn.Module = NORMALISED, **other: Any
) -> TrainingOutcome:
    history = [Epoch(i, 0, 1.0, a, 1.0, b, 1.0) for i, (a, b) in enumerate(zip(train, validation, strict=True))]
    usual = {"tested": len(history) - 1, "train_images": 1441, "validation_images": 180, "frozen_batch": False}
    return TrainingOutcome(model, RECIPE, history, **{**usual, **other})


def test_the_sample_is_always_the_same_and_of_the_whole_split() -> None:
    assert sample(7).tolist() == list(range(7))
    some = sample(50_000)
    assert len(some) == len(set(some.tolist())) == SAMPLE
    assert (np.diff(some) > 0).all()
    assert some.max() > 49_000
    np.testing.assert_array_equal(some, sample(50_000))


@pytest.mark.parametrize(
    ("train", "validation", "in_use"),
    [
        # a plain loop on real objects (type of the antiquities, 1,441 training images)
        pytest.param([0.445, 0.705, 0.829, 0.922], [0.489, 0.533, 0.611, 0.600], 0.996, id="learns by heart"),
        pytest.param([0.10, 0.11, 0.105, 0.11], [0.11, 0.10, 0.12, 0.10], 0.10, id="learns nothing"),
        pytest.param([0.60, 0.62, 0.60, 0.63], [0.60, 0.50, 0.58, 0.55], 0.61, id="goes up and down a little"),
        pytest.param([0.60, 0.62], [0.60, 0.60], 0.58, id="a little worse in use"),
    ],
)
def test_nothing_speaks_against_a_sound_training(train: list[float], validation: list[float], in_use: float) -> None:
    assert doubts(training(train, validation), Accuracy(in_use, 1000)) == []


@pytest.mark.parametrize(
    ("train", "validation", "in_use", "said"),
    [
        pytest.param(
            [0.52, 0.58, 0.61, 0.54], [0.43, 0.5, 0.5, 0.5], 0.55,
            "training accuracy fell from 61.0% in epoch 2 to 54.0% in epoch 3", id="training collapses",
        ),
        pytest.param(
            [0.402, 0.559, 0.681, 0.690], [0.344, 0.60, 0.339, 0.528], 0.86,
            "validation accuracy fell from 60.0% in epoch 1 to 33.9% in epoch 2", id="validation collapses",
        ),
        pytest.param(
            [0.439, 0.420, 0.502, 0.516], [0.228, 0.394, 0.400, 0.372], 0.5045,
            "after the first epoch 22.8% of the validation images were right, and during it 43.9% of the training "
            "images, which were as new", id="worse on images as new",
        ),
        pytest.param(
            [0.5, 0.7, 0.9], [0.5, 0.6, 0.6], 0.4,
            "in use it classifies 40.0% of 1,000 training images rightly, where training itself saw 90.0% in that "
            "epoch (2)", id="worse in use",
        ),
    ],
)  # fmt: skip
def test_what_breaks_a_network_is_said(train: list[float], validation: list[float], in_use: float, said: str) -> None:
    (doubt,) = doubts(training(train, validation), Accuracy(in_use, 1000))
    what, cause = doubt.split("; likely cause: ")
    assert what == said
    assert cause == (
        "the learning rate, 0.001, is too high, or the running statistics of batch normalisation lag behind the weights"
    )


def test_few_images_prove_little() -> None:
    few = training([0.52, 0.58, 0.61, 0.54], [0.43, 0.5, 0.5, 0.5], train_images=60, validation_images=10)
    assert doubts(few, Accuracy(0.55, 60)) == []


def test_the_tested_epoch_is_the_one_that_counts() -> None:
    early = training([0.30, 0.90], [0.4, 0.4], tested=0)
    assert doubts(early, Accuracy(0.40, 1000)) == []


def slow() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, momentum=0.01))


def test_a_first_epoch_says_nothing_while_running_statistics_still_settle() -> None:
    """With Keras' momentum 46 steps leave two thirds of them: which is mended by training on."""
    train, validation = [0.44, 0.6, 0.7], [0.2, 0.5, 0.7]
    assert doubts(training(train, validation, slow()), Accuracy(0.7, 1000)) == []
    assert len(doubts(training(train, validation), Accuracy(0.7, 1000))) == 1


@pytest.mark.parametrize(
    ("changed", "cause"),
    [
        ({"frozen_batch": True}, "set training.batch_norm.frozen to 'running'"),
        ({"model": slow()}, "after 138 steps 25% of batch normalisation's running statistics are still those"),
        ({"model": nn.Sequential(nn.Conv2d(3, 4, 1))}, "the learning rate, 0.001, is too high"),
        ({"recipe": replace(RECIPE, batch_size=4)}, "batch normalisation over batches of 3 images: train on more"),
    ],
)
def test_the_likely_cause(changed: dict[str, Any], cause: str) -> None:
    (doubt,) = doubts(replace(training([0.5, 0.7, 0.9], [0.5, 0.6, 0.6]), **changed), Accuracy(0.4, 1000))
    assert cause in doubt.split("; likely cause: ")[1]


def test_the_worst_fall_is_the_one_named() -> None:
    of = training([0.5, 0.4, 0.6, 0.3, 0.7], [0.5] * 5)
    (doubt,) = doubts(of, Accuracy(0.7, 1000))
    assert doubt.startswith("training accuracy fell from 60.0% in epoch 2 to 30.0% in epoch 3;")
