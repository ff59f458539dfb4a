"""The antiquities by the museums' own addresses: fetched from a server here that answers under those paths."""

from __future__ import annotations

import csv
import io
import tarfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

import pyarrow.parquet as pq
import pytest
from PIL import Image

from rijksnet.collection_params import TableCollection
from rijksnet.collections.build import build
from rijksnet.collections.images import read_image
from rijksnet.collections.readers import downloads_of, reader_for
from rijksnet.harvesting.fetch import fetch
from rijksnet.params import load
from rijksnet.paths import CollectionPaths

ROOT = Path(__file__).parents[2]
CONF = ROOT / "conf" / "antiquities-museums.yaml"
SHARED = ROOT / ".." / "shared" / "data"
REAL = {"met-cleveland": "antiquities-source-met-cleveland", "harvard-chicago": "antiquities-target-harvard-chicago"}
OBJECTS = 24


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("name", REAL)
def test_the_committed_table_is_that_of_the_real_photographs(name: str) -> None:
    real = SHARED / REAL[name] / "objects.csv"
    if not real.is_file():
        pytest.skip(f"the photographs' table is not there: {real}")
    committed = rows_of(ROOT / "conf" / "antiquities" / name / "objects.csv")
    wanted = [(one["id"], one["image_url"], one["type"], one["material"]) for one in rows_of(real)]
    assert [tuple(one.values()) for one in committed] == sorted(wanted)
    assert list(committed[0]) == ["id", "image", "type", "material"], "facts alone: no titles, no words of museums"


@pytest.fixture
def museums() -> Iterator[tuple[str, dict[str, bytes]]]:
    """A server, and what it answers by host and path: the real photographs."""
    answers: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = answers.get(unquote(self.path.lstrip("/")))
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "image/jpeg")
            self.send_header("Content-Length", str(len(found or b"")))
            self.end_headers()
            self.wfile.write(found or b"")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", answers
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("name", REAL)
def test_they_are_fetched_and_catalogued(
    name: str, museums: tuple[str, dict[str, bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photographs = SHARED / REAL[name] / "images.tar"
    if not photographs.is_file():
        pytest.skip(f"the photographs are not there: {photographs}")
    at, answers = museums
    rows = rows_of(ROOT / "conf" / "antiquities" / name / "objects.csv")
    odd = [row for row in rows if not row["image"].isascii() or " " in row["image"]]  # as The Met has some
    rows = [*rows[: OBJECTS // 2], *rows[-OBJECTS // 2 :], *odd]  # of both museums
    rows = list({row["id"]: row for row in rows}.values())
    with tarfile.open(photographs) as tar:
        for row in rows:
            url = urlsplit(row["image"])
            member = tar.extractfile(f"{row['id']}.jpg")
            assert member is not None
            answers[f"{url.netloc}{url.path}"] = member.read()
            row["image"] = f"{at}/{url.netloc}{url.path}"
    monkeypatch.chdir(tmp_path)
    collection = load(CONF).collections[name]
    assert isinstance(collection, TableCollection)
    raw = Path(collection.raw)
    raw.mkdir(parents=True)
    with (raw / collection.table).open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    reader, download, folder = downloads_of(name, collection)
    fetch(reader, download.model_copy(update={"requests_per_s": 100}), folder)
    paths = CollectionPaths(name)
    build(reader_for(collection), paths, collection.cleaning)
    catalogue = pq.read_table(paths.catalogue).to_pylist()
    assert {one["object_id"] for one in catalogue} == {row["id"] for row in rows}
    of = {row["id"]: row for row in rows}
    for one in catalogue:
        row = of[one["object_id"]]
        assert one["type"] == [row["type"]]
        assert one["material"] == ([row["material"]] if row["material"] else [])
    first = catalogue[0]
    url = urlsplit(of[first["object_id"]]["image"])
    fetched = Image.open(io.BytesIO(read_image(first["file"], first["offset"], first["length"])))
    assert fetched.size == Image.open(io.BytesIO(answers[url.path.lstrip("/")])).size
