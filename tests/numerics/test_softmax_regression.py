"""Off the shelf, a softmax layer on fixed features is trained: softmax regression, whose every step has a closed form.

Here the whole of it is written out in numpy and float64, and the training loop must agree.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from rijksnet import protocol
from rijksnet.training.batches import Examples
from rijksnet.training.compute import Compute
from rijksnet.training.loop import fit, make_optimiser, predict

Floats = NDArray[np.float64]
CPU = Compute(torch.device("cpu"), torch.float32)
FEATURES, CLASSES, SEED = 5, 3, 11
RATE, RHO, EPSILON = 0.001, 0.9, 1e-8
RECIPE = protocol.Recipe(protocol.RMSPROP, max_epochs=3)


@pytest.fixture
def layer() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(FEATURES, CLASSES)


@pytest.fixture
def splits() -> tuple[Examples, Examples]:
    """70 examples to train on and 30 to validate on, of a collection of 120."""
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(120, FEATURES)).astype(np.float32)
    rows, labels = generator.permutation(120), generator.integers(0, CLASSES, 100)
    return Examples(inputs, rows[:70], labels[:70]), Examples(inputs, rows[70:100], labels[70:])


def probabilities(x: Floats, weight: Floats, bias: Floats) -> Floats:
    logits = x @ weight.T + bias
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    result: Floats = exponentials / exponentials.sum(1, keepdims=True)
    return result


def gradients(x: Floats, labels: NDArray[np.int64], weight: Floats, bias: Floats) -> tuple[Floats, Floats]:
    """Of the mean cross-entropy: (p − y)ᵀ x / n and the mean of p − y."""
    error = probabilities(x, weight, bias) - np.eye(CLASSES)[labels]
    return error.T @ x / len(x), error.mean(0)


def scores(examples: Examples, weight: Floats, bias: Floats) -> tuple[float, float]:
    """Loss and accuracy, an example at a time."""
    loss, hits = 0.0, 0
    for row, label in zip(examples.rows, examples.labels, strict=True):
        (p,) = probabilities(examples.inputs[row : row + 1].astype(np.float64), weight, bias)
        loss -= np.log(p[label])
        hits += p.argmax() == label
    return loss / len(examples), hits / len(examples)


def test_the_gradient_of_the_layer_is_the_closed_form(layer: nn.Linear, splits: tuple[Examples, Examples]) -> None:
    seen: list[list[Any]] = []

    class Spy(torch.optim.SGD):
        def step(self, *_: Any, **__: Any) -> None:
            seen.append([parameter.grad.clone() for parameter in layer.parameters() if parameter.grad is not None])

    train, validation = splits
    recipe = replace(RECIPE, max_epochs=1, batch_size=32)
    list(fit(layer, Spy(layer.parameters(), lr=1.0), train, validation, recipe, SEED, CPU))
    order = np.random.default_rng((SEED, 0)).permutation(70)
    weight, bias = layer.weight.detach().double().numpy(), layer.bias.detach().double().numpy()
    for batch, found in zip((order[:24], order[24:47], order[47:]), seen, strict=True):
        x = train.inputs[train.rows[batch]].astype(np.float64)
        for one, expected in zip(found, gradients(x, train.labels[batch], weight, bias), strict=True):
            np.testing.assert_allclose(one, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("drop_last", [False, True])
def test_the_loop_is_the_plain_loop(drop_last: bool, layer: nn.Linear, splits: tuple[Examples, Examples]) -> None:
    train, validation = splits
    weight, bias = layer.weight.detach().double().numpy(), layer.bias.detach().double().numpy()
    recipe = replace(RECIPE, drop_last=drop_last)
    epochs = list(fit(layer, make_optimiser(layer, recipe.optimiser), train, validation, recipe, SEED, CPU))

    squares = [np.zeros_like(weight), np.zeros_like(bias)]
    for epoch in epochs:
        order = np.random.default_rng((SEED, epoch.epoch)).permutation(70)
        loss, hits, seen = 0.0, 0, 0
        for batch in (order[:32], order[32:64]) if drop_last else (order[:24], order[24:47], order[47:]):
            some = Examples(train.inputs, train.rows[batch], train.labels[batch])
            batch_loss, batch_accuracy = scores(some, weight, bias)
            loss, hits, seen = loss + batch_loss * len(some), hits + batch_accuracy * len(some), seen + len(some)
            x = train.inputs[some.rows].astype(np.float64)
            new = []
            for i, (p, g) in enumerate(zip((weight, bias), gradients(x, some.labels, weight, bias), strict=True)):
                squares[i] = RHO * squares[i] + (1 - RHO) * g**2
                new.append(p - RATE * g / (np.sqrt(squares[i]) + EPSILON))
            weight, bias = new
        assert seen == (64 if drop_last else 70)
        assert epoch.train_loss == pytest.approx(loss / seen, rel=1e-5)
        assert epoch.train_accuracy == pytest.approx(hits / seen, rel=1e-6)
        validation_loss, validation_accuracy = scores(validation, weight, bias)
        assert epoch.validation_loss == pytest.approx(validation_loss, rel=1e-5)
        assert epoch.validation_accuracy == pytest.approx(validation_accuracy, rel=1e-6)
    np.testing.assert_allclose(layer.weight.detach(), weight, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(layer.bias.detach(), bias, rtol=1e-4, atol=1e-6)
    found = predict(layer, validation, CPU).softmax(1)
    expected = probabilities(validation.inputs[validation.rows].astype(np.float64), weight, bias)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
