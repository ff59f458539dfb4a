"""The service as visitors meet it: a real server on the loopback interface, and a network that was really trained."""

from __future__ import annotations

import io
import shutil
import socket
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import uvicorn
from PIL import Image

from blanks import BLANK, IN_SPLIT, KEY, trained
from image_server import serve as serve_images
from rijksnet.errors import ParamsError, RunError
from rijksnet.params import Params
from rijksnet.paths import CollectionPaths
from rijksnet.runs.folder import RunFolder
from rijksnet.service import desk as desk_module
from rijksnet.service.app import Office, make_app
from rijksnet.service.desk import Adviser, Desk, load_adviser
from rijksnet.service.run import serve
from rijksnet.service_params import Service
from rijksnet.suggesting.suggest import suggest
from workspace import make_workspace, tiny_content

LIMITS = Service(hosts=[], megabytes=0.5, seconds=5, requests=64)


@dataclass(frozen=True)
class Served:
    """A service that answers, and the project that it is of."""

    url: str
    office: Office
    params: Params
    folder: Path

    def picture(self, number: int) -> bytes:
        """A picture of the source, as a file that holds its very pixels."""
        pixels = np.load(self.folder / CollectionPaths("source").pixels_of_size(32), mmap_mode="r")[number]
        return png(np.asarray(pixels))

    def post(self, path: str = "/classify", **request: Any) -> requests.Response:
        return requests.post(self.url + path, timeout=30, **request)

    def ask(self, picture: bytes) -> dict[str, Any]:
        answer = self.post(data=picture, headers={"content-type": "image/png"})
        assert answer.status_code == 200, answer.text
        (found,) = answer.json()["answers"]
        return found  # type: ignore[no-any-return]


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


