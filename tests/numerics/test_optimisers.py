"""The protocol's optimisers against Keras' formulas, written out in float64.

Keras 2 (2018), `keras/optimizers.py`:
  RMSprop: a ← ρ a + (1 − ρ) g², p ← p − η g / (√a + ε): ε stands outside the root.
  SGD:     v ← μ v − η g, then p ← p + v, or with Nesterov momentum p ← p + μ v − η g.
Torch keeps b ← μ b + g instead of v and steps by −η b, or −η (g + μ b). With v = −η b, and as long as η stays what it
is, which it does in the paper, the two are the same iteration.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from rijksnet.protocol import RMSPROP, SGD_AS_RELEASED, SGD_AS_WRITTEN, Optimiser
from rijksnet.training.loop import make_optimiser

Floats = NDArray[np.float64]
STEPS = 12
START = np.linspace(-1, 1, 6)

#: Gradients of many sizes: one is always 0, and one so small that where ε stands matters.
GRADIENTS = np.random.default_rng(0).normal(size=(STEPS, 6)) * [0.0, 1e-9, 1e-4, 1.0, 10.0, 1e3]


def by_torch(settings: Optimiser) -> tuple[Floats, torch.optim.Optimizer]:
    """Parameters after each step, (STEPS, 6)."""
    model = nn.Module()
    model.p = nn.Parameter(torch.tensor(START))
    optimiser = make_optimiser(model, settings)
    after = []
    for gradient in GRADIENTS:
        model.p.grad = torch.tensor(gradient)
        optimiser.step()
        after.append(model.p.detach().numpy().copy())
    return np.array(after), optimiser


def rmsprop(rate: float, rho: float, epsilon: float) -> Floats:
    p, a, after = START, np.zeros(6), []
    for g in GRADIENTS:
        a = rho * a + (1 - rho) * g**2
        p = p - rate * g / (np.sqrt(a) + epsilon)
        after.append(p)
    return np.array(after)


def sgd(rate: float, momentum: float, nesterov: bool) -> tuple[Floats, Floats]:
    p, v, after = START, np.zeros(6), []
    for g in GRADIENTS:
        v = momentum * v - rate * g
        p = p + (momentum * v - rate * g if nesterov else v)
        after.append(p)
    return np.array(after), v


REFERENCES: list[Any] = [
    pytest.param(RMSPROP, lambda: rmsprop(0.001, 0.9, 1e-8), id="off the shelf"),
    pytest.param(SGD_AS_WRITTEN, lambda: sgd(0.001, 0.9, True)[0], id="fine tuning as written"),
    pytest.param(SGD_AS_RELEASED, lambda: sgd(0.0001, 0.9, False)[0], id="fine tuning as released"),
]


@pytest.mark.parametrize(("settings", "reference"), REFERENCES)
def test_the_protocols_optimisers_are_those_of_keras(settings: Optimiser, reference: Callable[[], Floats]) -> None:
    after, _ = by_torch(settings)
    np.testing.assert_allclose(after - START, reference() - START, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("settings", [SGD_AS_WRITTEN, SGD_AS_RELEASED])
def test_torchs_momentum_is_keras_velocity_over_the_learning_rate(settings: Optimiser) -> None:
    _, optimiser = by_torch(settings)
    _, velocity = sgd(settings.learning_rate, settings.momentum, settings.nesterov)
    (state,) = optimiser.state_dict()["state"].values()
    np.testing.assert_allclose(-settings.learning_rate * state["momentum_buffer"], velocity, rtol=1e-9)


@pytest.mark.parametrize(
    ("settings", "change"),
    [
        (RMSPROP, {"learning_rate": 0.0011}),
        (RMSPROP, {"decay": 0.99}),
        (RMSPROP, {"epsilon": 1e-7}),
        (SGD_AS_WRITTEN, {"nesterov": False}),
        (SGD_AS_WRITTEN, {"momentum": 0.8}),
        (SGD_AS_RELEASED, {"learning_rate": 0.001}),
    ],
)
def test_every_setting_counts(settings: Optimiser, change: dict[str, Any]) -> None:
    one, other = by_torch(settings)[0], by_torch(replace(settings, **change))[0]
    assert not np.allclose(one - START, other - START, rtol=1e-3, atol=0)


def test_the_place_of_epsilon_is_seen_in_these_gradients() -> None:
    """Inside the root, as TensorFlow's own RMSprop has it, the smallest gradients would hardly move anything."""
    inside, a = START, np.zeros(6)
    for g in GRADIENTS:
        a = 0.9 * a + 0.1 * g**2
        inside = inside - 0.001 * g / np.sqrt(a + 1e-8)
    assert not np.allclose(rmsprop(0.001, 0.9, 1e-8)[-1] - START, inside - START, rtol=0.1)


def test_all_parameters_are_trained() -> None:
    model = nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2), nn.Linear(2, 2))
    for settings in (RMSPROP, SGD_AS_WRITTEN, SGD_AS_RELEASED):
        (group,) = make_optimiser(model, settings).param_groups
        assert len(group["params"]) == 6
        assert group["weight_decay"] == 0
