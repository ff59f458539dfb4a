from __future__ import annotations

import csv
import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rijksnet.collections.build import build
from rijksnet.collections.catalogue import SCHEMA
from rijksnet.collections.records import Record
from rijksnet.collections.tables.reader import values
from rijksnet.data.labelled import load
from rijksnet.data.splits import assign, keep_common_classes, labels_of, split_collection, summarise
from rijksnet.errors import CollectionError, SplitError
from rijksnet.params import Challenge, Splits
from rijksnet.paths import CollectionPaths
from rijksnet.protocol import SPLITS, split_sizes
from rijksnet.runs.metrics import majority_accuracy

GROUND_TRUTH = Path(__file__).parents[3] / ".." / "shared" / "data" / "rijksmuseum-challenge-groundtruth"


def pack_nothing(
    paths: CollectionPaths, images: list[tuple[str, str]], fingerprints: list[bytes] | None = None
) -> None:
    """images.parquet as if these images had been packed, in this order; without fingerprints no two are alike."""
    paths.root.mkdir(parents=True, exist_ok=True)
    object_ids, names = [pair[0] for pair in images], [pair[1] for pair in images]
    table = pa.table({"object_id": object_ids, "image": names, "row": pa.array(range(len(images)), pa.int64())})
    generator = np.random.default_rng(0)
    pictures = [fingerprint or generator.bytes(264) for fingerprint in fingerprints or [b""] * len(images)]
    table = table.append_column("phash", pa.array([int.from_bytes(one[:8], "big") for one in pictures], pa.uint64()))
    table = table.append_column("thumbnail", pa.array([one[8:] for one in pictures], pa.binary()))
    pq.write_table(table, paths.images)


def drawn(seed: int, together: Literal["object", "near_duplicates"] = "object") -> Splits:
    return Splits(rule="paper", seed=seed, together=together, folds=1, stratified=False)


def records(n: int, **labels: tuple[str, ...]) -> list[Record]:
    return [Record(f"{i:04}", f"{i:04}.jpg", "raw", i, 1, **labels) for i in range(n)]


def labelled_rows(objects: list[tuple[str, int]]) -> pd.DataFrame:
    """Rows of objects given as (label, number of images)."""
    rows = [
        (f"o{i}", f"{i}-{j}.jpg", label) for i, (label, images) in enumerate(objects) for j in range(images)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["object_id", "image", "label"], dtype="str")


KINDS = st.tuples(st.sampled_from("aaaaabbbbcd"), st.integers(1, 3))
OBJECTS = st.lists(KINDS, min_size=1, max_size=20) | st.lists(KINDS, min_size=60, max_size=120)


@settings(max_examples=50)
@given(OBJECTS, st.integers(0, 2**40), st.randoms(use_true_random=False))
def test_what_always_holds(objects: list[tuple[str, int]], seed: int, random: Any) -> None:
    rows = labelled_rows(objects)
    everything = assign(rows, "type", seed)

    by_object = everything.groupby("object_id")["split"].agg(["nunique", "first"])
    assert (by_object["nunique"] == 1).all(), "an object is in two splits"
    sizes = Counter(by_object["first"])
    assert tuple(sizes[split] for split in SPLITS) == split_sizes(len(objects)), "sizes before the rule"

    order = list(range(len(rows)))
    random.shuffle(order)
    shuffled = assign(rows.iloc[order], "type", seed).sort_index()
    pd.testing.assert_frame_equal(shuffled, everything)

    present = [set(everything.loc[everything["split"] == split, "label"]) for split in SPLITS]
    common = {label for label in "abcd" if all(label in classes for classes in present)}
    if len(common) < 2:
        with pytest.raises(SplitError, match="only the classes"):
            keep_common_classes(everything, "type")
        return
    kept = keep_common_classes(everything, "type")
    for split in SPLITS:
        assert set(kept.loc[kept["split"] == split, "label"]) == common
    expected = sorted(row for row in everything.itertuples(index=False, name=None) if row[2] in common)
    assert list(kept.itertuples(index=False, name=None)) == expected, "sorted, and nothing else was removed"


