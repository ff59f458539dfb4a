"""`rijksnet init`: from a table and images to parameters that run, without a line written by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from oai_server import Item, OaiServer, Reply, dublin_core
from rijksnet import params as rijksnet_params
from rijksnet.collection_params import OaiCollection, Politeness, TableCollection
from rijksnet.collections.build import build
from rijksnet.collections.readers import reader_for
from rijksnet.errors import HarvestError, ParamsError
from rijksnet.harvesting.http import Server
from rijksnet.params import Params
from rijksnet.paths import CollectionPaths
from rijksnet.starting import begin as module
from rijksnet.starting import service
from rijksnet.starting.asking import Asker
from rijksnet.starting.begin import Wishes, begin
from rijksnet.starting.outlook import outlook
from rijksnet.starting.peek import peek
from rijksnet.starting.proposal import Networks
from rijksnet.starting.service import begin_with_iiif, begin_with_oai

SHARED = Path(__file__).parents[2] / ".." / "shared"

pytestmark = pytest.mark.usefixtures("_here")


@pytest.fixture
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    networks = Networks(("mobilenetv2_100",), 128, {}, 1.5)  # measuring this machine is not what is tested
    monkeypatch.setattr(module, "networks_for", lambda *_: networks)
    monkeypatch.setattr(service, "networks_for", lambda *_: networks)


def written() -> Params:
    return rijksnet_params.load(Path("params.yaml"))


def images(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"an image")


def objects(n: int = 60, header: str = "nummer;bestand;soort;materiaal", encoding: str = "utf-8") -> Path:
    rows = [f"A-{i};{i}.jpg;{('schilderij', 'prent', 'tékening')[i % 3]};olie$doek" for i in range(n)]
    Path("objecten.csv").write_bytes("\r\n".join([header, *rows]).encode(encoding))
    images(*(f"fotos/{i}.jpg" for i in range(n)))
    return Path("objecten.csv")


def test_a_table_and_a_folder_are_enough() -> None:
    objects()
    begin(Wishes(), Asker(yes=True))
    params = written()
    (collection,) = params.collections.values()
    assert collection.model_dump(include={"table", "images", "delimiter", "separator"}) == {
        "table": "objecten.csv", "images": "fotos", "delimiter": ";", "separator": "$",
    }  # fmt: skip
    assert (params.source.challenges, params.splits.folds, params.splits.stratified) == (["type"], 5, True)
    assert collection.raw == "data/objecten/raw", "DVC watches it as a whole, so that nothing else may lie there"
    counts = build(reader_for(collection), CollectionPaths("objecten"))
    assert (counts.images, counts.rejects) == (60, {})


def test_a_folder_of_their_own_stays_where_it_is() -> None:
    objects()
    Path("export").mkdir()
    for one in ("objecten.csv", "fotos"):
        Path(one).rename(f"export/{one}")
    begin(Wishes(), Asker(yes=True))
    (collection,) = written().collections.values()
    assert collection.raw == "export"


def test_different_folders_are_refused_with_the_way_out() -> None:
    objects()
    Path("elsewhere").mkdir()
    Path("fotos").rename("elsewhere/fotos")
    with pytest.raises(ParamsError, match=r"lie in different folders.* one of their own, such as data/objec"):
        begin(Wishes(images=Path("elsewhere/fotos")), Asker(yes=True))


def test_every_line_has_a_comment() -> None:
    objects()
    begin(Wishes(), Asker(yes=True))
    lines = Path("params.yaml").read_text().splitlines()
    keys = [i for i, line in enumerate(lines) if ":" in line and not line.strip().startswith("#")]
    without = [lines[i].strip() for i in keys if not lines[i - 1].strip().startswith("#")]
    assert without == ["objecten:"], "the collection's own name explains itself"


def test_letters_of_another_encoding_are_asked_for() -> None:
    table = objects(encoding="cp1252")
    asked: list[Mapping[str, str]] = []

    def choose(question: str, answers: Mapping[str, str]) -> str:
        asked.append(answers)
        return "cp1252"

    seen = peek(table, choose)
    assert (seen.encoding, seen.delimiter, len(seen.rows)) == ("cp1252", ";", 60)
    assert "tékening" in asked[0]["cp1252"]
    begin(Wishes(), Asker(yes=True))
    (collection,) = written().collections.values()
    assert collection.model_dump()["encoding"] == "cp1252"


def test_a_person_corrects_what_was_proposed(monkeypatch: pytest.MonkeyPatch) -> None:
    objects(header="nummer;bestand;materiaal;soort")  # the two are confused
    said = iter(["type=materiaal", "kind=soort", "material=", "yes", "type"])
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("rijksnet.starting.asking.Prompt.ask", lambda *_, **__: next(said))
    asker = Asker(yes=False)
    begin(Wishes(), asker)
    (collection,) = written().collections.values()
    found = {field: name for field, name in collection.model_dump()["columns"].items() if name}
    assert found == {"object_id": "nummer", "image": "bestand", "type": "materiaal"}
    assert asker.questions == 5


def test_without_a_terminal_a_script_is_told_how_to_answer() -> None:
    objects()
    with pytest.raises(ParamsError, match=r"Is that right\?.*nobody to ask: --yes .* a script answers by --column"):
        begin(Wishes(), Asker(yes=False))
    assert not Path("params.yaml").exists()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: None, "no table here: name it by --table"),
        (lambda: Path("t.csv").write_text("nummer,bestand\n1,a.jpg\n"), "no images beside t.csv"),
        (lambda: objects(3), "nothing can be recognised: no column of types"),
        (lambda: [objects(), [file.rename(f"{file}.away") for file in Path("fotos").iterdir()], images("fotos/z.jpg")],
         "no image can be used: 60 × image missing"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_said(make: Any, message: str) -> None:
    make()
    before = sorted(Path().rglob("*"))
    with pytest.raises(ParamsError, match=message):
        begin(Wishes(), Asker(yes=True))
    assert sorted(Path().rglob("*")) == before, "nothing is written or moved"


def test_an_index_without_a_name_is_no_header() -> None:
    """As pandas' `to_csv` writes it: the header has one cell less than its rows."""
    objects(header=";nummer;bestand;soort")
    rows = [f"{i};A-{i};{i}.jpg;{('schilderij', 'prent')[i % 2]}" for i in range(60)]
    Path("objecten.csv").write_text("\n".join([";nummer;bestand;soort", *rows]))
    begin(Wishes(), Asker(yes=True))
    (collection,) = written().collections.values()
    found = {field: name for field, name in collection.model_dump()["columns"].items() if name}
    assert found == {"object_id": "nummer", "image": "bestand", "type": "soort"}


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        (Wishes(name="a b"), "--name is 'a b', which is no name"),
        (Wishes(columns={"colour": "soort"}), r"--column names \['colour'\].* choose from \['object_id'"),
    ],
)
def test_names_are_looked_at_before_anything_is_read(wishes: Wishes, message: str) -> None:
    objects()
    with pytest.raises(ParamsError, match=message):
        begin(wishes, Asker(yes=True))
    with pytest.raises(ParamsError, match=message):
        begin_with_oai("http://127.0.0.1:9/oai", wishes, Asker(yes=True))


