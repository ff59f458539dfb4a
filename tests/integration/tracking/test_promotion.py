"""What a person does with registered models: look at them, and promote one."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from inspect import signature
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from helpers import KEY, write_run
from rijksnet.cli import results
from rijksnet.errors import TrackingError
from rijksnet.files import sha256_of
from rijksnet.models import promotion
from rijksnet.models.judgement import MARGIN
from rijksnet.params import Params
from rijksnet.publishing import publish
from rijksnet.runs.folder import RunFolder
from rijksnet.stages import champions
from rijksnet.tracking import pins, registry
from rijksnet.tracking.stores import Store
from stores import MODEL


@pytest.fixture
def two_versions(store: Store, params: Params, only_weights: None) -> list[RunFolder]:
    """Version 1, the champion, is right about 7 of 10 images, version 2 about 9."""
    runs = [write_run(replace(KEY, seed=n), seed=n, right=right) for n, right in ((0, 7), (1, 9))]
    publish.publish(params)
    return runs


def test_the_command_s_margin_is_that_by_which_a_promotion_in_the_ui_is_judged() -> None:
    assert signature(results.promote).parameters["margin"].default == MARGIN


def champion(store: Store) -> str:
    return str(registry.champion(store, MODEL).version)


def test_promoting_shows_both_and_asks(
    store: Store, params: Params, two_versions: list[RunFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    def ask(question: str) -> bool:
        asked.append(question)
        assert champion(store) == "1"  # nothing has moved yet
        return True

    promotion.promote(params, MODEL, "2", ask)
    assert asked == ["Move the alias `champion`?"]
    assert champion(store) == "2"
    told = capsys.readouterr().out
    now, proposed = (line for line in told.splitlines() if "test accuracy" in line)
    for line, label, accuracy, n in ((now, "champion now", "0.7000", 0), (proposed, "proposed", "0.9000", 1)):
        assert label in line
        assert f"version {n + 1}, test accuracy {accuracy}, {replace(KEY, seed=n)}" in line
        assert sha256_of(two_versions[n].weights)[:12] in line
    assert "`dvc repro` re-runs what depends on it" in told
    assert "warning" not in told


def test_back_to_the_own_run_it_follows_that_again(
    store: Store, params: Params, two_versions: list[RunFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    promotion.promote(params, MODEL, "2", None)
    assert registry.chosen_by(store, registry.champion(store, MODEL)) == "person"
    promotion.promote(params, MODEL, "1", None, despite="it was a trial")
    assert registry.chosen_by(store, registry.champion(store, MODEL)) == "pipeline"
    assert "θ̂ follows this project's own run again" in capsys.readouterr().out


def test_a_no_changes_nothing(
    store: Store, params: Params, two_versions: list[RunFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    promotion.promote(params, MODEL, "2", lambda _: False)
    assert champion(store) == "1"
    assert "nothing changed" in capsys.readouterr().out


def test_it_can_be_told_not_to_ask(store: Store, params: Params, two_versions: list[RunFolder]) -> None:
    promotion.promote(params, MODEL, "2", None)
    assert champion(store) == "2"


def test_the_champion_is_not_promoted_again(
    store: Store, params: Params, two_versions: list[RunFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    def never(_: str) -> bool:
        raise AssertionError("there is nothing to ask")

    promotion.promote(params, MODEL, "1", never)
    assert f"version 1 is the champion of {MODEL} already" in capsys.readouterr().out
    assert champion(store) == "1"


def tag(store: Store, number: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(store.client.get_model_version(MODEL, number).tags["promotion"])
    return found


def test_the_evidence_is_kept_with_the_version(
    store: Store, params: Params, two_versions: list[RunFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    promotion.promote(params, MODEL, "2", None)
    told = capsys.readouterr().out
    assert "evidence:     it is not worse by 1.0% or more: +20.0 points on the same 10 test images" in told
    kept = tag(store, "2")
    assert (kept["instead_of"], kept["accepted"], kept["forced_because"], kept["n"]) == ("1", True, "", 10)
    assert kept["difference"] == pytest.approx(0.2)


def test_what_is_worse_is_refused_unless_a_reason_is_given(
    store: Store, params: Params, two_versions: list[RunFolder]
) -> None:
    promotion.promote(params, MODEL, "2", None)
    why = "that it is not worse by 1.0% or more is not shown: −20.0 points"
    with pytest.raises(TrackingError, match=rf"version 1 .* is not promoted: {why}.*--force --reason WHY"):
        promotion.promote(params, MODEL, "1", None)
    assert champion(store) == "2"
    promotion.promote(params, MODEL, "1", None, despite="its classes are better known")
    assert champion(store) == "1"
    kept = tag(store, "1")
    assert (kept["accepted"], kept["forced_because"]) == (False, "its classes are better known")


def test_a_wide_margin_lets_more_pass(store: Store, params: Params, two_versions: list[RunFolder]) -> None:
    promotion.promote(params, MODEL, "2", None)
    promotion.promote(params, MODEL, "1", None, margin=0.6)
    assert champion(store) == "1"


def change_record(at: RunFolder, **changes: Any) -> None:
    """Another run in a run's place, complete like that one."""
    run = json.loads(at.run.read_text(encoding="utf-8"))
    at.run.write_text(json.dumps(run | changes), encoding="utf-8")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"digests": {"split": "6" * 64, "initial_weights": ""}}, "they come from different splits (666666666666…, 5"),
        ({"classes": ["drawing", "print", "vase"]}, "classes differ: vase are new, schilderij – olieverf are gone"),
        ({"doubts": ["its training collapsed"]}, "the candidate is doubtful: its training collapsed"),
    ],
)
def test_what_does_not_compare_is_refused(
    store: Store, params: Params, only_weights: None, changes: dict[str, Any], why: str
) -> None:
    write_run()
    other = write_run(replace(KEY, seed=1), seed=1, right=9)
    change_record(other, **changes)
    publish.publish(params)
    with pytest.raises(TrackingError, match=re.escape(why)):
        promotion.promote(params, MODEL, "2", None)
    assert champion(store) == "1"


