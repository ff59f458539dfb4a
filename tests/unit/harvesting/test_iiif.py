from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from image_server import ImageServer, manifest, serve
from rijksnet.collection_params import Politeness
from rijksnet.harvesting.http import Answer, RefusedError, Server
from rijksnet.harvesting.iiif import ImageSource, first_image, get_image, get_json, image_url, sizes

MOST = 1 << 20


@pytest.fixture
def museum(tmp_path: Path) -> Iterator[ImageServer]:
    Image.new("RGB", (400, 200), "red").save(tmp_path / "a b.jpg")
    with serve(tmp_path) as running:
        yield running


@pytest.fixture
def server() -> Server:
    return Server(Politeness(contact="test@example.org", requests_per_s=100), attempts=1)


def side_of(content: bytes) -> int:
    return max(Image.open(io.BytesIO(content)).size)


@pytest.mark.parametrize(
    ("address", "request_"),
    [
        ("https://m.org/iiif/abc/full/max/0/default.jpg", "https://m.org/iiif/abc/full/!512,512/0/default.jpg"),
        ("https://m.org/iiif/2/abc/full/full/0/native.jpg", "https://m.org/iiif/2/abc/full/!512,512/0/native.jpg"),
        ("https://m.org/x/pct:5,5,90,90/800,/!90/gray.png", "https://m.org/x/pct:5,5,90,90/!512,512/!90/gray.png"),
        ("https://m.org/x/0,0,99,99/^!9,9/0/default.jpg?k=1", "https://m.org/x/0,0,99,99/!512,512/0/default.jpg?k=1"),
        ("https://m.org/iiif/abc", "https://m.org/iiif/abc/full/!512,512/0/default.jpg"),
        ("https://m.org/iiif/abc/", "https://m.org/iiif/abc/full/!512,512/0/default.jpg"),
        ("https://m.org/iiif/a%2Fb.tif/info.json", "https://m.org/iiif/a%2Fb.tif/full/!512,512/0/default.jpg"),
        ("https://m.org/iiif/abc?key=1", "https://m.org/iiif/abc/full/!512,512/0/default.jpg?key=1"),
        *(
            (
                f"https://m.org/f.fcgi?{name}=/maps/x.tif{end}",
                f"https://m.org/f.fcgi?{name}=/maps/x.tif/full/!512,512/0/default.jpg",
            )
            for name in ("IIIF", "iiif")
            for end in ("", "/info.json", "/full/full/0/default.jpg")
        ),
        ("https://m.org/f?a=1&IIIF=x.tif&b=2", "https://m.org/f?a=1&IIIF=x.tif/full/!512,512/0/default.jpg&b=2"),
        ("https://m.org/f?IIIF=%2Fmaps%2Fx.tif", "https://m.org/f?IIIF=/maps/x.tif/full/!512,512/0/default.jpg"),
    ],
)
def test_an_address_becomes_a_request_at_the_size_needed(address: str, request_: str) -> None:
    assert image_url(address, 512) == request_


def test_a_server_makes_the_size_asked_for(museum: ImageServer, server: Server) -> None:
    answer = get_image(server, museum.service("a b.jpg"), 100, MOST)
    assert side_of(answer.content) == 100
    assert sum(museum.asked.values()) == 2  # robots.txt and the image


@pytest.mark.parametrize("api", [2, 3])
@pytest.mark.parametrize(("side", "got"), [(64, 100), (100, 100), (150, 100), (201, 200), (2000, 400)])
def test_a_server_of_level_0_gives_none_larger_if_it_lists_one_of_half_the_side(
    museum: ImageServer, server: Server, api: int, side: int, got: int
) -> None:
    museum.api, museum.level = api, 0
    answer = get_image(server, f"{museum.service('a b.jpg')}/full/max/0/default.jpg", side, MOST)
    assert side_of(answer.content) == got


def test_an_image_that_is_not_there_is_refused_for_that(museum: ImageServer, server: Server) -> None:
    with pytest.raises(RefusedError, match=r"HTTP 404.*full/!64,64/0/default\.jpg"):
        get_image(server, museum.service("none.jpg"), 64, MOST)


