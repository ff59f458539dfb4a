from __future__ import annotations

import csv
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rijksnet.collections.build import build
from rijksnet.collections.records import Record
from rijksnet.data.labelled import load
from rijksnet.data.sharing import export, read
from rijksnet.data.splits import split_collection
from rijksnet.errors import SplitError
from rijksnet.params import Splits
from rijksnet.paths import CollectionPaths

DRAWN = Splits(rule="paper", seed=4, together="object", folds=1, stratified=False)
IMPORTED = Splits(rule="imported", seed=0, together="object", folds=1, stratified=False)


@pytest.fixture
def collection(paths: CollectionPaths) -> CollectionPaths:
    """120 objects with two images each, the last four without a type; ids that CSV has to quote."""
    kinds = ("prent", "tekening", "penning")
    items = [
        Record(f"é, {i:03}", f"{i:03}-{k}.jpg", "raw", i, 1, type=(kinds[i % 3],) if i < 116 else (), creator=("A",))
        for i in range(120)
        for k in range(2)
    ]
    build(items, paths)
    columns = {"object_id": [item.object_id for item in items], "image": [item.image for item in items]}
    pq.write_table(pa.table({**columns, "row": pa.array(range(240), pa.int64())}), paths.images)
    return paths


def put(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding=encoding)
    return path


def test_what_was_exported_is_imported_as_the_same_split(collection: CollectionPaths) -> None:
    drawn = split_collection(collection, ["type"], DRAWN)[0]["type"]
    (file,) = export(collection, ["type"])
    assert file == Path("shared_splits/c/type.csv")
    with file.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["object_id"] for row in rows] == [f"é, {i:03}" for i in range(116)]
    assert rows[0]["label"] == "prent"
    imported = split_collection(collection, ["type"], IMPORTED)[0]["type"]
    assert (imported["rule"], imported["absent"], imported["unassigned"]) == ("imported", 0, 0)
    assert imported["digest"] == drawn["digest"]
    assert (
        export(collection, ["type"])[0].read_text(encoding="utf-8").splitlines()[1]
        == f'"é, 000",{rows[0]["split"]},prent'
    )


def test_objects_that_only_one_side_knows_are_left_out_and_counted(collection: CollectionPaths) -> None:
    lines = [f'"é, {i:03}",note,{("train", "validation", "test")[i // 3 % 3]}' for i in range(90)]
    lines += ['"é, 117",no type here,train', "x,unknown,test", "", 'y,unknown,"test"', lines[0]]
    put(collection.shared_split("type"), "\ufeff" + "\n".join(["object_id,remark,split", *lines]) + "\n")
    summary = split_collection(collection, ["type"], IMPORTED)[0]["type"]
    assert (summary["absent"], summary["unassigned"]) == (3, 26)
    assert summary["labelled"] == {"objects": 90, "images": 180, "classes": 3}
    test = load(collection.split("type"), collection.images)["test"]
    assert set(test.object_ids) == {f"é, {i:03}" for i in range(90) if i // 3 % 3 == 2}
    assert test.relevant == tuple((label,) for label in test.labels)


def test_classes_have_to_be_in_every_imported_split(collection: CollectionPaths) -> None:
    splits = ("train", "train", "train", "validation", "validation", "train", "test", "test", "train")
    lines = [f'"é, {i:03}",{split}' for i, split in enumerate(splits)]  # every third, penning, trains only
    put(collection.shared_split("type"), "\n".join(["object_id,split", *lines]))
    summary = split_collection(collection, ["type"], IMPORTED)[0]["type"]
    assert summary["class_names"] == ["prent", "tekening"]
    assert summary["removed_classes"] == {"penning": 3}


HEADER = "object_id,split\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,split\na,train\n", r"columns \['id', 'split'\]; it needs \['object_id', 'split'\]"),
        ("object_id;split\na;train\n", r"columns \['object_id;split'\].*commas"),
        ("", r"columns \[\]"),
        (HEADER + "a,val\n", r"line 2: the split of 'a' is 'val', not one of \('train', 'validation', 'test'\)"),
        (HEADER + "a,train\nb,test\na,test\n", r"line 4: object 'a' is in 'test' here and in 'train' further up"),
        (HEADER + "a,b,train\n", "line 2: 3 cells, and the header has 2"),
        (HEADER + 'a,"train', "no CSV file"),
    ],
)
def test_what_is_no_split_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SplitError, match=message):
        read(put(tmp_path / "type.csv", text))


def test_an_encoding_that_is_not_utf_8(tmp_path: Path) -> None:
    with pytest.raises(SplitError, match=r"not UTF-8 \(byte 0xe9\)"):
        read(put(tmp_path / "type.csv", HEADER + "é,train\n", "latin-1"))


def test_an_absent_file_names_the_other_rules(collection: CollectionPaths) -> None:
    with pytest.raises(SplitError, match=r"shared_splits/c/type\.csv is not there.*`paper` or `challenge`"):
        split_collection(collection, ["type"], IMPORTED)


def test_ids_of_another_spelling(collection: CollectionPaths) -> None:
    put(collection.shared_split("type"), HEADER + "E 000,train\n")
    with pytest.raises(SplitError, match=r"names 1 objects, such as 'E 000', and none of the 116.*such as 'é, 000'"):
        split_collection(collection, ["type"], IMPORTED)
    put(collection.shared_split("type"), HEADER)
    with pytest.raises(SplitError, match="names 0 objects"):
        split_collection(collection, ["type"], IMPORTED)


def test_nothing_is_exported_before_all_is_split(collection: CollectionPaths) -> None:
    split_collection(collection, ["type"], DRAWN)
    with pytest.raises(SplitError, match=r"material\.parquet is not there: run the stage `splits`"):
        export(collection, ["type", "material"])
    assert not Path("shared_splits").exists()
