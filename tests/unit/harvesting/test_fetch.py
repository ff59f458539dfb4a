from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from image_server import HTML, ImageServer, serve
from rijksnet.collection_params import Download
from rijksnet.collections.images import read_image
from rijksnet.collections.records import Address, Record, Reject
from rijksnet.collections.shards import Shards
from rijksnet.errors import CollectionError, HarvestError
from rijksnet.harvesting import fetch as module
from rijksnet.harvesting.fetch import FetchSummary, examine, fetch
from rijksnet.harvesting.http import Answer, RefusedError, Server


@dataclass
class Listed:
    """A reader that only knows addresses."""

    listed: list[Address]

    def addresses(self) -> Iterator[Address]:
        return iter(self.listed)

    def __iter__(self) -> Iterator[Record | Reject]:
        raise AssertionError("fetching asks for addresses only")


@pytest.fixture
def museum(tmp_path: Path) -> Iterator[ImageServer]:
    """Twelve images, each of its own size."""
    (tmp_path / "served").mkdir()
    for i in range(12):
        Image.new("RGB", (60 + i, 40), (20 * i, 90, 30)).save(tmp_path / "served" / f"{i:02}.jpg")
    with serve(tmp_path / "served") as running:
        yield running


def all_of(museum: ImageServer) -> list[Address]:
    return [Address(f"obj/{path.stem}", museum.plain(path.name)) for path in sorted(museum.folder.iterdir())]


def download(addresses: list[Address], folder: Path, retry_failed: bool = False, **fields: Any) -> FetchSummary:
    settings = Download(**{"contact": "test@example.org", "requests_per_s": 100, "kind": "url", **fields})
    server = Server(settings, attempts=2, first_pause_s=0.01)
    return fetch(Listed(addresses), settings, folder, retry_failed, server)


def failures(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "failures.csv").open(newline="") as stream:
        return {row["url"]: row for row in csv.DictReader(stream)}


def fetched(folder: Path, url: str) -> bytes | None:
    with Shards.open(folder) as shards:
        found = shards.find(url)
        return None if found is None else read_image(*found.extent)


def test_every_image_comes_byte_for_byte_and_only_once(tmp_path: Path, museum: ImageServer) -> None:
    addresses = all_of(museum)
    first = download(addresses, tmp_path / "images")
    assert (first.fetched, first.there, first.failed) == (12, 0, 0)
    for address, path in zip(addresses, sorted(museum.folder.iterdir()), strict=True):
        assert fetched(tmp_path / "images", address.url) == path.read_bytes()
    second = download([*addresses, addresses[0]], tmp_path / "images")
    assert (second.fetched, second.there, second.failed) == (0, 13, 0)
    assert {n for path, n in museum.asked.items() if path != "/robots.txt"} == {1}
    assert failures(tmp_path / "images") == {}
    (agent,) = museum.agents
    assert "test@example.org" in agent


@pytest.mark.parametrize("kind", ["iiif", "manifest"])
@pytest.mark.parametrize("version", [2, 3])
def test_iiif_images_come_at_the_size_asked_for(tmp_path: Path, museum: ImageServer, kind: str, version: int) -> None:
    museum.api = version
    address = museum.service("11.jpg") if kind == "iiif" else museum.manifest("11.jpg", version)
    Image.new("RGB", (300, 150)).save(museum.folder / "11.jpg")
    assert download([Address("1", address)], tmp_path / "images", kind=kind, side=64).fetched == 1
    data = fetched(tmp_path / "images", address)
    assert data is not None
    assert examine(Answer("", data, "image/jpeg", 200))[1:] == (64, 32)


HOSTILE = {
    "html": ("not an image", "<!DOCTYPE html>"),
    "empty": ("not an image", "b''"),
    "page": ("not an image", "'text/html'"),
    "bomb": ("too large", "2500000000 pixels"),
    "wide": ("too large", "66000 × 1 px"),
    "endless": ("too large", "bytes"),
    "loop": ("cannot be asked", "TooManyRedirects"),
    "file": ("cannot be asked", "InvalidSchema"),
    "absent": ("HTTP 404", "Not Found"),
    "truncated": ("no answer", "IncompleteRead"),
    "away": ("no answer", "503"),
    "tomorrow": ("asks for a long pause", "86400"),
}
MAY_PASS = {"truncated", "away", "tomorrow"}


