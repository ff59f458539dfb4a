from __future__ import annotations

import numpy as np
import pytest

from rijksnet.data.labelled import LabelledRows
from rijksnet.data.subsets import only, trained_on_together, with_classes
from rijksnet.errors import SplitError

CLASSES = ("a", "b", "c")


def rows(numbers: str, labels: str, classes: tuple[str, ...] = CLASSES) -> LabelledRows:
    """Objects named by digits, in rows ten times as large; each lists its own class, and the class after it."""
    indices = [classes.index(label) for label in labels]
    return LabelledRows(
        tuple(numbers),
        tuple(f"{n}.jpg" for n in numbers),
        np.array([10 * int(n) for n in numbers], np.int64),
        np.array(indices, np.int64),
        tuple((i, (i + 1) % len(classes)) for i in indices),
        classes,
    )


def same(one: LabelledRows, other: LabelledRows) -> bool:
    return all(np.array_equal(one_value, vars(other)[name]) for name, one_value in vars(one).items())


def test_only_keeps_an_images_names_row_label_and_listed_classes_together() -> None:
    kept = only(rows("1234", "abca"), np.array([True, False, False, True]))
    assert same(kept, rows("14", "aa"))


def test_classes_are_restricted_and_counted_anew() -> None:
    data = {"train": rows("1234", "abcc"), "validation": rows("56", "ac"), "test": rows("789", "cba")}
    found = with_classes(data, ["c", "a", "d"])
    assert {name: split.classes for name, split in found.items()} == dict.fromkeys(data, ("a", "c"))
    assert found["train"].object_ids == ("1", "3", "4")
    assert found["train"].rows.tolist() == [10, 30, 40]
    assert found["train"].labels.tolist() == [0, 1, 1]
    assert found["train"].relevant == ((0,), (1, 0), (1, 0))  # `a` lists a and b, `c` lists c and a
    assert found["test"].images == ("7.jpg", "9.jpg")
    assert found["test"].labels.tolist() == [1, 0]


def test_a_class_that_a_split_lacks_is_not_common() -> None:
    data = {"train": rows("123", "abc"), "validation": rows("45", "ac"), "test": rows("678", "cba")}
    with pytest.raises(SplitError, match=r"only the classes \['a'\] are common, of \['a', 'b'\] there .* at least two"):
        with_classes(data, ["a", "b"])


def test_nobody_trains_on_what_another_holds_out() -> None:
    one = {"train": rows("1234", "abca"), "validation": rows("5", "b"), "test": rows("6", "c")}
    other = {"train": rows("567", "abc"), "validation": rows("1", "a"), "test": rows("39", "ba")}
    found = trained_on_together({"one": one, "other": other})
    assert same(found["one"]["train"], rows("24", "ba"))
    assert same(found["other"]["train"], rows("7", "c"))
    for name, before in (("one", one), ("other", other)):
        assert all(same(found[name][split], before[split]) for split in ("validation", "test"))


def test_all_images_of_a_held_out_object_are_left_out() -> None:
    one = {"train": rows("112", "aab"), "validation": rows("3", "b"), "test": rows("4", "c")}
    other = {"train": rows("2", "a"), "validation": rows("1", "a"), "test": rows("5", "b")}
    assert trained_on_together({"one": one, "other": other})["one"]["train"].object_ids == ("2",)


def test_a_challenge_of_which_nothing_is_left_is_named() -> None:
    one = {"train": rows("12", "ab"), "validation": rows("3", "b"), "test": rows("4", "c")}
    other = {"train": rows("5", "a"), "validation": rows("1", "a"), "test": rows("2", "b")}
    with pytest.raises(SplitError, match=r"challenge 'one': each of its 2 training images is held out for another"):
        trained_on_together({"one": one, "other": other})
