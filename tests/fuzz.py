"""Readers under a fuzzer: whatever a museum sends is read, or refused by name; nothing crashes, hangs or fills memory.

    python tests/fuzz.py READER [libFuzzer's options, e.g. -max_total_time=600]

Needs atheris (`pip install atheris`), which the project itself does without. What it finds becomes a test.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["rijksnet"]):
    from rijksnet.collection_params import Columns
    from rijksnet.collections.metadata import parse
    from rijksnet.collections.metadata.fields import MetadataError
    from rijksnet.collections.tables import delimited, nested, workbook
    from rijksnet.collections.tables.kinds import kind_of
    from rijksnet.data.decode import UnreadableError, decode
    from rijksnet.errors import CollectionError, HarvestError
    from rijksnet.harvesting import iiif
    from rijksnet.harvesting.http import Answer, RefusedError
    from rijksnet.harvesting.oai import OaiService

COLUMNS = Columns(object_id="id", image="file", type="kind")
PLACE = Path(tempfile.mkdtemp()) / "table"

CSV = b'id,file,kind\n1,a.jpg,print\n2,"b ""x"".jpg",\xc3\xa9tching\n'
JSON = b'{"records": [{"id": 1, "file": {"url": ["a.jpg"]}, "kind": null}]}'
DC = b'<dc xmlns:dc="x"><dc:identifier>A-1</dc:identifier><dc:type xml:lang="nl">prent</dc:type></dc>'
EDM = b"""<RDF><ProvidedCHO about="a"/><Aggregation><aggregatedCHO resource="a"/><isShownBy resource="http://x/y.jpg"/>
</Aggregation><Proxy><proxyFor resource="a"/><title>x</title><europeanaProxy>false</europeanaProxy></Proxy></RDF>"""
LIDO = b"""<lido><descriptiveMetadata><objectClassificationWrap><objectWorkTypeWrap><objectWorkType><term>x</term>
</objectWorkType></objectWorkTypeWrap></objectClassificationWrap></descriptiveMetadata></lido>"""
MANIFEST = b'{"items": [{"items": [{"items": [{"body": {"type": "Choice", "items": [{"id": "http://x/y.jpg"}]}}]}]}]}'
INFO = b'{"@context": "x/image/2", "width": 900, "height": 600, "profile": ["level1", {"maxWidth": 4}], "sizes": [{}]}'
PAGE = b"""<?xml version="1.0"?><OAI-PMH><responseDate>2024-01-01T00:00:00Z</responseDate><ListRecords><record><header>
<identifier>x</identifier><datestamp>2024</datestamp></header><metadata><dc/></metadata></record>
<resumptionToken completeListSize="9">t</resumptionToken></ListRecords></OAI-PMH>"""
IMAGES = [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"GIF89a", b"RIFF"]


def table(data: bytes) -> None:
    PLACE.write_bytes(data)
    rows: Callable[[], Iterator[Any]]
    match kind_of(PLACE):
        case "csv":
            rows = lambda: delimited.rows(PLACE, COLUMNS, None, None)  # noqa: E731
        case "workbook":
            rows = lambda: workbook.rows(PLACE, COLUMNS, None)  # noqa: E731
        case "json":
            rows = lambda: nested.rows(PLACE, COLUMNS)  # noqa: E731
    for row in rows():
        assert row is not None


def document(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise RefusedError("not JSON", "") from None


class Server:
    """Answers one page, and refuses everything after it."""

    def __init__(self, content: bytes) -> None:
        self.contents = [content]

    def get(self, url: str, params: Any = None, **_: Any) -> Answer:
        if not self.contents:
            raise RefusedError("HTTP 404", url, 404)
        return Answer(url, self.contents.pop(), "text/xml", 200)

    def patiently(self, ask: Callable[[], Any]) -> Any:
        return ask()


def page(data: bytes) -> None:
    OaiService("http://x/oai", "oai_dc", Server(data)).first_page("", "", "")  # type: ignore[arg-type]


READERS: dict[str, tuple[Callable[[bytes], Any], list[bytes]]] = {
    "table": (table, [CSV, CSV.replace(b",", b";"), CSV.decode().encode("utf-16"), JSON]),
    "dc": (lambda data: parse(data, "dc", "nl", "iiif"), [DC]),
    "edm": (lambda data: parse(data, "edm", "nl"), [EDM]),
    "lido": (lambda data: parse(data, "lido", "de", "url"), [LIDO]),
    "manifest": (lambda data: iiif.first_image(document(data)), [MANIFEST]),
    "info": (lambda data: iiif.sizes(document(data), 512), [INFO]),
    "oai": (page, [PAGE, PAGE.replace(b"</dc>", b"<")]),
    "image": (
        lambda data: decode(data, [16], [16]),
        [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"GIF89a", b"RIFF"],
    ),
}
REFUSALS = (CollectionError, MetadataError, RefusedError, HarvestError, UnreadableError)


def main() -> None:
    reader, seeds = READERS[sys.argv[1]]

    def one(data: bytes) -> None:
        with suppress(*REFUSALS):
            reader(data)

    corpus = Path(tempfile.mkdtemp())
    for number, seed in enumerate(seeds):
        (corpus / str(number)).write_bytes(seed)
    atheris.Setup([sys.argv[0], *sys.argv[2:], "-timeout=20", "-rss_limit_mb=2048", str(corpus)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