@contextmanager
def running(office: Office) -> Iterator[str]:
    """The address of a service in a thread of its own."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(make_app(office), log_level="critical", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            while not server.started:
                time.sleep(0.01)
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Params, Path]]:
    """The working directory: a project with a trained network and objects whose type is blank."""
    folder = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        make_workspace()
        yield trained(tiny_content()), folder


@pytest.fixture(scope="module")
def adviser(project: tuple[Params, Path]) -> Adviser:
    return load_adviser(project[0], str(KEY), 0.8)


@pytest.fixture
def serves(project: tuple[Params, Path], adviser: Adviser) -> Iterator[Callable[..., Served]]:
    """A service of its own for a test: (limits=…, token=…)."""
    opened = []

    def start(limits: Service = LIMITS, **options: Any) -> Served:
        office = Office(Desk(adviser), limits, **options)
        context = running(office)
        opened.append((context, office))
        return Served(context.__enter__(), office, *project)

    yield start
    for context, office in reversed(opened):
        context.__exit__(None, None, None)
        office.desk.close()


@pytest.fixture
def served(serves: Callable[..., Served]) -> Served:
    return serves()


# --- answers ----------------------------------------------------------------------------------------------------------


def test_a_visitor_hears_what_suggest_says_to_the_last_digit(served: Served) -> None:
    said = {one.object_id: one for one in suggest(served.params, "source", "type", str(KEY), 0.8, False).objects}
    for number in (*range(IN_SPLIT, IN_SPLIT + 8), IN_SPLIT + BLANK):
        its = said[f"source-{number:03}"]
        heard = served.ask(served.picture(number))
        assert [(one["label"], one["probability"]) for one in heard["ranked"]][:3] == list(its.ranked)
        assert (heard["suggestion"], heard["why_not"]) == ((None, its.why_not) if its.why_not else (its.label, None))
        assert heard["similarity"] == pytest.approx(its.similarity, abs=1e-6)
        assert heard["nearest"][0]["similarity"] >= its.neighbours[0].similarity - 1e-6
    assert said[f"source-{IN_SPLIT + BLANK:03}"].why_not


def test_a_form_with_several_pictures_one_of_them_broken(served: Served) -> None:
    names = ("a.png", "b.txt", "c.png")
    contents = (served.picture(IN_SPLIT), b"no picture", served.picture(IN_SPLIT + 1))
    files = [("image", (name, content)) for name, content in zip(names, contents, strict=True)]
    answer = served.post("/classify?overlay=true", files=files)
    assert answer.status_code == 200
    first, broken, last = answer.json()["answers"]
    assert [one["name"] for one in (first, broken, last)] == list(names)
    assert first["ranked"][0]["label"] in ("blauw", "geel", "rood")
    assert first["overlay"].startswith("data:image/jpeg;base64,")
    assert broken["problem"]["detail"] == "b.txt: begins with b'no picture'"
    assert (broken["problem"]["status"], broken["ranked"]) == (422, [])
    assert last["problem"] is None
    assert answer.json()["model"]["weights"] == served.office.desk.adviser.weights


def test_what_waits_goes_together(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = [served.ask(served.picture(i)) for i in range(12)]
    served.office.desk.batches.clear()
    adviser, ask = served.office.desk.adviser, type(served.office.desk.adviser).advise

    def slowly(self: Adviser, pixels: np.ndarray) -> Any:
        time.sleep(0.2)
        return ask(self, pixels)

    monkeypatch.setattr(type(adviser), "advise", slowly)
    with ThreadPoolExecutor(12) as visitors:
        together = list(visitors.map(lambda i: served.ask(served.picture(i)), range(12)))
    assert [one["ranked"] for one in together] == [one["ranked"] for one in alone]
    assert [one["suggestion"] for one in together] == [one["suggestion"] for one in alone]
    assert max(served.office.desk.batches) > 3
    assert sum(served.office.desk.batches) == 12


def test_an_address_of_a_named_server_is_fetched(serves: Callable[..., Served], tmp_path: Path) -> None:
    with serve_images(tmp_path) as museum:
        at = urllib.parse.urlsplit(museum.url).netloc
        named, unnamed = serves(LIMITS.model_copy(update={"hosts": [at]})), serves()
        (tmp_path / "one.png").write_bytes(named.picture(IN_SPLIT))
        (tmp_path / "large.png").write_bytes(bytes(600_000))
        heard = named.post(json={"url": museum.plain("one.png")})
        assert heard.json()["answers"][0]["ranked"] == named.ask(named.picture(IN_SPLIT))["ranked"]
        assert heard.json()["answers"][0]["name"] == museum.plain("one.png")
        refused = unnamed.post(json={"url": museum.plain("one.png")})
        assert (refused.status_code, refused.json()["title"]) == (403, "server not named")
        for url, status in (
            (museum.plain("large.png"), 413),
            (museum.plain("absent.png"), 422),
            ("file:///etc/passwd", 422),
            ("http://[::1", 422),
            (f"http://{at}@127.0.0.2/one.png", 422),
            (f"http://127.0.0.2\\@{at}/one.png", 422),
            (f"http://127.0.0.2/one.png\n@{at}/", 422),
            ("http://127.0.0.2/one.png", 403),
        ):
            answer = named.post(json={"url": url})
            assert (answer.status_code, url) == (status, url)


# --- refusals ---------------------------------------------------------------------------------------------------------

PNG = {"content-type": "image/png"}
REFUSED: dict[str, tuple[int, dict[str, Any]]] = {
    "nothing": (400, {"headers": PNG}),
    "no picture": (422, {"data": b"no picture", "headers": PNG}),
    "a torn one": (422, {"data": png(np.zeros((64, 64, 3), np.uint8))[:60], "headers": PNG}),
    "another kind": (415, {"data": b"<xml/>", "headers": {"content-type": "text/xml"}}),
    "too large": (413, {"data": bytes(600_000), "headers": PNG}),
    "too large, in pieces": (413, {"data": iter([bytes(100_000)] * 6), "headers": PNG}),
    "a form too large": (413, {"files": {"image": bytes(600_000)}}),
    "a form without a file": (422, {"files": {"picture": b"x"}}),
    "a form of text": (400, {"data": "image=x", "headers": {"content-type": "multipart/form-data; boundary=x"}}),
    "a form without a boundary": (400, {"data": b"--x", "headers": {"content-type": "multipart/form-data"}}),
    "no JSON": (422, {"data": b"{", "headers": {"content-type": "application/json"}}),
    "other JSON": (422, {"json": {"uri": "https://museum.org/1.jpg"}}),
    "JSON with more": (422, {"json": {"url": "https://museum.org/1.jpg", "token": 1}}),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_picture_is_refused_with_a_reason(served: Served, what: str) -> None:
    status, request = REFUSED[what]
    answer = served.post(**request)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    said = answer.json()
    assert (said["status"], set(said)) == (status, {"type", "title", "status", "detail"})
    assert said["detail"]
    assert "Traceback" not in answer.text


def test_other_paths_methods_and_questions_are_problems_too(served: Served) -> None:
    for answer, status in (
        (requests.get(f"{served.url}/nowhere", timeout=9), 404),
        (requests.get(f"{served.url}/classify", timeout=9), 405),
        (served.post("/classify?overlay=perhaps", data=b"x", headers=PNG), 422),
    ):
        assert (answer.status_code, answer.json()["status"]) == (status, status)


def test_nothing_that_is_sent_makes_it_fail(served: Served) -> None:
    draw = np.random.default_rng(0)
    picture, kinds = served.picture(0), ["image/png", "multipart/form-data; boundary=b", "application/json", "", "a/b"]
    with requests.Session() as session:
        for _ in range(150):
            body = bytearray(picture if draw.random() < 0.5 else draw.bytes(int(draw.integers(0, 400))))
            for place in draw.integers(0, max(1, len(body)), 8):
                body[place : place + 1] = draw.bytes(1)
            kind = kinds[draw.integers(len(kinds))]
            if kind.startswith("multipart") and draw.random() < 0.7:
                head = b'--b\r\nContent-Disposition: form-data; name="image"; filename="x"\r\n\r\n'
                body = bytearray(head + body + (b"\r\n--b--\r\n" if draw.random() < 0.5 else b""))
            answer = session.post(f"{served.url}/classify", data=bytes(body), headers={"content-type": kind}, timeout=9)
            assert answer.status_code < 500, (kind, bytes(body)[:80], answer.text)


def test_who_sends_slowly_is_not_waited_for(serves: Callable[..., Served]) -> None:
    served = serves(LIMITS.model_copy(update={"seconds": 0.5}))
    host, port = urllib.parse.urlsplit(served.url).netloc.split(":")
    with socket.create_connection((host, int(port)), timeout=9) as visitor:
        visitor.sendall(
            b"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 99\r\n\r\nabc"
        )
        assert b" 408 " in visitor.recv(100)


def answer_after(goes_on: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network answers nobody before the event."""
    ask = Adviser.advise

    def waits(self: Adviser, pixels: np.ndarray) -> Any:
        goes_on.wait(9)
        return ask(self, pixels)

    monkeypatch.setattr(desk_module.Adviser, "advise", waits)


