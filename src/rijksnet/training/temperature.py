"""The one number that turns logits, or margins, into probabilities that may be believed (Guo et al. 2017)."""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Between these the temperature is sought. Logits that are all right have no best one: the lower, the better.
TEMPERATURES = (0.01, 100.0)


def fit_temperature(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """The temperature, within TEMPERATURES, under which the labels are most probable.

    The mean cross-entropy is convex in 1/temperature, so that there is one minimum to be found.

    Args:
        logits: (N, Q), of images that were not trained on.
        labels: class indices, (N,).
    """
    from scipy.optimize import minimize_scalar

    shifted = logits - logits.max(axis=1, keepdims=True)
    of_label = shifted[np.arange(len(labels)), labels]

    def loss(log_temperature: float) -> float:
        inverse = np.exp(-log_temperature)
        return float(np.mean(np.log(np.exp(inverse * shifted).sum(axis=1)) - inverse * of_label))

    bounds = (log(TEMPERATURES[0]), log(TEMPERATURES[1]))
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6}).x))
