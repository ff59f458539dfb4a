"""What museums' files are really like: ../shared/cases, made after public bug reports, each read as its README says."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import TypeAdapter
from ruamel.yaml import YAML

from rijksnet.audit.write import text, write_audit
from rijksnet.collection_params import Collection, OaiCollection
from rijksnet.collections.build import CatalogueCounts, build
from rijksnet.collections.catalogue import read_catalogue
from rijksnet.collections.harvested import HarvestStore
from rijksnet.collections.images import read_image
from rijksnet.collections.readers import downloads_of, reader_for
from rijksnet.data.decode import UnreadableError, decode
from rijksnet.data.pixels import pack
from rijksnet.data.splits import split_collection
from rijksnet.errors import CollectionError, SplitError
from rijksnet.harvesting.fetch import FetchSummary, fetch
from rijksnet.harvesting.harvest import HarvestSummary, harvest
from rijksnet.harvesting.http import Server
from rijksnet.params import Splits
from rijksnet.paths import CollectionPaths

CASES = Path(__file__).parents[2] / ".." / "shared" / "cases"

pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="the cases are not here: ../shared/cases")

PATHS = CollectionPaths("case")


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    PATHS.root.mkdir(parents=True)


def collection(case: str, params: str = "params.yaml", **changes: Any) -> Collection:
    folder = CASES / case
    (content,) = YAML(typ="safe").load(folder / params)["collections"].values()
    content["raw"] = str(folder / "raw")
    found: Collection = TypeAdapter(Collection).validate_python({**content, **changes}, strict=True)
    return found


def catalogue(case: str, params: str = "params.yaml", **changes: Any) -> CatalogueCounts:
    asked = collection(case, params, **changes)
    return build(reader_for(asked), PATHS, asked.cleaning, Path(asked.raw))


def values(column: str) -> list[Any]:
    found: list[Any] = read_catalogue(PATHS.catalogue)[column].to_pylist()
    return found


def rejects() -> list[dict[str, str]]:
    with PATHS.rejects.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_01_an_export_with_semicolons() -> None:
    counts = catalogue("01-adlib-semicolon-dollar")
    assert (counts.images, counts.objects, counts.rejects) == (40, 40, {})
    assert len({one for creators in values("creator") for one in creators}) > 1


def test_02_windows_letters_are_shown_as_each_encoding_reads_them() -> None:
    with pytest.raises(CollectionError, match=r"not UTF-8 \(byte 0x8a in line 2\).* cp1252.*Šaloun.*mac_roman") as told:
        catalogue("02-excel-encodings")
    assert "latin" not in str(told.value)
    catalogue("02-excel-encodings", encoding="cp1252")
    assert {"Šaloun, Ladislav", "O’Connor, Roderic"} <= {one for creators in values("creator") for one in creators}


def test_02_utf_16_and_the_workbook_itself_are_read() -> None:
    catalogue("02-excel-encodings", encoding="cp1252")
    as_csv = read_catalogue(PATHS.catalogue)
    for params in ("params-utf16.yaml", "params-xlsx.yaml"):
        catalogue("02-excel-encodings", params)
        assert read_catalogue(PATHS.catalogue).equals(as_csv), params


@pytest.mark.parametrize("params", ["params.yaml", "params-long.yaml"])
def test_03_cells_that_are_absent_or_empty_say_nothing(params: str) -> None:
    assert catalogue("03-ragged-rows", params).objects == 40
    assert rejects() == []


def test_04_rows_that_say_nothing_belong_to_their_object() -> None:
    counts = catalogue("04-second-image-row-bare")
    assert (counts.images, counts.objects) == (50, 40)
    assert [] not in values("type")


def test_04_a_contradiction_costs_one_object() -> None:
    columns = collection("04-second-image-row-bare").model_dump()["columns"]
    counts = catalogue("04-second-image-row-bare", table="contradiction.csv", columns=columns)
    assert counts.objects >= 40
    assert {row["reason"] for row in rejects()} == {"object with two values of a label"}
    assert len({row["object_id"] for row in rejects()}) == 1
    assert "tekening (recto)" in rejects()[0]["detail"]


def test_04_several_files_in_one_cell() -> None:
    counts = catalogue("04-second-image-row-bare", "params-cell.yaml")
    assert (counts.images, counts.objects) == (50, 40)


def test_05_names_that_only_look_different_are_found() -> None:
    assert catalogue("05-file-names").images == 30


def test_05_one_object_has_one_id() -> None:
    counts = catalogue("05-file-names", "params-ids.yaml")
    assert (counts.images, counts.objects) == (120, 60)


def test_06_words_for_nothing_are_told_and_dropped_by_a_rule() -> None:
    counts = catalogue("06-words-for-nothing")
    assert counts.empty_words["material"]["NULL"] == 15
    assert counts.empty_words["material"].keys() == {"NULL", "nan", "Onbekend", "n/a", "-"}
    assert "cleaning.material: [nothing] drops them" in str(counts)
    assert len({tuple(one) for one in values("type") if any("Bencharong" in value for value in one)}) == 1
    cleaning = {
        "material": ["nothing", "vocabulary", "spelling"],
        "type": ["spelling"],
        "creator": ["unnamed", "nothing"],
    }
    assert catalogue("06-words-for-nothing", cleaning=cleaning).empty_words == {}
    assert len({one for listed in values("material") for one in listed}) == 2


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def served(case: str, into: Path, port: int | None = None) -> Iterator[Path]:
    """The case's server on a free port; its raw folder, whose addresses lead there."""
    port = port or free_port()
    if (CASES / case / "raw").is_dir():
        shutil.copytree(CASES / case / "raw", into)
    for file in into.glob("*.csv"):
        file.write_text(re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{port}", file.read_text()))
    server = subprocess.Popen([sys.executable, CASES / case / "server.py", str(port)])
    try:
        for _ in range(100):
            with socket.socket() as connection:
                if connection.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield into
    finally:
        server.terminate()
        server.wait(10)


def fetched(case: str, raw: Path) -> tuple[FetchSummary, list[tuple[int, int]]]:
    """What `rijksnet fetch` says, and the sizes of the images there are."""
    asked = collection(case, raw=str(raw))
    reader, download, folder = downloads_of("case", asked)
    server = Server(download, attempts_at_broken=2, first_pause_s=0.01)
    summary = fetch(reader, download, folder, server=server)
    build(reader_for(asked), PATHS, asked.cleaning, raw)
    sizes = [
        Image.open(io.BytesIO(read_image(row["file"], row["offset"], row["length"]))).size
        for row in read_catalogue(PATHS.catalogue).select(["file", "offset", "length"]).to_pylist()
    ]
    return summary, sizes


def test_10_a_service_whose_address_is_a_query(tmp_path: Path) -> None:
    with served("10-iiif-iipsrv-query", tmp_path / "raw") as raw:
        summary, sizes = fetched("10-iiif-iipsrv-query", raw)
    assert (summary.fetched, summary.failed, summary.larger) == (18, 0, 0)
    assert {max(size) for size in sizes} == {512}


def test_11_a_block_of_500_s_does_not_end_a_fetch(tmp_path: Path) -> None:
    with served("11-iiif-500-for-missing", tmp_path / "raw") as raw:
        summary, sizes = fetched("11-iiif-500-for-missing", raw)
    assert (summary.fetched, summary.failed, len(sizes)) == (36, 60, 36)
    with (tmp_path / "raw" / "images" / "failures.csv").open(newline="") as file:
        assert [row["reason"] for row in csv.DictReader(file)] == ["HTTP 500"] * 60


def test_13_manifests_as_museums_publish_them(tmp_path: Path) -> None:
    with served("13-iiif-manifests", tmp_path / "raw") as raw:
        summary, sizes = fetched("13-iiif-manifests", raw)
    assert (summary.fetched, summary.failed, summary.larger) == (10, 0, 1)
    assert sorted(max(size) for size in sizes) == [300, *[512] * 8, 640], "the one of 640 px has no service"


@pytest.mark.parametrize("params", ["params.yaml", "params-dark.yaml"])
def test_08_a_card_that_says_that_there_is_no_image_is_told(params: str) -> None:
    catalogue("08-no-image-available", params)
    pack(PATHS, [64], workers=1)
    split_collection(PATHS, ["type"], Splits(rule="paper", seed=0, together="object", folds=1, stratified=False))
    audit = write_audit(PATHS, PATHS.audit)
    assert audit.duplicates
    found = {one.objects: one for one in audit.duplicates.repeated}
    assert found.keys() == {30, 15}
    assert (found[15].blank, found[30].blank) == (True, params == "params.yaml")
    assert [(len(one.splits["type"]), one.labels["type"]) for one in found.values()] == [(3, 2), (3, 1)]
    assert "2 pictures stand for several objects each: 30 and 15, in different splits" in text(audit)


def test_09_pictures_are_used_whatever_their_metadata(tmp_path: Path) -> None:
    folder = CASES / "09-image-zoo"
    truth = json.loads((folder / "truth.json").read_text())
    refused = {}
    with (folder / "raw" / "objects.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            try:
                (square,) = decode((folder / "raw" / "img" / row["file"]).read_bytes(), [96])
            except UnreadableError as error:
                refused[row["file"]] = error.reason
                continue
            thirds = square[:, :32].mean((0, 1)), square[:, 64:].mean((0, 1))
            if row["kind"] in truth and row["file"] != "g4.tif":  # which has no greys
                for found, said in zip(thirds, truth[row["kind"]], strict=True):
                    assert np.abs(found - said).max() < 3, row["file"]
            assert np.abs(thirds[0] - thirds[1]).max() > 100, row["file"]
    assert refused == {
        "cut.jpg": "damaged",
        "empty.jpg": "empty",
        "float.tif": "no known range",
        "huge.png": "too large",
        "page.jpg": "not an image",
        "phone.heic": "damaged",  # its head alone
    }


def harvested(case: str, raw: Path, port: int, params: str = "params.yaml") -> tuple[OaiCollection, HarvestSummary]:
    endpoint = re.sub(r":\d+", f":{port}", collection(case, params).model_dump()["endpoint"].removeprefix("http:"))
    asked = collection(case, params, raw=str(raw), endpoint=f"http:{endpoint}")
    assert isinstance(asked, OaiCollection)
    return asked, harvest(asked, "case", Server(asked.server, first_pause_s=0.01))


def test_15_what_stands_behind_a_page_is_nobody_s_record(tmp_path: Path) -> None:
    port = free_port()
    with served("15-oai-trailing-notices", tmp_path / "raw", port):
        _, summary = harvested("15-oai-trailing-notices", tmp_path / "raw", port)
    assert (summary.stored, summary.failed, summary.short) == (30, [], [])


def test_18_a_clock_that_speaks_local_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv("LATER", str(tmp_path / "later"))
    with served("18-oai-local-time", tmp_path / "raw", port):
        _, first = harvested("18-oai-local-time", tmp_path / "raw", port)
        (tmp_path / "later").touch()
        asked, second = harvested("18-oai-local-time", tmp_path / "raw", port)
    assert (first.changes.new, second.changes.changed) == (10, 1)
    with HarvestStore.reading(asked) as store:
        assert store.state("").done == "2026-03-01T10:00:00Z"


@pytest.mark.parametrize(("name", "images"), [("info", 6), ("manifest", 6), ("request", 60), ("query", 6), ("jp2", 6)])
def test_20_dublin_core_says_in_many_ways_where_an_image_is(tmp_path: Path, name: str, images: int) -> None:
    case, port = "20-oai-dc-image-addresses", free_port()
    with served(case, tmp_path / "raw", port):
        asked, _ = harvested(case, tmp_path / "raw", port, f"params-{name}.yaml")
        reader, download, folder = downloads_of("case", asked)
        assert fetch(reader, download.model_copy(update={"requests_per_s": 100}), folder).fetched == images
    assert build(reader_for(asked), PATHS, asked.cleaning, Path(asked.raw)).images == images
    assert {one for listed in values("type") for one in listed} <= {"prent", "tekening"}


def test_19_a_challenge_that_cannot_be_split_does_not_cost_the_others() -> None:
    catalogue("19-long-tail")
    pack(PATHS, [16], workers=1)
    asked = Splits(rule="paper", seed=0, together="object", folds=1, stratified=False)
    summary, refused = split_collection(PATHS, ["artist", "material", "type"], asked)
    assert summary.keys() == {"artist"}
    labelled, kept = summary["artist"]["labelled"], summary["artist"]["kept"]
    assert (labelled["objects"], labelled["classes"]) == (200, 93)
    assert kept["classes"] >= 3
    assert refused.keys() == {"material", "type"}
    assert all(f"challenge {name!r}" in why and "Leave the challenge out" in why for name, why in refused.items())
    with pytest.raises(SplitError, match=r"challenge 'material'.*challenge 'type'"):
        split_collection(PATHS, ["material", "type"], asked)


def test_21_a_cell_may_hold_a_book() -> None:
    assert catalogue("21-long-cells").objects == 40


@pytest.mark.parametrize(("params", "what"), [("params-zip.yaml", "unzip "), ("params-targz.yaml", "tar -xzf ")])
def test_22_packed_images_say_how_to_unpack_them(params: str, what: str) -> None:
    with pytest.raises(CollectionError, match=rf"unpack it \(`.*{what}"):
        catalogue("22-packed-images", params)