@pytest.mark.parametrize("seed", range(10))
def test_the_summary_counts_what_there_is(seed: int) -> None:
    generator = np.random.default_rng(seed)
    labels, images = generator.choice([*"aaabbbcde"], 80), generator.integers(1, 4, 80)
    objects = [(str(label), int(n)) for label, n in zip(labels, images, strict=True)]
    everything = assign(labelled_rows(objects), "type", seed)
    kept = keep_common_classes(everything, "type")
    summary = summarise(everything, kept)
    assert summary["labelled"]["objects"] == len(objects)
    assert summary["labelled"]["images"] == sum(n for _, n in objects)
    names = set(summary["class_names"])
    assert summary["removed_classes"] == Counter(label for label, _ in objects if label not in names)
    assert summary["kept"]["objects"] == sum(label in names for label, _ in objects)
    assert summary["kept"]["classes"] == len(names)
    for key in ("objects", "images"):
        assert sum(summary["splits"][split][key] for split in SPLITS) == summary["kept"][key]
    classes = summary["class_names"]
    train, test = (
        np.array([classes.index(label) for label in kept.loc[kept["split"] == split, "label"]])
        for split in ("train", "test")
    )
    assert summary["majority"]["share"] == majority_accuracy(train, test)  # as every run's record has it
    assert classes.index(summary["majority"]["class"]) == np.bincount(train).argmax()
    json.dumps(summary)


def test_labels_are_the_first_values_of_named_makers() -> None:
    rows = [
        {"object_id": "1", "image": "1", "creator": ["anoniem", "Rembrandt"], "type": ["prent"], "material": []},
        {"object_id": "2", "image": "2", "creator": ["Rembrandt", "anoniem"], "type": [], "material": []},
        {"object_id": "3", "image": "3", "creator": ["Unknown"], "type": ["unknown", "prent"], "material": []},
    ]
    empty = {"file": "", "offset": 0, "length": 0, "title": "", "rights": "", "split": ""}
    full = [{**empty, **row} for row in rows]
    catalogue = pa.Table.from_pylist(full, SCHEMA)

    def labels(challenge: Challenge) -> dict[str, str]:
        return dict(labels_of(catalogue, challenge)[["object_id", "label"]].itertuples(index=False, name=None))

    assert labels("artist") == {"2": "Rembrandt"}
    assert labels("type") == {"1": "prent", "3": "unknown"}
    assert labels("material") == {}


def test_each_challenge_and_seed_draws_its_own() -> None:
    rows = labelled_rows([("a", 1)] * 200)
    draws = [assign(rows, challenge, seed)["split"].tolist() for challenge in ("type", "artist") for seed in (0, 1)]
    assert len({tuple(draw) for draw in draws}) == 4
    assert assign(rows, "type", 0)["split"].tolist() == draws[0]


def test_only_packed_images_are_split_whatever_their_order(paths: CollectionPaths) -> None:
    kinds = ("prent", "tekening", "penning")
    items = [Record(f"{i:03}", f"{i:03}.jpg", "raw", i, 1, type=(kinds[i % 3],)) for i in range(150)]
    build(items, paths)
    packed = [(record.object_id, record.image) for record in items if not record.object_id.endswith("7")]
    written = []
    for seed in (0, 1):
        shuffled = [packed[i] for i in np.random.default_rng(seed).permutation(len(packed))]
        pack_nothing(paths, shuffled)
        summary, _ = split_collection(paths, ["type"], drawn(5))
        written.append((paths.split("type").read_bytes(), paths.splits_summary.read_text()))
        row_of = {pair: row for row, pair in enumerate(shuffled)}
        for rows in load(paths.split("type"), paths.images).values():
            pairs = list(zip(rows.object_ids, rows.images, strict=True))
            assert rows.rows.tolist() == [row_of[pair] for pair in pairs]
            assert [rows.classes[label] for label in rows.labels] == [kinds[int(pair[0]) % 3] for pair in pairs]
    assert written[0] == written[1], "a split does not depend on where images lie"
    assert summary["type"]["labelled"]["objects"] == len(packed) == 135
    assert summary["type"]["digest"] == "3edf069e3ce36975", "drawn splits stay what they were"
    assert json.loads(written[0][1]) == summary


def test_a_challenge_without_two_common_classes(paths: CollectionPaths) -> None:
    build(records(40, type=("prent",)), paths)
    pack_nothing(paths, [(f"{i:04}", f"{i:04}.jpg") for i in range(40)])
    with pytest.raises(SplitError, match=r"'type': only the classes \['prent'\].*40 objects have a label, of 1"):
        split_collection(paths, ["type"], drawn(0))
    with pytest.raises(SplitError, match=r"'artist': only the classes \[\].*0 objects have a label"):
        split_collection(paths, ["artist"], drawn(0))
    assert not paths.splits.exists()
    assert not paths.splits_summary.exists()


