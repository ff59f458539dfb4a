"""Tables as people have them: dialects of CSV, workbooks, JSON; and files that are none."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import date
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from rijksnet.collection_params import Columns, TableCollection
from rijksnet.collections.records import Reason, Reject
from rijksnet.collections.tables import delimited, nested, workbook
from rijksnet.collections.tables.columns import loosely
from rijksnet.collections.tables.kinds import kind_of
from rijksnet.errors import CollectionError

COLUMNS = Columns(object_id="id", image="file", creator="maker")


def rows(path: Path, content: str | bytes, columns: Columns = COLUMNS, **asked: Any) -> list[dict[str, str] | Reject]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(delimited.rows(path, columns, asked.get("delimiter"), asked.get("encoding")))


def told(row: dict[str, str] | Reject) -> tuple[str, str, str]:
    assert isinstance(row, dict)
    return row["object_id"], row["image"], row["creator"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_the_one_that_gives_the_columns(tmp_path: Path, delimiter: str) -> None:
    lines = [["id", "file", "maker", "title"], ["1", "a.jpg", "A", '"x, y; z | w"']]
    (row,) = rows(tmp_path / "t.csv", "\n".join(delimiter.join(line) for line in lines))
    assert told(row) == ("1", "a.jpg", "A")


def test_a_delimiter_can_be_told(tmp_path: Path) -> None:
    (row,) = rows(tmp_path / "t.csv", "id^file^maker\n1^a.jpg^A", delimiter="^")
    assert told(row) == ("1", "a.jpg", "A")


def test_what_comes_before_the_header_is_passed_over(tmp_path: Path) -> None:
    (row,) = rows(tmp_path / "t.csv", 'Export of 2024,,\n"a title\nin two lines",,\nid,file,maker\n1,a.jpg,A\n')
    assert told(row) == ("1", "a.jpg", "A")


@pytest.mark.parametrize("header", [" ID ,File, MAKER", '"id "," file",Maker', "\ufeffid,FILE,maker\u00a0"])
def test_column_names_may_differ_in_case_and_blanks(tmp_path: Path, header: str) -> None:
    (row,) = rows(tmp_path / "t.csv", f"{header}\n1,a.jpg,A")
    assert told(row) == ("1", "a.jpg", "A")


def test_a_name_as_it_stands_goes_before_one_that_is_nearly_so(tmp_path: Path) -> None:
    (row,) = rows(tmp_path / "t.csv", "ID,id,file,maker\nx,1,a.jpg,A")
    assert told(row) == ("1", "a.jpg", "A")


def test_two_columns_that_are_nearly_so_are_not_chosen_from(tmp_path: Path) -> None:
    with pytest.raises(CollectionError, match=r"columns\.object_id is 'id', which .* has 2 times"):
        rows(tmp_path / "t.csv", "ID,Id,file,maker\n1,2,a.jpg,A")


def test_a_column_that_is_not_there_names_the_nearest_and_the_delimiter(tmp_path: Path) -> None:
    with pytest.raises(CollectionError, match=r"separated by semicolons\) has not \(nearly so: 'makers'\)"):
        rows(tmp_path / "t.csv", "id;file;makers\n1;a.jpg;A")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_unicode_with_a_mark_is_read(tmp_path: Path, encoding: str) -> None:
    (row,) = rows(tmp_path / "t.csv", "id\tfile\tmaker\n1\ta.jpg\tŠaloun – €\n".encode(encoding))
    assert told(row) == ("1", "a.jpg", "Šaloun – €")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_unicode_without_its_mark_is_told(tmp_path: Path, encoding: str) -> None:
    content = "id,file,maker\n1,a.jpg,A\n".encode(encoding)
    with pytest.raises(CollectionError, match=rf"set `encoding` to '{encoding}'"):
        rows(tmp_path / "t.csv", content)
    (row,) = rows(tmp_path / "t.csv", content, encoding=encoding)
    assert told(row) == ("1", "a.jpg", "A")


def test_letters_that_the_encoding_lacks_are_shown_as_others_read_them(tmp_path: Path) -> None:
    content = "id,file,maker\n" + "1,a.jpg,A\n" * 2000
    with pytest.raises(CollectionError, match=r"byte 0x8a in line 2002\).*cp1250: '2,b\.jpg,Škoda'; mac_roman: "):
        rows(tmp_path / "t.csv", content.encode() + b"2,b.jpg,\x8akoda\n")
    with pytest.raises(CollectionError, match=r"is not ASCII \(byte 0xc5 in line 2\)"):
        rows(tmp_path / "t.csv", "id,file,maker\n1,a.jpg,Š", encoding="ascii")


def test_an_encoding_that_python_does_not_know() -> None:
    asked = {"reader": "table", "raw": ".", "table": "t.csv", "images": ".", "columns": COLUMNS}
    with pytest.raises(ValidationError, match="'windows-latin' is no encoding that Python knows"):
        TableCollection.model_validate({**asked, "encoding": "windows-latin"})
    assert TableCollection.model_validate({**asked, "encoding": "Windows-1252"}).encoding == "cp1252"


def test_an_open_quote_in_the_header_is_told(tmp_path: Path) -> None:
    with pytest.raises(CollectionError, match=r"has a quote at line 1 that is not closed .* at line 1"):
        rows(tmp_path / "t.csv", 'id,file,maker,f2,"bd')


def test_a_bad_row_costs_one_row_and_an_open_quote_says_what_it_would_cost(tmp_path: Path) -> None:
    found = rows(tmp_path / "t.csv", 'id,file,maker\n1,a.jpg,"A"x\n2,b.jpg,B\n')
    assert isinstance(found[0], Reject)
    assert (found[0].reason, found[0].detail[:7]) == (Reason.MALFORMED, "line 2:")
    assert told(found[1]) == ("2", "b.jpg", "B")
    with pytest.raises(CollectionError, match=r"a quote at line 2 .* at line 4; what lies between would be lost"):
        rows(tmp_path / "t.csv", 'id,file,maker\n1,a.jpg,"A\n2,b.jpg,B\n3,c.jpg,"C"\n')


# --- workbooks --------------------------------------------------------------------------------------------------------


def xlsx(path: Path, sheets: dict[str, list[list[Any]]], beyond: str = "") -> Path:
    """A workbook as small as one can be; `beyond` is the place of one cell more, far from the others."""
    names = "".join(f'<sheet name="{name}" sheetId="{i}" r:id="r{i}"/>' for i, name in enumerate(sheets, 1))
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    relations = '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    sheet_relations = "".join(
        f'<Relationship Id="r{i}" Type="{kind}/worksheet" Target="worksheets/s{i}.xml"/>' for i in range(1, 9)
    )
    parts = {
        "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="xml" ContentType="application/xml"/></Types>',
        "xl/workbook.xml": '<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" '
        f'xmlns:r="{kind}"><sheets>{names}</sheets></workbook>',
        "_rels/.rels": relations + f'<Relationship Id="r1" Type="{kind}/officeDocument" Target="xl/workbook.xml"/>'
        "</Relationships>",
        "xl/_rels/workbook.xml.rels": relations + sheet_relations + "</Relationships>",
    }
    for i, cells in enumerate(sheets.values(), 1):
        parts[f"xl/worksheets/s{i}.xml"] = (
            '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
            + "".join(
                f'<row r="{r}">{"".join(_cell(r, c, value) for c, value in enumerate(row))}</row>'
                for r, row in enumerate(cells, 1)
            )
            + (f'<row r="{beyond.lstrip(ascii_uppercase)}"><c r="{beyond}"><v>7</v></c></row>' if beyond else "")
            + "</sheetData></worksheet>"
        )
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return path


def _cell(row: int, column: int, value: Any) -> str:
    place = f"{chr(ord('A') + column)}{row}"
    if value is None:
        return ""
    if isinstance(value, bool):
        return f'<c r="{place}" t="b"><v>{int(value)}</v></c>'
    if isinstance(value, int | float):
        return f'<c r="{place}"><v>{value}</v></c>'
    return f'<c r="{place}" t="inlineStr"><is><t>{value}</t></is></c>'


def test_a_workbook_is_read_as_a_person_reads_it(tmp_path: Path) -> None:
    cells = [["Our objects"], [None], ["ID", "File", "maker"], [1968.0, "a.jpg", "Šaloun"], [], [2.5, " b.jpg ", True]]
    found = list(workbook.rows(xlsx(tmp_path / "t.xlsx", {"objects": cells}), COLUMNS, None))
    assert [told(row) for row in found] == [("1968", "a.jpg", "Šaloun"), ("2.5", "b.jpg", "TRUE")]


def test_the_sheet_is_the_one_with_the_columns(tmp_path: Path) -> None:
    sheet = [["id", "file", "maker"], ["1", "a.jpg", "A"]]
    book = xlsx(tmp_path / "t.xlsx", {"notes": [["read me"]], "objects": sheet})
    assert [told(row) for row in workbook.rows(book, COLUMNS, None)] == [("1", "a.jpg", "A")]
    both = xlsx(tmp_path / "u.xlsx", {"2023": sheet, "2024": [sheet[0], ["2", "b.jpg", "B"]]})
    with pytest.raises(CollectionError, match=r"several sheets, \['2023', '2024'\]: set `sheet`"):
        list(workbook.rows(both, COLUMNS, None))
    assert [told(row) for row in workbook.rows(both, COLUMNS, "2024")] == [("2", "b.jpg", "B")]
    with pytest.raises(CollectionError, match=r"`sheet` is '2025', but .* has \['2023', '2024'\]"):
        list(workbook.rows(both, COLUMNS, "2025"))


def test_a_stray_cell_does_not_fill_the_memory(tmp_path: Path) -> None:
    sheet: list[list[Any]] = [["id", "file", "maker"], ["1", "a.jpg", "A"]]
    far_down = xlsx(tmp_path / "t.xlsx", {"objects": sheet}, beyond="C70000")
    assert [told(row) for row in workbook.rows(far_down, COLUMNS, None)] == [("1", "a.jpg", "A"), ("", "", "7")]
    corner = xlsx(tmp_path / "u.xlsx", {"objects": sheet}, beyond="XFD1048576")
    with pytest.raises(CollectionError, match=r"s1\.xml\) reaches to row 1,048,576 and column 16,384: delete"):
        list(workbook.rows(corner, COLUMNS, None))


@pytest.mark.parametrize(
    ("before", "after", "sheet"),
    [
        ('<row r="1">', '<row r="1"><c r="XFD1048576"><v>7</v></c>', "xl/worksheets/s1.xml"),
        ('<row r="1">', "<row r='1'><c r = 'xfd1048576'><v>7</v></c>", "xl/worksheets/s1.xml"),
        ('<row r="1">', '<row r="1"><c r="XFD1"><v>7</v></c></row><row r="1048576">', "xl/worksheets/s1.xml"),
        ('<row r="1">', '<row r="1"><c r="XFD1048576"><v>7</v></c>', "xl/elsewhere/first.sheet"),
    ],
)
def test_a_stray_cell_is_found_wherever_it_stands(tmp_path: Path, before: str, after: str, sheet: str) -> None:
    """A fuzzer found the first: the last cell in the file need not be the last of the sheet."""
    whole = xlsx(tmp_path / "t.xlsx", {"objects": [["id", "file"], ["1", "a.jpg"]]})
    stray = tmp_path / "u.xlsx"
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(stray, "w") as new:
        for name in old.namelist():
            text = old.read(name).decode()
            if name == "xl/worksheets/s1.xml":
                assert before in text
                name, text = sheet, text.replace(before, after, 1)
            new.writestr(name, text.replace("worksheets/s1.xml", sheet.removeprefix("xl/")))
    with pytest.raises(CollectionError, match="reaches to row 1,048,576 and column 16,384: delete what stands far"):
        list(workbook.rows(stray, COLUMNS, None))


def test_a_workbook_without_the_columns_lists_those_it_has(tmp_path: Path) -> None:
    book = xlsx(tmp_path / "t.xlsx", {"objects": [["number", "file", "maker"], ["1", "a.jpg", "A"]]})
    with pytest.raises(CollectionError, match=r"columns\.object_id is 'id', which sheet 'objects' of .* has not.*'nu"):
        list(workbook.rows(book, COLUMNS, None))


def test_days_are_written_as_iso_8601_writes_them() -> None:
    assert workbook.text_of(date(1642, 1, 31)) == "1642-01-31"


# --- JSON -------------------------------------------------------------------------------------------------------------

PATHS = Columns(object_id="id", image="images.url", creator="makers.name", material="about.materials")
RECORDS = [
    {"id": 7, "images": [{"url": "a.jpg"}, {"url": "b.jpg"}], "makers": [{"name": "A | B"}, {"name": None}]},
    {"id": "8", "images": {"url": "c.jpg"}, "makers": [], "about": {"materials": ["oil", "canvas"]}},
]


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(RECORDS),
        "\n".join(map(json.dumps, RECORDS)),
        "\ufeff\n" + "\n\n".join(map(json.dumps, RECORDS)),
        json.dumps({"info": {"total": 2}, "data": {"records": RECORDS}}, indent=1),
    ],
)
def test_records_are_read_by_paths(tmp_path: Path, content: str) -> None:
    path = tmp_path / "t.json"
    path.write_text(content, encoding="utf-8")
    assert kind_of(path) == "json"
    first, second = nested.rows(path, PATHS)
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    assert (first["object_id"], first["image"].split(nested.UNIT)) == ("7", ["a.jpg", "b.jpg"])
    assert (first["creator"], first["material"]) == ("A | B", "")
    assert second["material"].split(nested.UNIT) == ["oil", "canvas"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"id": 1}', "is no JSON"),
        ('{"id": 1, "a": [{"x": 1}], "b": [{"x": 1}]}', r"several lists of records, at \['a', 'b'\]"),
        ('[{"id": 1, "images": {"url": {"full": "x", "thumb": "y"}}}]', r"keys of its own: 'images\.url\.full' or"),
        ('[{"id": 1, "images": {"href": "x"}}]', r"columns\.image is 'images\.url', which no record .* paths: \['id'"),
        ("[" * 100_000, "is no JSON"),
    ],
)
def test_what_does_not_fit_is_told(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "t.json"
    path.write_text(content)
    with pytest.raises(CollectionError, match=message):
        list(nested.rows(path, PATHS))


def test_one_record_with_keys_where_others_have_a_text_costs_one(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    odd = {**RECORDS[0], "images": {"url": {"full": "x"}}}
    path.write_text(json.dumps([RECORDS[0], odd, RECORDS[1]]))
    first, bad, second = nested.rows(path, PATHS)
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    assert isinstance(bad, Reject)
    assert bad.detail == "record 2: images.url has keys of its own, ['full']"


def test_values_as_json_may_have_them(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    row = {"n": "1", "img": "a.jpg", "title": ["Etching", "Ets"], "kind": {}, "who": "cut \ud83d off"}
    whole = {"n": "2", "img": "b.jpg", "title": "x", "kind": "print", "who": "\U0001f5bc"}
    path.write_text(json.dumps([row, whole]))
    columns = Columns(object_id="n", image="img", title="title", type="kind", creator="who")
    first, second = nested.rows(path, columns)
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    assert (first["title"], first["type"], first["creator"]) == ("Etching; Ets", "", "cut \ufffd off")
    assert second["creator"] == "\U0001f5bc"


def test_one_line_that_is_no_record_costs_one(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_text(json.dumps([RECORDS[0], 5, RECORDS[1]]))
    assert [isinstance(row, Reject) for row in nested.rows(path, PATHS)] == [False, True, False]


# --- what is none -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"%PDF-1.7", "a PDF document"),
        (b"\x1f\x8b\x08", "compressed with gzip"),
        (b"<!DOCTYPE html><title>Log in", "a web page"),
        (b"<?xml version='1.0'?>", "XML"),
        (b"\xff\xd8\xff\xe0", "a JPEG image"),
        (b"PK\x03\x04damaged", "is damaged"),
    ],
)
def test_what_is_no_table_says_what_it_is(tmp_path: Path, content: bytes, what: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(CollectionError, match=what):
        kind_of(tmp_path / "t.csv")


def test_a_table_that_begins_with_pk_is_a_table(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("PK_OBJECT,file\n1,a.jpg\n")
    assert kind_of(path) == "csv"
    assert [row["image"] for row in delimited.rows(path, Columns(object_id="PK_OBJECT", image="file"), None, None)] == [
        "a.jpg"
    ]


def test_a_zip_says_what_it_holds(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("objects.csv", "id")
    (tmp_path / "t.zip").write_bytes(stream.getvalue())
    with pytest.raises(CollectionError, match=r"a zip archive of \['objects\.csv'\]: unpack it"):
        kind_of(tmp_path / "t.zip")


@settings(deadline=None)
@given(content=st.one_of(st.binary(max_size=300), st.text(max_size=200).map(str.encode)))
def test_any_bytes_are_read_or_refused_by_name(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "t"
    path.write_bytes(content)
    try:
        match kind_of(path):
            case "csv":
                list(delimited.rows(path, COLUMNS, None, None))
            case "workbook":
                list(workbook.rows(path, COLUMNS, None))
            case "json":
                list(nested.rows(path, COLUMNS))
    except CollectionError:
        pass


def test_names_are_compared_in_one_form() -> None:
    assert loosely(' "Maker\u00a0 Name" ') == loosely("maker name")
