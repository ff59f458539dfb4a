"""Folds: each object is tested once; classes have their share where that is asked for."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rijksnet.data.folds import deal
from rijksnet.errors import SplitError
from rijksnet.params import Params, Splits
from rijksnet.protocol import SPLITS, TEST, TRAIN, VALIDATION, split_in_fold


def asked(folds: int, stratified: bool = False, seed: int = 0) -> Splits:
    return Splits(rule="paper", seed=seed, together="object", folds=folds, stratified=stratified)


def rows_of(labels: list[str], images: int = 1) -> pd.DataFrame:
    rows = [(f"o{i:04}", f"{i:04}-{j}.jpg", label) for i, label in enumerate(labels) for j in range(images)]
    return pd.DataFrame(rows, columns=["object_id", "image", "label"], dtype="str")


@pytest.mark.parametrize("folds", [3, 5, 10])
def test_each_part_is_tested_once_and_validates_once(folds: int) -> None:
    for part in range(folds):
        found = Counter(split_in_fold(part, fold, folds) for fold in range(folds))
        assert found == Counter({TEST: 1, VALIDATION: 1, TRAIN: folds - 2})
    for fold in range(folds):
        assert {split_in_fold(part, fold, folds) for part in range(folds)} == set(SPLITS)


LABELS = st.lists(st.sampled_from("aaaaabbbc"), min_size=30, max_size=80)


@settings(max_examples=25, deadline=None)  # the first example imports scikit-learn
@given(LABELS, st.integers(3, 6), st.booleans(), st.integers(0, 2**31), st.randoms(use_true_random=False))
def test_what_always_holds(labels: list[str], folds: int, stratified: bool, seed: int, random: Any) -> None:
    rows = rows_of(labels, images=2)
    group_of = {object_id: i // 2 for i, object_id in enumerate(rows["object_id"].unique())}
    found = deal(rows, "type", asked(folds, stratified, seed), group_of)
    groups = rows["object_id"].map(group_of)
    assert set(found) == set(range(folds))
    assert found.groupby(groups).nunique().eq(1).all(), "a group is in two folds"
    order = list(range(len(rows)))
    random.shuffle(order)
    assert deal(rows.iloc[order], "type", asked(folds, stratified, seed), group_of).sort_index().equals(found)


def test_stratified_folds_have_their_share_of_each_class() -> None:
    rows = rows_of(["ceramic"] * 300 + ["marble"] * 20 + ["gold"] * 10)
    found = deal(rows, "material", asked(5, stratified=True), None)
    counts = pd.crosstab(found, rows["label"])
    assert counts["ceramic"].tolist() == [60] * 5
    assert counts["marble"].tolist() == [4] * 5
    assert counts["gold"].tolist() == [2] * 5
    by_chance = pd.crosstab(deal(rows, "material", asked(5), None), rows["label"])
    assert by_chance["gold"].tolist() != [2] * 5


def test_a_stratified_split_is_the_first_of_ten_folds() -> None:
    rows = rows_of(["a"] * 60 + ["b"] * 40)
    found = deal(rows, "type", asked(1, stratified=True), None)
    assert found.max() == 9
    assert pd.crosstab(found, rows["label"]).to_numpy().tolist() == [[6, 4]] * 10


def test_another_seed_and_another_challenge_deal_otherwise() -> None:
    rows = rows_of(["a"] * 60 + ["b"] * 40)
    one = deal(rows, "type", asked(5), None)
    assert not one.equals(deal(rows, "type", asked(5, seed=1), None))
    assert not one.equals(deal(rows, "material", asked(5), None))


def test_fewer_objects_than_folds_are_refused() -> None:
    said = r"4 objects with a label cannot be dealt into 5 folds: set splits\.folds lower"
    with pytest.raises(SplitError, match=said):
        deal(rows_of(list("aabb")), "type", asked(5), None)
    with pytest.raises(SplitError, match=r"into 10 folds: set splits\.stratified to false"):
        deal(rows_of(list("aabb")), "type", asked(1, stratified=True), None)


def test_two_folds_and_folds_of_an_official_split_are_refused(content: dict[str, Any]) -> None:
    for splits, said in (
        ({"folds": 2}, "one tests, one validates, and none is left"),
        ({"folds": 5, "rule": "challenge"}, "takes a split as it is"),
        ({"stratified": True, "rule": "imported"}, "takes a split as it is"),
    ):
        with pytest.raises(ValueError, match=said):
            Params.model_validate({**content, "splits": {**content["splits"], **splits}})


def test_labels_are_dealt_by_object_not_by_image() -> None:
    rows = rows_of(["a"] * 20 + ["b"] * 20, images=3)
    found = deal(rows, "type", asked(4, stratified=True), None)
    assert np.array_equal(found.to_numpy().reshape(-1, 3)[:, 0], found.to_numpy().reshape(-1, 3)[:, 2])
    assert pd.crosstab(found, rows["label"]).to_numpy().tolist() == [[15, 15]] * 4
