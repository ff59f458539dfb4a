"""Readers under a fuzzer: whatever a museum sends is read, or refused by name; nothing crashes, hangs or fills memory.

    python tests/fuzz.py READER [libFuzzer's options, e.g. -max_total_time=600]

Needs atheris (`pip install atheris`), which the project itself does without. What it finds becomes a test.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import atheris
from lxml import etree
from PIL import Image

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
IMAGES = []
for form in ("JPEG", "PNG", "TIFF", "GIF", "WEBP", "BMP", "JPEG2000", "PPM"):
    Image.new("RGB", (24, 16), "red").save(stream := BytesIO(), form)
    IMAGES.append(stream.getvalue())


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
    "image": (lambda data: decode(data, [16], [16]), IMAGES),
}
REFUSALS = (CollectionError, MetadataError, RefusedError, HarvestError, UnreadableError)


# --- changes that leave XML and JSON well formed, which a change of bytes seldom does ---


def changed(data: bytes, most: int, seed: int) -> bytes:
    """libFuzzer's custom mutator: now and then of the tree, else of the bytes."""
    choose = random.Random(seed)
    new = None
    if choose.random() < 0.8:
        try:
            new = changed_xml(data, choose) if data.lstrip()[:1] == b"<" else changed_json(data, choose)
        except (ValueError, RecursionError, etree.LxmlError):
            new = None
    return new if new and len(new) <= most else atheris.Mutate(data, most)


WORDS = [
    "",
    " ",
    "x",
    "A-1",
    "http://x/y.jpg",
    "http://[x",
    "en",
    "true",
    "-1",
    "1e999",
    "\u0301",
    "\U0001f5bc",
    "9" * 400,
]
VALUES = [None, True, -1, 0, 2**70, 1e308, [], {}, [[]], [{}], {"id": 7}, *WORDS]


def changed_xml(data: bytes, choose: random.Random) -> bytes:
    root = etree.fromstring(data, etree.XMLParser(resolve_entities=False))
    for _ in range(choose.randint(1, 3)):
        every = [one for one in root.iter() if isinstance(one.tag, str)]
        one, other = choose.choice(every), choose.choice(every)
        parent = one.getparent()
        match choose.randrange(6):
            case 0 if parent is not None:
                parent.remove(one)
            case 1:
                other.append(etree.fromstring(etree.tostring(one)))
            case 2:
                one.text = choose.choice([*WORDS, other.text])
            case 3:
                one.tag = other.tag
            case 4 if one.attrib:
                one.set(choose.choice(one.keys()), choose.choice(WORDS))
            case _:
                one.attrib.update(other.attrib)
    return etree.tostring(root)


def changed_json(data: bytes, choose: random.Random) -> bytes:
    root = json.loads(data)
    places: list[tuple[Any, Any]] = []
    found = [root]
    for one in found:
        keys = list(one) if isinstance(one, dict) else range(len(one)) if isinstance(one, list) else []
        places += [(one, key) for key in keys]
        found += [one[key] for key in keys]
    if not places:
        return json.dumps(choose.choice(VALUES)).encode()
    for _ in range(choose.randint(1, 3)):
        holder, key = choose.choice(places)
        with suppress(KeyError, IndexError):
            holder[key] = choose.choice([*VALUES, [holder[key]], {"items": holder[key]}])
    return json.dumps(root).encode()


def main() -> None:
    reader, seeds = READERS[sys.argv[1]]

    def one(data: bytes) -> None:
        with suppress(*REFUSALS):
            reader(data)

    corpus = Path(tempfile.mkdtemp())
    for number, seed in enumerate(seeds):
        (corpus / str(number)).write_bytes(seed)
    options = [*sys.argv[2:], "-timeout=20", "-rss_limit_mb=2048", f"-artifact_prefix={PLACE.parent}/", str(corpus)]
    atheris.Setup([sys.argv[0], *options], one, custom_mutator=changed if sys.argv[1] != "image" else None)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
