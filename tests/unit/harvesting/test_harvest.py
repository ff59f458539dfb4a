from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from filelock import FileLock

from oai_server import Item, OaiServer, Query, Reply, dublin_core, envelope, error, oai_collection, record
from rijksnet.collection_params import OaiCollection
from rijksnet.collections.harvested import HarvestStore
from rijksnet.errors import CollectionError, HarvestError
from rijksnet.harvesting import harvest as module
from rijksnet.harvesting.harvest import HarvestSummary, harvest
from rijksnet.harvesting.http import Server
from rijksnet.harvesting.oai import in_utc


@pytest.fixture
def web() -> Iterator[OaiServer]:
    with OaiServer([item(n) for n in range(10)], page_size=4) as server:
        yield server


@pytest.fixture
def collection(tmp_path: Path, web: OaiServer) -> OaiCollection:
    return oai_collection(tmp_path / "raw", web.url)


def item(n: int, title: str = "Ets", datestamp: str = "2020-01-01T00:00:00Z", sets: tuple[str, ...] = ()) -> Item:
    return Item(f"oai:x:{n}", dublin_core(identifier=f"A-{n}", title=title), datestamp, sets)


def run(collection: OaiCollection) -> HarvestSummary:
    return harvest(collection, "prints", Server(collection.server, attempts=2, first_pause_s=0.002))


def stored(collection: OaiCollection) -> dict[str, str]:
    """Title by OAI identifier."""
    with HarvestStore.reading(collection) as store:
        records = store.records(collection.sets)
        return {one.identifier: re.findall(b"title>(.*)</dc:title", one.metadata)[0].decode() for one in records}


def fail_at(web: OaiServer, page: int) -> None:
    """From its n-th page on, a list cannot be had."""
    web.trouble = lambda query, body: Reply(status=500) if _cursor(query) >= page * web.page_size else None


def _cursor(query: Query) -> int:
    return int(query["resumptionToken"].split("|")[1]) if "resumptionToken" in query else 0


def test_everything_then_only_what_changed(web: OaiServer, collection: OaiCollection) -> None:
    summary = run(collection)
    assert (summary.pages, summary.changes, summary.stored, summary.short) == (3, (10, 0, 0, 0), 10, [])
    later = "2024-06-01T00:00:00Z"
    for changed in (item(1, "Gravure", later), Item("oai:x:2", None, later), item(10, "Nieuw", later)):
        web.items[changed.identifier] = changed
    web.now = later
    summary = run(collection)
    assert (summary.pages, summary.changes, summary.stored) == (1, (1, 1, 0, 1), 10)
    assert stored(collection) == {f"oai:x:{n}": "Ets" for n in (0, *range(3, 10))} | {
        "oai:x:1": "Gravure",
        "oai:x:10": "Nieuw",
    }
    assert [one.get("from") for one in web.lists()] == [None, "2024-05-01T12:00:00Z"]
    assert "1 records new, 1 changed, 0 unchanged, 1 deleted; 10 stored" in str(summary)


def test_what_changed_during_a_harvest_is_asked_for_next_time(web: OaiServer, collection: OaiCollection) -> None:
    def change(query: Query, body: bytes) -> None:
        if _cursor(query) == 8:
            web.now = "2024-05-01T13:00:00Z"
            web.items["oai:x:0"] = item(0, "Gravure", "2024-05-01T12:30:00Z")

    began, web.trouble = web.now, change
    run(collection)
    assert stored(collection)["oai:x:0"] == "Ets"
    run(collection)
    assert web.lists()[-1]["from"] == began
    assert stored(collection)["oai:x:0"] == "Gravure"


def test_goes_on_with_the_saved_token(web: OaiServer, collection: OaiCollection) -> None:
    fail_at(web, 2)
    with pytest.raises(HarvestError, match=r"500.*\n8 records are stored; the same command goes on"):
        run(collection)
    assert len(stored(collection)) == 8, "what is there can be used"
    web.trouble, web.requests = None, []
    assert run(collection).changes == (2, 0, 0, 0)
    assert web.lists() == []
    assert len(stored(collection)) == 10