def test_what_is_refused_has_its_reason_and_the_rest_goes_on(
    tmp_path: Path, museum: ImageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 1 << 20)
    hostile = [Address(f"../../etc/{kind}", museum.hostile(kind)) for kind in HOSTILE]
    broken = [Address("x", url) for url in ("http://[::1", "ftp://example.org/a.jpg", "file:///etc/passwd", "../a")]
    good = [Address("../../etc/passwd", museum.hostile("busy"))]
    good += [Address("=1+1", museum.hostile(kind)) for kind in ("untyped", "text")]
    summary = download([*hostile, *broken, *all_of(museum), *good], tmp_path / "images")
    assert (summary.fetched, summary.failed) == (15, len(hostile) + len(broken))
    found = failures(tmp_path / "images")
    for kind, (reason, detail) in HOSTILE.items():
        row = found[museum.hostile(kind)]
        assert (row["object_id"], row["reason"], row["attempts"]) == (f"../../etc/{kind}", reason, "1")
        assert detail in row["detail"]
    assert {found[address.url]["reason"] for address in broken} == {"cannot be asked"}
    assert museum.asked["/hostile/busy"] == 2
    assert {path.name for path in (tmp_path / "images").iterdir()} == {"00000.tar", "index.db", "failures.csv", ".lock"}

    museum.asked.clear()
    again = download([*hostile, *broken], tmp_path / "images")
    assert again.failed == len(MAY_PASS)
    assert {path.removeprefix("/hostile/") for path in museum.asked} == {"/robots.txt", *MAY_PASS}
    assert failures(tmp_path / "images")[museum.hostile("away")]["attempts"] == "2"
    assert download(hostile, tmp_path / "images", retry_failed=True).failed == len(hostile)


def test_a_failure_is_forgotten_once_the_image_is_there(tmp_path: Path, museum: ImageServer) -> None:
    address = all_of(museum)[3]
    museum.down = True
    download([address, address], tmp_path / "images")
    assert list(failures(tmp_path / "images")) == [address.url]
    museum.down = False
    assert download([address], tmp_path / "images").fetched == 1
    assert failures(tmp_path / "images") == {}


def test_a_server_that_is_away_ends_the_run_and_the_next_one_goes_on(tmp_path: Path, museum: ImageServer) -> None:
    asked = [Address(str(i), f"{museum.url}/plain/{i}/03.jpg") for i in range(100)]
    museum.down = True
    with pytest.raises(HarvestError, match="20 addresses in a row gave no answer"):
        download(asked, tmp_path / "images")
    assert len(failures(tmp_path / "images")) == 20
    museum.down = False
    assert download(asked, tmp_path / "images").fetched == 100


def test_what_failed_before_is_asked_for_last(tmp_path: Path, museum: ImageServer) -> None:
    gone = [Address(str(i), museum.hostile("away") + f"?{i}") for i in range(25)]
    with pytest.raises(HarvestError, match="20 addresses in a row gave no answer"):
        download([*gone, *all_of(museum)], tmp_path / "images")
    with pytest.raises(HarvestError, match="with what it has not asked for yet"):
        download([*gone, *all_of(museum)], tmp_path / "images")
    assert fetched(tmp_path / "images", all_of(museum)[-1].url)


def test_of_what_failed_before_the_longest_ago_comes_first(tmp_path: Path, museum: ImageServer) -> None:
    gone = [Address(str(i), museum.hostile("away") + f"?{i}") for i in range(50)]
    for _ in range(3):
        with pytest.raises(HarvestError, match="20 addresses in a row gave no answer"):
            download(gone, tmp_path / "images")
    attempts = sorted(int(row["attempts"]) for row in failures(tmp_path / "images").values())
    assert attempts == [1] * 40 + [2] * 10, "each was asked once before any was asked again"


