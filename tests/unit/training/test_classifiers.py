from __future__ import annotations

import itertools

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from rijksnet.training import classifiers
from rijksnet.training.classifiers import (
    COSTS,
    Standardisation,
    answer_by_forest,
    fit_svm,
)

Data = tuple[np.ndarray, np.ndarray]


def drawn(n: int, seed: int, classes: int = 4) -> Data:
    """Features float32 (n, 6) on very different scales, in classes that overlap."""
    generator = np.random.default_rng(seed)
    centres = np.random.default_rng(9).normal(size=(classes, 6))
    labels = np.arange(n) % classes
    features = (centres[labels] + generator.normal(size=(n, 6))) * [1, 1e-3, 50, 1, 2, 1] + [0, 7, 0, -300, 0, 1]
    return features.astype(np.float32), labels


# --- standardisation --------------------------------------------------------------------------------------------------


def test_each_feature_gets_mean_0_and_deviation_1() -> None:
    features, _ = drawn(200, 0)
    standardised = Standardisation.of(features)(features)
    np.testing.assert_allclose(standardised.mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(standardised.std(0), 1)
    np.testing.assert_allclose(standardised, StandardScaler().fit_transform(features.astype(np.float64)))


@pytest.mark.parametrize("value", [0.0, 0.1, -1e6])
def test_a_feature_that_does_not_vary_is_only_centred(value: float) -> None:
    features = np.full((1000, 1), value, np.float32)
    standardise = Standardisation.of(features)
    assert standardise.scale == [1]
    np.testing.assert_allclose(standardise(features + np.float32(1)), 1, atol=0.1)


# --- support vector machine -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("classes", [2, 4])
def test_the_machine_is_scikit_learns_at_the_best_cost(classes: int) -> None:
    (x, y), (x_validation, y_validation) = drawn(120, 0, classes), drawn(60, 1, classes)
    found = fit_svm(x, y, x_validation, y_validation, classes)
    theirs = {
        cost: make_pipeline(StandardScaler(), LinearSVC(C=cost, dual=False)).fit(x.astype(np.float64), y)
        for cost in COSTS
    }
    accuracies = {cost: machine.score(x_validation, y_validation) for cost, machine in theirs.items()}
    assert found.cost == max(COSTS, key=lambda cost: (accuracies[cost], -cost))
    margins = theirs[found.cost].decision_function(x_validation.astype(np.float64))
    if classes == 2:
        margins = np.stack([-margins, margins], 1)
    layer = x_validation.astype(np.float64) @ found.weight.T.astype(np.float64) + found.bias
    np.testing.assert_allclose(layer, margins / found.temperature, atol=2e-3)
    np.testing.assert_array_equal(layer.argmax(1), theirs[found.cost].predict(x_validation.astype(np.float64)))


def test_of_equally_good_costs_the_smallest_is_taken() -> None:
    x = np.repeat([[-1.0], [1.0]], 20, 0).astype(np.float32)
    y = np.repeat([0, 1], 20)
    assert fit_svm(x, y, x, y, 2).cost == COSTS[0]


def test_a_class_without_training_images_is_never_preferred() -> None:
    (x, y), (x_validation, y_validation) = drawn(120, 0), drawn(60, 1)
    y, y_validation = np.where(y > 1, y + 1, y), np.where(y_validation > 1, y_validation + 1, y_validation)
    found = fit_svm(x, y, x_validation, y_validation, 6)
    assert not found.weight[[2, 5]].any()
    np.testing.assert_allclose(found.bias[[2, 5]] * found.temperature, -1, rtol=1e-6)


# --- random forest ----------------------------------------------------------------------------------------------------


@pytest.fixture
def few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifiers, "TREES", 20)


@pytest.mark.usefixtures("few_trees")
def test_the_forest_is_the_mean_of_its_trees() -> None:
    (x, y), (asked, _) = drawn(80, 0), drawn(30, 1)
    y = np.where(y == 3, 4, y)  # class 3 has no training image
    told: list[int] = []
    found = answer_by_forest(x, y, asked, 5, 7, told.append)
    trees = [
        tree
        for start in (0, 10)
        for tree in RandomForestClassifier(
            10, random_state=int(np.random.SeedSequence([7, start]).generate_state(1)[0])
        )
        .fit(x, y)
        .estimators_
    ]
    expected = np.zeros((30, 5))
    for tree in trees:
        expected[:, [0, 1, 2, 4]] += tree.predict_proba(asked) / 20
    np.testing.assert_allclose(found.probabilities, expected, atol=1e-6)
    assert found.nodes == sum(tree.tree_.node_count for tree in trees)
    assert told == [10, 20]
    assert len({tuple(tree.tree_.threshold) for tree in trees}) == 20  # no batch repeats another


@pytest.mark.usefixtures("few_trees")
def test_a_forest_repeats_itself_by_its_seed() -> None:
    (x, y), (asked, labels) = drawn(80, 0), drawn(40, 1)
    one, again, other = (answer_by_forest(x, y, asked, 4, seed).probabilities for seed in (3, 3, 4))
    assert one.tobytes() == again.tobytes()
    assert one.tobytes() != other.tobytes()
    np.testing.assert_allclose(one.sum(1), 1, rtol=1e-6)
    for probabilities in (one, other):
        assert (probabilities.argmax(1) == labels).mean() > 0.6  # of four classes
    assert all(a.dtype == np.float32 for a in itertools.chain([one, other]))
