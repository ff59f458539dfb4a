"""Real images from a server on this machine, fetched by a process that is killed again and again."""

from __future__ import annotations

import csv
import io
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from image_server import ImageServer, serve
from rijksnet.collection_params import Columns, Download, TableCollection
from rijksnet.collections.build import build
from rijksnet.collections.catalogue import read_catalogue
from rijksnet.collections.images import read_image
from rijksnet.collections.tables.reader import TableReader
from rijksnet.harvesting.shard_writer import Verification, verify
from rijksnet.paths import CollectionPaths

SAMPLE = Path(__file__).parents[2] / ".." / "shared" / "data" / "rijksmuseum-challenge-sample"
SIDE = 256
KILLS = 6

FETCHING = f"""
import sys
from pathlib import Path
from rijksnet.collections.tables.reader import TableReader
from rijksnet.harvesting import shard_writer
from rijksnet.harvesting.fetch import fetch
from rijksnet.collection_params import Columns, Download, TableCollection
shard_writer.SHARD_BYTES, shard_writer.BATCH = 300_000, 4  # more boundaries to be killed at
download = Download(contact="test@example.org", requests_per_s=100, kind="iiif", side={SIDE})
table = TableCollection(
    reader="table", raw=".", table="table.csv", images="images", columns=Columns(), download=download
)
print(fetch(TableReader(table), download, Path("images")))
"""


@pytest.fixture
def museum() -> Iterator[ImageServer]:
    if not SAMPLE.is_dir():
        pytest.skip(f"the real sample is not there: {SAMPLE}")
    with serve(SAMPLE / "images", delay_s=0.02) as running:
        yield running


def write_table(museum: ImageServer) -> list[str]:
    """The sample's own catalogue, with addresses for file names; the last two are not there."""
    with (SAMPLE / "catalogue.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    addresses = [museum.service(Path(row["image"]).name) for row in rows]
    gone = [museum.service("gone.jpg"), museum.hostile("html")]
    ids = [*(row["object_id"] for row in rows), "gone", "html"]
    with Path("table.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("object_id", "image"), *zip(ids, [*addresses, *gone], strict=True)])
    return addresses


def test_a_fetch_that_is_killed_again_and_again_ends_with_every_image_whole_and_once(
    museum: ImageServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    addresses = write_table(museum)
    for kill in range(KILLS):
        process = subprocess.Popen([sys.executable, "-c", FETCHING], stderr=subprocess.DEVNULL)
        seen = sum(museum.asked.values())
        while sum(museum.asked.values()) < seen + 8 + 3 * kill and process.poll() is None:
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    last = subprocess.run([sys.executable, "-c", FETCHING], capture_output=True, text=True, check=True).stdout
    assert "2 failed" in last
    assert ", 0 were there" not in last

    columns, download = Columns(), Download(contact="test@example.org", requests_per_s=100, kind="iiif", side=SIDE)
    table = TableCollection(
        reader="table", raw=".", table="table.csv", images="images", columns=columns, download=download
    )
    paths = CollectionPaths("sample")
    assert build(TableReader(table), paths).images == len(addresses) == 126
    catalogue = read_catalogue(paths.catalogue).to_pylist()
    for row in catalogue:
        image = Image.open(io.BytesIO(read_image(row["file"], row["offset"], row["length"])))
        image.load()
        assert max(image.size) == SIDE
    members = []
    for path in sorted(Path("images").glob("*.tar")):
        with tarfile.open(path) as tar:
            members += tar.getnames()
    assert sorted(members) == sorted(row["image"] for row in catalogue)
    assert len(list(Path("images").glob("*.tar"))) > 1
    assert verify(Path("images")) == Verification(126, 0)

    with Path("images/failures.csv").open(newline="") as stream:
        failures = {row["object_id"]: row["reason"] for row in csv.DictReader(stream)}
    assert failures == {"gone": "HTTP 404", "html": "not an image"}
    with paths.rejects.open(newline="") as stream:
        assert {row["object_id"]: row["reason"] for row in csv.DictReader(stream)} == dict.fromkeys(
            failures, "image not fetched"
        )
