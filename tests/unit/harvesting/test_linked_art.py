from __future__ import annotations

import json
from typing import Any

import pytest

from oai_server import OaiServer, Reply
from rijksnet.collection_params import Politeness
from rijksnet.harvesting.http import RefusedError, Server
from rijksnet.harvesting.linked_art import PREFERRED, ask_name, name_of

DUTCH, ENGLISH = "http://vocab.getty.edu/aat/300388256", "http://vocab.getty.edu/aat/300388277"


def name(content: Any, language: str = "", preferred: bool = False) -> dict[str, Any]:
    return {
        "type": "Name",
        "content": content,
        "language": [{"id": language, "type": "Language"}] if language else [],
        "classified_as": [{"id": PREFERRED, "type": "Type"}] if preferred else [],
    }


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([name("x"), name("oil paint", ENGLISH, True), name("olieverf", DUTCH)], "olieverf"),
        ([name("Rijn, Rembrandt van", DUTCH), name("Rembrandt van Rijn", DUTCH, True)], "Rembrandt van Rijn"),
        ([name("Ölfarbe"), name("oil paint", ENGLISH, True)], "oil paint"),
        ([name("eerste"), name("tweede")], "eerste"),
        ([{**name("olieverf"), "language": {"_label": "Dutch"}}, name("x", ENGLISH, True)], "olieverf"),
        ([name(7, DUTCH), name(" ", DUTCH), {"type": "Identifier", "content": "SK-C-5"}], "label"),
        ([], "label"),
        ("no list", "label"),
        ([None, {"type": "Name", "content": "a", "language": "nl", "classified_as": [PREFERRED]}], "a"),
    ],
)
def test_best_name(names: Any, expected: str) -> None:
    assert name_of({"identified_by": names, "_label": "label"}, "nl") == expected


@pytest.mark.parametrize("thing", [{}, [], "x", None, {"_label": 3}])
def test_nameless(thing: Any) -> None:
    assert name_of(thing, "nl") == ""


def test_asking() -> None:
    server = Server(Politeness(contact="tests@example.org", requests_per_s=100, robots="ignore"), attempts=2)
    with OaiServer() as web:
        found = json.dumps({"identified_by": [name("olieverf", DUTCH)]}).encode()
        web.paths = {
            "/2209": Reply(status=303, headers={"Location": "/data/2209"}),
            "/data/2209": Reply(found, headers={"Content-Type": "application/ld+json"}),
            "/html": Reply(b"<html>", headers={"Content-Type": "text/html"}),
            "/deep": Reply(b"[" * 100_000),
            "/empty": Reply(b"{}"),
        }
        assert ask_name(server, f"{web.root}/2209", "nl") == "olieverf"
        for path, reason in {"html": "no JSON", "deep": "no JSON", "empty": "no name", "gone": "HTTP 404"}.items():
            with pytest.raises(RefusedError, match=reason):
                ask_name(server, f"{web.root}/{path}", "nl")