def test_what_is_proposed_is_counted_as_the_catalogue_counts() -> None:
    """Words for nothing are no class, and an object that says two things of itself is left out."""
    table = objects(90)
    lines = table.read_text().replace("prent", "onbekend").splitlines()
    table.write_text("\n".join([*lines, "A-0;x.jpg;beeld;olie$doek"]))
    images("fotos/x.jpg")
    begin(Wishes(), Asker(yes=True))
    (collection,) = written().collections.values()
    params = written()
    counted = outlook(reader_for(collection)).challenges["type"]
    assert set(counted.classes) == {"schilderij", "tékening"}
    assert params.source.challenges == ["type"]


def test_words_for_nothing_get_their_rule() -> None:
    table = objects()
    table.write_text(table.read_text().replace("prent", "onbekend"))
    begin(Wishes(), Asker(yes=True))
    (collection,) = written().collections.values()
    assert collection.cleaning.type == ["nothing"]


def test_an_empty_folder_becomes_a_project_and_changes_are_not_written_over() -> None:
    objects()
    command = [sys.executable, "-c", "from rijksnet.starting.project import require_project; require_project(False)"]
    subprocess.run(command, check=True)
    assert Path("dvc.yaml").is_file()
    Path("params.yaml").write_text("mine: true\n")
    refused = subprocess.run(command, capture_output=True, text=True)
    assert "has changes that git does not know" in refused.stderr