def test_a_failure_leaves_no_old_summary(paths: CollectionPaths) -> None:
    items = [Record(f"{i}", f"{i}", "raw", i, 1, type=("ab"[i % 2],)) for i in range(60)]
    build(items, paths)
    pack_nothing(paths, [(record.object_id, record.image) for record in items])
    split_collection(paths, ["type"], drawn(0))
    with pytest.raises(SplitError):
        split_collection(paths, ["material"], drawn(0))
    assert not paths.splits_summary.exists()


def test_a_challenge_that_cannot_be_split_does_not_cost_those_that_can(paths: CollectionPaths) -> None:
    items = [Record(f"{i}", f"{i}", "raw", i, 1, type=("ab"[i % 2],)) for i in range(60)]
    build(items, paths)
    pack_nothing(paths, [(record.object_id, record.image) for record in items])
    summary, refused = split_collection(paths, ["material", "type"], drawn(0))
    assert (summary.keys(), refused.keys()) == ({"type"}, {"material"})
    assert "Leave the challenge out" in refused["material"]
    assert [file.name for file in paths.splits.iterdir()] == ["type.parquet"]
    assert json.loads(paths.splits_summary.read_text()) == summary


def test_without_pixels(paths: CollectionPaths) -> None:
    build(records(1), paths)
    with pytest.raises(CollectionError, match="run the stage `pixels`"):
        split_collection(paths, ["type"], drawn(0))


# --- near-duplicates --------------------------------------------------------------------------------------------------


def grouped(sizes: list[int], seed: int) -> tuple[pd.DataFrame, dict[str, int]]:
    """Objects in groups of these sizes, and each object's group; ids say nothing about groups."""
    group_of = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    return labelled_rows([("a", 1)] * len(group_of)), {f"o{i}": int(group) for i, group in enumerate(group_of)}


@settings(max_examples=100)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=80), st.integers(0, 2**40))
def test_groups_stay_whole_and_sizes_come_near(sizes: list[int], seed: int) -> None:
    rows, group_of = grouped(sizes, seed)
    everything = assign(rows, "type", seed, group_of)
    groups = everything["object_id"].map(group_of)
    assert (everything["split"].groupby(groups).nunique() == 1).all(), "a group is in two splits"
    alone = sizes.count(1)
    counts, asked = Counter(everything["split"]), dict(zip(SPLITS, split_sizes(len(rows)), strict=True))
    off = sum(abs(counts[split] - asked[split]) for split in SPLITS)
    largest = max(sizes)
    if largest <= asked["train"] // 4 and alone >= 2 * largest * len(SPLITS):
        assert off == 0, "objects on their own fill the splits"
    turned = assign(rows.iloc[::-1], "type", seed, {object_id: -group for object_id, group in group_of.items()})
    pd.testing.assert_frame_equal(turned.sort_index(), everything)


def test_without_groups_the_draw_is_the_plain_one() -> None:
    rows, group_of = grouped([1] * 200, 0)
    pd.testing.assert_frame_equal(assign(rows, "type", 3, group_of), assign(rows, "type", 3))


def test_the_test_split_has_its_share_of_groups() -> None:
    """Were all groups in the training split, the test would be of objects without near-duplicates only."""
    rows, group_of = grouped([2] * 300 + [1] * 400, 0)
    in_test = []
    for seed in range(20):
        everything = assign(rows, "type", seed, group_of)
        sizes = everything["object_id"].map(group_of).value_counts()
        grouped_ones = everything[everything["object_id"].map(group_of).map(sizes) == 2]
        in_test.append((grouped_ones["split"] == "test").sum())
        assert Counter(everything["split"]) == {"train": 800, "validation": 100, "test": 100}
    assert 50 < np.mean(in_test) < 70  # 60 of 600 are expected


def test_a_group_larger_than_a_test_split_goes_to_training() -> None:
    rows, group_of = grouped([60] + [1] * 40, 0)
    for seed in range(20):
        everything = assign(rows, "type", seed, group_of)
        assert set(everything.loc[everything["object_id"].map(group_of) == 0, "split"]) == {"train"}
        assert Counter(everything["split"]) == {"train": 80, "validation": 10, "test": 10}


