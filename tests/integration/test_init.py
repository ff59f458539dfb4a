"""`rijksnet init`: from a table and images to parameters that run, without a line written by hand."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from rijksnet import params as rijksnet_params
from rijksnet.collections.build import build
from rijksnet.collections.readers import reader_for
from rijksnet.errors import ParamsError
from rijksnet.params import Params
from rijksnet.paths import CollectionPaths
from rijksnet.starting import begin as module
from rijksnet.starting.asking import Asker
from rijksnet.starting.begin import Wishes, begin
from rijksnet.starting.peek import peek
from rijksnet.starting.proposal import Networks

SHARED = Path(__file__).parents[2] / ".." / "shared"

pytestmark = pytest.mark.usefixtures("_here")


@pytest.fixture
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    networks = Networks(("mobilenetv2_100",), 128, {}, 1.5)  # measuring this machine is not what is tested
    monkeypatch.setattr(module, "networks_for", lambda *_: networks)


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
    counts = build(reader_for(collection), CollectionPaths("objecten"))
    assert (counts.images, counts.rejects) == (60, {})


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
    with pytest.raises(ParamsError, match=message):
        begin(Wishes(), Asker(yes=True))
    assert not Path("params.yaml").exists()


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