def test_a_server_that_answers_500_is_there(
    tmp_path: Path, museum: ImageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = [Address(str(i), museum.hostile("broken") + f"?{i}") for i in range(30)]
    summary = download([*gone, *all_of(museum)], tmp_path / "images")
    assert (summary.fetched, summary.failed) == (12, 30)
    assert {row["reason"] for row in failures(tmp_path / "images").values()} == {"HTTP 500"}
    monkeypatch.setattr(module, "BROKEN_AFTER", 10)
    with pytest.raises(HarvestError, match="10 addresses in a row were answered with HTTP 500"):
        download(gone, tmp_path / "images")


def test_images_larger_than_asked_for_are_told(tmp_path: Path, museum: ImageServer) -> None:
    museum.level = 0
    Image.new("RGB", (900, 300)).save(museum.folder / "11.jpg")
    summary = download([Address("1", museum.service("11.jpg"))], tmp_path / "images", kind="iiif", side=64)
    assert summary.larger == 1
    assert "1 larger than asked for" in str(summary)


def test_what_robots_txt_forbids_is_not_asked_for(tmp_path: Path, museum: ImageServer) -> None:
    museum.robots = "User-agent: *\nDisallow: /plain/"
    assert download(all_of(museum)[:2], tmp_path / "images").failed == 2
    assert set(museum.asked) == {"/robots.txt"}
    assert {row["reason"] for row in failures(tmp_path / "images").values()} == {"robots.txt forbids it"}
    assert download(all_of(museum)[:2], tmp_path / "images", robots="ignore").fetched == 2  # not a failure for good


def test_a_pattern_of_robots_txt_is_read_as_one(tmp_path: Path, museum: ImageServer) -> None:
    """The standard library takes the star for a letter, and would allow it."""
    Image.new("RGB", (300, 150)).save(museum.folder / "11.jpg")
    address = museum.service("11.jpg")
    museum.robots = "User-agent: *\nDisallow: /*/full/!64,64/"
    assert download([Address("1", address)], tmp_path / "images", kind="iiif", side=64).failed == 1
    assert {row["reason"] for row in failures(tmp_path / "images").values()} == {"robots.txt forbids it"}
    assert download([Address("1", address)], tmp_path / "images", kind="iiif", side=128).fetched == 1


def test_addresses_are_taken_a_few_at_a_time(tmp_path: Path, museum: ImageServer) -> None:
    @dataclass
    class Lazy(Listed):
        ahead: int = 0

        def addresses(self) -> Iterator[Address]:
            for given, address in enumerate(self.listed, start=1):
                yield address
                self.ahead = max(self.ahead, given - sum(museum.asked.values()))

    reader = Lazy([Address(str(i), f"{museum.url}/plain/{i}/03.jpg") for i in range(60)])
    counted = sum(1 for _ in reader.addresses())
    reader.ahead = 0
    settings = Download(contact="test@example.org", requests_per_s=100, kind="url", robots="ignore", connections=2)
    run = module._in_parallel(lambda address: Server(settings).get(address.url, most_bytes=9999), reader.addresses(), 2)
    assert sum(1 for _ in run) == counted
    assert reader.ahead <= 6


def test_a_mistake_of_ours_is_not_taken_for_a_failure_of_the_server(
    tmp_path: Path, museum: ImageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def get(*args: Any) -> Answer:
        raise KeyError("ours")

    monkeypatch.setattr(module, "_get", get)
    with pytest.raises(KeyError, match="ours"):
        download(all_of(museum), tmp_path / "images")


def test_two_at_once_are_refused(tmp_path: Path, museum: ImageServer) -> None:
    class Nested(Listed):
        def addresses(self) -> Iterator[Address]:
            download([], tmp_path / "images")
            yield from ()

    settings = Download(contact="test@example.org", requests_per_s=100, kind="url")
    with pytest.raises(CollectionError, match="another process fetches into"):
        fetch(Nested([]), settings, tmp_path / "images")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "GIF", "WEBP", "BMP", "PPM", "JPEG2000"])
def test_every_format_is_known(tmp_path: Path, kind: str) -> None:
    Image.new("RGB", (30, 20)).save(tmp_path / "image", kind)
    answer = Answer("u", (tmp_path / "image").read_bytes(), "", 200)
    assert examine(answer) == (kind, 30, 20)


def test_what_only_other_programs_could_read_is_no_image() -> None:
    with pytest.raises(RefusedError, match="not an image"):
        examine(Answer("u", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "image/eps", 200))
    with pytest.raises(RefusedError, match="not an image"):
        examine(Answer("u", HTML, "image/jpeg", 200))


FETCHING = """
import sys
from pathlib import Path
from rijksnet.collections.tables.reader import TableReader
from rijksnet.harvesting.fetch import fetch
from rijksnet.collection_params import Columns, Download, TableCollection
download = Download(contact="test@example.org", requests_per_s=100, kind="url", connections=4)
table = TableCollection(
    reader="table", raw=".", table="table.csv", images="images", columns=Columns(), download=download
)
fetch(TableReader(table), download, Path("images"))
"""


def test_ctrl_c_keeps_what_is_there_and_waits_for_nobody(tmp_path: Path, museum: ImageServer) -> None:
    patient = f"{museum.url}/hostile/away"  # asked for again and again, with ever longer pauses
    rows = [address for pair in zip(all_of(museum), [Address("0", patient)] * 12, strict=True) for address in pair]
    with (tmp_path / "table.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("object_id", "image"), *rows])
    process = subprocess.Popen([sys.executable, "-c", FETCHING], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while museum.asked["/hostile/away"] < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=10)
    assert "KeyboardInterrupt" in told
    assert failures(tmp_path / "images") == {}
    kept = [data for address in all_of(museum) if (data := fetched(tmp_path / "images", address.url))]
    assert kept
    with tarfile.open(tmp_path / "images" / "00000.tar") as tar:
        members = [tar.extractfile(member).read() for member in tar]  # type: ignore[union-attr]
    assert sorted(members) == sorted(kept)
    assert download(all_of(museum), tmp_path / "images").there == len(kept)