def test_other_test_objects_are_named(store: Store, params: Params, only_weights: None) -> None:
    write_run()
    other = write_run(replace(KEY, seed=1), seed=1, right=9)
    table = pq.read_table(other.predictions)
    names = [name.replace("test-3", "test-33") for name in table["object_id"].to_pylist()]
    column = table.schema.get_field_index("object_id")
    pq.write_table(table.set_column(column, "object_id", pa.array(names)), other.predictions)
    files = json.loads(other.run.read_text(encoding="utf-8"))["files"]
    change_record(other, files=files | {other.predictions.name: sha256_of(other.predictions)})
    publish.publish(params)
    with pytest.raises(TrackingError, match="the candidate alone on test-33; the champion on test-3"):
        promotion.promote(params, MODEL, "2", None)


def test_where_no_record_is_here_the_store_s_copy_is_evidence(
    store: Store, params: Params, two_versions: list[RunFolder]
) -> None:
    shutil.rmtree("runs")
    promotion.promote(params, MODEL, "2", None)
    assert tag(store, "2")["n"] == 10
    store.client.delete_run(registry.versions(store, MODEL)[0].run_id)
    with pytest.raises(TrackingError, match="the run of version 1 is gone, and no run here is its"):
        promotion.promote(params, MODEL, "1", None)