def test_without_sizes_the_whole_image_is_asked_for() -> None:
    assert sizes({"@context": "http://iiif.io/api/image/3/context.json"}, 512) == ["max"]
    assert sizes({"sizes": [{"width": "9"}, 3, {"width": 0, "height": 4}]}, 512) == ["full", "max"]
    assert sizes(["no", "document"], 512) == ["full", "max"]


V2, V3 = ({"@context": f"http://iiif.io/api/image/{n}/context.json"} for n in (2, 3))


@pytest.mark.parametrize(
    ("info", "first"),
    [
        ({**V2, "width": 1600, "height": 1200, "profile": ["http://iiif.io/api/image/2/level1.json"]}, "512,"),
        ({**V3, "width": 1600, "height": 1200, "profile": "level1"}, "512,384"),
        ({**V2, "width": 1200, "height": 1600, "profile": ["…/level1.json"]}, "384,"),
        ({**V2, "width": 300, "height": 225, "profile": ["…/level2.json"]}, "full"),
        ({**V3, "width": 300, "height": 225, "profile": "level2"}, "max"),
        ({**V3, "width": 1600, "height": 1200, "profile": "level2", "maxWidth": 400}, "400,300"),
        ({**V2, "width": 1600, "height": 1200, "profile": ["…/level2.json", {"maxArea": 120_000}]}, "400,"),
        ({**V3, "width": 1600, "height": 1200, "profile": "level2", "maxHeight": 150, "maxWidth": 9999}, "200,150"),
    ],
)
def test_a_server_without_squares_is_asked_by_width_within_what_it_makes(info: Any, first: str) -> None:
    assert sizes(info, 512)[0] == first


def test_numbers_that_no_image_has_are_none() -> None:
    """A fuzzer found one that no float holds."""
    info = {"width": 6000, "height": 10**400, "sizes": [{"width": 10**400, "height": 5}], "profile": "level1"}
    assert sizes(info, 512) == sizes({"profile": "level1"}, 512)
    assert sizes({"width": 600, "height": 300, "maxArea": 10**400, "profile": "level1"}, 512)[0] == "512,"


def test_the_image_api_s_first_version_has_no_default_quality(museum: ImageServer) -> None:
    info = {"@context": "http://library.stanford.edu/iiif/image-api/1.1/context.json", "width": 900, "height": 600}
    asked = []

    class Old(Server):
        def get(self, url: str, params: Any = None, *, most_bytes: int, accept: str = "*/*") -> Answer:
            asked.append(url.partition("/full/")[2])
            if url.endswith("info.json"):
                return Answer(url, json.dumps(info).encode(), "application/json", 200)
            if url.endswith("native.jpg"):
                return Answer(url, b"image", "image/jpeg", 200)
            raise RefusedError("HTTP 400", url, 400)

    server = Old(Politeness(contact="test@example.org", requests_per_s=100))
    assert get_image(server, "https://m.org/iiif/abc", 300, MOST).content == b"image"
    assert asked == ["!300,300/0/default.jpg", "", "300,/0/native.jpg"]


@pytest.mark.parametrize("version", [2, 3])
def test_the_image_of_a_manifest_is_its_first_canvas(museum: ImageServer, version: int) -> None:
    assert first_image(manifest(museum, "a.jpg", version)) == ImageSource(museum.service("a.jpg"), True)


IMAGE = "https://m.org/a.jpg"
REQUEST = "https://m.org/a/full/max/0/default.jpg"


PHYSDIM = {"@id": "https://m.org/p", "profile": "http://iiif.io/api/annex/services/physdim"}
SERVICE = {"id": "https://m.org/s", "type": "ImageService3", "profile": "level2"}


def of_version_3(body: Any) -> dict[str, Any]:
    return {"items": [{"items": [{"items": [{"body": body}]}]}]}


