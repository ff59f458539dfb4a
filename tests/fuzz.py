"""Readers under a fuzzer: whatever a museum sends is read, or refused by name; nothing crashes, hangs or fills memory.

    python tests/fuzz.py READER [libFuzzer's options, e.g. -max_total_time=600]

Needs atheris (`pip install atheris`), which the project itself does without. What it finds becomes a test.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import zipfile
import zlib
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
XLSX = {
    "_rels/.rels": """<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship
 Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"
 Target="xl/workbook.xml"/></Relationships>""",
    "xl/workbook.xml": """<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"
 xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets>
<sheet name="S" sheetId="1" r:id="r1"/></sheets></workbook>""",
    "xl/_rels/workbook.xml.rels": """<Relationships
 xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Target="worksheets/s.xml"
 Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet"/></Relationships>""",
    "xl/sharedStrings.xml": """<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><si><t>id</t>
</si><si><t>file</t></si><si><r><t>ki</t></r><r><t>nd</t></r></si></sst>""",
    "xl/styles.xml": """<styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><cellXfs
 count="2"><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs></styleSheet>""",
    "xl/worksheets/s.xml": """<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">
<dimension ref="A1:C2"/><sheetData><row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c>
<c r="C1" t="s"><v>2</v></c></row><row r="2"><c r="A2"><v>7</v></c><c r="B2" t="inlineStr"><is><t>a.jpg</t></is></c>
<c r="C2" s="1"><v>43831.5</v></c><c r="D2" t="b"><v>1</v></c><c r="E2" t="e"><v>#N/A</v></c></row></sheetData>
<mergeCells count="1"><mergeCell ref="C1:C2"/></mergeCells></worksheet>""",
}
ODS = {
    "mimetype": "application/vnd.oasis.opendocument.spreadsheet",
    "META-INF/manifest.xml": """<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">
<manifest:file-entry manifest:full-path="/" manifest:media-type="application/vnd.oasis.opendocument.spreadsheet"/>
</manifest:manifest>""",
    "content.xml": """<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"
 xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"
 xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0">
<office:body><office:spreadsheet><table:table table:name="S"><table:table-column table:number-columns-repeated="3"/>
<table:table-row><table:table-cell office:value-type="string"><text:p>id</text:p></table:table-cell><table:table-cell
 office:value-type="string"><text:p>file</text:p></table:table-cell><table:table-cell office:value-type="string">
<text:p>kind</text:p></table:table-cell></table:table-row>
<table:table-row table:number-rows-repeated="3"><table:table-cell
 office:value-type="float" office:value="7"/><table:table-cell table:number-columns-repeated="2"/>
</table:table-row></table:table></office:spreadsheet></office:body></office:document-content>""",
}
IMAGES = []
for form in ("JPEG", "PNG", "TIFF", "GIF", "WEBP", "BMP", "JPEG2000", "PPM"):
    Image.new("RGB", (24, 16), "red").save(stream := BytesIO(), form)
    IMAGES.append(stream.getvalue())


def zipped(members: dict[str, str | bytes]) -> bytes:
    with zipfile.ZipFile(stream := BytesIO(), "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


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
    "workbook": (table, [zipped(XLSX), zipped(ODS)]),
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
            new = changed_tree(data, choose)
        except (ValueError, etree.LxmlError, zipfile.BadZipFile, zlib.error, RuntimeError, EOFError):
            new = None
    return new if new and len(new) <= most else atheris.Mutate(data, most)


def changed_tree(data: bytes, choose: random.Random) -> bytes:
    if data[:2] != b"PK":
        return changed_xml(data, choose) if data.lstrip()[:1] == b"<" else changed_json(data, choose)
    with zipfile.ZipFile(BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    documents = [name for name, content in members.items() if content.lstrip()[:1] == b"<"]
    if not documents:
        raise zipfile.BadZipFile
    name = choose.choice(documents)
    return zipped({**members, name: changed_xml(members[name], choose)})


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
    "XFD1048576",
    "1e5",
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
    options = [
        *sys.argv[2:],
        "-timeout=20",
        "-max_len=16384",
        "-rss_limit_mb=2048",
        f"-artifact_prefix={PLACE.parent}/",
        str(corpus),
    ]
    atheris.Setup([sys.argv[0], *options], one, custom_mutator=changed if sys.argv[1] != "image" else None)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
