"""A registered model, or a run, as a folder that plain timm loads."""

from __future__ import annotations

import io
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
from PIL import Image

from helpers import CLASSES, COLLECTION, INPUT_SIZE, KEY, write_run
from rijksnet.data.decode import decode
from rijksnet.errors import RunError, TrackingError
from rijksnet.models import export
from rijksnet.params import Params
from rijksnet.publishing import publish
from rijksnet.runs.key import RunKey
from rijksnet.serving.classifier import Classifier
from rijksnet.stages import champions
from rijksnet.tracking import registry
from rijksnet.tracking.stores import Store
from stores import MODEL

pytestmark = pytest.mark.usefixtures("only_weights")
OUT = Path("out")


@pytest.mark.parametrize("what", [MODEL, f"{MODEL}/1", f"models:/{MODEL}@champion", str(KEY), f"runs/{KEY}"])
def test_it_is_loaded_by_timm(params: Params, what: str) -> None:
    write_run()
    publish.publish(params)
    champions.champions(params)
    if what != str(KEY) and not what.startswith("runs/"):
        shutil.rmtree("runs")  # the store alone will do
    export.export(params, what, OUT, "timm")
    model: Any = timm.create_model(f"local-dir:{OUT.absolute()}", pretrained=True)
    assert model.pretrained_cfg["label_names"] == CLASSES
    assert sorted(file.name for file in OUT.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    card = (OUT / "README.md").read_text(encoding="utf-8")
    assert "accuracy **70.0%** (39.7% to 89.2%, 95 % Wilson)" in card
    assert "drawing, print, schilderij – olieverf." in card
    assert f"commit {'c' * 40}" in card


def test_a_folder_that_is_there_is_left_alone(params: Params) -> None:
    write_run()
    OUT.mkdir()
    with pytest.raises(RunError, match="out is there already"):
        export.export(params, str(KEY), OUT, "timm")


def test_what_is_no_model_is_told(params: Params, store: Store) -> None:
    with pytest.raises(TrackingError, match="'nobody' is neither a run here nor a registered model"):
        export.export(params, "nobody", OUT, "timm")
    write_run()
    publish.publish(params)
    with pytest.raises(TrackingError, match=r"with such a version.*\['1'\]"):
        export.export(params, f"{MODEL}/7", OUT, "timm")


def test_other_weights_than_the_run_s_are_refused(params: Params) -> None:
    at = write_run()
    shutil.copyfile(write_run(replace(KEY, seed=1), seed=1).weights, at.weights)
    with pytest.raises(RunError, match=r"is not what the run .* wrote: it is another network's"):
        export.export(params, str(KEY), OUT, "timm")
    assert not OUT.exists()


def test_a_forest_leaves_no_network(params: Params) -> None:
    at = write_run(RunKey(COLLECTION, "type", "test_resnet", "random_forest", "imagenet"))
    at.weights.unlink()
    with pytest.raises(RunError, match="a random_forest leaves no network"):
        export.export(params, str(replace(KEY, strategy="random_forest")), OUT, "timm")


def test_every_version_has_a_card(params: Params, store: Store) -> None:
    write_run()
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


def test_the_card_says_how_to_pad(params: Params) -> None:
    at = write_run()
    run = at.read(verify=True)
    at.write(replace(run, params={**run.params, "squares": "padded"}))
    export.export(params, str(KEY), OUT, "timm")
    said: dict[str, Any] = {}
    exec(re.findall("```python\n(.*?)```", (OUT / "README.md").read_text(), re.S)[0], said)  # the card's own code
    noise = np.random.default_rng(0).integers(0, 256, (4, 3, 3), dtype=np.uint8)
    for sides in ((300, 40), (50, 200), (INPUT_SIZE, INPUT_SIZE)):
        picture, file = Image.fromarray(noise).resize(sides), io.BytesIO()
        picture.save(file, "PNG")
        (ours,) = decode(file.getvalue(), [], [INPUT_SIZE])
        assert np.abs(np.asarray(said["padded"](picture)).astype(int) - ours).mean() < 1.0, sides


def test_an_onnx_runtime_gives_the_same_answers(params: Params) -> None:
    session_of = pytest.importorskip("onnxruntime").InferenceSession
    at = write_run()
    export.export(params, str(KEY), OUT, "onnx")
    assert sorted(file.name for file in OUT.iterdir()) == ["README.md", "model.onnx"]
    session = session_of(OUT / "model.onnx")
    assert json.loads(session.get_modelmeta().custom_metadata_map["labels"]) == CLASSES
    drawn = np.random.default_rng(0).integers(0, 256, (7, 80, 50, 3), dtype=np.uint8)
    images = [Image.fromarray(one) for one in drawn]
    files = [io.BytesIO() for _ in images]
    for image, file in zip(images, files, strict=True):
        image.save(file, "PNG")
    ours = Classifier(at.weights, INPUT_SIZE, "stretched", "unit").rank([file.getvalue() for file in files])
    pixels = np.stack([decode(file.getvalue(), [INPUT_SIZE])[0] for file in files])
    theirs = session.run(None, {"pixels": pixels})[0]
    for ranked, row in zip(ours, theirs, strict=True):
        assert {one.label: one.probability for one in ranked} == pytest.approx(
            dict(zip(CLASSES, row, strict=True)), abs=1e-4
        )
