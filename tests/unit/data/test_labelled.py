from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rijksnet.data.labelled import LabelledRows, digest, load, open_pixels, read_images
from rijksnet.data.splits import SCHEMA
from rijksnet.errors import CollectionError, SplitError

ROWS = [
    ("o1", "1.jpg", "Één", "train"),
    ("o1", "2.jpg", "Één", "train"),
    ("o2", "3.jpg", "prent", "train"),
    ("o3", "4.jpg", "Één", "validation"),
    ("o4", "5.jpg", "prent", "validation"),
    ("o5", "6.jpg", "prent", "test"),
    ("o6", "7.jpg", "Één", "test"),
]


def write(
    folder: Path, rows: list[tuple[str, str, str, str]], order: list[int], values: list[list[str]] | None = None
) -> tuple[Path, Path]:
    """A split, and images.parquet in which the image of `rows[i]` stands in row `order[i]`; `values` are the labels."""
    columns: dict[str, list[Any]] = {name: [row[i] for row in rows] for i, name in enumerate(SCHEMA.names[:4])}
    columns["values"] = [[row[2]] for row in rows] if values is None else values
    pq.write_table(pa.table(columns).cast(SCHEMA), folder / "type.parquet")
    images = pa.table(
        {"object_id": columns["object_id"], "image": columns["image"], "row": pa.array(order, pa.int64())}
    )
    pq.write_table(images.sort_by("row"), folder / "images.parquet")
    return folder / "type.parquet", folder / "images.parquet"


def test_rows_are_joined_by_object_and_image(tmp_path: Path) -> None:
    order = [4, 2, 6, 0, 1, 3, 5]
    data = load(*write(tmp_path, ROWS, order))
    assert list(data) == ["train", "validation", "test"]
    train = data["train"]
    assert train.classes == ("prent", "Één")
    assert (train.object_ids, train.images) == (("o1", "o1", "o2"), ("1.jpg", "2.jpg", "3.jpg"))
    assert (train.rows.tolist(), train.labels.tolist()) == ([4, 2, 6], [1, 1, 0])
    assert (data["validation"].rows.tolist(), data["validation"].labels.tolist()) == ([0, 1], [1, 0])
    assert [len(rows) for rows in data.values()] == [3, 2, 2]
    assert all(rows.rows.dtype == rows.labels.dtype == np.int64 for rows in data.values())
    assert all(rows.classes == train.classes for rows in data.values())
    assert train.relevant == ((1,), (1,), (0,))


def test_the_order_of_the_file_does_not_matter(tmp_path: Path) -> None:
    order = [4, 2, 6, 0, 1, 3, 5]
    one = load(*write(tmp_path, ROWS, order))
    other = load(*write(tmp_path, ROWS[::-1], order[::-1]))
    for split, rows in one.items():
        assert rows.images == other[split].images
        np.testing.assert_array_equal(rows.rows, other[split].rows)
        np.testing.assert_array_equal(rows.labels, other[split].labels)


def test_a_split_of_other_pixels_is_an_error(tmp_path: Path) -> None:
    split, images = write(tmp_path, ROWS, list(range(7)))
    pq.write_table(pq.read_table(images).slice(2), images)
    with pytest.raises(SplitError, match=r"names 2 images that .* lacks, the first \('o1', '1.jpg'\)"):
        load(split, images)


def test_what_is_not_there_names_the_stage(tmp_path: Path) -> None:
    with pytest.raises(SplitError, match="run the stage `splits`"):
        load(tmp_path / "type.parquet", tmp_path / "images.parquet")
    with pytest.raises(CollectionError, match="run the stage `pixels`"):
        read_images(tmp_path / "images.parquet")
    with pytest.raises(CollectionError, match="run the stage `pixels`"):
        open_pixels(tmp_path / "64.npy")


VALUES = [["Één"], ["Één"], ["prent", "ets"], ["Één", "prent"], [], ["ets"], ["Één"]]


def test_an_object_may_list_several_classes_or_none(tmp_path: Path) -> None:
    data = load(*write(tmp_path, ROWS, list(range(7)), VALUES))
    assert data["train"].classes == ("ets", "prent", "Één"), "a class that is listed, if nobody's label, is a class"
    assert {split: rows.relevant for split, rows in data.items()} == {
        "train": ((2,), (2,), (1, 0)),
        "validation": ((2, 1), ()),
        "test": ((0,), (2,)),
    }
    assert data["train"].labels.tolist() == [2, 2, 1]
    turned = load(*write(tmp_path, ROWS[::-1], list(range(7))[::-1], VALUES[::-1]))
    assert digest(turned) == digest(data) != digest(load(*write(tmp_path, ROWS, list(range(7)))))


def test_the_digest_of_a_split_with_labels_alone_stays_what_it_was(tmp_path: Path) -> None:
    """Records and registered models name it."""
    assert digest(load(*write(tmp_path, ROWS, list(range(7))))) == "ab7ad0bfdcc86ce5"


def rename_class(rows: LabelledRows) -> LabelledRows:
    return replace(rows, classes=("prenten", "Één"))


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: replace(rows, object_ids=("o1", "o1", "o9")),
        lambda rows: replace(rows, images=("1.jpg", "2.jpg", "9.jpg")),
        lambda rows: replace(rows, labels=np.array([0, 0, 0])),
        lambda rows: replace(rows, relevant=((1,), (1, 0), (0,))),
        rename_class,
    ],
)
def test_the_digest_changes_with_the_content(tmp_path: Path, change: Callable[[LabelledRows], LabelledRows]) -> None:
    data = load(*write(tmp_path, ROWS, list(range(7))))
    assert digest({**data, "train": change(data["train"])}) != digest(data)
    assert digest({**data, "train": data["test"], "test": data["train"]}) != digest(data)


def test_the_digest_does_not_change_with_the_place_of_an_image(tmp_path: Path) -> None:
    found = digest(load(*write(tmp_path, ROWS, list(range(7)))))
    assert digest(load(*write(tmp_path, ROWS[::-1], [4, 2, 6, 0, 1, 3, 5]))) == found
    assert len(found) == 16


def test_reading_needs_no_pandas() -> None:
    code = "import sys, rijksnet.data.labelled; print({'pandas', 'torch', 'PIL', 'rich'} & {*sys.modules})"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"
