"""When a network may answer: calibrated confidence, a threshold of it for each class, and how often that is right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rijksnet.protocol import REST, UNNAMED_MAKERS
from rijksnet.statistics.abstention import interval, thresholds
from rijksnet.statistics.calibration import rescale
from rijksnet.suggesting.reference import UNKNOWN
from rijksnet.training.temperature import fit_temperature

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from rijksnet.statistics.abstention import Threshold
    from rijksnet.suggesting.reference import Reference


#: Classes that say nothing of an object, in lower case: they are never suggested.
NO_LABELS = UNNAMED_MAKERS | {REST}


@dataclass(frozen=True)
class Decision:
    """Of each of N objects the most probable class (N,), its calibrated confidence (N,), whether it is dared (N,)."""

    best: NDArray[np.int64]
    confidence: NDArray[np.float64]
    dared: NDArray[np.bool_]


@dataclass(frozen=True)
class Rule:
    """A temperature, and from which confidence on each class is answered; None: those without a threshold of their own.

    `low` is what the precision is tested to be at least: see `rijksnet.statistics.abstention`.
    """

    classes: tuple[str, ...]
    temperature: float
    thresholds: Mapping[str | None, Threshold]

    def threshold(self, answer: int) -> Threshold:
        return self.thresholds.get(self.classes[answer], self.thresholds[None])

    def decide(self, probabilities: NDArray[np.floating]) -> Decision:
        """
        Args:
            probabilities: (N, Q), as the network gives them.
        """
        scaled = rescale(probabilities, self.temperature)
        best = scaled.argmax(axis=1)
        confidence = scaled.max(axis=1)
        least = np.array([self.threshold(int(one)).confidence for one in best], np.float64)
        is_label = np.array([name.lower() not in NO_LABELS for name in self.classes], bool)
        return Decision(best, confidence, (confidence >= least) & is_label[best])


@dataclass(frozen=True)
class Precision:
    """How often answers that were dared were right, of `objects` that did not set the rule: share and 95 % interval."""

    right: int
    answered: int
    objects: int

    @property
    def share(self) -> float:
        return self.right / self.answered if self.answered else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        return interval(self.right, self.answered) if self.answered else (0.0, 1.0)

    @property
    def coverage(self) -> float:
        return self.answered / self.objects if self.objects else 0.0


def set_rule(reference: Reference, keep: NDArray[np.bool_], classes: Sequence[str], asked: float) -> Rule:
    """The rule that the kept objects set, for a precision `asked` in (0, 1)."""
    its = reference.only(keep)
    known = its.labels != UNKNOWN
    temperature = _temperature(its.probabilities[known], its.labels[known])
    scaled = rescale(its.probabilities, temperature)
    found = thresholds(scaled.max(axis=1), scaled.argmax(axis=1), its.labels, classes, asked)
    return Rule(tuple(classes), temperature, found)


def measure(reference: Reference, classes: Sequence[str], asked: float) -> Precision:
    """How often rules set in this way are right, on objects that did not set them."""
    right = answered = objects = 0
    for setting, measuring in reference.measurements:
        one = precision_of(set_rule(reference, setting, classes, asked), reference.only(measuring))
        right, answered, objects = right + one.right, answered + one.answered, objects + one.objects
    return Precision(right, answered, objects)


def precision_of(rule: Rule, reference: Reference) -> Precision:
    """How often a rule is right on objects that did not set it."""
    decision = rule.decide(reference.probabilities)
    right = int((decision.dared & (decision.best == reference.labels)).sum())
    return Precision(right, int(decision.dared.sum()), len(reference))


def _temperature(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    if not len(labels):
        return 1.0
    smallest = np.finfo(np.float32).tiny
    return fit_temperature(np.log(np.maximum(probabilities.astype(np.float64), smallest)), labels)
