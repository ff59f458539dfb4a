"""What anything came from and what came of it, asked in every way."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from helpers import COLLECTION, KEY, write_run
from rijksnet.errors import RunError, TrackingError
from rijksnet.files import sha256_of
from rijksnet.params import Params
from rijksnet.publishing import publish
from rijksnet.stages import champions
from rijksnet.trace import tracing
from rijksnet.tracking import mlflow_store
from rijksnet.tracking.stores import Store
from stores import MODEL, PIXELS_MD5, write_lock

pytestmark = pytest.mark.usefixtures("only_weights")
TARGET = replace(KEY, collection="miniature-antwerp", initialisation=COLLECTION)
PIXELS = f"data/{COLLECTION}/pixels"


@pytest.fixture
def known(params: Params) -> Params:
    """The own run, published and pinned; one on the target that starts from it; a table."""
    at = write_run()
    write_lock()
    target = write_run(TARGET)
    content = json.loads(target.run.read_text(encoding="utf-8"))
    content["digests"]["initial_weights"] = sha256_of(at.weights)
    content["ancestry"] = [{"from": "timm", "name": "test_resnet.a"}, {"from": "training", "name": str(KEY)}]
    target.run.write_text(json.dumps(content), encoding="utf-8")
    publish.publish(params)
    champions.champions(params)
    Path("results").mkdir()
    row = f"type,test_resnet,85.71,{KEY},95.92,{TARGET}"
    Path("results/t.csv").write_text(
        f"challenge,architecture,a_percent,a_run,b_percent,b_run\n{row}\n", encoding="utf-8"
    )
    return params


def told(params: Params, what: str) -> str:
    console = Console(width=300, record=True)
    console.print(tracing.trace(params, what))
    return console.export_text()


def test_a_run_says_what_it_is_and_what_it_was_made_of(known: Params, store: Store) -> None:
    said = told(known, str(KEY))
    run_id = json.loads(Path("published.json").read_text())[str(KEY)]["run_id"]
    for part in (
        f"{KEY}: 70.0% of 10 test images right",
        f"code: commit {'c' * 40}",
        "as dvc.lock names it",
        f"MLflow: run {run_id}",
        "θ̂ by pins/type-test_resnet.json",
        f"the start of {TARGET}",
        f"{PIXELS} {PIXELS_MD5[:12]}…",
        "code/train.txt c0de56789012…",
    ):
        assert part in said, part


def test_what_was_changed_since_is_told(known: Params) -> None:
    write_run(right=3)
    assert "but here it was changed since" in told(known, f"runs/{KEY}/")


def test_a_data_file_leads_to_its_runs(known: Params) -> None:
    said = told(known, PIXELS)
    assert f"what came of {PIXELS}" in said
    assert "fine_tuning@type-test_resnet" in said
    assert f"runs/{KEY}" in said


def test_an_md5_leads_to_its_paths_and_to_the_runs_in_mlflow(known: Params) -> None:
    said = told(known, PIXELS_MD5)
    assert f"dvc.lock names {PIXELS} by it" in said
    assert f"MLflow knows 1 runs that read it: {KEY} (" in said
    Path("dvc.lock").unlink()  # another state of the project
    assert f"MLflow knows 1 runs that read it: {KEY} (" in told(known, PIXELS_MD5)


def test_a_cell_leads_to_its_run(known: Params) -> None:
    said = told(known, "results/t.csv:type,test_resnet:b_percent")
    assert "b_percent of type,test_resnet in results/t.csv: 95.92" in said
    assert f"measured by {TARGET}" in said
    assert f"weights: timm test_resnet.a → training {KEY}" in said
    assert f"measured by {KEY}" in told(known, "results/t.csv:type:a_percent")
    with pytest.raises(RunError, match=r"0 rows of results/t\.csv begin with 'artist'; they begin with"):
        told(known, "results/t.csv:artist:a_percent")
    with pytest.raises(RunError, match="has no column 'c'; it has"):
        told(known, "results/t.csv:type:c")


def test_a_prediction_leads_to_its_object(known: Params) -> None:
    assert "test-1.jpg of test-1 (test split): print (" in (said := told(known, f"{KEY}#test-1"))
    assert "rightly" in said
    assert "though it is" in told(known, f"{KEY}#test-9")
    with pytest.raises(RunError, match="answered for no object or image 'test-99'; near are"):
        told(known, f"{KEY}#test-99")


@pytest.mark.parametrize("what", [f"{MODEL}/1", f"models:/{MODEL}/1", f"models:/{MODEL}@champion"])
def test_a_version_leads_to_its_record(known: Params, what: str) -> None:
    said = told(known, what)
    assert f"version 1 of {MODEL}: {KEY}" in said
    assert f"{KEY}: 70.0% of 10 test images right" in said


def test_a_version_that_is_not_there_is_told(known: Params) -> None:
    with pytest.raises(TrackingError, match=r"has versions \['1'\]"):
        told(known, f"{MODEL}/9")


def test_weights_and_mlflow_s_runs_lead_there_too(known: Params, store: Store) -> None:
    at = write_run()
    assert f"{TARGET} starts from it" in told(known, sha256_of(at.weights))
    (run,) = store.runs(mlflow_store.experiment_of(store, at.read(verify=False)), "")
    assert f"MLflow's run {run.info.run_id} of {KEY}" in told(known, run.info.run_id)
    write_run(right=2)
    assert "it was made again since" in told(known, run.info.run_id)


def test_what_is_not_known_is_told_with_what_may_be_asked(known: Params) -> None:
    with pytest.raises(RunError, match=r"'nonsense' is not known here. Ask for a file or folder"):
        told(known, "nonsense")
    with pytest.raises(RunError, match=rf"near are \['{KEY}'"):
        told(known, str(KEY).replace("type", "tpye"))
