from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.stats import binomtest

from rijksnet.errors import RunError
from rijksnet.runs.predictions import Predictions
from rijksnet.statistics.tails import accuracy_by_tail, train_counts


def predictions(labels: list[int], predicted: list[int], classes: int) -> Predictions:
    names = [str(i) for i in range(len(labels))]
    return Predictions(
        "test", names, ["0.jpg"] * len(labels), np.array(labels, np.int64), np.eye(classes, dtype=np.float32)[predicted]
    )


def test_by_hand() -> None:
    counts = np.array([500, 100, 99, 10, 9, 2, 1, 0])
    labels = [0] * 6 + [1] * 2 + [2, 3, 3] + [4] + [6] + [7]
    predicted = [0] * 5 + [1] + [1, 0] + [2, 3, 0] + [5] + [6] + [0]
    found = {tail.name: tail for tail in accuracy_by_tail(predictions(labels, predicted, 8), counts)}
    assert {name: (tail.rule, tail.classes, tail.images, tail.accuracy) for name, tail in found.items()} == {
        "head": ("100 and more", 2, 8, 6 / 8),
        "middle": ("10 to 99", 2, 3, 2 / 3),
        "tail": ("2 to 9", 2, 1, 0.0),
        "singletons": ("1", 1, 1, 1.0),
        "unseen": ("0", 1, 1, 0.0),
    }
    interval = binomtest(6, 8).proportion_ci(method="wilson")
    assert (found["head"].low, found["head"].high) == pytest.approx((interval.low, interval.high))


def test_bands_without_a_test_image_are_left_out_and_the_others_make_up_the_accuracy() -> None:
    generator = np.random.default_rng(2)
    labels, predicted = generator.integers(0, 30, 400), generator.integers(0, 30, 400)
    predicted[::2] = labels[::2]
    tails = accuracy_by_tail(predictions(labels.tolist(), predicted.tolist(), 30), generator.integers(2, 150, 30))
    assert [tail.name for tail in tails] == ["head", "middle", "tail"]
    assert sum(tail.images for tail in tails) == 400
    assert sum(tail.images * tail.accuracy for tail in tails) == pytest.approx((labels == predicted).sum())


def test_counts_are_those_of_the_training_split(tmp_path: Path) -> None:
    labels = ["print", "print", "print", "vase", "coin", "coin"]
    splits = ["train", "test", "train", "train", "validation", "test"]
    columns = {"label": pa.array(labels).dictionary_encode(), "split": pa.array(splits).dictionary_encode()}
    pq.write_table(pa.table(columns), tmp_path / "type.parquet")
    counts = train_counts(tmp_path / "type.parquet", ["coin", "print", "vase", "a class of elsewhere"])
    assert counts.tolist() == [0, 2, 1, 0]
    assert counts.dtype == np.int64


def test_a_split_that_is_absent_is_said(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"type\.parquet is not a file"):
        train_counts(tmp_path / "type.parquet", ["print"])