def test_near_duplicates_stay_together(paths: CollectionPaths) -> None:
    items = [Record(f"{i:03}", f"{i:03}.jpg", "raw", i, 1, type=("ab"[i // 3 % 2],)) for i in range(300)]
    build(items, paths)
    generator = np.random.default_rng(1)
    pictures = [generator.bytes(264) for _ in range(100)]  # three objects each, for the first sixty
    fingerprints = [pictures[i // 3] if i < 180 else b"" for i in range(300)]
    pack_nothing(paths, [(record.object_id, record.image) for record in items], fingerprints)

    parted, _ = split_collection(paths, ["type"], drawn(0))
    assert parted["type"]["rule"] == "paper"
    assert "near_duplicates" not in parted["type"]
    summary, _ = split_collection(paths, ["type"], drawn(0, "near_duplicates"))

    assert summary["type"]["near_duplicates"] == {"groups": 60, "objects": 180}
    assert [summary["type"]["splits"][split]["objects"] for split in SPLITS] == [240, 30, 30]
    rows = pq.read_table(paths.split("type")).to_pandas()
    splits_of = rows.groupby(rows["object_id"].astype(int) // 3)["split"].nunique()
    assert (splits_of[:60] == 1).all()
    assert (splits_of[60:] > 1).any(), "objects that are not alike are drawn on their own"
    assert summary["type"]["digest"] != parted["type"]["digest"]


# --- the official split -----------------------------------------------------------------------------------------------

OFFICIAL = Splits(rule="challenge", seed=0, together="object", folds=1, stratified=False)


def officially(paths: CollectionPaths, rows: list[tuple[str, tuple[str, ...]]], field: str = "type") -> None:
    """A packed collection of objects given as (official split, listed values), with two images each."""
    items = [
        Record(f"{i:04}", f"{i:04}-{k}.jpg", "raw", i, 1, **{field: listed}, split=split)  # type: ignore[arg-type]
        for i, (split, listed) in enumerate(rows)
        for k in range(2)
    ]
    build(items, paths)
    pack_nothing(paths, [(record.object_id, record.image) for record in items])


def each(n: int, *listed: str) -> list[tuple[str, tuple[str, ...]]]:
    """n test objects and two of the other splits."""
    return [("test", listed)] * n + [("train", listed)] * 2 + [("validation", listed)] * 2


def test_an_official_split_keeps_every_object_and_all_that_it_lists(paths: CollectionPaths) -> None:
    many = each(10, "prent", "ets") + each(10, "tekening")
    few = each(9, "penning") + each(2, "penning", "tekening", "prent")[:2] + [("train", ()), ("", ("prent",))]
    officially(paths, many + few)  # penning: 9 + 2 in test, so kept
    summary = split_collection(paths, ["type"], OFFICIAL)[0]["type"]
    assert (summary["rule"], summary["official"]) == (
        "challenge",
        {"rest": 1, "unassigned": 1, "never_first": ["ets"]},
    )
    data = load(paths.split("type"), paths.images)
    classes = data["test"].classes
    assert classes == tuple(summary["class_names"]) == ("ets", "penning", "prent", "rest", "tekening")
    assert {split: len(rows) for split, rows in data.items()} == {"train": 14, "validation": 12, "test": 62}
    for rows in data.values():
        for object_id, label, relevant in zip(rows.object_ids, rows.labels, rows.relevant, strict=True):
            listed = (many + few)[int(object_id)][1]
            assert [classes[i] for i in relevant] == list(listed)
            assert classes[label] == (listed[0] if listed else "rest")
    assert summary["labelled"]["objects"] == 43
    assert summary["kept"] == {"objects": 44, "images": 88, "classes": 4}
    assert summary["majority"]["share"] == pytest.approx(11 / 31)


def test_what_the_filters_remove(paths: CollectionPaths) -> None:
    rare = [("test", ("penning",))] * 9 + [("train", ("munt", "prent"))] * 3 + [("validation", ("penning",))]
    officially(paths, each(10, "prent") + each(10, "tekening") + rare)
    summary = split_collection(paths, ["type"], OFFICIAL)[0]["type"]
    assert summary["removed_classes"] == {"munt": 3, "penning": 10}
    assert summary["class_names"] == ["prent", "rest", "tekening"]
    assert summary["official"]["rest"] == 10
    data = load(paths.split("type"), paths.images)
    labels = [data["train"].classes[label] for label in data["train"].labels]
    assert Counter(labels) == {"prent": 10, "tekening": 4}, "the first listed value that is a class"
    assert set(data["validation"].relevant) == {(0,), (2,), ()}


def test_artists_are_their_first_creator_or_rest(paths: CollectionPaths) -> None:
    officially(
        paths,
        each(10, "Rembrandt") + each(10, "Luyken") + each(10, "anoniem") + [("train", ("anoniem", "Luyken"))],
        "creator",
    )
    split_collection(paths, ["artist"], OFFICIAL)
    train = load(paths.split("artist"), paths.images)["train"]
    assert train.classes == ("Luyken", "Rembrandt", "rest")
    assert [train.classes[label] for label in train.labels] == ["Rembrandt"] * 4 + ["Luyken"] * 4 + ["rest"] * 6


def test_no_official_split(paths: CollectionPaths) -> None:
    officially(paths, [("", ("prent",))] * 20)
    with pytest.raises(SplitError, match=r"official split of collection 'c' .* has objects in \[\].*`paper`"):
        split_collection(paths, ["type"], OFFICIAL)
    assert not paths.splits.exists()


@pytest.mark.parametrize("rows", [each(10, "prent"), each(10, "prent") + each(10, "tekening") + each(10, "rest")])
def test_official_classes_that_cannot_be_told_apart(
    paths: CollectionPaths, rows: list[tuple[str, tuple[str, ...]]]
) -> None:
    officially(paths, rows)
    with pytest.raises(SplitError, match=r"the class filters keep .*'prent'.* of collection 'c'"):
        split_collection(paths, ["type"], OFFICIAL)


def test_an_official_split_that_parts_an_object(paths: CollectionPaths) -> None:
    items = [Record(f"{i // 2}", f"{i}", "raw", i, 1, type=("a",), split=SPLITS[i % 3]) for i in range(6)]
    build(items, paths)
    pack_nothing(paths, [(record.object_id, record.image) for record in items])
    with pytest.raises(SplitError, match="parts the images of object '0'"):
        split_collection(paths, ["type"], OFFICIAL)


# --- the real ground truth --------------------------------------------------------------------------------------------


@pytest.fixture
def ground_truth(paths: CollectionPaths) -> CollectionPaths:
    """The catalogue of the 112,039 real objects, as if all their images had been packed."""
    file = GROUND_TRUTH / "rijksgt_rows.csv.gz"
    if not file.is_file():
        pytest.skip(f"{file} is not here")
    with gzip.open(file, "rt", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    columns = {"creator": "creator", "type": "types", "material": "materials"}
    table = {name: [values(row[column], "|") for row in rows] for name, column in columns.items()}
    names = [row["row"] for row in rows]
    empty = {"file": [""] * len(rows), "title": [""] * len(rows), "rights": [""] * len(rows)}
    numbers = {"offset": [0] * len(rows), "length": [0] * len(rows)}
    split = {"split": [{"val": "validation"}.get(row["set"], row["set"]) for row in rows]}
    paths.root.mkdir(parents=True)
    catalogue = pa.table({"object_id": names, "image": names, **table, **empty, **numbers, **split})
    pq.write_table(catalogue.select(SCHEMA.names).cast(SCHEMA), paths.catalogue)
    pack_nothing(paths, [(name, name) for name in names])
    return paths


def test_the_real_ground_truth_gives_the_papers_counts(ground_truth: CollectionPaths) -> None:
    """Table 1 prints 112,012 objects with a type and 110,668 with a material; shared/reference has the class counts.

    208 first-listed materials include one without a name, which is no value here: its one object counts under the
    second value it lists.
    """
    summary, _ = split_collection(ground_truth, ["material", "type", "artist"], drawn(0))

    assert (summary["type"]["labelled"]["objects"], summary["type"]["labelled"]["classes"]) == (112_012, 1_053)
    assert (summary["material"]["labelled"]["objects"], summary["material"]["labelled"]["classes"]) == (110_668, 207)
    # Ranges of five draws (shared/reference/README.md), a little widened.
    assert 58 <= summary["material"]["kept"]["classes"] <= 76
    assert 175 <= summary["type"]["kept"]["classes"] <= 208
    assert 1_110 <= summary["artist"]["kept"]["classes"] <= 1_220
    assert sum(summary["type"]["removed_classes"].values()) + summary["type"]["kept"]["objects"] == 112_012


def test_the_real_official_split(ground_truth: CollectionPaths) -> None:
    """All 112,039 objects stay in the sets that the challenge put them in; it has 374 artists, 103 types, 81 materials.

    Some types and materials are never listed first, so that no network learns them.
    """
    summary, _ = split_collection(ground_truth, ["material", "type", "artist"], OFFICIAL)
    for said in summary.values():
        assert [said["splits"][split]["objects"] for split in SPLITS] == [78_427, 11_204, 22_408]
        assert said["official"]["unassigned"] == 0
        assert "rest" in said["class_names"]
    assert {name: len(said["class_names"]) - 1 for name, said in summary.items()} == {
        "artist": 374,
        "type": 103,
        "material": 81,
    }
    assert {name: len(said["official"]["never_first"]) for name, said in summary.items()} == {
        "artist": 0,
        "type": 9,
        "material": 12,
    }
