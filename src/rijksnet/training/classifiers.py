"""Classifiers other than a softmax on a frozen network's features (footnote 7): a linear support vector machine and a
random forest, as scikit-learn has them.

Throughout, features are float32 of shape (n, F) and labels int64 of shape (n,) in [0, Q).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rijksnet.training.temperature import fit_temperature

if TYPE_CHECKING:
    from collections.abc import Callable

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]

#: Costs that a support vector machine chooses from, by its accuracy on the validation split.
COSTS = (0.0001, 0.001, 0.01, 0.1, 1.0)

TREES = 500

#: Trees in memory at once: each holds a distribution over all classes in each of its nodes.
TREES_AT_ONCE = 10


@dataclass(frozen=True)
class Standardisation:
    """What gives every feature mean 0 and standard deviation 1 on the images that it was taken from.

    `mean` and `scale` are float64 (F,); the scale of a feature that does not vary is 1.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    @classmethod
    def of(cls, features: Floats) -> Standardisation:
        mean, deviation = features.mean(0, dtype=np.float64), features.std(0, dtype=np.float64)
        constant = deviation <= 1e-6 * np.abs(mean)  # no more than float32's rounding
        return cls(mean, np.where(constant, 1.0, deviation))

    def __call__(self, features: Floats) -> NDArray[np.float64]:
        return (features - self.mean) / self.scale


@dataclass(frozen=True)
class SupportVectorMachine:
    """One machine a class, as one linear layer on features as they are: `softmax(weight @ x + bias)`.

    Standardisation and temperature are folded into `weight`, float32 (Q, F), and `bias`, float32 (Q,).
    """

    weight: Floats
    bias: Floats
    cost: float
    temperature: float


def fit_svm(
    train: Floats, labels: Labels, validation: Floats, validation_labels: Labels, classes: int
) -> SupportVectorMachine:
    """A linear support vector machine by one-versus-rest, squared hinge loss and liblinear's primal solver.

    The cost is the one of COSTS that classifies most of the validation split rightly, the smallest of equals. Margins
    are no probabilities: the softmax of margins over a temperature stands for them, fitted on the validation split by
    its likelihood (Guo et al. 2017); it changes no decision.
    """
    standardise = Standardisation.of(train)
    x, x_validation = standardise(train), standardise(validation)
    best: tuple[float, float, NDArray[np.float64], NDArray[np.float64]] | None = None
    for cost in COSTS:
        weight, bias = _one_versus_rest(x, labels, classes, cost)
        accuracy = float(np.mean((x_validation @ weight.T + bias).argmax(1) == validation_labels))
        if best is None or accuracy > best[0]:
            best = accuracy, cost, weight, bias
    assert best is not None
    _, cost, weight, bias = best
    temperature = fit_temperature(x_validation @ weight.T + bias, validation_labels)
    folded = weight / standardise.scale
    return SupportVectorMachine(
        (folded / temperature).astype(np.float32),
        ((bias - folded @ standardise.mean) / temperature).astype(np.float32),
        cost,
        temperature,
    )


def _one_versus_rest(
    x: NDArray[np.float64], labels: Labels, classes: int, cost: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights (Q, F) and biases (Q,) of the margins; a class without training images has margin -1 everywhere."""
    from sklearn.svm import LinearSVC

    machine = LinearSVC(C=cost, dual=False).fit(x, labels)
    weight, bias = np.zeros((classes, x.shape[1])), np.full(classes, -1.0)
    both_ways = len(machine.classes_) == 2  # of two classes scikit-learn fits only the second's
    weight[machine.classes_] = np.vstack([-machine.coef_, machine.coef_]) if both_ways else machine.coef_
    bias[machine.classes_] = np.hstack([-machine.intercept_, machine.intercept_]) if both_ways else machine.intercept_
    return weight, bias


@dataclass(frozen=True)
class Forest:
    """What a forest answers: `probabilities`, float32 (n, Q), and how many `nodes` its trees have."""

    probabilities: Floats
    nodes: int


def answer_by_forest(
    train: Floats,
    labels: Labels,
    asked: Floats,
    classes: int,
    seed: int,
    grown: Callable[[int], None] = lambda trees: None,
) -> Forest:
    """Grow a random forest of TREES trees (Breiman 2001; scikit-learn's defaults) and ask it.

    Probabilities are the mean over the trees of the class shares in the leaf that an image reaches, so that those of
    most classes are exactly 0, and losses are not comparable with a softmax's. Trees are forgotten once they have
    answered: with a thousand classes one takes half a gigabyte.

    Args:
        grown: told how many trees have answered.
    """
    from sklearn.ensemble import RandomForestClassifier

    total, nodes = np.zeros((len(asked), classes)), 0
    for start in range(0, TREES, TREES_AT_ONCE):
        state = int(np.random.SeedSequence([seed, start]).generate_state(1)[0])
        forest = RandomForestClassifier(TREES_AT_ONCE, random_state=state, n_jobs=-1).fit(train, labels)
        forest.n_jobs = 1  # threads would add the trees' answers up in whichever order they end
        total[:, forest.classes_] += forest.predict_proba(asked) * TREES_AT_ONCE
        nodes += sum(tree.tree_.node_count for tree in forest.estimators_)
        grown(start + TREES_AT_ONCE)
    return Forest((total / TREES).astype(np.float32), nodes)