def test_a_promotion_is_rolled_back(
    store: Store, params: Params, two_versions: list[RunFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(TrackingError, match=r"version 1 of .* does not say which version it replaced.*\['1', '2'\]"):
        promotion.rollback(params, MODEL)
    promotion.promote(params, MODEL, "2", None)
    promotion.rollback(params, MODEL)
    assert champion(store) == "1"
    assert registry.chosen_by(store, registry.champion(store, MODEL)) == "pipeline"
    assert "version 1 is the champion of" in capsys.readouterr().out
    assert json.loads(store.client.get_model_version(MODEL, "2").tags["rolled_back"])["to"] == "1"


def test_a_promotion_in_the_ui_is_judged_by_the_next_look(
    store: Store, params: Params, two_versions: list[RunFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    champions.champions(params)
    store.client.set_registered_model_alias(MODEL, "champion", "2")  # as the MLflow UI does
    capsys.readouterr()
    champions.champions(params)
    told = capsys.readouterr().err
    assert f"{MODEL}: version 2 was made champion by hand, in place of version 1; it is not worse by 1.0%" in told
    assert tag(store, "2")["instead_of"] == "1"
    promotion.rollback(params, MODEL)
    champions.champions(params)
    worse = write_run(replace(KEY, seed=2), seed=2, right=1)
    publish.publish(params)
    store.client.set_registered_model_alias(MODEL, "champion", "3")
    capsys.readouterr()
    champions.champions(params)
    told = capsys.readouterr().err
    assert "warning: " in told
    assert (
        "version 3 was made champion by hand, in place of version 1; `rijksnet promote` would have refused it" in told
    )
    pin = pins.read_pin("type", "test_resnet")
    assert pin is not None
    assert (pin.weights_sha256, pin.chosen_by) == (sha256_of(worse.weights), "person")  # and followed all the same


def test_a_champion_whose_answers_are_lost_is_followed_too(
    store: Store, params: Params, two_versions: list[RunFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    champions.champions(params)
    shutil.rmtree("mlartifacts")
    two_versions[0].run.unlink()
    store.client.set_registered_model_alias(MODEL, "champion", "2")
    champions.champions(params)
    assert "what one of them answered is not known" in capsys.readouterr().err
    pin = pins.read_pin("type", "test_resnet")
    assert pin is not None
    assert pin.weights_sha256 == sha256_of(two_versions[1].weights)
    with pytest.raises(TrackingError, match="what one of them answered is not known"):
        promotion.promote(params, MODEL, "1", None)
    promotion.promote(params, MODEL, "1", None, despite="it is the older one")
    assert champion(store) == "1"


def test_back_in_the_ui_it_is_judged_again_and_rolled_back_to_what_it_replaced(
    store: Store, params: Params, two_versions: list[RunFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(replace(KEY, seed=2), seed=2, right=10)
    publish.publish(params)
    for version in ("2", "3"):
        promotion.promote(params, MODEL, version, None)
        champions.champions(params)
    store.client.set_registered_model_alias(MODEL, "champion", "2")
    capsys.readouterr()
    champions.champions(params)
    assert "version 2 was made champion by hand, in place of version 3" in capsys.readouterr().err
    promotion.rollback(params, MODEL)
    assert champion(store) == "3"


def test_the_first_champion_can_be_a_persons_choice(
    store: Store, params: Params, two_versions: list[RunFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    store.client.delete_registered_model_alias(MODEL, "champion")
    promotion.promote(params, MODEL, "2", None)
    assert champion(store) == "2"
    assert "champion now: none" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["rijksnet-type-vgg19", "Rembrandt's"])
def test_an_unknown_model_is_told_with_those_there_are(
    params: Params, two_versions: list[RunFolder], name: str
) -> None:
    with pytest.raises(TrackingError, match=rf"no registered model .*{name}.*the registry has \['{MODEL}'\]"):
        promotion.promote(params, name, "1", None)


@pytest.mark.parametrize("version", ["3", "champion", "01"])
def test_an_unknown_version_is_told_with_those_there_are(
    store: Store, params: Params, two_versions: list[RunFolder], version: str
) -> None:
    with pytest.raises(TrackingError, match=rf"{MODEL} has no version '{version}'; it has \['1', '2'\]"):
        promotion.promote(params, MODEL, version, None)
    assert champion(store) == "1"


def test_the_table_has_a_line_for_each_version(
    store: Store, params: Params, two_versions: list[RunFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    registry.move(store, MODEL, registry.versions(store, MODEL)[2 - 1], "person")
    store.client.create_registered_model("someone-elses")
    Console(width=200).print(promotion.models_table(params))
    told = capsys.readouterr().out
    lines = [[cell.strip() for cell in line.strip("│").split("│")] for line in told.splitlines() if MODEL in line]
    assert lines == [
        [MODEL, "1", "", "0.7000", str(KEY), sha256_of(two_versions[0].weights)[:12]],
        [MODEL, "2", "★", "0.9000", str(replace(KEY, seed=1)), sha256_of(two_versions[1].weights)[:12]],
    ]
    assert "someone-elses" not in told
