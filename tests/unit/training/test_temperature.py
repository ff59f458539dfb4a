"""The temperature, beside a search of its own and the optimiser of the paper that proposed it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rijksnet.training.temperature import TEMPERATURES, fit_temperature


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_temperature_is_the_one_that_gradient_descent_finds(temperature: float) -> None:
    """Minimised as in the code that Guo et al. released: torch, L-BFGS on the cross-entropy."""
    generator = np.random.default_rng(0)
    exact = torch.from_numpy(generator.normal(0, 2, (400, 6)))
    logits, targets = exact * temperature, torch.multinomial(exact.softmax(1), 1, generator=torch.manual_seed(0))[:, 0]
    divisor = torch.ones(1, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([divisor], max_iter=100, line_search_fn="strong_wolfe")

    def step() -> torch.Tensor:
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(logits / divisor, targets)
        loss.backward()
        return loss

    optimiser.step(step)
    assert fit_temperature(logits.numpy(), targets.numpy()) == pytest.approx(divisor.item(), rel=1e-4)


def test_the_temperature_makes_the_labels_most_likely() -> None:
    generator = np.random.default_rng(0)
    margins, labels = generator.normal(size=(300, 3)), generator.integers(0, 3, 300)
    margins[np.arange(300), labels] += 0.7

    def loss(temperature: float) -> float:
        powers = np.exp(margins / temperature)
        return -float(np.log(powers[np.arange(300), labels] / powers.sum(1)).mean())

    tried = np.geomspace(0.1, 10, 2001)
    assert fit_temperature(margins, labels) == pytest.approx(tried[np.argmin([loss(t) for t in tried])], rel=3e-3)


def test_labels_that_are_all_right_or_all_wrong_leave_it_within_bounds() -> None:
    margins = np.eye(3) * 2 - 1
    low, high = TEMPERATURES
    assert low <= fit_temperature(margins, np.arange(3)) < 0.05  # where all probabilities are 1, to the last digit
    assert fit_temperature(margins, np.roll(np.arange(3), 1)) == pytest.approx(high, rel=1e-3)
