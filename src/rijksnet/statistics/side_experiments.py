"""The paper's side experiments and its future work, as comparisons of runs on the same test objects."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rijksnet.runs.plan import classifier_keys, common_classes_keys, multi_task_keys
from rijksnet.statistics.claims import Claim

if TYPE_CHECKING:
    from rijksnet.params import Params

#: What is put to the test, by the name that it has in side_experiments.csv.
STATEMENTS = {
    "softmax beats support vector machine": (
        "a softmax layer beats a support vector machine on the same features (the paper's footnote 7)"
    ),
    "softmax beats random forest": "a softmax layer beats a random forest on the same features (footnote 7)",
    "common classes: source weights beat ImageNet's": (
        "on only the classes that the source has too, θ̂ beats θ on the target"
    ),
    "multi-task beats single-task": "one network for all challenges at once beats one for each, on the same images",
}
SVM, FOREST, COMMON, MULTI_TASK = STATEMENTS


def side_claims(params: Params) -> list[Claim]:
    """Every comparison that the side experiments of `params` allow, in the order of STATEMENTS."""
    classifiers, tasks = classifier_keys(params), multi_task_keys(params)
    softmax = [
        Claim(name, replace(key, strategy="off_the_shelf"), key)
        for name, strategy in ((SVM, "svm"), (FOREST, "random_forest"))
        for key in classifiers
        if key.strategy == strategy
    ]
    common = [
        Claim(COMMON, key, replace(key, initialisation="imagenet"))
        for key in common_classes_keys(params)
        if key.is_from_source
    ]
    several = [
        Claim(MULTI_TASK, key, replace(key, strategy="single_task")) for key in tasks if key.strategy == "multi_task"
    ]
    return [*softmax, *common, *several]