def test_too_many_at_a_time_are_told_to_come_again(
    serves: Callable[..., Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    served, goes_on = serves(LIMITS.model_copy(update={"requests": 2})), threading.Event()
    answer_after(goes_on, monkeypatch)
    request = {"data": served.picture(0), "headers": PNG}
    with ThreadPoolExecutor(2) as visitors:
        waiting = [visitors.submit(served.post, **request) for _ in range(2)]
        while served.office.pending < 2:
            time.sleep(0.01)
        busy = served.post(**request)
        assert (busy.status_code, busy.headers["retry-after"]) == (503, "1")
        goes_on.set()
        assert [one.result().status_code for one in waiting] == [200, 200]
    assert served.post(**request).status_code == 200


def test_an_answer_that_does_not_come_in_time_is_given_up(
    serves: Callable[..., Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    served, goes_on = serves(LIMITS.model_copy(update={"seconds": 0.3})), threading.Event()
    answer_after(goes_on, monkeypatch)
    late = served.post(data=served.picture(0), headers=PNG)
    assert (late.status_code, late.json()["title"]) == (504, "too slow")
    goes_on.set()
    assert served.ask(served.picture(0))["ranked"]
    assert served.office.pending == 0


# --- who may ask ------------------------------------------------------------------------------------------------------


def test_a_token_is_needed_where_there_is_one(serves: Callable[..., Served]) -> None:
    served = serves(token="open sesame")
    request = {"data": served.picture(0)}
    for given in ({}, {"authorization": "Bearer open"}, {"authorization": "open sesame"}):
        refused = served.post(**request, headers={**PNG, **given})
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert requests.get(f"{served.url}/metrics", timeout=9).status_code == 401
    assert served.post(**request, headers={**PNG, "authorization": "Bearer open sesame"}).status_code == 200
    assert requests.get(f"{served.url}/health", timeout=9).json()["status"] == "ok"


def test_without_a_token_nobody_else_may_ask(project: tuple[Params, Path]) -> None:
    with pytest.raises(ParamsError, match=r"--host 0\.0\.0\.0 lets other machines ask: set RIJKSNET_TOKEN"):
        serve(project[0], str(KEY), 0.8, "0.0.0.0", 0, "", 10.0)


# --- what watches it --------------------------------------------------------------------------------------------------


def test_metrics_count_requests_refusals_and_the_network(served: Served) -> None:
    served.ask(served.picture(0))
    served.post(data=b"none", headers=PNG)
    said = requests.get(f"{served.url}/metrics", timeout=9).text
    assert 'rijksnet_requests_total{path="/classify",status="200"} 1.0' in said
    assert 'rijksnet_refusals_total{reason="not an image"} 1.0' in said
    assert f'rijksnet_model_info{{name="{KEY}",weights="{served.office.desk.adviser.weights}"}} 1.0' in said


def test_it_describes_itself(served: Served) -> None:
    said = requests.get(f"{served.url}/openapi.json", timeout=9).json()
    classify = said["paths"]["/classify"]["post"]
    assert set(classify["requestBody"]["content"]) >= {"multipart/form-data", "image/*", "application/json"}
    assert {"200", "413", "415", "422", "503"} <= set(classify["responses"])
    page = requests.get(served.url, timeout=9)
    assert page.headers["content-type"].startswith("text/html")
    assert "Type of an object: ask the network" in page.text


def test_another_network_is_exchanged_while_visitors_ask(served: Served) -> None:
    """Each answer is one network's; none fails."""
    desk = served.office.desk
    other = replace(desk.adviser, name="another", weights="0" * 64)
    over, heard = threading.Event(), list[tuple[int, str]]()

    def visit() -> None:
        while not over.is_set():
            answer = served.post(data=served.picture(0), headers=PNG)
            heard.append((answer.status_code, answer.json()["model"]["name"]))

    visitors = [threading.Thread(target=visit) for _ in range(4)]
    for one in visitors:
        one.start()
    for adviser in (other, replace(other, name="a third"), desk.adviser):
        time.sleep(0.3)
        desk.adviser = adviser
    time.sleep(0.3)
    over.set()
    for one in visitors:
        one.join()
    assert {status for status, _ in heard} == {200}
    assert {name for _, name in heard} == {str(KEY), "another", "a third"}


def test_a_network_for_another_question_is_refused(project: tuple[Params, Path]) -> None:
    key = replace(KEY, challenge="type_common_classes")
    at, run = RunFolder.of(key), RunFolder.of(KEY).read(verify=True)
    shutil.copytree(RunFolder.of(KEY).root, at.root)
    at.write(replace(run, key=key))
    with pytest.raises(RunError, match=r"answers type_common_classes, not one of .*: name another run or model"):
        load_adviser(project[0], str(key), 0.8)
    shutil.rmtree(at.root)
