from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from rijksnet.collection_params import Columns, Download, MiniatureCollection, TableCollection
from rijksnet.collections.images import read_image
from rijksnet.collections.readers import reader_for
from rijksnet.collections.records import Address, Reason, Record, Reject
from rijksnet.collections.tables.reader import TableReader, values
from rijksnet.errors import CollectionError
from rijksnet.harvesting.shard_writer import ImageHeader, ShardWriter

HEADER = ["id", "file", "maker", "kind", "stuff", "name"]
COLUMNS = Columns(object_id="id", image="file", creator="maker", type="kind", material="stuff", title="name")


def collection(folder: Path, rows: list[list[str]], encoding: str = "utf-8", **changes: Any) -> TableCollection:
    """A table of `rows` beside the images a.jpg and b.jpg."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for name in ("a.jpg", "b.jpg"):
        (folder / "images" / name).write_bytes(name.encode())
    with (folder / "table.csv").open("w", encoding=encoding, newline="") as stream:
        csv.writer(stream).writerows(rows)
    fields = {"raw": str(folder), "table": "table.csv", "images": "images", "columns": COLUMNS, **changes}
    return TableCollection(reader="table", **fields)


def read(*args: Any, **kwargs: Any) -> list[Record | Reject]:
    return list(TableReader(collection(*args, **kwargs)))


def test_a_row_becomes_a_record(tmp_path: Path) -> None:
    row = [" SK-1 ", "./a.jpg", "Rembrandt | Lievens", "schilderij", "doek||olieverf|", "Één, „twee”"]
    (record,) = read(tmp_path, [HEADER, row])
    assert record == Record(
        object_id="SK-1",
        image="a.jpg",
        file=(tmp_path / "images" / "a.jpg").as_posix(),
        offset=0,
        length=5,
        creator=("Rembrandt", "Lievens"),
        type=("schilderij",),
        material=("doek", "olieverf"),
        title="Één, „twee”",
    )


def test_no_label_at_all_is_kept_and_absent_columns_are_empty(tmp_path: Path) -> None:
    (record,) = read(tmp_path, [["object_id", "image"], ["1", "a.jpg"]], columns=Columns())
    assert isinstance(record, Record)
    assert (record.creator, record.type, record.material, record.title, record.rights) == ((), (), (), "", "")


@pytest.mark.parametrize(
    ("row", "reject"),
    [
        (["", "a.jpg", "", "", "", ""], Reject("", "a.jpg", Reason.NO_OBJECT_ID, "column 'id' is empty")),
        (["1", " ", "", "", "", ""], Reject("1", "", Reason.NO_IMAGE, "column 'file' is empty")),
        ([*"1a", "", "", "", "", "x"], Reject("", "", Reason.MALFORMED, "line 2 has 7 cells, the header has 6")),
    ],
)
def test_a_row_that_cannot_be_used_is_rejected_and_the_rest_goes_on(
    tmp_path: Path, row: list[str], reject: Reject
) -> None:
    found = read(tmp_path, [HEADER, row, ["2", "b.jpg", "", "", "", ""]])
    assert found[0] == reject
    assert isinstance(found[1], Record)


@pytest.mark.parametrize(
    ("image", "reason"),
    [("c.jpg", Reason.MISSING), ("../table.csv", Reason.OUTSIDE), (".", Reason.NOT_A_FILE)],
)
def test_an_image_that_cannot_be_used_is_rejected(tmp_path: Path, image: str, reason: Reason) -> None:
    (reject,) = read(tmp_path, [HEADER, ["1", image, "", "", "", ""]])
    assert isinstance(reject, Reject)
    assert (reject.object_id, reject.image, reject.reason) == ("1", image, reason)


def test_byte_order_mark_blank_lines_and_other_columns_do_no_harm(tmp_path: Path) -> None:
    rows = [[*HEADER, "extra"], [], ["1", "a.jpg", "", "", "", "", "x"], []]
    (record,) = read(tmp_path, rows, encoding="utf-8-sig")
    assert isinstance(record, Record)
    assert record.object_id == "1"


def test_another_separator(tmp_path: Path) -> None:
    (record,) = read(tmp_path, [HEADER, ["1", "a.jpg", "A; B", "C|D", "", ""]], separator=";")
    assert isinstance(record, Record)
    assert (record.creator, record.type) == (("A", "B"), ("C|D",))


def test_a_missing_column_lists_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(CollectionError, match=r"columns\.creator is 'maker'.*has not; its columns: \['id', 'file'"):
        read(tmp_path, [["id", "file", "creator", "kind", "stuff", "name"]])


def test_a_doubled_column_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CollectionError, match=r"columns\.object_id is 'id'.*2 times"):
        read(tmp_path, [["id", *HEADER]])


def test_a_table_that_is_not_utf8(tmp_path: Path) -> None:
    rows = [HEADER, ["1", "a.jpg", "Dürer", "", "", ""]]
    with pytest.raises(
        CollectionError, match=r"not UTF-8 \(byte 0xfc in line 2\).* reads as cp1252, cp1250: '1,a.jpg,Dürer"
    ):
        read(tmp_path, rows, encoding="latin-1")


def test_an_unbalanced_quote_names_the_line(tmp_path: Path) -> None:
    chosen = collection(tmp_path, [HEADER])
    with (tmp_path / "table.csv").open("a") as stream:
        stream.write('1,a.jpg,"Rembrandt,,,\n2,b.jpg,,,,\n')
    with pytest.raises(CollectionError, match=r"a quote at line 2 that is not closed .* at line 3"):
        list(TableReader(chosen))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"raw": "nowhere"}, "`raw` is 'nowhere', which is not a folder"),
        ({"table": "other.csv"}, "`table` is 'other.csv'"),
        ({"images": "other"}, "neither a folder"),
    ],
)
def test_what_is_not_there_is_named(tmp_path: Path, changes: dict[str, str], message: str) -> None:
    with pytest.raises(CollectionError, match=message):
        read(tmp_path, [HEADER], **changes)


def test_values_drops_the_empty_ones() -> None:
    assert values("", "|") == ()
    assert values("|papier| hout |", "|") == ("papier", "hout")


# --- rights -----------------------------------------------------------------------------------------------------------

FREE = "http://creativecommons.org/publicdomain/"
WITH_RIGHTS = COLUMNS.model_copy(update={"rights": "rights"})


def test_only_allowed_rights_are_kept(tmp_path: Path) -> None:
    rows = [
        [*HEADER, "rights"],
        ["1", "a.jpg", "", "", "", "", "https://creativecommons.org/publicdomain/mark/1.0/"],
        ["2", "b.jpg", "", "", "", "", "© all rights reserved"],
        ["3", "b.jpg", "", "", "", "", ""],
    ]
    kept, *others = read(tmp_path, rows, columns=WITH_RIGHTS, rights=[FREE])
    assert isinstance(kept, Record)
    assert others == [
        Reject("2", "b.jpg", Reason.RIGHTS, "© all rights reserved"),
        Reject("3", "b.jpg", Reason.RIGHTS, "column 'rights' is empty"),
    ]


def test_rights_that_no_column_tells_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CollectionError, match=r"`rights` keeps only .* columns\.rights names no column"):
        read(tmp_path, [HEADER], rights=[FREE])


# --- addresses --------------------------------------------------------------------------------------------------------

DOWNLOAD = Download(contact="test@example.org", requests_per_s=1, kind="url")
FRONT, BACK, GONE, NEW = (f"https://m.org/{name}.jpg" for name in ("front", "back", "gone", "new"))


def of_addresses(folder: Path, *images: str, rights: str = "") -> TableReader:
    """A table whose objects 1, 2, … have these cells; the front and the back were downloaded, `GONE` was not there."""
    rows = [[*HEADER, "rights"], *([str(i), cell, "Lievens", "", "", "", rights] for i, cell in enumerate(images, 1))]
    with ShardWriter.open(folder / "downloaded") as writer:
        for url in (FRONT, BACK):
            writer.add(Address("1", url), url.encode(), "image/jpeg", ImageHeader("JPEG", 4, 3))
        writer.fail(Address("2", GONE), "HTTP 404", "not found", permanent=True)
    changes = {"columns": WITH_RIGHTS, "images": "downloaded", "download": DOWNLOAD, "rights": [FREE] if rights else []}
    return TableReader(collection(folder, rows, **changes))


def test_several_addresses_are_several_images_of_one_object(tmp_path: Path) -> None:
    reader = of_addresses(tmp_path, f" {FRONT} | {BACK}|")
    assert list(reader.addresses()) == [Address("1", FRONT), Address("1", BACK)]
    records = [record for record in reader if isinstance(record, Record)]
    assert [(record.object_id, record.creator) for record in records] == [("1", ("Lievens",))] * 2
    assert [read_image(record.file, record.offset, record.length).decode() for record in records] == [FRONT, BACK]
    assert len({record.image for record in records}) == 2


@pytest.mark.parametrize(
    ("cell", "reason", "detail"),
    [
        (GONE, Reason.NOT_FETCHED, "HTTP 404: not found"),
        (NEW, Reason.NOT_FETCHED, "never asked for: run `rijksnet fetch`"),
        ("a.jpg", Reason.MALFORMED, "no http or https address"),
        ("file:///etc/passwd", Reason.MALFORMED, "no http or https address"),
        ("http://[::1", Reason.MALFORMED, "no http or https address"),
        ("https:///a.jpg", Reason.MALFORMED, "no http or https address"),
    ],
)
def test_an_image_that_is_not_there_says_why(tmp_path: Path, cell: str, reason: Reason, detail: str) -> None:
    reader = of_addresses(tmp_path, cell, FRONT)
    reject, record = reader
    assert reject == Reject("1", cell, reason, detail)
    assert isinstance(record, Record)
    assert (Address("1", cell) in reader.addresses()) == (reason is Reason.NOT_FETCHED)


def test_separators_alone_are_no_address(tmp_path: Path) -> None:
    (reject,) = of_addresses(tmp_path, " | |")
    assert reject == Reject("1", "", Reason.NO_IMAGE, "column 'file' is empty")


def test_refused_rights_are_not_asked_for(tmp_path: Path) -> None:
    reader = of_addresses(tmp_path, f"{FRONT}|{NEW}", rights="© m.org")
    assert list(reader.addresses()) == []
    assert list(reader) == [Reject("1", f"{FRONT}|{NEW}", Reason.RIGHTS, "© m.org")]


def test_before_anything_is_fetched_every_image_says_so(tmp_path: Path) -> None:
    rows = [HEADER, ["1", NEW, "", "", "", ""]]
    (reject,) = read(tmp_path, rows, images="downloaded", download=DOWNLOAD)
    assert isinstance(reject, Reject)
    assert reject.reason is Reason.NOT_FETCHED
    assert not (tmp_path / "downloaded").exists()


def test_each_kind_of_collection_has_its_reader(tmp_path: Path) -> None:
    table = collection(tmp_path, [HEADER])
    assert reader_for(table) == TableReader(table)
    miniature = MiniatureCollection(reader="miniature", raw="drawn", museum="antwerp", objects=20, seed=0)
    reader = reader_for(miniature)
    assert isinstance(reader, TableReader)
    assert (reader.collection.raw, reader.collection.table) == ("drawn", "records.csv")
    assert reader.collection.images == "images.tar"
