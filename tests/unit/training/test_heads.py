"""Layers trained side by side are those that the loop trains alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from rijksnet.networks.initialisation import initialise_softmax
from rijksnet.protocol import RMSPROP, Recipe, optimiser
from rijksnet.runs.history import Epoch
from rijksnet.training import heads as heads_module
from rijksnet.training.batches import Examples
from rijksnet.training.compute import Compute
from rijksnet.training.heads import Head, fit_heads
from rijksnet.training.loop import fit, make_optimiser, predict

CLASSES, FEATURES, SEED = 4, 12, 3
CPU = Compute(torch.device("cpu"), torch.float32)

RECIPES = [
    Recipe(RMSPROP, 30, patience=4),
    Recipe(optimiser("rmsprop", 0.01, 0.0, 1e-3), 30, patience=4, label_smoothing=0.1),
    Recipe(optimiser("sgd", 0.1, 0.9, 0.0), 30, patience=4, batch_size=16),
    Recipe(optimiser("sgd", 0.05, 0.0, 1e-2), 30, patience=4),
    Recipe(optimiser("adam", 0.01, 0.0, 1e-2), 30, patience=4, batch_size=16, label_smoothing=0.2),
    Recipe(optimiser("adamw", 0.01, 0.0, 1e-1), 30, patience=4),
    Recipe(optimiser("adamw", 0.003, 0.0, 0.0), 5, patience=4, tested_weights="last"),
    Recipe(optimiser("sgd", 0.01, 0.5, 0.0), 30, patience=4, drop_last=True),
]


@pytest.fixture(scope="module")
def splits() -> tuple[Examples, Examples]:
    generator = np.random.default_rng(0)
    labels = np.arange(120) % CLASSES
    means = generator.normal(0, 0.7, (CLASSES, FEATURES))
    inputs = (means[labels] + generator.normal(0, 1, (120, FEATURES))).astype(np.float32)
    rows = generator.permutation(120)
    return Examples(inputs, rows[:83], labels[rows[:83]]), Examples(inputs, rows[83:], labels[rows[83:]])


def alone(recipe: Recipe, train: Examples, validation: Examples) -> tuple[list[Epoch], np.ndarray]:
    """By the loop: epochs, and what the tested weights get right."""
    torch.manual_seed(SEED)
    layer = nn.Linear(FEATURES, CLASSES)
    initialise_softmax(layer)
    epochs, kept = [], {}
    for epoch in fit(layer, make_optimiser(layer, recipe.optimiser), train, validation, recipe, SEED, CPU):
        epochs.append(epoch)
        losses = [one.validation_loss for one in epochs]
        if recipe.tested_weights == "last" or min(losses) == losses[-1]:
            kept = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    layer.load_state_dict(kept)
    return epochs, predict(layer, validation, CPU).argmax(1).numpy() == validation.labels


def check(head: Head, epochs: Sequence[Epoch], hits: np.ndarray) -> None:
    assert head.diverged == ""
    assert len(head.history) == len(epochs)
    for found, expected in zip(head.history, epochs, strict=True):
        assert found.epoch == expected.epoch
        assert found.train_accuracy == pytest.approx(expected.train_accuracy, abs=1e-6)
        assert found.validation_accuracy == pytest.approx(expected.validation_accuracy, abs=1e-6)
        assert found.train_loss == pytest.approx(expected.train_loss, rel=1e-4)
        assert found.validation_loss == pytest.approx(expected.validation_loss, rel=1e-4)
    np.testing.assert_array_equal(head.hits, hits)


def test_each_trains_as_if_alone(splits: tuple[Examples, Examples]) -> None:
    heads = fit_heads(RECIPES, *splits, CLASSES, SEED, CPU)
    assert [head.recipe for head in heads] == RECIPES
    for head in heads:
        check(head, *alone(head.recipe, *splits))
    assert len({len(head.history) for head in heads}) > 2, "each stops by its own losses"


def test_many_layers_are_trained_in_parts(splits: tuple[Examples, Examples], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads_module, "AT_ONCE", 2 * CLASSES * (FEATURES + 1))
    recipes = [replace(RECIPES[3], optimiser=optimiser("sgd", rate, 0.0, 0.0)) for rate in (0.01, 0.03, 0.1, 0.3, 1.0)]
    for head in fit_heads(recipes, *splits, CLASSES, SEED, CPU):
        check(head, *alone(head.recipe, *splits))


def test_one_that_diverges_leaves_the_others_alone(splits: tuple[Examples, Examples]) -> None:
    wild = replace(RECIPES[3], optimiser=optimiser("sgd", 1e30, 0.9, 1.0))
    found = fit_heads([wild, RECIPES[3]], *splits, CLASSES, SEED, CPU)
    assert found[0].diverged == "the loss is not finite at epoch 0"
    check(found[1], *alone(RECIPES[3], *splits))


def test_progress_is_told_epoch_by_epoch(splits: tuple[Examples, Examples]) -> None:
    told: list[int] = []
    fit_heads([replace(RECIPES[0], max_epochs=3)], *splits, CLASSES, SEED, CPU, told.append)
    assert told == [1, 2, 3]
