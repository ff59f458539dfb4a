"""Suggestions as Web Annotations in a IIIF manifest."""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from blanks import IN_SPLIT
from reviews import PATHS, make_review_project
from rijksnet.collections.records import Address
from rijksnet.collections.shards import Shards
from rijksnet.errors import ReviewError
from rijksnet.harvesting.shard_writer import ImageHeader, ShardWriter
from rijksnet.params import Params
from rijksnet.reviewing.annotations import Pictures, annotate
from rijksnet.reviewing.decisions import Decision, append
from rijksnet.reviewing.queue import Photographs
from workspace import tiny_content

AT = "https://museum.example/iiif/"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("annotations"))
        yield make_review_project()


@pytest.fixture(autouse=True)
def nothing_decided(project: Path) -> Iterator[None]:
    yield
    (project / "source/type-decisions.jsonl").unlink(missing_ok=True)


def written(project: Path, content: dict[str, Any] | None = None) -> dict[str, Any]:
    file, objects, lacking = annotate(Params.model_validate(content or tiny_content()), "source", "type", project, AT)
    assert not lacking
    manifest: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    assert len(manifest["items"]) == objects
    return manifest


def tags(manifest: dict[str, Any]) -> dict[str, str]:
    return {
        canvas["label"]["none"][0]: canvas["annotations"][0]["items"][0]["body"][0]["value"]
        for canvas in manifest["items"]
    }


def decide(project: Path, number: int, decision: str, label: str, who: str = "Anna", suggested: str = "blauw") -> None:
    one = Decision("", "type", "accept", "", suggested, "0.7", "", "m/1", "f00", who, "2026-01-01T00:00:00+00:00", "5")
    made = replace(one, object_id=f"source-{number:03}", decision=decision, label=label)  # type: ignore[arg-type]
    append(project / "source/type-decisions.jsonl", made)


def test_each_suggestion_is_a_tag_on_the_canvas_of_its_object(project: Path) -> None:
    manifest = written(project)
    assert tags(manifest) == {f"source-{i:03}": "blauw" for i in range(IN_SPLIT, IN_SPLIT + 10)}  # what was dared
    assert manifest["id"] == f"{AT}type-manifest.json"
    canvas = manifest["items"][0]
    (painting,) = canvas["items"][0]["items"]
    (annotation,) = canvas["annotations"][0]["items"]
    assert painting["target"] == annotation["target"] == canvas["id"] == f"{AT}type-manifest.json/source-{IN_SPLIT:03}"
    assert annotation["generator"] == {"id": "urn:sha256:f00", "type": "Software", "name": "m/1"}
    assert "creator" not in annotation
    assert "70%" in annotation["body"][1]["value"]
    picture = base64.b64decode(painting["body"]["id"].removeprefix("data:image/jpeg;base64,"))
    assert Image.open(io.BytesIO(picture)).size == (canvas["width"], canvas["height"]) == (32, 32)
    ids = [canvas["id"], painting["id"], annotation["id"], canvas["items"][0]["id"], canvas["annotations"][0]["id"]]
    assert len(set(ids)) == len(ids)


def test_what_people_decided_stands_before_what_the_network_suggests(project: Path) -> None:
    decide(project, IN_SPLIT, "reject", "")
    decide(project, IN_SPLIT + 1, "correct", "rood")
    decide(project, IN_SPLIT + 1, "correct", "rood", "Ben")
    decide(project, IN_SPLIT + 2, "correct", "rood")
    decide(project, IN_SPLIT + 2, "accept", "blauw", "Ben")
    decide(project, IN_SPLIT + 3, "skip", "")
    decide(project, IN_SPLIT + 11, "correct", "geel")  # where the network did not dare
    manifest = written(project)
    found = tags(manifest)
    assert {number: found.get(f"source-{IN_SPLIT + number:03}") for number in (0, 1, 2, 3, 11, 12)} == {
        0: None, 1: "rood", 2: None, 3: "blauw", 11: "geel", 12: None,
    }  # fmt: skip
    corrected = manifest["items"][0]["annotations"][0]["items"][0]
    assert corrected["creator"] == [{"type": "Person", "name": "Anna"}, {"type": "Person", "name": "Ben"}]


