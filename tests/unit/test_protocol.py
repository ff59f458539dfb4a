from __future__ import annotations

import math
from collections.abc import Callable
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rijksnet import protocol
from rijksnet.params import NormalisationName, Params, ProtocolName, Strategy
from rijksnet.protocol import Optimiser, Recipe


@pytest.mark.parametrize(
    ("challenge", "values", "label"),
    [
        ("material", ["papier", "inkt"], "papier"),
        ("material", [" papier "], "papier"),
        ("material", [], None),
        ("material", ["  ", "inkt"], None),
        ("material", ["onbekend"], "onbekend"),
        ("type", ["anoniem"], "anoniem"),
        ("artist", ["Rembrandt van Rijn", "anoniem"], "Rembrandt van Rijn"),
        ("artist", ["Anoniem", "Rembrandt van Rijn"], None),
        ("artist", [" ANONYMOUS"], None),
        ("artist", ["unknown"], None),
        ("artist", ["onbekend"], None),
        ("artist", ["anoniem Delft"], "anoniem Delft"),
    ],
)
def test_the_label_is_the_first_value_unless_the_maker_has_no_name(
    challenge: str, values: list[str], label: str | None
) -> None:
    assert protocol.label_of(challenge, values) == label


@pytest.mark.parametrize(
    ("n", "sizes"),
    [
        (0, (0, 0, 0)),
        (9, (9, 0, 0)),
        (10, (8, 1, 1)),
        (19, (17, 1, 1)),
        (100, (80, 10, 10)),
        (112012, (89610, 11201, 11201)),
    ],
)
def test_splits_are_80_10_10_and_the_remainder_is_for_training(n: int, sizes: tuple[int, int, int]) -> None:
    assert protocol.split_sizes(n) == sizes
    assert sum(sizes) == n


def test_only_classes_of_all_three_splits_are_kept() -> None:
    per_split = {"train": ["a", "b", "c", "d"], "validation": ["a", "b", "c"], "test": ["b", "c", "e", "b"]}
    assert protocol.classes_in_all_splits(per_split) == {"b", "c"}


RMSPROP = Optimiser("rmsprop", learning_rate=0.001, decay=0.9, epsilon=1e-8)
NESTEROV = Optimiser("sgd", learning_rate=0.001, momentum=0.9, nesterov=True)
PLAIN_MOMENTUM = Optimiser("sgd", learning_rate=0.0001, momentum=0.9, nesterov=False)


@pytest.mark.parametrize(
    ("strategy", "name", "expected"),
    [
        ("off_the_shelf", "as_written", Recipe(RMSPROP, 20, 7, 32, False, "best")),
        ("fine_tuning", "as_written", Recipe(NESTEROV, 4, 7, 32, False, "best")),
        ("scratch", "as_written", Recipe(NESTEROV, 4, 7, 32, False, "best")),
        ("off_the_shelf", "as_released", Recipe(RMSPROP, 20, 7, 32, True, "last")),
        ("fine_tuning", "as_released", Recipe(PLAIN_MOMENTUM, 4, 7, 32, True, "last")),
        ("scratch", "as_released", Recipe(PLAIN_MOMENTUM, 4, 7, 32, True, "last")),
    ],
)
def test_the_recipe_of_each_strategy_under_each_protocol(
    strategy: Strategy, name: ProtocolName, expected: Recipe, tiny_params: Callable[..., Params]
) -> None:
    assert protocol.recipe(strategy, tiny_params(protocol=name).training) == expected


@pytest.mark.parametrize(
    ("name", "pixels", "scale"),
    [
        ("as_written", "protocol", "unit"),
        ("as_written", "unit", "unit"),
        ("as_written", "pretrained", "pretrained"),
        ("as_released", "protocol", "pretrained"),
        ("as_released", "pretrained", "pretrained"),
    ],
)
def test_the_input_scale_is_the_protocols_unless_it_is_chosen(
    name: ProtocolName, pixels: NormalisationName, scale: str, tiny_params: Callable[..., Params]
) -> None:
    other = "pretrained" if name == "as_released" else "unit"
    for chosen, strategies in {
        "off_the_shelf": ("off_the_shelf", "svm", "random_forest"),
        "fine_tuning": ("fine_tuning", "scratch", "multi_task", "single_task"),
    }.items():
        both = {"off_the_shelf": "protocol", "fine_tuning": "protocol", chosen: pixels}
        training = tiny_params(protocol=name, normalisation=both).training
        found = {strategy: protocol.normalisation(training, strategy) for strategy in get_args(Strategy)}
        assert found == {strategy: scale if strategy in strategies else other for strategy in found}


@pytest.mark.parametrize(
    ("losses", "best"),
    [([3.0], 0), ([3.0, 2.0, 1.0], 2), ([3.0, 1.0, 2.0], 1), ([3.0, 1.0, 1.0, 1.0], 1), ([2.0, 2.0], 0)],
)
def test_the_best_epoch_has_the_smallest_loss_and_is_the_first_of_equals(losses: list[float], best: int) -> None:
    assert protocol.best_epoch(losses) == best


@pytest.mark.parametrize(
    ("losses", "stops"),
    [
        ([], False),
        ([1.0], False),
        ([1.0] + [2.0] * 6, False),
        ([1.0] + [2.0] * 7, True),
        ([1.0] * 7, False),  # an equal loss has not decreased
        ([1.0] * 8, True),
        ([1.0] + [2.0] * 6 + [0.9], False),  # the seventh decreases
        ([1.0] + [2.0] * 6 + [math.nextafter(1.0, 0.0)], False),  # by however little
        (
            [5.0, 1.0] + [4.0, 3.0, 2.0, 1.9, 1.8, 1.7, 1.6],
            True,
        ),  # less than the last, not than the best
        ([3.0, 2.0, 1.0] + [1.0] * 6, False),
        ([3.0, 2.0, 1.0] + [1.0] * 7, True),
    ],
)
def test_training_stops_after_exactly_seven_epochs_without_a_smaller_loss(losses: list[float], stops: bool) -> None:
    assert protocol.should_stop(losses) is stops


@given(st.lists(st.sampled_from([0.5, 1.0, 1.5, 2.0, 2.5]), max_size=25), st.integers(1, 8))
def test_training_stops_when_keras_does(losses: list[float], patience: int) -> None:
    assert _first_stop(losses, patience) == _keras_stop(losses, patience)


def _first_stop(losses: list[float], patience: int) -> int | None:
    return next((n for n in range(1, len(losses) + 1) if protocol.should_stop(losses[:n], patience)), None)


def _keras_stop(losses: list[float], patience: int) -> int | None:
    """keras.callbacks.EarlyStopping with monitor="val_loss" and min_delta=0: a counter of epochs that waited."""
    best, wait = math.inf, 0
    for epoch, loss in enumerate(losses):
        if loss < best:
            best, wait = loss, 0
        else:
            wait += 1
        if wait >= patience:
            return epoch + 1
    return None
