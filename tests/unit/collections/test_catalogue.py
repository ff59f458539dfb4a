from __future__ import annotations

import csv
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rijksnet.collection_params import Cleaning, Columns, TableCollection
from rijksnet.collections.build import build
from rijksnet.collections.catalogue import SCHEMA, read_catalogue
from rijksnet.collections.images import read_image
from rijksnet.collections.readers import reader_for
from rijksnet.collections.records import Reason, Record, Reject
from rijksnet.errors import CollectionError
from rijksnet.paths import CollectionPaths

SAMPLE = Path(__file__).parents[3] / ".." / "shared" / "data" / "rijksmuseum-challenge-sample"
ONE = Record("1", "1.jpg", "raw/1.jpg", 0, 10, ("Rembrandt", "Lievens"), ("prent",), (), "Één", "CC0")
TWO = Record("2", "2.jpg", "raw.tar", 512, 20)


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CollectionPaths:
    monkeypatch.chdir(tmp_path)
    return CollectionPaths("c")


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_the_catalogue_holds_the_records_sorted(paths: CollectionPaths) -> None:
    counts = build([TWO, ONE], paths)
    table = read_catalogue(paths.catalogue)
    assert table.schema == SCHEMA
    assert table.to_pylist()[0] == {
        "object_id": "1",
        "image": "1.jpg",
        "file": "raw/1.jpg",
        "offset": 0,
        "length": 10,
        "creator": ["Rembrandt", "Lievens"],
        "type": ["prent"],
        "material": [],
        "title": "Één",
        "rights": "CC0",
        "split": "",
    }
    assert table["offset"].to_pylist() == [0, 512]
    assert rows_of(paths.rejects) == rows_of(paths.cleaning) == []
    assert str(counts) == "2 images of 2 objects; left out: nothing"


def test_the_order_of_the_source_does_not_matter(paths: CollectionPaths) -> None:
    build([ONE, TWO], paths)
    first = paths.catalogue.read_bytes()
    build([TWO, ONE], paths)
    assert paths.catalogue.read_bytes() == first


def test_several_images_of_one_object_are_kept(paths: CollectionPaths) -> None:
    counts = build([ONE, replace(ONE, image="back.jpg")], paths)
    assert (counts.objects, counts.images) == (1, 2)


def test_rejects_are_written_with_their_reasons(paths: CollectionPaths) -> None:
    from_reader = Reject("9", 'odd, "name".jpg', Reason.MISSING, "line\nbreak")
    duplicate = replace(ONE, title="another title")
    taken = replace(TWO, image="1.jpg")
    counts = build([from_reader, ONE, duplicate, taken], paths)
    assert counts.rejects == {Reason.MISSING: 1, Reason.DUPLICATE: 1, Reason.TAKEN: 1}
    assert [(row["object_id"], row["image"], row["reason"]) for row in rows_of(paths.rejects)] == [
        ("9", 'odd, "name".jpg', "image missing"),
        ("1", "1.jpg", "duplicate record"),
        ("2", "1.jpg", "image of another object"),
    ]
    assert read_catalogue(paths.catalogue)["title"].to_pylist() == ["Één"]


@pytest.mark.parametrize("label", ["creator", "type", "material"])
def test_one_object_with_two_labels_costs_one_object(paths: CollectionPaths, label: str) -> None:
    first = replace(ONE, **{label: ("eerste",)})
    other = replace(ONE, image="back.jpg", **{label: ("andere",)})
    sound = replace(ONE, object_id="2", image="2.jpg")
    counts = build([first, sound, other], paths)
    assert (counts.objects, counts.rejects) == (1, {Reason.CONTRADICTION: 2})
    assert read_catalogue(paths.catalogue)["object_id"].to_pylist() == ["2"]
    rejected = rows_of(paths.rejects)
    assert [row["image"] for row in rejected] == ["1.jpg", "back.jpg"]
    said = f"{label} is ['eerste'] with image '1.jpg' and ['andere'] with image 'back.jpg'"
    assert all(row["detail"].startswith(said) for row in rejected)


def test_an_image_without_labels_has_its_object_s(paths: CollectionPaths) -> None:
    bare = replace(ONE, image="back.jpg", creator=(), type=(), material=(), title="")
    build([bare, ONE], paths)
    found = read_catalogue(paths.catalogue).to_pylist()
    for field in ("creator", "type", "material"):
        assert [row[field] for row in found] == [list(getattr(ONE, field))] * 2


