"""From a museum's servers to a catalogue, pixels, splits and an audit by commands alone, as a person would."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from image_server import ImageServer, serve
from oai_server import Item, OaiServer, dublin_core
from processes import Warm

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / ".." / "shared" / "data" / "rijksmuseum-challenge-sample"
MARK = "http://creativecommons.org/publicdomain/mark/1.0/"


@pytest.fixture
def images() -> Iterator[ImageServer]:
    if not SAMPLE.is_dir():
        pytest.skip(f"the real sample is not there: {SAMPLE}")
    with serve(SAMPLE / "images") as running:
        yield running


def items(images: ImageServer) -> Iterator[Item]:
    """The sample's objects as Dublin Core records that point to IIIF images; the first may not be used."""
    with (SAMPLE / "catalogue.csv").open(newline="", encoding="utf-8") as stream:
        for number, row in enumerate(csv.DictReader(stream)):
            listed = {"creator": row["creator"], "type": row["type"], "format": row["material"]}
            values = {name: value.split("|") for name, value in listed.items() if value}
            rights = MARK if number else "https://rightsstatements.org/vocab/InC/1.0/"
            address = images.service(Path(row["image"]).name)
            metadata = dublin_core(
                identifier=row["object_id"], title=row["title"], relation=address, rights=rights, **values
            )
            yield Item(f"oai:example.org:{row['object_id']}", metadata)


def write_params(folder: Path, endpoint: str) -> None:
    content = YAML(typ="safe").load(ROOT / "conf" / "sample.yaml")
    asked = {"contact": "tests@example.org", "requests_per_s": 100.0}
    content["collections"] = {
        "museum": {
            "reader": "oai_pmh",
            "raw": "raw",
            "endpoint": endpoint,
            "prefix": "oai_dc",
            "format": "dc",
            "sets": [],
            "server": asked,
            "download": asked | {"kind": "iiif", "side": 96},
            "rights": ["http://creativecommons.org/publicdomain/"],
            "cleaning": {"creator": ["roles", "names", "unnamed", "spelling"], "type": ["spelling"]},
        }
    }
    content["source"]["collection"] = content["target"]["collection"] = "museum"
    content["imagenet"]["pretrain"]["collection"] = "museum"
    content["input_size"] = 64
    content["splits"] |= {"together": "near_duplicates"}
    with (folder / "params.yaml").open("w") as file:
        YAML().dump(content, file)


def test_a_museum_is_brought_in_by_commands_alone(images: ImageServer, tmp_path: Path, warm: Warm) -> None:
    def run(*arguments: str) -> str:
        return warm.run("rijksnet", *arguments, folder=tmp_path)

    with OaiServer(items(images), page_size=50) as museum:
        write_params(tmp_path, museum.url)
        assert "126 records new" in run("harvest", "museum")
        stored = (tmp_path / "raw" / "records.db").read_bytes()
        run("harvest", "museum")
        assert (tmp_path / "raw" / "records.db").read_bytes() == stored
    assert "125 images fetched" in run("fetch", "museum")
    assert "0 images fetched" in run("fetch", "museum", "--verify")
    assert "125 images of 125 objects; left out: 1 × rights statement" in run("catalogue", "museum")
    assert "125 images packed; unreadable: none" in run("pixels", "museum")
    run("splits", "museum")
    assert "near-duplicate" in run("audit", "museum")
    page = (tmp_path / "data" / "museum" / "audit" / "audit.html").read_text(encoding="utf-8")
    assert "data:image/jpeg;base64," in page
    assert MARK in page

    summary = json.loads((tmp_path / "data" / "museum" / "splits.json").read_text())["type"]
    assert summary["near_duplicates"] == {"groups": 1, "objects": 2}  # two impressions of one plate
    shared = tmp_path / "shared_splits" / "museum" / "type.csv"
    assert str(shared.relative_to(tmp_path)) in run("share", "museum")
    imported = (tmp_path / "params.yaml").read_text().replace("rule: paper", "rule: imported")
    (tmp_path / "params.yaml").write_text(imported.replace("together: near_duplicates", "together: object"))
    run("splits", "museum")
    again = json.loads((tmp_path / "data" / "museum" / "splits.json").read_text())["type"]
    assert (again["rule"], again["digest"]) == ("imported", summary["digest"])
