from __future__ import annotations

import numpy as np
import pytest

from rijksnet.runs.predictions import Predictions
from rijksnet.statistics.calibration import (
    calibrate,
    confidences,
    expected_calibration_error,
    reliability,
    rescale,
    selective_accuracy,
)
from rijksnet.training.temperature import TEMPERATURES


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def drawn(n: int, temperature: float, seed: int = 0, classes: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Labels drawn from a softmax, and the probabilities, float32, of a network that is too sure by `temperature`."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 1.5, size=(n, classes))
    labels = (softmax(logits).cumsum(axis=1) > generator.random((n, 1))).argmax(axis=1)
    return softmax(temperature * logits).astype(np.float32), labels


def predictions(probabilities: np.ndarray, labels: np.ndarray) -> Predictions:
    names = [str(i) for i in range(len(labels))]
    return Predictions("test", names, ["0.jpg"] * len(labels), labels.astype(np.int64), probabilities)


def test_error_of_a_published_example() -> None:
    """The example of torchmetrics' MulticlassCalibrationError (n_bins=3, norm="l1"): 0.2."""
    probabilities = np.array([[0.25, 0.20, 0.55], [0.55, 0.05, 0.40], [0.10, 0.30, 0.60], [0.90, 0.05, 0.05]])
    labels = np.array([0, 1, 2, 0])
    assert expected_calibration_error(*confidences(probabilities, labels), bins=3) == pytest.approx(0.2)


@pytest.mark.parametrize("bins", [1, 2, 15, 40])
def test_error_is_that_of_the_definition_written_out(bins: int) -> None:
    """Guo et al. 2017, equation 3, as their released code has it: a bin holds its upper edge."""
    probabilities, labels = drawn(500, 2.0)
    confidence, correct = confidences(probabilities, labels)
    confidence[:40] = np.arange(1, 41) / 40  # some on the edges themselves
    expected = 0.0
    for m in range(bins):
        inside = [i for i in range(500) if m / bins < confidence[i] <= (m + 1) / bins]
        if inside:
            accuracy = sum(bool(correct[i]) for i in inside) / len(inside)
            expected += len(inside) / 500 * abs(accuracy - sum(float(confidence[i]) for i in inside) / len(inside))
    assert expected_calibration_error(confidence, correct, bins) == pytest.approx(expected, abs=1e-12)


def test_bins_hold_every_image_once() -> None:
    found = reliability(*confidences(*drawn(300, 2.0)))
    assert sum(one.images for one in found) == 300
    assert all(one.low < one.confidence <= one.high for one in found)


def test_a_known_overconfidence_is_found_and_mended() -> None:
    validation, test = predictions(*drawn(20_000, 2.5)), predictions(*drawn(20_000, 2.5, seed=1))
    found = calibrate(validation, test)
    assert found.temperature == pytest.approx(2.5, rel=0.03)
    assert found.ece > 0.1
    assert found.ece_scaled < 0.02
    exact, labels = drawn(20_000, 1.0, seed=1)
    assert found.loss_scaled == pytest.approx(-np.log(exact[np.arange(20_000), labels]).mean(), rel=1e-3)
    assert found.loss > 1.2 * found.loss_scaled


def test_the_temperature_comes_from_the_validation_split_alone() -> None:
    validation, (probabilities, labels) = predictions(*drawn(200, 2.0)), drawn(200, 2.0, seed=1)
    one, other = (calibrate(validation, predictions(probabilities, these)) for these in (labels, labels[::-1]))
    assert one.temperature == other.temperature
    assert one.loss != other.loss


def test_scaling_keeps_the_order_of_the_classes_and_a_temperature_of_one_everything() -> None:
    probabilities, _ = drawn(100, 2.0)
    assert rescale(probabilities, 1.0) == pytest.approx(probabilities, abs=1e-6)
    for temperature in TEMPERATURES:
        scaled = rescale(probabilities, temperature)
        assert scaled.sum(axis=1) == pytest.approx(np.ones(100))
        assert (scaled.argmax(axis=1) == probabilities.argmax(axis=1)).all()


def test_probabilities_of_zero_are_scaled_and_stay_finite() -> None:
    """A forest's answers: the label of the second image has no vote at all."""
    probabilities = np.array([[1.0, 0.0, 0.0], [0.0, 0.7, 0.3], [0.5, 0.5, 0.0]], np.float32)
    found = calibrate(*[predictions(probabilities, np.array([0, 0, 1]))] * 2)
    assert TEMPERATURES[0] < found.temperature < TEMPERATURES[1]
    assert np.isfinite([found.loss, found.loss_scaled]).all()
    assert found.loss_scaled < found.loss


def test_a_validation_split_without_a_mistake_has_a_temperature_too() -> None:
    probabilities = softmax(np.random.default_rng(0).normal(0, 2, (50, 4))).astype(np.float32)
    found = calibrate(*[predictions(probabilities, probabilities.argmax(axis=1))] * 2)
    assert TEMPERATURES[0] <= found.temperature < 0.3
    assert found.loss_scaled < 0.01


def test_selective_accuracy_by_hand() -> None:
    confidence = np.array([0.6, 0.9, 0.8, 0.7, 0.55])
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    labels = np.array([1, 0, 0, 1, 0])  # by falling confidence: right, right, wrong, wrong, right
    found = selective_accuracy(probabilities, labels, (0.2, 0.4, 0.6, 0.7, 1.0))
    assert found == pytest.approx({0.2: 1.0, 0.4: 1.0, 0.6: 2 / 3, 0.7: 2 / 4, 1.0: 3 / 5})


def test_of_equally_confident_images_the_first_are_answered() -> None:
    probabilities = np.tile([[0.8, 0.2]], (4, 1))
    assert selective_accuracy(probabilities, np.array([0, 0, 1, 1]), (0.5, 1.0)) == {0.5: 1.0, 1.0: 0.5}


def test_selective_accuracy_is_that_of_sorting_and_counting() -> None:
    probabilities, labels = drawn(730, 2.0)
    ranked = sorted(range(730), key=lambda i: -float(probabilities[i].max()))
    for share, accuracy in selective_accuracy(probabilities, labels).items():
        kept = ranked[: -(-730 * round(100 * share) // 100)]
        assert accuracy == pytest.approx(np.mean([probabilities[i].argmax() == labels[i] for i in kept]))