def test_expired_token_begins_the_list_again(web: OaiServer, collection: OaiCollection) -> None:
    fail_at(web, 2)
    with pytest.raises(HarvestError):
        run(collection)
    web.trouble, web.token_generation = None, 1
    summary = run(collection)
    assert (summary.changes, summary.short) == ((2, 0, 8, 0), [])
    assert len(stored(collection)) == 10


def test_tokens_that_always_expire(web: OaiServer, collection: OaiCollection) -> None:
    def expire(query: Query, body: bytes) -> None:
        web.token_generation += 1

    web.trouble = expire
    with pytest.raises(HarvestError, match=r"tokens expire before.*badResumptionToken"):
        run(collection)
    assert len(web.lists()) == 1 + module.MOST_RESTARTS


def test_token_that_comes_again(web: OaiServer, collection: OaiCollection) -> None:
    def same(query: Query, body: bytes) -> Reply:
        return Reply(re.sub(rb"(<resumptionToken[^>]*>)[^<]*", rb"\g<1>0|4|||", body))

    web.trouble = same  # pages 0–3, 4–7, and 4–7 for ever
    summary = run(collection)
    assert summary.short[0] == "the list repeats itself and does not end: it was left there, after 8 records"
    assert "announced 10 records and gave 8" in summary.short[1]
    assert summary.pages == 2 + module.MOST_REPEATS
    assert len(stored(collection)) == 8, "what was given can be used"


def test_a_list_left_without_its_end_is_asked_for_again_as_a_whole(web: OaiServer, collection: OaiCollection) -> None:
    web.announce = False

    def same(query: Query, body: bytes) -> Reply:
        return Reply(re.sub(rb"(<resumptionToken[^>]*>)[^<]*", rb"\g<1>0|4|||", body))

    web.trouble = same
    assert "repeats itself" in run(collection).short[0]
    web.trouble = None
    assert run(collection).changes.new == 2
    assert all("from" not in query for query in web.lists()), "nobody knew what was missing"
    assert len(stored(collection)) == 10