@pytest.mark.parametrize(
    ("table", "pictures", "challenges"),
    [
        ("data/antiquities-source-met-cleveland/objects.csv", "data/antiquities-source-met-cleveland/images.tar",
         ["material", "type"]),
        ("data/rijksmuseum-challenge-sample/catalogue.csv", "data/rijksmuseum-challenge-sample",
         ["material", "type"]),
        ("cases/01-adlib-semicolon-dollar/raw/export.csv", "cases/01-adlib-semicolon-dollar/raw/fotos", ["type"]),
        ("cases/02-excel-encodings/raw/cp1252.csv", "cases/02-excel-encodings/raw/img", ["artist"]),
        ("cases/02-excel-encodings/raw/objects.xlsx", "cases/02-excel-encodings/raw/img", ["artist"]),
    ],
)  # fmt: skip
def test_real_exports(table: str, pictures: str, challenges: list[str]) -> None:
    if not (SHARED / table).is_file():
        pytest.skip(f"the file is not here: ../shared/{table}")
    begin(Wishes(table=SHARED / table, images=SHARED / pictures), Asker(yes=True))
    params = written()
    assert set(challenges) <= set(params.source.challenges)
    (collection,) = params.collections.values()
    counts = build(reader_for(collection), CollectionPaths("own"), collection.cleaning)
    assert counts.images >= 30
    YAML(typ="safe").load(Path("params.yaml").read_text())


# --- a service --------------------------------------------------------------------------------------------------------


def museum(images: bool = True) -> OaiServer:
    items = []
    for i in range(40):
        values = {"identifier": f"A-{i}", "type": ["prent", "tekening"][i % 2], "creator": f"Maker {i % 4}"}
        values |= {"relation": f"https://museum.example/iiif/{i}/full/full/0/default.jpg"} if images else {}
        items.append(Item(f"oai:m:{i}", dublin_core(**values), "2024-01-01T00:00:00Z"))
    return OaiServer(items, page_size=20)


def test_a_service_is_looked_at_by_its_first_records() -> None:
    with museum() as running:
        running.formats, running.sets = ["marc", "oai_dc"], ["prints", "paintings"]
        asked = Server(Politeness(contact="me@example.org", requests_per_s=100), attempts=1)
        begin_with_oai(running.url, Wishes(contact="me@example.org", name="own"), Asker(yes=True), server=asked)
        assert [query["verb"] for query in running.requests] == [
            "Identify", "ListMetadataFormats", "ListSets", "ListRecords",
        ]  # fmt: skip
    params = written()
    collection = params.collections["own"]
    assert isinstance(collection, OaiCollection)
    assert (collection.prefix, collection.format, collection.sets) == ("oai_dc", "dc", [])
    assert (collection.download.kind, collection.download.contact) == ("iiif", "me@example.org")
    assert params.source.challenges == ["type", "artist"]