@pytest.mark.parametrize(
    ("kind", "address", "shown"),
    [
        ("url", "https://m.example/{}.png", "https://m.example/{}.png"),
        ("iiif", "https://m.example/i/{}/info.json", "https://m.example/i/{}/full/!512,512/0/default.jpg"),
        ("manifest", "https://m.example/{}/manifest", "data:image/jpeg;base64,"),
    ],
)
def test_pictures_are_where_the_museum_has_them(
    project: Path, kind: str, address: str, shown: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several of an object each has its own address, in whichever order their names are."""
    addresses = [address.format(name) for name in ("a", "b", "c")]
    with (tmp_path / "objects.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(
            [("object_id", "image", "type"), *((f"source-{IN_SPLIT:03}", one, "") for one in addresses)]
        )
    with ShardWriter.open(tmp_path / "images") as writer:
        for one in addresses:
            writer.add(Address(f"source-{IN_SPLIT:03}", one), b"x", "image/jpeg", ImageHeader("JPEG", 3, 2))
    content = tiny_content()
    content["collections"]["source"] = {
        "reader": "table", "raw": str(tmp_path), "table": "objects.csv", "images": "images", "delimiter": ",",
        "columns": {"object_id": "object_id", "image": "image", "type": "type", "creator": None, "material": None},
        "download": {"kind": kind, "contact": "a@b.example", "requests_per_s": 1},
    }  # fmt: skip
    content["drawn"] = ["target", "photographs"]
    picture = Photographs(PATHS).jpeg(f"{IN_SPLIT:03}.jpg")
    monkeypatch.setattr(Photographs, "jpeg", lambda *_: picture)
    pictures = Pictures(Params.model_validate(content), PATHS)
    with Shards.open(tmp_path / "images") as shards:
        for name, one in zip("abc", addresses, strict=True):
            found = shards.find(one)
            assert found is not None
            there = pictures.of([found.name])
            assert there is not None
            assert there.address.startswith(shown.format(name))


def test_a_rejection_of_another_suggestion_says_nothing(project: Path) -> None:
    decide(project, IN_SPLIT, "reject", "", suggested="rood")
    assert tags(written(project))[f"source-{IN_SPLIT:03}"] == "blauw"


def test_an_object_whose_picture_cannot_be_shown_costs_only_itself(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jpeg = Photographs.jpeg

    def damaged(self: Photographs, image: str) -> bytes:
        if image == f"{IN_SPLIT:03}.jpg":
            raise ReviewError("damaged")
        return jpeg(self, image)

    monkeypatch.setattr(Photographs, "jpeg", damaged)
    _, objects, lacking = annotate(Params.model_validate(tiny_content()), "source", "type", project, AT)
    assert (objects, lacking) == (9, [f"source-{IN_SPLIT:03}"])


def test_what_cannot_be_written_is_said(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    params = Params.model_validate(tiny_content())
    with monkeypatch.context() as patched:
        patched.setattr(Pictures, "of", lambda *_: None)
        with pytest.raises(ReviewError, match="no picture of the 10 objects can be shown, such as"):
            annotate(params, "source", "type", project, AT)
    with pytest.raises(ReviewError, match="--at 'here' is no address"):
        annotate(params, "source", "type", project, "here")
    for number in range(IN_SPLIT, IN_SPLIT + 10):
        decide(project, number, "reject", "")
    with pytest.raises(ReviewError, match="nothing is suggested for type of source"):
        annotate(params, "source", "type", project, AT)
    assert not (project / PATHS.collection / "material-manifest.json").exists()
