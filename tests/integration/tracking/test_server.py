"""The same against a real tracking server, over HTTP."""

from __future__ import annotations

import json
import shutil
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest

from helpers import COLLECTION, KEY, STARTED_MS, write_run
from rijksnet import paths
from rijksnet.files import sha256_of
from rijksnet.models import promotion
from rijksnet.params import Params, load
from rijksnet.paths import RUNS
from rijksnet.publishing import publish
from rijksnet.stages import champions
from rijksnet.tracking import address, pins, registry
from rijksnet.tracking.stores import Store
from stores import MODEL, PIXELS_MD5, make_project, write_lock


@pytest.fixture
def params(tmp_path: Path, blank_store: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> Params:
    make_project(tmp_path, blank_store, uri=server)
    monkeypatch.chdir(tmp_path)
    return load(Path("params.yaml"))


def move_alias(server: str, version: str) -> None:
    """What the MLflow UI sends."""
    content = json.dumps({"name": MODEL, "alias": "champion", "version": version}).encode()
    address = f"{server}/api/2.0/mlflow/registered-models/alias"
    request = urllib.request.Request(address, content, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        assert response.status == 200


def pinned() -> str:
    pin = pins.read_pin("type", "test_resnet")
    assert pin is not None
    return pin.weights_sha256


def test_from_records_to_pins_through_a_server(
    store: Store, params: Params, server: str, only_weights: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """One test, because the server's store is one for all of them."""
    assert registry.champion(store, MODEL) is None

    first, second = write_run(), write_run(replace(KEY, seed=1), seed=1, right=9)
    write_lock()
    publish.publish(params)
    publish.publish(params)
    out, told = capsys.readouterr()
    assert out == ""  # MLflow's own two lines for every run
    assert "2 runs added, 0 completed, 0 already there; 2 versions registered" in told
    assert "0 runs added, 0 completed, 2 already there; 0 versions registered" in told

    runs = {run.data.tags["run_key"]: run for run in store.client.search_runs([store.experiment(KEY)])}
    assert set(runs) == {str(KEY), str(replace(KEY, seed=1))}
    run = runs[str(KEY)]
    assert (run.info.status, run.info.start_time, run.info.end_time) == ("FINISHED", STARTED_MS, STARTED_MS + 3500)
    assert len(store.client.get_metric_history(run.info.run_id, "train/loss")) == 3
    assert PIXELS_MD5 in {one.dataset.digest for one in run.inputs.dataset_inputs}
    assert {one.path for one in store.client.list_artifacts(run.info.run_id)} == {
        "artifacts.json", "model", "run",
    }  # fmt: skip
    assert not Path("mlartifacts").exists()  # the server keeps them

    champions.champions(params)
    identities = [sha256_of(at.weights) for at in (first, second)]
    assert pinned() == identities[0]
    move_alias(server, "2")
    champions.champions(params)
    assert pinned() == identities[1]
    promotion.promote(params, MODEL, "1", None, despite="a trial")
    champions.champions(params)
    assert pinned() == identities[0]

    shutil.rmtree(RUNS)  # the weights are the registry's to give, now
    champions.tuned(params, "type", "test_resnet")
    assert sha256_of(paths.tuned_weights(COLLECTION, "type", "test_resnet")) == identities[0]
    assert address.exists(params.tracking)