def test_the_kind_of_address_is_the_one_that_the_records_have() -> None:
    with museum() as running:
        for i in range(40):
            values = {"identifier": f"A-{i}", "type": ["prent", "tekening"][i % 2], "creator": f"Maker {i % 4}"}
            values["relation"] = f"https://museum.example/iiif/{i}/manifest"
            running.items[f"oai:m:{i}"] = Item(f"oai:m:{i}", dublin_core(**values), "2024-01-01T00:00:00Z")
        asked = Server(Politeness(contact="me@example.org", requests_per_s=100), attempts=1)
        begin_with_oai(running.url, Wishes(contact="me@example.org", name="own"), Asker(yes=True), server=asked)
    collection = written().collections["own"]
    assert isinstance(collection, OaiCollection)
    assert collection.download.kind == "manifest"


def test_a_service_whose_lists_break_is_told() -> None:
    asked = Server(Politeness(contact="me@example.org", requests_per_s=100), attempts=1)
    with museum() as running:
        running.trouble = lambda query, body: Reply(b"<html>") if query["verb"] == "ListMetadataFormats" else None
        with pytest.raises(HarvestError):
            begin_with_oai(running.url, Wishes(contact="me@example.org"), Asker(yes=True), server=asked)
    assert not Path("params.yaml").exists()


def test_a_service_without_images_says_so() -> None:
    asked = Server(Politeness(contact="me@example.org", requests_per_s=100), attempts=1)
    with museum(images=False) as running:
        url, wishes = running.url, Wishes(contact="me@example.org")
        with pytest.raises(ParamsError, match=r"20 records of .* name no image"):
            begin_with_oai(url, wishes, Asker(yes=True), server=asked)
    assert not Path("params.yaml").exists()


def test_the_manifests_of_a_collection_become_a_table() -> None:
    with museum() as running:
        manifests = []
        for i in range(30):
            metadata = [
                {"label": {"en": ["Object type"]}, "value": {"en": [["print", "drawing"][i % 2]], "nl": ["prent"]}},
                {"label": "Maker", "value": [{"@value": f"<b>Maker</b> {i % 3}", "@language": "en"}, {"@value": "x"}]},
                {"label": "Inventory number", "value": f"A-{i}"},
                {"label": "manifest", "value": "not the address"},
            ]
            manifest = {"type": "Manifest", "label": {"none": [f"Sheet {i}"]}, "metadata": metadata}
            running.paths[f"/m/{i}"] = Reply(json.dumps(manifest).encode())
            manifests.append({"id": f"{running.root}/m/{i}", "type": "Manifest"})
        manifests.append({"id": f"{running.root}/m/gone", "type": "Manifest"})
        inner = {"type": "Collection", "items": manifests}
        running.paths["/inner"] = Reply(json.dumps(inner).encode())
        outer = {"@type": "sc:Collection", "first": f"{running.root}/page"}
        page = {"collections": [{"@id": f"{running.root}/inner"}], "next": f"{running.root}/page"}  # without end
        running.paths["/page"] = Reply(json.dumps(page).encode())
        running.paths["/c"] = Reply(json.dumps(outer).encode())
        asked = Server(Politeness(contact="me@example.org", requests_per_s=100, robots="ignore"), attempts=1)
        wishes = Wishes(contact="me@example.org", name="own")
        begin_with_iiif(f"{running.root}/c", wishes, Asker(yes=True), server=asked)
        assert Path("data/own/raw/manifests.csv").read_text().splitlines()[:2] == [
            "manifest,label,Object type,Maker,Inventory number,manifest (metadata)",
            f"{running.root}/m/0,Sheet 0,print,Maker 0,A-0,not the address",
        ]
    params = written()
    collection = params.collections["own"]
    assert isinstance(collection, TableCollection)
    assert collection.download is not None
    assert collection.download.kind == "manifest"
    assert collection.columns.model_dump(exclude_none=True) == {
        "object_id": "Inventory number", "image": "manifest", "creator": "Maker", "type": "Object type",
    }  # fmt: skip
    assert params.source.challenges == ["type", "artist"]
