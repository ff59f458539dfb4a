from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Iterator

import pytest

from oai_server import OaiServer, Reply
from rijksnet.collection_params import Politeness
from rijksnet.errors import HarvestError
from rijksnet.harvesting.http import RefusedError, Server, TransientError


@pytest.fixture
def web() -> Iterator[OaiServer]:
    with OaiServer() as server:
        server.paths["/page"] = Reply(b"hello", headers={"Content-Type": "Text/HTML; charset=utf-8"})
        yield server


def client(requests_per_s: float = 100, robots: str = "ignore", attempts: int = 3) -> Server:
    politeness = {"contact": "tests@example.org", "requests_per_s": requests_per_s, "robots": robots}
    return Server(Politeness.model_validate(politeness), attempts, first_pause_s=0.005)


def replies(web: OaiServer, *sequence: Reply) -> list[Reply]:
    """Answers to /oai, one after the other; the list holds those still to come."""
    left = list(sequence)
    web.trouble = lambda query, body: left.pop(0)
    return left


def test_answer(web: OaiServer) -> None:
    answer = client().get(f"{web.root}/page", most_bytes=5)
    assert (answer.content, answer.content_type, answer.url) == (b"hello", "text/html", f"{web.root}/page")


@pytest.mark.parametrize(
    "trouble",
    [
        Reply(status=503, headers={"Retry-After": "0"}),
        Reply(status=500),
        Reply(status=429),
        Reply(b"never whole", sent=0),
        Reply(b"never whole", sent=5),
    ],
    ids=["busy", "broken", "too many", "dropped", "cut short"],
)
def test_asks_again(web: OaiServer, trouble: Reply) -> None:
    left = replies(web, trouble, trouble, Reply(b"at last"))
    assert client().get(web.url, most_bytes=100).content == b"at last"
    assert left == []


def test_gives_up_after_the_attempts_it_has(web: OaiServer) -> None:
    left = replies(web, *[Reply(status=500)] * 9)
    with pytest.raises(TransientError, match="500"):
        client(attempts=3).get(web.url, most_bytes=100)
    assert len(left) == 6


@pytest.mark.parametrize("value", ["0.3", "date"])
def test_waits_as_long_as_asked(web: OaiServer, value: str) -> None:
    if value == "date":
        value = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 2))  # whole seconds: 1 at least
    replies(web, Reply(status=503, headers={"Retry-After": value}), Reply(b"back"))
    began = time.monotonic()
    assert client().get(web.url, most_bytes=100).content == b"back"
    assert time.monotonic() - began >= 0.3


def test_a_pause_asked_for_holds_for_all_threads(web: OaiServer) -> None:
    server = client()
    replies(web, Reply(status=503, headers={"Retry-After": "0.5"}), Reply(b"back"))
    waiting = threading.Thread(target=server.get, args=(web.url,), kwargs={"most_bytes": 100})
    began = time.monotonic()
    waiting.start()
    while waiting.is_alive() and not web.requests:
        time.sleep(0.002)
    time.sleep(0.1)
    server.get(f"{web.root}/page", most_bytes=100)
    assert time.monotonic() - began >= 0.5
    waiting.join()


def test_a_day_is_too_long_a_pause(web: OaiServer) -> None:
    left = replies(web, Reply(status=503, headers={"Retry-After": "86400"}), Reply(b"back"))
    with pytest.raises(RefusedError, match="long pause"):
        client().get(web.url, most_bytes=100)
    assert len(left) == 1


def test_final_answers_are_not_asked_for_again(web: OaiServer) -> None:
    left = replies(web, Reply(b"no such thing", status=404), Reply(b"never asked for"))
    with pytest.raises(RefusedError) as caught:
        client().get(web.url, most_bytes=100)
    assert (caught.value.reason, caught.value.status, caught.value.content) == ("HTTP 404", 404, b"no such thing")
    assert len(left) == 1


@pytest.mark.parametrize("compressed", [False, True])
def test_too_large(web: OaiServer, compressed: bool) -> None:
    content = bytes(10_000_000)
    headers = {"Content-Encoding": "gzip"} if compressed else {}
    web.paths["/large"] = Reply(gzip.compress(content) if compressed else content, headers=headers)
    with pytest.raises(RefusedError, match="too large"):
        client().get(f"{web.root}/large", most_bytes=9_999_999)
    assert len(client().get(f"{web.root}/large", most_bytes=10_000_000).content) == 10_000_000


@pytest.mark.parametrize("url", ["ftp://example.org/x", "file:///etc/hostname", "http://[bad", "nowhere", "http://"])
@pytest.mark.parametrize("robots", ["obey", "ignore"])
def test_what_is_no_web_address(url: str, robots: str) -> None:
    with pytest.raises(RefusedError, match="cannot be asked"):
        client(robots=robots).get(url, most_bytes=100)


def test_keeps_the_rate_over_all_threads(web: OaiServer) -> None:
    server, began = client(requests_per_s=20), time.monotonic()
    threads = [
        threading.Thread(target=server.get, args=(f"{web.root}/page",), kwargs={"most_bytes": 5}) for _ in range(7)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - began >= 6 / 20


class TestRobots:
    def test_forbidden(self, web: OaiServer) -> None:
        web.paths["/robots.txt"] = Reply(b"\xef\xbb\xbfUser-agent: *\nDisallow: /page\n")
        with pytest.raises(RefusedError, match="robots"):
            client(robots="obey").get(f"{web.root}/page", most_bytes=5)
        assert client(robots="ignore").get(f"{web.root}/page", most_bytes=5).content == b"hello"

    def test_forbidden_by_name_only(self, web: OaiServer) -> None:
        web.paths["/robots.txt"] = Reply(b"User-agent: BadBot\nDisallow: /\n\nUser-agent: *\nAllow: /\n")
        assert client(robots="obey").get(f"{web.root}/page", most_bytes=5).content == b"hello"

    def test_none(self, web: OaiServer) -> None:
        assert client(robots="obey").get(f"{web.root}/page", most_bytes=5).content == b"hello"

    def test_that_cannot_be_had_forbids_everything(self, web: OaiServer) -> None:
        web.paths["/robots.txt"] = Reply(status=503)
        with pytest.raises(HarvestError, match=r"robots\.txt cannot be had"):
            client(robots="obey").get(f"{web.root}/page", most_bytes=5)

    def test_asks_for_more_time(self, web: OaiServer) -> None:
        web.paths["/robots.txt"] = Reply(b"User-agent: *\nCrawl-delay: 10\n")
        with pytest.raises(HarvestError, match=r"requests_per_s to 0\.1"):
            client(robots="obey").get(f"{web.root}/page", most_bytes=5)
