from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.io

from rijksnet.data.table1 import COLUMNS, groundtruth_table, table1, write_groundtruth_table
from rijksnet.errors import SplitError
from rijksnet.files import sha256_of


def labelled(counts: dict[str, int]) -> pd.DataFrame:
    labels = [label for label, n in counts.items() for _ in range(n)]
    names = [f"o{i:04}" for i in range(len(labels))]
    return pd.DataFrame({"object_id": names, "image": names, "label": pd.array(labels, dtype="str")})


def test_counts_before_and_after_the_rules() -> None:
    type_ = labelled({"prent": 200, "tekening": 200, "vaas": 2})
    artist = labelled({"luyken": 300, "picart": 300, "goltzius": 9})
    table = table1({"type": type_, "artist": artist}, seeds=(0, 1, 2))
    assert list(table.columns) == list(COLUMNS)
    rows = {(row.challenge, row.rule): tuple(row)[3:] for row in table.itertuples(index=False)}
    assert rows["type", "first value"] == (402, 402, 3, 3)
    assert rows["type", "first value, then in all splits"] == (400, 400, 2, 2)  # two objects are in two splits at most
    assert rows["artist", "first value"] == (609, 609, 3, 3)
    assert rows["artist", "first value, at least 10 objects"] == (600, 600, 2, 2)
    assert rows["artist", "first value, at least 10 objects, then in all splits"] == (600, 600, 2, 2)
    assert sorted(set(table["seeds"])) == [0, 3]


def test_the_least_and_the_most_over_the_draws() -> None:
    """A class of three is in all splits by chance."""
    table = table1({"type": labelled({"prent": 100, "tekening": 100, **{f"rare {i}": 3 for i in range(40)}})})
    drawn = table[table["seeds"] == 5].iloc[0]
    assert 2 <= drawn["classes_least"] < drawn["classes_most"] < 42
    assert 200 < drawn["objects_least"] < drawn["objects_most"] < 320


def test_images_are_not_objects() -> None:
    twice = pd.concat([labelled({"prent": 200, "tekening": 200})] * 2)
    assert (table1({"type": twice}, seeds=(0,))[["objects_least", "objects_most"]] == 400).all(axis=None)


def test_a_challenge_that_cannot_be_split() -> None:
    with pytest.raises(SplitError, match="at least two are needed"):
        table1({"type": labelled({"prent": 200, "tekening": 1})})


def test_the_nameless_material_is_counted_both_ways(tmp_path: Path) -> None:
    n = 100
    materials = np.zeros((n, 3), np.uint8)
    materials[:, 1] = 1
    materials[::2] = [0, 0, 1]
    materials[0] = [1, 2, 0]  # nameless first
    cells = {name: np.array(names, dtype=object) for name, names in (("Mnames", ["", "papier", "doek"]),)}
    two = {"Tnames": np.array(["prent", "vaas"], dtype=object), "Cnames": np.array(["a", "b"], dtype=object)}
    half = 1 + np.arange(n, dtype=np.uint8) % 2
    gt = {
        **cells,
        **two,
        "set": np.ones((n, 1)),
        "C": half.reshape(-1, 1),
        "T": np.stack([half == 1, half == 2], axis=1).astype(np.uint8),
        "M": materials,
        "Y": np.zeros((n, 2)),
    }
    mat = tmp_path / "rijksgt.mat"
    scipy.io.savemat(mat, {"gt": gt})
    table = write_groundtruth_table(mat, tmp_path / "reference" / "table.csv")
    counts = table.set_index("rule").loc[["first value", "first value, nameless class counted"]]
    assert counts[counts["challenge"] == "material"][["objects_most", "classes_most"]].to_numpy().tolist() == [
        [n, 2],
        [n, 3],
    ]
    assert set(table["groundtruth_sha256"]) == {sha256_of(mat)}
    pd.testing.assert_frame_equal(
        pd.read_csv(tmp_path / "reference" / "table.csv"), groundtruth_table(mat), check_dtype=False
    )
