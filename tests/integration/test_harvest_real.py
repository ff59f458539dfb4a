"""The real records of the Rijksmuseum through a real server and real kills: nothing lost, nothing doubled."""

from __future__ import annotations

import hashlib
import os
import random
import re
import select
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import IO

import pytest

from oai_server import REAL, Item, OaiServer, hiccups, oai_collection, real_item, real_rows
from rijksnet.collection_params import OaiCollection
from rijksnet.collections.harvested import HarvestStore
from rijksnet.collections.metadata import parse
from rijksnet.collections.metadata.fields import Metadata
from rijksnet.harvesting.harvest import harvest
from rijksnet.harvesting.http import Server

pytestmark = pytest.mark.skipif(not REAL.is_dir(), reason="../shared/data/rijksmuseum-oai-dc is not there")

KILLS = 20

#: Forks a harvesting process for each line that it reads, and tells its process id, then its exit status.
NURSERY = """
import os, sys
from rijksnet.harvesting.harvest import harvest
from rijksnet.harvesting.http import Server
from rijksnet.collection_params import OaiCollection
collection = OaiCollection.model_validate_json(sys.argv[1])
for _ in sys.stdin:
    child = os.fork()
    if not child:
        sys.stdout = sys.stderr = open(os.devnull, "w")
        harvest(collection, "real", Server(collection.server, first_pause_s=0.005))
        os._exit(0)
    print(child, flush=True)
    print(os.waitpid(child, 0)[1], flush=True)
"""


def test_twenty_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    rows = real_rows()
    draw = random.Random(20)
    with OaiServer(map(real_item, rows), page_size=500, trouble=hiccups(seed=3, share=0.15)) as service:
        again = draw.sample(range(len(rows)), 500)
        service.repeated = [real_item(rows[i]) for i in again]  # the last pages repeat records of earlier ones
        collection = oai_collection(tmp_path / "raw", service.url)
        _harvest_with_kills(collection, service, draw)
        assert len(service.lists()) > 2  # tokens expired
        assert _stored(collection) == {real_item(row).identifier: _expected(row) for row in rows}

        _change(service, rows, draw)
        service.trouble, asked = None, len(service.requests)
        summary = harvest(collection, "real", Server(collection.server))
        assert service.lists()[-1]["from"] == "2024-05-01T12:00:00Z"
        assert summary.changes == (200, 300, 0, 400)
        assert len(service.requests) - asked == 3  # Identify, and two pages of what has changed
        with HarvestStore.reading(collection) as store:
            stored = [(one.identifier, one.datestamp) for one in store.records()]
        assert sorted(stored) == sorted((id_, one.datestamp) for id_, one in service.items.items() if one.metadata)

        before = _digest(tmp_path)
        assert harvest(collection, "real").changes == (0, 0, 900, 0)
        assert _digest(tmp_path) == before  # DVC sees nothing new
    assert [path.name for path in (tmp_path / "raw").iterdir()] == ["records.db"]


class Recorded(OaiServer):
    """Pages as the museum sent them in 2022; only each one's token is that of the next page that was recorded."""

    def __init__(self) -> None:
        super().__init__()
        files = sorted((REAL / "pages").iterdir(), key=lambda path: int(path.stem))
        self.pages = {path.stem: path.read_bytes() for path in files}
        self.after = dict(zip(self.pages, [*list(self.pages)[1:], ""], strict=True))

    def answer(self, query: dict[str, str]) -> bytes:
        if query["verb"] != "ListRecords":
            return super().answer(query)
        page = query.get("resumptionToken", next(iter(self.pages)))
        return re.sub(rb"(<resumptionToken[^>]*>)[^<]*", rb"\g<1>" + self.after[page].encode(), self.pages[page])


def test_recorded_pages(tmp_path: Path) -> None:
    with Recorded() as service:
        collection = oai_collection(tmp_path / "raw", service.url, prefix="dc", sets=["subject:PublicDomainImages"])
        summary = harvest(collection, "real")
    assert (summary.pages, summary.changes) == (36, (720, 0, 0, 0))
    assert summary.short == [
        "the service announced 555275 records of set 'subject:PublicDomainImages' and gave 720",
    ]
    rows = {row["object_id"]: row for row in real_rows() if Path(row["page"]).stem in service.pages}
    assert {one.identifier: one for one in _stored(collection).values()} == {
        object_id: _expected(row) for object_id, row in rows.items()
    }


def _harvest_with_kills(collection: OaiCollection, service: OaiServer, draw: random.Random) -> None:
    arguments = [sys.executable, "-c", NURSERY, collection.model_dump_json()]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as nursery:
        assert nursery.stdin is not None
        assert nursery.stdout is not None
        kills = 0
        while True:
            nursery.stdin.write("\n")
            nursery.stdin.flush()
            child = int(nursery.stdout.readline())
            if kills < KILLS:  # somewhere in the next pages: while asking, parsing, writing, or waiting
                last = len(service.requests) + draw.randint(1, 4)
                while len(service.requests) < last and not _says_more(nursery.stdout, within_s=0.002):
                    pass
                assert not _says_more(nursery.stdout, draw.uniform(0, 0.1)), "the harvest ended before all kills"
                os.kill(child, signal.SIGKILL)
                kills += 1
            status = int(nursery.stdout.readline())
            if kills in (7, 15):
                service.token_generation = kills  # the saved token is not known any more
            if status == 0:
                break
            assert status == signal.SIGKILL, "the harvest failed by itself"
        nursery.stdin.close()
    assert kills == KILLS


def _says_more(stream: IO[str], within_s: float) -> bool:
    return bool(select.select([stream], [], [], within_s)[0])


def _change(service: OaiServer, rows: list[dict[str, str]], draw: random.Random) -> None:
    """400 records deleted, 300 changed, 200 new."""
    later, chosen = "2024-05-02T00:00:00Z", draw.sample(sorted(service.items), 700)
    service.repeated = []
    for identifier in chosen[:400]:
        service.items[identifier] = Item(identifier, None, later)
    by_identifier = {f"oai:rijksmuseum.nl:{row['object_id']}": row for row in rows}
    for identifier in chosen[400:]:
        row = by_identifier[identifier]
        row["title"] = "Nieuwe titel"
        service.items[identifier] = real_item(row, later)
    for number in range(200):
        row = {**rows[number], "object_id": f"NEW-{number}"}
        rows.append(row)
        item = real_item(row, later)
        service.items[item.identifier] = item


def _stored(collection: OaiCollection) -> dict[str, Metadata]:
    """The fields of every live record by its OAI identifier."""
    with HarvestStore.reading(collection) as store:
        assert store.failures() == []
        records = [(one.identifier, _fields(parse(one.metadata, "dc", "nl"))) for one in store.records()]
    assert len(dict(records)) == len(records)
    return dict(records)


def _fields(metadata: Metadata) -> Metadata:
    """Without the addresses that are told where none is an image's: the recorded pages name the object's own."""
    assert all(address.startswith("http://hdl.handle.net/10934/") for address in metadata.addresses)
    return replace(metadata, addresses=())


def _expected(row: dict[str, str]) -> Metadata:
    creators, types, materials = (
        tuple(row[column].split("|")) if row[column] else () for column in ("creator", "type", "material")
    )
    title = row["title"].replace("\r\n", "\n").strip()
    return Metadata(row["object_id"], creators, types, materials, title, row["rights"], "")


def _digest(tmp_path: Path) -> str:
    return hashlib.sha256((tmp_path / "raw" / "records.db").read_bytes()).hexdigest()
