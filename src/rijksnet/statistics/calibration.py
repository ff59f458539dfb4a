"""Do a network's probabilities say how often it is right, and what does it gain by answering only when it is sure?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rijksnet.runs.metrics import SMALLEST_PROBABILITY, evaluate
from rijksnet.training.temperature import fit_temperature

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rijksnet.runs.metrics import Booleans, Floats, Integers
    from rijksnet.runs.predictions import Predictions

#: Equal-width bins of confidence (Guo et al. 2017).
BINS = 15

#: Shares of the images that are answered.
COVERAGES = (0.5, 0.8, 0.9, 1.0)


@dataclass(frozen=True)
class Calibration:
    """How well the probabilities of one run are calibrated on the test split, before and after temperature scaling.

    `temperature` > 0 divides the logits (above 1: the network was too sure); `ece` and `ece_scaled` are expected
    calibration errors in [0, 1]; `loss` and `loss_scaled` mean cross-entropies in nats.
    """

    temperature: float
    ece: float
    ece_scaled: float
    loss: float
    loss_scaled: float


@dataclass(frozen=True)
class Bin:
    """The images of one bin of confidence, `low` < confidence ≤ `high`; means in [0, 1]."""

    low: float
    high: float
    images: int
    confidence: float
    accuracy: float


def calibrate(validation: Predictions, test: Predictions) -> Calibration:
    """Fit a temperature on the validation split, and measure on the test split what it changes (Guo et al. 2017)."""
    temperature = fit_temperature(_logits(validation.probabilities), validation.labels)
    scaled = rescale(test.probabilities, temperature)
    return Calibration(
        temperature,
        expected_calibration_error(*confidences(test.probabilities, test.labels)),
        expected_calibration_error(*confidences(scaled, test.labels)),
        evaluate(test.probabilities, test.labels)["loss"],
        evaluate(scaled, test.labels)["loss"],
    )


def rescale(probabilities: Floats, temperature: float) -> Floats:
    """The probabilities, float64 (N, Q), of logits divided by `temperature`; the classes keep their order."""
    powers = np.exp(_logits(probabilities) / temperature)
    scaled: Floats = powers / powers.sum(axis=1, keepdims=True)
    return scaled


def confidences(probabilities: Floats, labels: Integers) -> tuple[Floats, Booleans]:
    """The probability of each image's most probable class, float64 (N,), and whether that class is right, (N,)."""
    return probabilities.max(axis=1).astype(np.float64), probabilities.argmax(axis=1) == labels


def expected_calibration_error(confidence: Floats, correct: Booleans, bins: int = BINS) -> float:
    """Mean distance of accuracy from confidence over equal-width bins, weighted by their images; in [0, 1].

    Args:
        confidence: (N,) in [0, 1].
        correct: (N,).
    """
    n = len(confidence)
    return sum(one.images / n * abs(one.accuracy - one.confidence) for one in reliability(confidence, correct, bins))


def reliability(confidence: Floats, correct: Booleans, bins: int = BINS) -> list[Bin]:
    """The bins of a reliability diagram that hold any image, by rising confidence; arguments as above."""
    edges = np.linspace(0, 1, bins + 1)
    bin_of = np.digitize(confidence, edges[1:-1], right=True)
    images = np.bincount(bin_of, minlength=bins)
    sure, right = np.bincount(bin_of, confidence, bins), np.bincount(bin_of, correct, bins)
    return [
        Bin(
            float(edges[i]),
            float(edges[i + 1]),
            int(images[i]),
            float(sure[i] / images[i]),
            float(right[i] / images[i]),
        )
        for i in np.flatnonzero(images)
    ]


def selective_accuracy(
    probabilities: Floats, labels: Integers, coverages: Sequence[float] = COVERAGES
) -> dict[float, float]:
    """Accuracy on only the most confident images, by the share that is answered (El-Yaniv and Wiener 2010).

    Args:
        probabilities: (N, Q).
        labels: (N,).
        coverages: shares in (0, 1]; of N images ⌈share · N⌉ are answered, of equally confident ones the first.
    """
    confidence, correct = confidences(probabilities, labels)
    right = np.cumsum(correct[np.argsort(-confidence, kind="stable")])
    answered = {share: int(np.ceil(round(share * len(right), 6))) for share in coverages}
    return {share: float(right[n - 1] / n) for share, n in answered.items()}


def _logits(probabilities: Floats) -> NDArray[np.float64]:
    """Logits whose softmax is `probabilities`, float64 (N, Q), the largest of each row 0; a forest's zeros count as the
    smallest normal float32."""
    logits = np.log(np.maximum(probabilities.astype(np.float64), SMALLEST_PROBABILITY))
    shifted: NDArray[np.float64] = logits - logits.max(axis=1, keepdims=True)
    return shifted