def of_version_2(resource: Any) -> dict[str, Any]:
    return {"sequences": [{"canvases": [{"images": [{"resource": resource}]}]}]}


@pytest.mark.parametrize(
    ("document", "source"),
    [
        (of_version_3({"id": IMAGE}), ImageSource(IMAGE, False)),
        (of_version_3({"id": REQUEST}), ImageSource(REQUEST, True)),
        (of_version_3({"type": "Choice", "items": [{"id": IMAGE}, {"id": "other"}]}), ImageSource(IMAGE, False)),
        (of_version_3([{"id": IMAGE, "service": {"@id": "https://m.org/s"}}]), ImageSource("https://m.org/s", True)),
        (of_version_2({"@id": IMAGE}), ImageSource(IMAGE, False)),
        (of_version_2({"@type": "oa:Choice", "default": {"@id": IMAGE}}), ImageSource(IMAGE, False)),
        (of_version_2({"@type": "oa:Choice", "item": [{"@id": IMAGE}]}), ImageSource(IMAGE, False)),
        (of_version_2({"@type": "oa:SpecificResource", "full": {"@id": IMAGE}}), ImageSource(IMAGE, False)),
        (of_version_3({"type": "SpecificResource", "source": {"id": IMAGE}}), ImageSource(IMAGE, False)),
        (of_version_3([{"type": "TextualBody", "id": "x"}, {"id": IMAGE}]), ImageSource(IMAGE, False)),
        (of_version_3([{"type": ["TextualBody", "x"], "id": "x"}, {"id": IMAGE}]), ImageSource(IMAGE, False)),
        (of_version_3([{"type": {"a": 1}, "id": IMAGE}]), ImageSource(IMAGE, False)),
        (of_version_3({"id": IMAGE, "service": [PHYSDIM, SERVICE]}), ImageSource("https://m.org/s", True)),
        (of_version_3({"id": IMAGE, "service": {**PHYSDIM, "service": SERVICE}}), ImageSource("https://m.org/s", True)),
        (of_version_3({"id": IMAGE, "service": PHYSDIM}), ImageSource(IMAGE, False)),
        ({"items": [{"type": "Canvas"}, *of_version_3({"id": IMAGE})["items"]]}, ImageSource(IMAGE, False)),
        ({"sequences": [{"canvases": [{}, {"images": [{"resource": {"@id": IMAGE}}]}]}]}, ImageSource(IMAGE, False)),
    ],
)
def test_manifests_as_they_are_found(document: Any, source: ImageSource) -> None:
    assert first_image(document) == source


@pytest.mark.parametrize("document", [None, [], {}, {"items": []}, {"items": [7]}, of_version_3({"id": 7}), "text"])
def test_a_manifest_without_an_image_is_refused(document: Any) -> None:
    with pytest.raises(RefusedError, match="no image in the manifest"):
        first_image(document)


def test_an_address_that_is_none_is_named() -> None:
    with pytest.raises(RefusedError, match=r"cannot be asked.*http://\[x: Invalid IPv6"):
        first_image(of_version_3({"id": "http://[x"}))


def test_a_collection_says_so() -> None:
    with pytest.raises(RefusedError, match="a collection of 2 manifests"):
        first_image({"type": "Collection", "items": [{"type": "Manifest"}, {"type": "Manifest"}]})


def test_choices_without_end_are_refused() -> None:
    body: dict[str, Any] = {"type": "Choice"}
    body["items"] = [body]
    with pytest.raises(RefusedError, match="no image"):
        first_image(of_version_3(body))


@pytest.mark.parametrize("kind", ["html", "json"])
def test_what_is_no_json_is_refused(museum: ImageServer, server: Server, kind: str) -> None:
    with pytest.raises(RefusedError, match="not JSON"):
        get_json(server, museum.hostile(kind), MOST)


def test_a_document_that_is_too_long_is_refused(museum: ImageServer, server: Server) -> None:
    with pytest.raises(RefusedError, match="too large"):
        get_json(server, museum.hostile("endless"), MOST)
