from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from oai_server import Item, OaiServer, Reply, dublin_core, envelope, error, record
from rijksnet.collection_params import Politeness
from rijksnet.collections.metadata import parse
from rijksnet.collections.metadata.fields import MetadataError
from rijksnet.errors import HarvestError
from rijksnet.harvesting.http import Server
from rijksnet.harvesting.oai import ExpiredTokenError, OaiError, OaiService

ITEMS = [Item(f"oai:x:{n}", dublin_core(identifier=f"A-{n}", title=f"Ets nr {n} – é")) for n in range(5)]


@pytest.fixture
def web() -> Iterator[OaiServer]:
    with OaiServer(ITEMS) as server:
        yield server


@pytest.fixture
def service(web: OaiServer) -> OaiService:
    politeness = Politeness(contact="tests@example.org", requests_per_s=100, robots="ignore")
    return OaiService(web.url, "oai_dc", Server(politeness, attempts=3, first_pause_s=0.002))


def spoil_lists(web: OaiServer, spoil: Callable[[bytes], bytes]) -> None:
    """Every ListRecords answer is spoilt, each time; GetRecord's are not."""
    web.trouble = lambda query, body: Reply(spoil(body)) if query["verb"] == "ListRecords" else None


def test_identify(web: OaiServer, service: OaiService) -> None:
    assert service.identify() == (False, True, "2024-05-01T12:00:00Z")
    web.granularity, web.deleted_record = "YYYY-MM-DD", "no"
    assert service.identify()[:2] == (True, False)


def test_pages(web: OaiServer, service: OaiService) -> None:
    web.page_size = 3
    web.items["oai:x:3"] = Item("oai:x:3", None, "2021-01-01", ("a", "a:b"))
    first = service.first_page("", "", "")
    assert (len(first.records), first.announced, first.failures, first.salvaged) == (3, 5, {}, 0)
    assert parse(first.records[1].metadata, "dc", "nl").title == "Ets nr 1 – é"
    last = service.next_page(first.token)
    deleted, live = last.records
    assert last.token == ""
    assert (deleted.deleted, deleted.metadata, deleted.sets, deleted.datestamp) == (
        True,
        b"",
        ("a", "a:b"),
        "2021-01-01",
    )
    assert (live.deleted, live.identifier) == (False, "oai:x:4")


def test_nothing_matches(service: OaiService) -> None:
    page = service.first_page("", "2030-01-01T00:00:00Z", "")
    assert (page.records, page.token, page.date) == ([], "", "2024-05-01T12:00:00Z")


def test_refusal_names_code_and_request(web: OaiServer) -> None:
    politeness = Politeness(contact="tests@example.org", requests_per_s=100, robots="ignore")
    with pytest.raises(OaiError, match=r"metadataPrefix=lido.*cannotDisseminateFormat: only oai_dc") as caught:
        OaiService(web.url, "lido", Server(politeness)).first_page("", "", "")
    assert caught.value.code == "cannotDisseminateFormat"
    assert len(web.requests) == 1


@pytest.mark.parametrize(
    "reply",
    [
        Reply(envelope(error("badResumptionToken", "expired"))),
        Reply(envelope(error("badArgument", "and") + error("badResumptionToken", "expired"))),
        Reply(envelope(error("badResumptionToken", "expired")), status=422),
        Reply(b"what?", status=400),
        Reply(status=410),
    ],
)
def test_expired_tokens(web: OaiServer, service: OaiService, reply: Reply) -> None:
    web.trouble = lambda query, body: reply
    with pytest.raises(ExpiredTokenError):
        service.next_page("0|3|||")


@pytest.mark.parametrize("content", [b"<html><body/></html>", b"<!DOCTYPE html><html></html>", b"", envelope("<x/>")])
def test_no_oai_service(web: OaiServer, service: OaiService, content: bytes) -> None:
    web.trouble = lambda query, body: Reply(content)
    with pytest.raises(HarvestError, match=r"Is .* an OAI-PMH service"):
        service.identify()
    with pytest.raises(HarvestError):
        service.first_page("", "", "")
    assert len(web.requests) == 6  # each asked for as often as there are attempts


def test_hiccup_is_asked_again(web: OaiServer, service: OaiService) -> None:
    spoilt = [b"<OAI-PMH>", b"\xff\xfe", b""]
    web.trouble = lambda query, body: Reply(body[:-99] + spoilt.pop()) if len(spoilt) > 1 else None
    page = service.first_page("", "", "")
    assert (len(page.records), page.salvaged) == (5, 0)


