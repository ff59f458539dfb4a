"""Suggestions reviewed over HTTP; what is decided is on the disk at once."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from blanks import BLANK, IN_SPLIT, ODD
from reviews import PATHS, Page, make_review_project, open_page
from rijksnet.errors import ReviewError
from rijksnet.reviewing.queue import read_queue


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The working directory: a project with suggestions; the folder that they are in."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("review"))
        yield make_review_project()


@pytest.fixture
def page(folder: Path, tmp_path: Path) -> Iterator[Page]:
    """A page with suggestions of its own, about which nothing is decided."""
    shutil.copytree(folder, tmp_path / "suggestions")
    with open_page(tmp_path / "suggestions") as opened:
        yield opened


def test_a_decision_is_kept_with_who_when_and_what_suggested(page: Page) -> None:
    for decision, label in (("accept", ""), ("correct", "rood"), ("reject", ""), ("skip", "")):
        answer = page.decide(IN_SPLIT + len(page.kept), decision, label)
        assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "decided": 3,
        "objects": BLANK + ODD,
        "minutes_per_hundred": pytest.approx(10.0),
        "decisions": {
            f"source-{IN_SPLIT}": ["accept", "blauw"],
            f"source-{IN_SPLIT + 1}": ["correct", "rood"],
            f"source-{IN_SPLIT + 2}": ["reject", ""],
            f"source-{IN_SPLIT + 3}": ["skip", ""],
        },
    }
    first = page.kept[0]
    assert (first.label, first.suggestion, first.confidence, first.model) == ("blauw", "blauw", "0.7000", "m/1")
    assert (first.who, first.weights, first.why_not) == ("Anna", "f00", "")
    assert first.at.endswith("+00:00")
    table = requests.get(f"{page.url}/decisions.csv", timeout=9)
    assert [row["decision"] for row in csv.DictReader(io.StringIO(table.text))] == [
        "accept",
        "correct",
        "reject",
        "skip",
    ]


def test_two_people_and_how_far_they_agree(page: Page) -> None:
    for who, labels in (("Anna", ("blauw", "geel", "rood")), ("Ben", ("blauw", "geel", "blauw"))):
        for i, label in enumerate(labels):
            page.decide(IN_SPLIT + i, "correct", label, who)
    (found,) = requests.get(f"{page.url}/agreement", timeout=9).json()
    assert (found["objects"], found["share"]) == (3, pytest.approx(2 / 3))
    assert found["kappa"] == pytest.approx(0.5)
    assert requests.get(f"{page.url}/standing", params={"who": "Carla"}, timeout=9).json()["decided"] == 0


@pytest.mark.parametrize(
    ("made", "status"),
    [
        ({"number": 0, "decision": "accept"}, 404),
        ({"number": IN_SPLIT, "decision": "correct", "label": "  "}, 422),
        ({"number": IN_SPLIT, "decision": "perhaps"}, 422),
        ({"number": IN_SPLIT, "decision": "accept", "who": " "}, 422),
        ({"number": IN_SPLIT, "decision": "accept", "seconds": -1}, 422),
        ({"number": IN_SPLIT, "decision": "accept", "more": 1}, 422),
    ],
)
def test_what_is_no_decision_is_refused_and_not_kept(page: Page, made: dict[str, Any], status: int) -> None:
    answer = page.decide(**made)
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert page.kept == []


def test_a_decision_that_cannot_be_written_is_not_said_to_be_kept(page: Page) -> None:
    page.file.mkdir()
    assert page.decide(IN_SPLIT, "accept").status_code == 507
    page.file.rmdir()
    assert page.decide(IN_SPLIT, "accept").json()["decided"] == 1


def test_pictures_are_the_museums_own(page: Page) -> None:
    shown = requests.get(f"{page.url}/picture", params={"image": f"{IN_SPLIT:03}.jpg"}, timeout=9)
    assert shown.headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(shown.content)).size == (32, 32)
    for name in ("../../etc/passwd", "no.jpg"):
        assert requests.get(f"{page.url}/picture", params={"image": name}, timeout=9).status_code == 404


def test_where_nothing_was_suggested_it_is_said(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ReviewError, match=r"`rijksnet suggest source material` writes it"):
        read_queue(PATHS, "material", folder)
    (tmp_path / "source").mkdir()
    (tmp_path / "source/type.jsonl").write_text('{"object_id": 1}\n')
    with pytest.raises(ReviewError, match="cannot be read"):
        read_queue(PATHS, "type", tmp_path)
    (tmp_path / "source/type.jsonl").write_text("")
    with pytest.raises(ReviewError, match="holds no object: nothing was blank"):
        read_queue(PATHS, "type", tmp_path)


def test_the_collections_own_words_come_first(folder: Path) -> None:
    words = read_queue(PATHS, "type", folder).vocabulary
    assert set(words[:3]) == {"blauw", "geel", "rood"}
    assert words[3:] == ["zeldzaam", "kleurloos"]