def test_an_id_is_one_in_whichever_unicode_form(paths: CollectionPaths) -> None:
    forms = [unicodedata.normalize(form, "Dürer-1") for form in ("NFC", "NFD")]
    build([replace(ONE, object_id=forms[0]), replace(ONE, object_id=forms[1], image="back.jpg")], paths)
    assert set(read_catalogue(paths.catalogue)["object_id"].to_pylist()) == {forms[0]}


def test_labels_are_compared_when_cleaned(paths: CollectionPaths) -> None:
    back = replace(ONE, image="back.jpg", type=("Prent",))
    with pytest.raises(CollectionError, match=r"no usable image .*2 × object with two values"):
        build([ONE, back], paths)
    counts = build([ONE, back, replace(back, type=("PRENT ",))], paths, Cleaning(type=["spelling"]))
    assert (counts.images, counts.rejects) == (2, {Reason.DUPLICATE: 1})
    assert {tuple(values) for values in read_catalogue(paths.catalogue)["type"].to_pylist()} == {("PRENT",)}


def test_what_cleaning_changed_is_written_and_counted(paths: CollectionPaths, tmp_path: Path) -> None:
    (tmp_path / "terms.csv").write_text("field,term,label\nmaterial,paper,papier\n", encoding="utf-8")
    records = [ONE, replace(TWO, creator=("after Rembrandt", "anoniem"), material=("Paper",))]
    records += [replace(TWO, object_id=n, image=n, material=("paper",)) for n in ("3", "4")]
    cleaning = Cleaning(creator=["roles", "unnamed"], material=["vocabulary"], vocabulary="terms.csv")
    counts = build(records, paths, cleaning, tmp_path)
    assert str(counts).endswith("values changed: 1 × creator roles, 1 × creator unnamed, 2 × material vocabulary")
    assert paths.cleaning.read_text(encoding="utf-8").splitlines() == [
        "field,rule,before,after,objects",
        "creator,roles,after Rembrandt,,1",
        "creator,unnamed,anoniem,,1",
        "material,vocabulary,paper,papier,2",
        "material,vocabulary,Paper,papier,1",
    ]
    assert [values for values in read_catalogue(paths.catalogue)["material"].to_pylist() if values] == [["papier"]] * 3


def test_no_usable_image_is_an_error_that_leaves_no_catalogue(paths: CollectionPaths) -> None:
    build([ONE], paths)
    with pytest.raises(CollectionError, match=r"'c' has no usable image .*1 × image missing"):
        build([Reject("1", "1.jpg", Reason.MISSING, "")], paths)
    assert not paths.catalogue.exists()
    assert len(rows_of(paths.rejects)) == 1


def test_an_interrupted_build_leaves_no_other_file(paths: CollectionPaths) -> None:
    def interrupted() -> Iterator[Record]:
        yield ONE
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(interrupted(), paths)
    assert not paths.root.exists()


def test_an_absent_catalogue_names_the_stage(paths: CollectionPaths) -> None:
    with pytest.raises(CollectionError, match="run the stage `catalogue`"):
        read_catalogue(paths.catalogue)


def test_the_real_sample_reads(paths: CollectionPaths) -> None:
    if not SAMPLE.is_dir():
        pytest.skip(f"{SAMPLE} is not here")
    columns = Columns(creator="creator", type="type", material="material", title="title")
    sample = TableCollection(reader="table", raw=str(SAMPLE), table="catalogue.csv", images=".", columns=columns)
    counts = build(reader_for(sample), paths)
    assert (counts.objects, counts.images, counts.rejects, counts.changed) == (126, 126, {}, {})
    rows = {row["object_id"]: row for row in read_catalogue(paths.catalogue).to_pylist()}
    zelfportret = rows["SK-A-768"]
    assert (zelfportret["creator"], zelfportret["type"]) == (["Mytens, Martin (I)"], ["schilderij"])
    assert zelfportret["material"] == ["paneel", "olieverf"]
    data = read_image(zelfportret["file"], zelfportret["offset"], zelfportret["length"])
    assert data == (SAMPLE / "images" / "0001758_SK-A-768.jpg").read_bytes()