@pytest.mark.parametrize(
    "damage",
    [b"\x01", b"\xe9", b"&undefined;", b"<open>", b"<title/></record>"],
    ids=["character", "encoding", "entity", "element", "end"],
)
def test_broken_record_is_asked_for_singly(web: OaiServer, service: OaiService, damage: bytes) -> None:
    spoil_lists(web, lambda body: body.replace(b"Ets nr 2", b"Ets" + damage))
    page = service.first_page("", "", "")
    assert sorted(one.identifier for one in page.records) == [item.identifier for item in ITEMS]
    assert {parse(one.metadata, "dc", "nl").title for one in page.records} == {f"Ets nr {n} – é" for n in range(5)}
    assert (page.failures, page.announced, page.token) == ({}, 5, "")
    assert web.requests[-1] == {"verb": "GetRecord", "metadataPrefix": "oai_dc", "identifier": "oai:x:2"}


def test_record_that_stays_broken_is_a_failure(web: OaiServer, service: OaiService) -> None:
    web.page_size = 4
    web.trouble = lambda query, body: Reply(body.replace(b"Ets nr 2", b"\x01").replace(b"Ets nr 3", b"&b;"))
    page = service.first_page("", "", "")
    assert [one.identifier for one in page.records] == ["oai:x:0", "oai:x:1"]
    assert page.salvaged == 2
    assert page.failures.keys() == {"oai:x:2", "oai:x:3"}
    assert "Char value 1" in page.failures["oai:x:2"]
    assert "not defined" in page.failures["oai:x:3"]
    assert len(service.next_page(page.token).records) == 1  # the rest goes on


def test_entity_bomb_costs_only_what_uses_it(web: OaiServer, service: OaiService) -> None:
    bomb = b'?>\n<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'
    web.trouble = lambda query, body: Reply(body.replace(b"?>", bomb, 1).replace(b"Ets nr 2", b"&b;"))
    page = service.first_page("", "", "")
    assert len(page.records) == 4
    assert "DOCTYPE" in page.failures["oai:x:2"]


def test_record_whose_identifier_is_broken(web: OaiServer, service: OaiService) -> None:
    spoil_lists(web, lambda body: body.replace(b"<identifier>oai:x:2</identifier>", b"\x01"))
    page = service.first_page("", "", "")
    assert len(page.records) == 4
    (identifier,) = page.failures
    assert identifier.startswith("(no identifier) part 2 of verb=ListRecords")


def test_whole_page_with_records_that_say_nothing(web: OaiServer, service: OaiService) -> None:
    spoil_lists(
        web,
        lambda body: body.replace(b"<identifier>oai:x:1</identifier>", b"").replace(
            f"<metadata>{ITEMS[2].metadata}</metadata>".encode(), b"<metadata> </metadata>"
        ),
    )
    page = service.first_page("", "", "")
    assert len(page.records) == 3
    assert "oai:x:2" in page.failures
    assert len(page.failures) == 2


@pytest.mark.parametrize("cut", [20, 60, 500])
def test_page_that_ends_too_early(web: OaiServer, service: OaiService, cut: int) -> None:
    spoil_lists(web, lambda body: body[:-cut])
    with pytest.raises(HarvestError, match="ends before it should"):
        service.first_page("", "", "")


def test_broken_token(web: OaiServer, service: OaiService) -> None:
    web.page_size = 3
    spoil_lists(web, lambda body: body.replace(b"</resumptionToken>", b"</resumptionTok\x01"))
    with pytest.raises(HarvestError, match="so is its resumption token"):
        service.first_page("", "", "")


def test_mostly_broken(web: OaiServer, service: OaiService) -> None:
    more = [Item(f"oai:x:{n}", dublin_core(title="Ets nr")) for n in range(60)]
    web.items = {item.identifier: item for item in more}
    spoil_lists(web, lambda body: body.replace(b"Ets nr", b"\x01"))
    with pytest.raises(HarvestError, match="60 of its records cannot be read either"):
        service.first_page("", "", "")
    assert len(web.requests) == 3


def test_single_records(web: OaiServer, service: OaiService) -> None:
    assert service.record("oai:x:3").identifier == "oai:x:3"
    with pytest.raises(MetadataError, match="idDoesNotExist"):
        service.record("oai:x:99")
    web.trouble = lambda query, body: Reply(envelope(f"<GetRecord>{record(ITEMS[0])}</GetRecord>"))
    with pytest.raises(MetadataError, match="another record"):
        service.record("oai:x:3")
