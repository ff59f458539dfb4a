"""Another project's tuned weights as θ̂ here: taken from its registry or its runs, promoted, pinned."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from helpers import COLLECTION, KEY, write_run
from rijksnet import paths
from rijksnet.errors import RunError, TrackingError
from rijksnet.files import sha256_of
from rijksnet.models import promotion
from rijksnet.models.take import take
from rijksnet.params import Params
from rijksnet.publishing import publish
from rijksnet.runs.folder import RunFolder
from rijksnet.stages import champions
from rijksnet.tracking import pins, registry
from rijksnet.tracking.stores import Store
from stores import MODEL, make_project

THEIRS = replace(KEY, collection="louvre")
THEIR_MODEL = MODEL.replace("miniature-rijksmuseum", "louvre")

pytestmark = pytest.mark.usefixtures("only_weights")


@pytest.fixture
def other(params: Params, tmp_path: Path, blank_store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another project with a champion; the working directory is that of one's own, which has one too."""
    folder = tmp_path / "other"
    folder.mkdir()
    make_project(folder, blank_store)
    with monkeypatch.context() as patch:
        patch.chdir(folder)
        at = write_run(THEIRS, seed=7, right=9)
        source = params.source.model_copy(update={"collection": "louvre"})
        theirs = params.model_copy(update={"source": source})
        publish.publish(theirs)
        champions.champions(theirs)
        assert at.run.is_file()
    write_run()
    publish.publish(params)
    champions.champions(params)
    return folder


@pytest.mark.parametrize("how", ["registry", "folder"])
def test_they_become_θ_hat_here(
    other: Path, store: Store, params: Params, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = sha256_of(other / RunFolder.of(THEIRS).weights)
    if how == "registry":
        take(params, f"models:/{THEIR_MODEL}@champion", f"sqlite:///{other}/mlflow.db")
    else:
        take(params, str(other / RunFolder.of(THEIRS).root), "")
    assert f"{MODEL}: version 2 is new ({THEIRS}, from " in capsys.readouterr().err
    assert str(registry.champion(store, MODEL).version) == "1"
    with pytest.raises(TrackingError, match="the candidate is of louvre/type/test_resnet, the champion of miniature-r"):
        promotion.promote(params, MODEL, "2", None)
    promotion.promote(params, MODEL, "2", None, despite="the larger museum")
    shutil.rmtree(other)
    champions.champions(params)
    told = capsys.readouterr().err
    assert f"is not this project's own run: it is the run {THEIRS}" in told
    champions.tuned(params, "type", "test_resnet")
    assert sha256_of(paths.tuned_weights(COLLECTION, "type", "test_resnet")) == weights
    pin = pins.read_pin("type", "test_resnet")
    assert pin is not None
    assert (pin.weights_sha256, pin.run_key, pin.chosen_by) == (weights, str(THEIRS), "person")


def test_twice_adds_nothing(other: Path, params: Params, store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        take(params, f"models:/{THEIR_MODEL}/1", f"sqlite:///{other}/mlflow.db")
    assert "version 2 is there already" in capsys.readouterr().err
    assert len(registry.versions(store, MODEL)) == 2


def test_what_this_project_does_not_tune_is_refused(other: Path, params: Params) -> None:
    at = other / RunFolder.of(THEIRS).root
    run = json.loads((at / "run.json").read_text())
    run["key"]["challenge"] = "artist"
    (at / "run.json").write_text(json.dumps(run))
    with pytest.raises(RunError, match=r"is of artist, test_resnet; this project tunes \[\('type', 'test_resnet'\)\]"):
        take(params, str(at), "")


@pytest.mark.parametrize("what", ["nowhere", "models:/a@b"])
def test_what_is_not_there_is_told(params: Params, what: str) -> None:
    with pytest.raises((RunError, TrackingError), match=r"is no run's folder|in which store"):
        take(params, what, "")
