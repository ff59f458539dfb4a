"""A registered model, or a run, as a folder that plain timm loads."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import timm

from helpers import CLASSES, COLLECTION, KEY, write_record
from rijksnet.errors import RecordError, TrackingError
from rijksnet.params import Params
from rijksnet.paths import RunKey
from rijksnet.stages import champions, export, publish
from rijksnet.tracking import registry
from rijksnet.tracking.stores import Store
from stores import MODEL

pytestmark = pytest.mark.usefixtures("only_weights")
OUT = Path("out")


@pytest.mark.parametrize("what", [MODEL, f"{MODEL}/1", f"models:/{MODEL}@champion", str(KEY), f"runs/{KEY}"])
def test_it_is_loaded_by_timm(params: Params, what: str) -> None:
    write_record()
    publish.publish(params)
    champions.champions(params)
    if what != str(KEY) and not what.startswith("runs/"):
        shutil.rmtree("runs")  # the store alone will do
    export.export(params, what, OUT)
    model: Any = timm.create_model(f"local-dir:{OUT.absolute()}", pretrained=True)
    assert model.pretrained_cfg["label_names"] == CLASSES
    assert sorted(file.name for file in OUT.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    card = (OUT / "README.md").read_text(encoding="utf-8")
    assert "accuracy **70.0%** (39.7% to 89.2%, 95 % Wilson)" in card
    assert "drawing, print, schilderij – olieverf." in card
    assert f"commit {'c' * 40}" in card


def test_a_folder_that_is_there_is_left_alone(params: Params) -> None:
    write_record()
    OUT.mkdir()
    with pytest.raises(RecordError, match="out is there already"):
        export.export(params, str(KEY), OUT)


def test_what_is_no_model_is_told(params: Params, store: Store) -> None:
    with pytest.raises(TrackingError, match="'nobody' is neither a run here nor a registered model"):
        export.export(params, "nobody", OUT)
    write_record()
    publish.publish(params)
    with pytest.raises(TrackingError, match=r"with such a version.*\['1'\]"):
        export.export(params, f"{MODEL}/7", OUT)


def test_a_forest_leaves_no_network(params: Params) -> None:
    at = write_record(RunKey(COLLECTION, "type", "test_resnet", "random_forest", "imagenet"))
    at.weights.unlink()
    with pytest.raises(RecordError, match="a random_forest leaves no network to export"):
        export.export(params, str(replace(KEY, strategy="random_forest")), OUT)


def test_every_version_has_a_card(params: Params, store: Store) -> None:
    write_record()
    publish.publish(params)
    card = registry.versions(store, MODEL)[0].description
    for part in (
        "### Measured",
        "### Data",
        "### 3 classes",
        "### Where its weights come from",
        "### Intended use",
        "### Limits",
    ):
        assert part in card