def test_pages_without_a_record_are_passed_over(
    web: OaiServer, collection: OaiCollection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that filters what it has read: each page has a token of its own, and many have no record."""
    empty = [20]

    def filtering(query: Query, body: bytes) -> Reply | None:
        if (
            query["verb"] != "ListRecords"
            or "resumptionToken" not in query
            or query["resumptionToken"].startswith("0|")
        ):
            return None
        left = int(query["resumptionToken"])
        token = f"{left - 1}" if left else "0|4|||"
        return Reply(envelope(f"<ListRecords><resumptionToken>{token}</resumptionToken></ListRecords>"))

    def begin(query: Query, body: bytes) -> Reply | None:
        if query["verb"] == "ListRecords" and "resumptionToken" not in query:
            return Reply(re.sub(rb"(<resumptionToken[^>]*>)[^<]*", b"\\g<1>%d" % empty[0], body))
        return filtering(query, body)

    web.trouble = begin
    summary = run(collection)
    assert (summary.changes.new, summary.short) == (10, [])
    monkeypatch.setattr(module, "MOST_EMPTY", 5)
    assert run(collection).short == [], "nothing is new, and no list is so long"
    again = collection.model_copy(update={"raw": f"{collection.raw}2"})
    assert run(again).short[0].startswith("the list gave 5 pages without a record and does not end")


def test_tokens_that_expire_are_given_up_even_where_records_change_at_each_request(
    web: OaiServer, collection: OaiCollection
) -> None:
    when = iter(range(10_000))

    def moving(query: Query, body: bytes) -> Reply | None:
        if query["verb"] == "ListRecords" and "resumptionToken" in query:
            return Reply(envelope(error("badResumptionToken", "expired")))
        return Reply(re.sub(rb"title>[^<]*<", lambda _: b"title>%d<" % next(when), body))

    web.trouble = moving
    with pytest.raises(HarvestError, match="tokens expire before"):
        run(collection)
    assert len(web.lists()) == 1 + module.MOST_RESTARTS


def test_one_token_for_every_page(web: OaiServer, collection: OaiCollection) -> None:
    """Some services keep the place themselves, and give the same token with each page."""
    place = [0]

    def stateful(query: Query, body: bytes) -> Reply | None:
        if query["verb"] != "ListRecords":
            return None
        if "resumptionToken" in query:
            place[0] += web.page_size
            body = web.answer({**query, "resumptionToken": f"0|{place[0]}|||"})
        return Reply(re.sub(rb"(<resumptionToken[^>]*>)[^<]+", rb"\g<1>the same", body))

    web.trouble = stateful
    summary = run(collection)
    assert (summary.changes.new, summary.short) == (10, [])


def test_a_superfluous_token_is_an_end(web: OaiServer, collection: OaiCollection) -> None:
    def one_more(query: Query, body: bytes) -> Reply | None:
        if query.get("resumptionToken") == "beyond":
            return Reply(envelope(error("badResumptionToken", "no such page")))
        return Reply(re.sub(rb"(<resumptionToken[^>]*>)</", rb"\g<1>beyond</", body))

    web.trouble = one_more
    summary = run(collection)
    assert (summary.changes.new, summary.short) == (10, [])
    assert len(stored(collection)) == 10


def test_a_list_far_longer_than_announced_is_left(
    web: OaiServer, collection: OaiCollection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_BEYOND", 5)
    pages = iter(range(1000))

    def endless(query: Query, body: bytes) -> Reply | None:
        if query["verb"] != "ListRecords":
            return None
        page = next(pages)
        records = "".join(record(item(1)._replace(identifier=f"oai:x:{page}-{n}")) for n in range(4))
        token = f'<resumptionToken completeListSize="10">{page}</resumptionToken>'
        return Reply(envelope(f"<ListRecords>{records}{token}</ListRecords>"))

    web.trouble = endless
    summary = run(collection)
    assert summary.short == [
        "the list announced 10 records, gave 28 and does not end: it was left there, after 32 records"
    ]


def test_a_harvest_that_was_never_completed_can_be_used_and_says_so(web: OaiServer, collection: OaiCollection) -> None:
    fail_at(web, 2)
    with pytest.raises(HarvestError):
        run(collection)
    with HarvestStore.reading(collection) as store:
        assert store.shortfalls() == [
            "the harvest is not complete (8 of 10 records): `rijksnet harvest` goes on with it"
        ]


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("2024-03-01T12:00:00Z", "2024-03-01T12:00:00Z"),
        ("2024-03-01T12:00:00.123+02:00", "2024-03-01T10:00:00Z"),
        (" 2024-03-01T12:00:00-05:00 ", "2024-03-01T17:00:00Z"),
        ("2024-03-01T12:00:00", "2024-02-29T22:00:00Z"),  # of no zone: the earliest that it can be
        ("2024-03-01", "2024-03-01T00:00:00Z"),
        ("yesterday", ""),
    ],
)
def test_a_service_s_time_is_taken_in_utc(said: str, meant: str) -> None:
    assert in_utc(said) == meant


def test_a_time_to_come_is_now() -> None:
    assert in_utc("2999-01-01T00:00:00Z") <= datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize("around", [(b"", b"\n<br /><b>Notice</b>: Undefined & index"), (b"<b>Warning</b>\n", b"")])
def test_notices_around_a_page_are_nobody_s_record(
    web: OaiServer, collection: OaiCollection, around: tuple[bytes, bytes]
) -> None:
    web.trouble = lambda query, body: Reply(around[0] + body + around[1])
    summary = run(collection)
    assert (summary.changes.new, summary.salvaged, summary.failed) == (10, 0, [])


def test_nothing_new_leaves_the_file_as_it_is(web: OaiServer, collection: OaiCollection) -> None:
    run(collection)
    web.now = "2024-05-02T00:00:00Z"
    file = Path(collection.raw) / "records.db"
    before = file.read_bytes()
    assert run(collection).changes == (0, 0, 0, 0)
    web.items["oai:x:3"] = item(3)._replace(datestamp="2020-01-01T00:00:00Z")
    web.trouble = lambda query, body: (
        Reply(web.answer({**query, "from": ""})) if query["verb"] == "ListRecords" else None
    )
    assert run(collection).changes == (0, 0, 10, 0)  # a server that does not understand `from`
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == ["records.db"]


def test_days(web: OaiServer, collection: OaiCollection) -> None:
    """Within a day a record can change twice: equal datestamps do not mean equal records."""
    web.granularity = "YYYY-MM-DD"
    web.items = {one.identifier: one for one in (item(n, datestamp="2024-05-01") for n in range(3))}
    run(collection)
    web.items["oai:x:1"] = item(1, "Gravure", "2024-05-01")
    assert run(collection).changes == (0, 1, 2, 0)
    assert web.lists()[-1]["from"] == "2024-05-01"


def test_older_version_does_not_win(web: OaiServer, collection: OaiCollection) -> None:
    web.repeated = [item(1, "Oud", "2019-01-01T00:00:00Z"), item(1)]
    assert run(collection).changes == (10, 0, 2, 0)
    assert stored(collection)["oai:x:1"] == "Ets"


def test_deleted_and_back(web: OaiServer, collection: OaiCollection) -> None:
    run(collection)
    for day, later in enumerate((Item("oai:x:1", None), item(1, "Terug")), 1):
        web.items["oai:x:1"] = later._replace(datestamp=f"2024-06-0{day}T00:00:00Z")
        run(collection)
        assert stored(collection).get("oai:x:1") == (None if later.metadata is None else "Terug")


def test_sets_and_dates(tmp_path: Path, web: OaiServer) -> None:
    web.items = {
        one.identifier: one
        for one in (
            item(0, sets=("prints",)),
            item(1, sets=("prints:etchings", "loans")),
            item(2, sets=("paintings",)),
            item(3, sets=("loans",), datestamp="2023-12-31T23:59:59Z"),
            item(4, sets=("loans",), datestamp="2019-12-31T23:59:59Z"),
            item(5, sets=("loans",), datestamp="2024-01-01T00:00:00Z"),
        )
    }
    bounds = {"since": "2020-01-01", "until": "2023-12-31"}
    collection = oai_collection(tmp_path / "raw", web.url, sets=["prints", "loans"], **bounds)
    assert run(collection).changes == (3, 0, 1, 0)
    assert stored(collection).keys() == {"oai:x:0", "oai:x:1", "oai:x:3"}
    assert stored(collection.model_copy(update={"sets": ["prints"]})).keys() == {"oai:x:0", "oai:x:1"}
    assert [(one["from"], one["until"]) for one in web.lists()] == [
        ("2020-01-01T00:00:00Z", "2023-12-31T23:59:59Z")
    ] * 2
    run(collection)
    assert len(web.lists()) == 2  # what changes now is later than `until`
    with pytest.raises(CollectionError, match="set 'paintings'"):
        stored(collection.model_copy(update={"sets": ["paintings"]}))


def test_failures_are_kept_and_asked_for_again(web: OaiServer, collection: OaiCollection) -> None:
    web.trouble = lambda query, body: Reply(body.replace(b"A-2<", b"\x01<"))
    summary = run(collection)
    assert (summary.changes, summary.salvaged, summary.stored) == ((9, 0, 0, 0), 3, 9)
    assert "oai:x:2: it is no well-formed XML" in str(summary)
    assert summary.short == []
    web.trouble = None
    summary = run(collection)
    assert (summary.changes, summary.failed) == ((1, 0, 0, 0), [])
    assert len(stored(collection)) == 10


def test_fewer_than_announced(web: OaiServer, collection: OaiCollection) -> None:
    web.trouble = lambda query, body: Reply(body.replace(b'Size="10"', b'Size="12"'))
    assert "announced 12 records and gave 10" in str(run(collection))
    web.trouble, web.announce = None, False
    assert run(collection).short == []


def test_service_without_deletions(web: OaiServer, collection: OaiCollection) -> None:
    web.deleted_record = "no"
    assert "does not remember deletions" in str(run(collection))


def test_another_service(web: OaiServer, collection: OaiCollection) -> None:
    run(collection)
    with pytest.raises(HarvestError, match="`prefix` was 'oai_dc' and is 'edm'"):
        run(collection.model_copy(update={"prefix": "edm"}))
    with pytest.raises(CollectionError, match="`since` was None and is '2020-01-01'"):
        stored(collection.model_copy(update={"since": "2020-01-01"}))


def test_one_harvest_at_a_time(tmp_path: Path, collection: OaiCollection) -> None:
    with FileLock(tmp_path / ".raw.harvest.lock"), pytest.raises(HarvestError, match="another harvest of 'prints'"):
        run(collection)


def test_links_into_a_cache_are_not_written(tmp_path: Path, collection: OaiCollection) -> None:
    run(collection)
    (tmp_path / "cached").hardlink_to(tmp_path / "raw" / "records.db")
    with pytest.raises(HarvestError, match="dvc unprotect"):
        run(collection)


def test_damaged_store(collection: OaiCollection) -> None:
    Path(collection.raw).mkdir()
    (Path(collection.raw) / "records.db").write_bytes(b"no database" * 1000)
    with pytest.raises(HarvestError, match="cannot be used"):
        run(collection)
    with pytest.raises(CollectionError, match="cannot be used"):
        stored(collection)


def test_half_written_page_is_undone(
    web: OaiServer, collection: OaiCollection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page is stored whole, with its token, or not at all."""
    put, puts = HarvestStore._put, iter(range(100))

    def put_six(*args: object) -> str:
        if next(puts) == 6:
            raise sqlite3.OperationalError("database or disk is full")
        return put(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(HarvestStore, "_put", put_six)
    with pytest.raises(HarvestError, match="disk is full"):
        run(collection)
    monkeypatch.undo()
    assert run(collection).changes == (6, 0, 0, 0)


class TestNames:
    @pytest.fixture
    def collection(self, tmp_path: Path, web: OaiServer) -> OaiCollection:
        ids = {"creator": f"{web.root}/1", "type": [f"{web.root}/2", "prent"]}
        web.items = {one: Item(one, dublin_core(**ids), "2020-01-01T00:00:00Z") for one in ("a", "b")}
        web.paths["/1"] = Reply(json.dumps({"_label": "Rembrandt"}).encode())
        return oai_collection(tmp_path / "raw", web.url, resolve=True)

    def test_each_is_asked_once_and_failures_again(self, web: OaiServer, collection: OaiCollection) -> None:
        summary = run(collection)
        assert summary.named == 1
        assert [id_ for id_, _ in summary.unnamed] == [f"{web.root}/2"]
        assert "HTTP 404" in str(summary)
        web.paths = {"/1": Reply(status=404), "/2": Reply(json.dumps({"_label": "prent"}).encode())}
        summary = run(collection)
        assert (summary.named, summary.unnamed) == (1, [])
        with HarvestStore.reading(collection) as store:
            assert store.names("nl") == {f"{web.root}/1": "Rembrandt", f"{web.root}/2": "prent"}
            assert store.names("en") == {}

    def test_server_that_is_away(
        self, web: OaiServer, collection: OaiCollection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "MOST_SILENT", 2)
        web.paths = {"/1": Reply(status=503), "/2": Reply(status=503)}
        with pytest.raises(HarvestError, match=r"503.*All records and 0 names are stored"):
            run(collection)
        assert run(collection.model_copy(update={"resolve": False})).stored == 2
