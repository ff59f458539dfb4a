from __future__ import annotations

from rijksnet.data.official import LEAST_IN_TEST, creator_class, kept_classes, kept_creators

SPLITS = ["train", "validation", *["test"] * LEAST_IN_TEST]


def test_a_class_needs_all_three_splits_and_enough_test_objects() -> None:
    values = [["a", "b", "c"], ["a", "b"], *[["c", "a", "a"]] * (LEAST_IN_TEST - 1), ["b", "a"]]
    assert kept_classes(values, SPLITS) == {"a"}  # b: one test object; c: none in validation
    assert kept_classes(values, SPLITS, least_in_test=1) == {"a", "b"}


def test_a_value_that_an_object_lists_twice_counts_once() -> None:
    assert kept_classes([["a"], ["a"], ["a", "a"]], ["train", "validation", "test"], least_in_test=2) == set()


def test_objects_without_a_split_do_not_count() -> None:
    assert kept_classes([["a"], ["a"], ["a"]], ["train", "", "test"], least_in_test=1) == set()


def test_other_creators_and_the_unnamed_are_the_rest() -> None:
    kept = kept_creators([["Anoniem", "unknown", "luyken, jan", "onbekend"]] * len(SPLITS), SPLITS)
    assert kept == {"luyken, jan", "onbekend"}  # the challenge itself drops the other two only
    assert creator_class(["luyken, jan", "picart, bernard"], kept) == "luyken, jan"
    assert creator_class(["picart, bernard", "luyken, jan"], kept) == "rest"
    assert creator_class([], kept) == "rest"
