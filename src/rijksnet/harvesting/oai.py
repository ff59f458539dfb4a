"""OAI-PMH 2.0 (openarchives.org/OAI/openarchivesprotocol.html): the requests that a harvest needs, and their answers.

An answer that is no whole XML is asked for again; if it stays broken, what is whole in it is used record by record.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode
from xml.sax.saxutils import unescape

from lxml import etree

from rijksnet.collections.harvested import UNIDENTIFIED, HarvestedRecord
from rijksnet.collections.metadata.elements import child, local_name, read_xml, text_of
from rijksnet.collections.metadata.fields import MetadataError
from rijksnet.errors import HarvestError
from rijksnet.harvesting.http import RefusedError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rijksnet.harvesting.http import Server

#: No page may be longer, bytes.
MOST_BYTES = 64 << 20

#: A page with more broken records than this is left alone, rather than asked for record by record.
MOST_BROKEN = 50

#: How the protocol writes times.
SECONDS = "%Y-%m-%dT%H:%M:%SZ"

#: Clocks there are at most so much ahead of UTC.
EASTERNMOST = timedelta(hours=14)

#: What servers say, rightly or wrongly, to a resumption token that they no longer know.
EXPIRED = frozenset({"badResumptionToken", "noRecordsMatch", "HTTP 400", "HTTP 404", "HTTP 410"})


class OaiError(HarvestError):
    """The service refuses a request: `code` is the protocol's or `HTTP 404`; `date` the service's, if it says."""

    def __init__(self, message: str, code: str, date: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.date = date


class ExpiredTokenError(Exception):
    """The service no longer knows a resumption token: the list has to be asked for from its beginning."""


class BrokenAnswerError(TransientError):
    """An answer that is no OAI-PMH XML."""

    def __init__(self, detail: str, content: bytes) -> None:
        super().__init__(detail)
        self.content = content


class Identity(NamedTuple):
    """What the service says of itself."""

    days: bool  #: datestamps are days, not seconds
    tells_deletions: bool  #: it remembers what was deleted
    date: str  #: the service's own, now


@dataclass(frozen=True)
class Page:
    """One page of a list: whole records, and the reason by identifier for those that cannot be had."""

    records: list[HarvestedRecord]
    failures: dict[str, str]
    token: str  #: of the next page; empty on the last
    announced: int | None  #: records of the whole list
    date: str  #: the service's own, when it answered
    salvaged: int = 0  #: those of the records that a broken page gave after all


@dataclass(frozen=True)
class OaiService:
    """One metadata format of one service.

    Every method raises HarvestError where the service cannot be reached, refuses, or answers what is no OAI-PMH.
    """

    endpoint: str
    prefix: str
    server: Server

    def identify(self) -> Identity:
        try:
            said, date = self._ask({"verb": "Identify"})
        except BrokenAnswerError as error:
            raise HarvestError(f"{error}. Is {self.endpoint} an OAI-PMH service?") from error
        days = "T" not in text_of(child(said, "granularity"))
        return Identity(days, text_of(child(said, "deletedRecord")) == "persistent", date)

    def formats(self) -> list[str]:
        """The metadata prefixes that it gives records in."""
        listed = self._listing("ListMetadataFormats")
        return [text_of(child(one, "metadataPrefix")) for one in listed if local_name(one) == "metadataFormat"]

    def sets(self) -> list[tuple[str, str]]:
        """The first sets that it lists: spec and name."""
        listed = self._listing("ListSets")
        found = [one for one in listed if local_name(one) == "set"]
        return [(text_of(child(one, "setSpec")), text_of(child(one, "setName"))) for one in found]

    def _listing(self, verb: str) -> etree._Element:
        try:
            return self._ask({"verb": verb})[0]
        except BrokenAnswerError as error:
            raise HarvestError(str(error)) from error

    def first_page(self, set_spec: str, since: str, until: str) -> Page:
        """The first page of a list; arguments that are empty ask for everything."""
        asked = {"metadataPrefix": self.prefix, "set": set_spec, "from": since, "until": until}
        try:
            return self._page({"verb": "ListRecords", **{name: value for name, value in asked.items() if value}})
        except OaiError as error:
            if error.code != "noRecordsMatch":
                raise
            return Page([], {}, "", None, error.date)

    def next_page(self, token: str) -> Page:
        """
        Raises:
            ExpiredTokenError: the service no longer knows the token.
        """
        try:
            return self._page({"verb": "ListRecords", "resumptionToken": token})
        except OaiError as error:
            if error.code in EXPIRED:
                raise ExpiredTokenError(str(error)) from error
            raise

    def record(self, identifier: str) -> HarvestedRecord:
        """
        Raises:
            MetadataError: the service refuses it, or it stays broken.
        """
        try:
            answer, _ = self._ask({"verb": "GetRecord", "metadataPrefix": self.prefix, "identifier": identifier})
        except (OaiError, BrokenAnswerError) as error:
            raise MetadataError(str(error)) from error
        element = child(answer, "record")
        if element is None or _identifier(element) != identifier:
            raise MetadataError("GetRecord gives another record, or none")
        return _record(element)

    def _page(self, request: dict[str, str]) -> Page:
        try:
            listed, date = self._ask(request)
        except BrokenAnswerError as broken:
            return self._salvaged(request, broken)
        records: list[HarvestedRecord] = []
        failures: dict[str, str] = {}
        for number, element in enumerate(one for one in listed if local_name(one) == "record"):
            try:
                records.append(_record(element))
            except MetadataError as error:
                failures[_identifier(element) or _nameless(request, number)] = str(error)
        token = child(listed, "resumptionToken")
        announced = "" if token is None else str(token.get("completeListSize", ""))
        return Page(records, failures, text_of(token), _number(announced), date)

    # --- asking ---------------------------------------------------------------------------------------------------

    def _ask(self, request: dict[str, str]) -> tuple[etree._Element, str]:
        """A whole answer that is no refusal: its element named like the verb, and the service's date.

        Raises:
            BrokenAnswerError: every attempt gave something else; with the last one.
        """
        try:
            return self.server.patiently(lambda: self._ask_once(request))
        except RefusedError as error:
            raise OaiError(f"{self.endpoint} does not answer {urlencode(request)}: {error}", error.reason) from error

    def _ask_once(self, request: dict[str, str]) -> tuple[etree._Element, str]:
        try:
            accept = "text/xml, application/xml"
            content = self.server.get(self.endpoint, request, most_bytes=MOST_BYTES, accept=accept).content
        except TransientError as error:  # which was patient already
            raise HarvestError(f"{self.endpoint} does not answer {urlencode(request)}: {error}") from error
        except RefusedError as error:  # some services explain a refusal in OAI-PMH
            with suppress(MetadataError):
                self._require_no_error(read_xml(error.content), request)
            raise
        content = _alone(content)
        try:
            root = read_xml(content)
        except MetadataError as error:
            raise BrokenAnswerError(f"the answer to {urlencode(request)} is broken: {error}", content) from error
        self._require_no_error(root, request)
        answer, date = child(root, request["verb"]), _date(root)
        if local_name(root) != "OAI-PMH" or answer is None or not date:
            begins = content[:80].decode("utf-8", "replace")
            raise BrokenAnswerError(f"the answer to {urlencode(request)} is no OAI-PMH: it begins {begins!r}", content)
        return answer, date

    def _require_no_error(self, root: etree._Element, request: dict[str, str]) -> None:
        errors = [one for one in root if local_name(one) == "error"]
        if local_name(root) != "OAI-PMH" or not errors:
            return
        errors.sort(key=lambda one: one.get("code") not in EXPIRED)
        code = str(errors[0].get("code", "unknown"))
        said = "; ".join(f"{one.get('code')}: {text_of(one)}" for one in errors)
        raise OaiError(f"{self.endpoint} refuses {urlencode(request)} ({said})", code, _date(root))

    # --- broken pages ---------------------------------------------------------------------------------------------

    def _salvaged(self, request: dict[str, str], broken: BrokenAnswerError) -> Page:
        """What is whole in a page that is broken but ends as it should; its other records are asked for singly.

        Raises:
            HarvestError: it ends too early, so that nobody knows what is missing, or too much of it is broken.
        """
        text = _BrokenPage.of(broken)
        records: list[HarvestedRecord] = []
        lost: dict[str, str] = {}
        for number, piece in enumerate(text.pieces()):
            try:
                records.append(text.record(piece))
            except MetadataError as error:
                found = [unescape(one.decode("utf-8", "replace").strip()) for one in _HEADER.findall(piece)]
                lost |= dict.fromkeys(filter(None, found) if any(found) else [_nameless(request, number)], str(error))
        if len(lost) > MOST_BROKEN:
            raise HarvestError(f"{broken}; {len(lost)} of its records cannot be read either")
        failures: dict[str, str] = {}
        for identifier, reason in lost.items():
            try:
                if identifier.startswith(UNIDENTIFIED):
                    raise MetadataError("it has no identifier to ask for it by")
                records.append(self.record(identifier))
            except MetadataError as error:
                failures[identifier] = f"{reason}; asked for singly: {error}"
        return Page(records, failures, text.token, text.announced, text.date, salvaged=len(records))


_NAME = rb"(?:[\w.-]+:)?"
_DECLARATION = re.compile(rb"(?:\xef\xbb\xbf)?\s*(<\?xml\b[^>]*\?>)")
_BEGINNING = re.compile(rb"(?:\xef\xbb\xbf)?<\?xml\b|<" + _NAME + rb"OAI-PMH\b")
_ROOT = re.compile(rb"<(" + _NAME + rb"OAI-PMH)\b[^>]*>")
_LIST = re.compile(rb"<(" + _NAME + rb"ListRecords)\b[^>]*>")
_NEXT_RECORD = re.compile(rb"(?=<" + _NAME + rb"record[\s>])")
_HEADER = re.compile(rb"<" + _NAME + rb"header\b[^>]*>\s*<" + _NAME + rb"identifier\b[^>]*>([^<]*)<")
_TOKEN = re.compile(rb"<(" + _NAME + rb"resumptionToken)\b([^>]*?)(?:/>|>([^<]*)</\1\s*>)")
_SIZE = re.compile(rb"\bcompleteListSize\s*=\s*[\"'](\d+)")
_RESPONSE_DATE = re.compile(rb"responseDate>\s*(\d{4}-\d\d-\d\d[^<]*)<")
_END = re.compile(rb"</" + _NAME + rb"OAI-PMH\s*>")


def _alone(content: bytes) -> bytes:
    """An answer without what a server's notices put before its beginning or behind its end: that is nobody's record."""
    begins, ends = _BEGINNING.search(content), list(_END.finditer(content))
    return content[begins.start() : ends[-1].end()] if begins and ends else content


@dataclass(frozen=True)
class _BrokenPage:
    """A page that is no XML, as text: its frame, and what stands between."""

    opening: bytes  #: everything that a record needs before it: declaration, root and list, opened
    closing: bytes
    body: bytes
    token: str
    announced: int | None
    date: str

    @classmethod
    def of(cls, broken: BrokenAnswerError) -> _BrokenPage:
        content = broken.content
        root, listed = _ROOT.search(content), _LIST.search(content)
        if root is None or listed is None:
            raise HarvestError(f"{broken}, and it is no list of records")
        ends = [b"</" + one[1] for one in (listed, root)]
        end = content.rfind(ends[0])
        tail = re.sub(rb"\s", b"", content[end:])
        date = _RESPONSE_DATE.search(content)
        if end < 0 or tail != b">".join(ends) + b">" or date is None:
            raise HarvestError(f"{broken}, and it ends before it should")
        body = content[listed.end() : end]
        tokens = list(_TOKEN.finditer(body))
        if not tokens and b"resumptionToken" in body:
            raise HarvestError(f"{broken}, and so is its resumption token")
        declaration = _DECLARATION.match(content)
        size = _SIZE.search(tokens[-1][2]) if tokens else None
        return cls(
            opening=(declaration[1] if declaration else b"") + root[0] + listed[0],
            closing=b">".join(ends) + b">",
            body=body[: tokens[-1].start()] + body[tokens[-1].end() :] if tokens else body,
            token=unescape((tokens[-1][3] or b"").decode("utf-8", "replace").strip()) if tokens else "",
            announced=int(size[1]) if size else None,
            date=in_utc(date[1].decode("utf-8", "replace")),
        )

    def pieces(self) -> Iterator[bytes]:
        """The text of one record each, and whatever else there is."""
        return (piece for piece in _NEXT_RECORD.split(self.body) if piece.strip())

    def record(self, piece: bytes) -> HarvestedRecord:
        """
        Raises:
            MetadataError: the piece is not exactly one whole record.
        """
        listed = read_xml(self.opening + piece + self.closing)[0]
        if len(listed) != 1 or local_name(listed[0]) != "record":
            raise MetadataError("it is not one whole record")
        return _record(listed[0])


# --- parts of answers -------------------------------------------------------------------------------------------------


def _record(element: etree._Element) -> HarvestedRecord:
    header, identifier = child(element, "header"), _identifier(element)
    if header is None or not identifier:
        raise MetadataError("it has no identifier")
    metadata = child(element, "metadata")
    deleted = header.get("status") == "deleted"
    content = b""
    if not deleted:
        if metadata is None or not len(metadata):
            raise MetadataError("it has no metadata")
        content = etree.tostring(metadata[0], encoding="utf-8", with_tail=False)
    sets = tuple(text_of(one) for one in header if local_name(one) == "setSpec")
    return HarvestedRecord(identifier, _stamp(text_of(child(header, "datestamp"))), sets, deleted, content)


def _identifier(record: etree._Element) -> str:
    header = child(record, "header")
    return "" if header is None else text_of(child(header, "identifier"))


def _nameless(request: dict[str, str], number: int) -> str:
    return f"{UNIDENTIFIED}part {number} of {urlencode(request)}"


def _date(root: etree._Element) -> str:
    """responseDate, see `in_utc`; empty where there is none."""
    return in_utc(text_of(child(root, "responseDate")))


def in_utc(said: str) -> str:
    """A service's time as the protocol demands it, UTC to the second; empty where it is none.

    A time that names no zone may be any place's: it is taken for the earliest that it can be, so that what changed
    since is asked for rather than missed. A time that is yet to come is now.
    """
    try:
        time = datetime.fromisoformat(said.strip())
    except ValueError:
        return ""
    if "T" in said and time.tzinfo is None:
        time -= EASTERNMOST
    time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    return min(time, datetime.now(UTC)).strftime(SECONDS)


def _stamp(said: str) -> str:
    """A record's datestamp: a day as it is, a time in UTC, so that the later of two is the greater text."""
    try:
        time = datetime.fromisoformat(said)
    except ValueError:
        return said
    return said if time.tzinfo is None else time.astimezone(UTC).strftime(SECONDS)


def _number(value: str) -> int | None:
    return int(value) if value.isdecimal() else None
