"""A real OAI-PMH server on this machine, for tests: pages, sets, date ranges, deletions, and trouble on demand."""

from __future__ import annotations

import csv
import gzip
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit
from xml.sax.saxutils import escape, quoteattr

from rijksnet.collection_params import OaiCollection

REAL = Path(__file__).parents[2] / "shared" / "data" / "rijksmuseum-oai-dc"

OAI_DC = (
    '<oai_dc:dc xmlns:oai_dc="http://www.openarchives.org/OAI/2.0/oai_dc/" '
    'xmlns:dc="http://purl.org/dc/elements/1.1/">{}</oai_dc:dc>'
)


class Item(NamedTuple):
    """One record; `metadata` is XML, None where it was deleted."""

    identifier: str
    metadata: str | None
    datestamp: str = "2020-01-01T00:00:00Z"
    sets: tuple[str, ...] = ()


class Reply(NamedTuple):
    """An HTTP answer; `sent` bytes of the body leave before the connection breaks, or all of it."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = {}  # noqa: RUF012
    sent: int | None = None


Query = dict[str, str]
Trouble = Callable[[Query, bytes], Reply | None]


def dublin_core(**values: str | list[str]) -> str:
    """oai_dc metadata."""
    elements = []
    for name, given in values.items():
        for value in [given] if isinstance(given, str) else given:
            elements.append(f"<dc:{name}>{escape(value)}</dc:{name}>")
    return OAI_DC.format("".join(elements))


def oai_collection(raw: Path, endpoint: str, **changes: Any) -> OaiCollection:
    """Parameters of a Dublin Core collection at that endpoint."""
    server = {"contact": "tests@example.org", "requests_per_s": 100.0, "robots": "ignore"}
    base = {
        "reader": "oai_pmh",
        "raw": str(raw),
        "endpoint": endpoint,
        "prefix": "oai_dc",
        "format": "dc",
        "sets": [],
        "server": server,
        "download": {**server, "kind": "url"},
    }
    return OaiCollection.model_validate({**base, **changes})


def real_rows() -> list[dict[str, str]]:
    """The 62,000 real records, as table."""
    with gzip.open(REAL / "records.csv.gz", "rt", encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def real_item(row: dict[str, str], datestamp: str = "2021-10-02T11:35:16Z") -> Item:
    """A row as the record that it was made from."""
    listed = {"creator": "creator", "contributor": "contributor", "type": "type", "material": "format"}
    values: dict[str, str | list[str]] = {"identifier": [row["handle"], row["object_id"]], "title": row["title"]}
    values |= {name: row[column].split("|") for column, name in listed.items() if row[column]}
    values |= {"date": row["date"], "rights": row["rights"]}
    return Item(f"oai:rijksmuseum.nl:{row['object_id']}", dublin_core(**values), datestamp)


class OaiServer:
    """Serves `items` (by identifier, to be changed at will) while the block runs.

    `trouble` sees every request and its good answer, and may give another one. `paths` are answers to paths other than
    /oai. `requests` are the queries that came.
    """

    def __init__(self, items: Iterable[Item] = (), page_size: int = 100, trouble: Trouble | None = None) -> None:
        self.items = {item.identifier: item for item in items}
        self.page_size = page_size
        self.trouble = trouble
        self.paths: dict[str, Reply] = {}
        self.requests: list[Query] = []
        self.repeated: list[Item] = []  # what the list gives a second time, at its end
        self.granularity = "YYYY-MM-DDThh:mm:ssZ"
        self.deleted_record = "persistent"
        self.now = "2024-05-01T12:00:00Z"
        self.announce = True
        self.formats, self.sets = ["oai_dc"], list[str]()
        self.token_generation = 0  # tokens of an earlier one have expired
        self._http = _Http(self)

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def url(self) -> str:
        return f"{self.root}/oai"

    def lists(self) -> list[Query]:
        """The requests that began a list."""
        return [one for one in self.requests if one.get("verb") == "ListRecords" and "resumptionToken" not in one]

    def __enter__(self) -> OaiServer:
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def answer(self, query: Query) -> bytes:
        verb = query.get("verb", "")
        answers: dict[str, Callable[[Query], str]] = {
            "Identify": self._identify,
            "GetRecord": self._get_record,
            "ListRecords": self._list_records,
            "ListMetadataFormats": self._formats,
            "ListSets": self._sets,
        }
        body = answers[verb](query) if verb in answers else error("badVerb", verb)
        return envelope(body, self.now)

    def _identify(self, query: Query) -> str:
        return (
            f"<Identify><granularity>{self.granularity}</granularity>"
            f"<deletedRecord>{self.deleted_record}</deletedRecord></Identify>"
        )

    def _formats(self, query: Query) -> str:
        prefixes = [f"<metadataPrefix>{one}</metadataPrefix>" for one in self.formats]
        named = "".join(f"<metadataFormat>{one}</metadataFormat>" for one in prefixes)
        return f"<ListMetadataFormats>{named}</ListMetadataFormats>"

    def _sets(self, query: Query) -> str:
        if not self.sets:
            return error("noSetHierarchy", "no sets")
        named = "".join(f"<set><setSpec>{one}</setSpec><setName>Set {one}</setName></set>" for one in self.sets)
        return f"<ListSets>{named}</ListSets>"

    def _get_record(self, query: Query) -> str:
        item = self.items.get(query["identifier"])
        if item is None:
            return error("idDoesNotExist", query["identifier"])
        return f"<GetRecord>{record(item)}</GetRecord>"

    def _list_records(self, query: Query) -> str:
        cursor = 0
        if token := query.get("resumptionToken"):
            generation, place, *bounds = token.split("|") if token.count("|") == 4 else ("-1", "0")
            if int(generation) != self.token_generation:
                return error("badResumptionToken", "expired")
            cursor, query = int(place), dict(zip(("from", "until", "set"), bounds, strict=True))
        elif query.get("metadataPrefix") != "oai_dc":
            return error("cannotDisseminateFormat", "only oai_dc")
        chosen = [item for item in (*self.items.values(), *self.repeated) if _matches(item, query)]
        if not chosen:
            return error("noRecordsMatch", "nothing")
        end = cursor + self.page_size
        token = "|".join(
            [str(self.token_generation), str(end), *(query.get(one, "") for one in ("from", "until", "set"))]
        )
        size = f' completeListSize="{len(chosen)}"' if self.announce else ""
        token = f"<resumptionToken{size}>{escape(token) if end < len(chosen) else ''}</resumptionToken>"
        return f"<ListRecords>{''.join(map(record, chosen[cursor:end]))}{token}</ListRecords>"


def envelope(body: str, now: str = "2024-05-01T12:00:00Z") -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/">'
        f"<responseDate>{now}</responseDate><request>x</request>{body}</OAI-PMH>\n"
    ).encode()


def error(code: str, text: str) -> str:
    return f"<error code={quoteattr(code)}>{escape(text)}</error>"


def record(item: Item) -> str:
    status = ' status="deleted"' if item.metadata is None else ""
    sets = "".join(f"<setSpec>{one}</setSpec>" for one in item.sets)
    header = f"<identifier>{escape(item.identifier)}</identifier><datestamp>{item.datestamp}</datestamp>{sets}"
    metadata = "" if item.metadata is None else f"<metadata>{item.metadata}</metadata>"
    return f"<record><header{status}>{header}</header>{metadata}</record>\n"


def hiccups(seed: int, share: float, most_in_a_row: int = 3) -> Trouble:
    """Trouble of every kind for that share of the requests, never often enough in a row to exhaust a patient client."""
    draw, in_a_row = random.Random(seed), Counter[str]()

    def trouble(query: Query, body: bytes) -> Reply | None:
        key = repr(query)
        if draw.random() > share or in_a_row[key] >= most_in_a_row:
            in_a_row.pop(key, None)
            return None
        in_a_row[key] += 1
        middle = draw.randrange(len(body) // 4, len(body))
        return draw.choice(
            [
                Reply(status=503, headers={"Retry-After": "0"}),
                Reply(status=500),
                Reply(body, sent=0),
                Reply(body, sent=middle),
                Reply(body[:middle]),
                Reply(body[:middle] + b"\x00<&\xff" + body[middle:]),
                Reply(b"<!DOCTYPE html><html><body>Back soon</body></html>"),
            ]
        )

    return trouble


def _matches(item: Item, query: Query) -> bool:
    day = item.datestamp
    since, until, set_spec = query.get("from", ""), query.get("until", ""), query.get("set", "")
    return (
        (not since or day[: len(since)] >= since)
        and (not until or day[: len(until)] <= until)
        and (not set_spec or any(one == set_spec or one.startswith(f"{set_spec}:") for one in item.sets))
    )


class _Http(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, oai: OaiServer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.oai = oai

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that was killed


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Http

    def do_GET(self) -> None:
        oai, url = self.server.oai, urlsplit(self.path)
        reply = oai.paths.get(url.path)
        if url.path == "/oai":
            query = dict(parse_qsl(url.query))
            oai.requests.append(query)
            good = oai.answer(query)
            reply = (oai.trouble and oai.trouble(query, good)) or Reply(good)
        self._send(reply or Reply(status=404))

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in {"Content-Type": "text/xml", **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body[: reply.sent])
        self.close_connection = reply.sent is not None

    def log_message(self, format: str, *args: Any) -> None:
        pass
