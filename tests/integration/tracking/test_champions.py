"""The stage that looks at the outside world: pins follow the alias `champion`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException

from helpers import COLLECTION, KEY, write_run
from rijksnet import paths
from rijksnet.errors import TrackingError
from rijksnet.files import sha256_of
from rijksnet.params import Params
from rijksnet.publishing import publish
from rijksnet.runs.folder import RunFolder
from rijksnet.stages import champions
from rijksnet.tracking import pins, registry, stores
from rijksnet.tracking.pins import Pin
from rijksnet.tracking.stores import Store
from stores import MODEL, free_port

PIN = paths.pin("type", "test_resnet")


def at_uri(params: Params, uri: str) -> Params:
    return params.model_copy(update={"tracking": params.tracking.model_copy(update={"uri": uri})})


@pytest.fixture
def two_versions(store: Store, params: Params, only_weights: None) -> list[RunFolder]:
    runs = [write_run(replace(KEY, seed=n), seed=n) for n in range(2)]
    publish.publish(params)
    return runs


def promoted(store: Store, number: str) -> None:
    """As a person's `rijksnet promote` does."""
    (version,) = (one for one in registry.versions(store, MODEL) if str(one.version) == number)
    registry.move(store, MODEL, version, "person")


def pinned() -> str:
    pin = pins.read_pin("type", "test_resnet")
    assert pin is not None
    return pin.weights_sha256


def test_pins_follow_the_alias(
    store: Store, params: Params, two_versions: list[RunFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    champions.champions(params)
    assert pinned() == sha256_of(two_versions[0].weights)
    assert f"{MODEL}: θ̂ is version 1 ({KEY}), chosen by a pipeline" in capsys.readouterr().err
    store.client.set_registered_model_alias(MODEL, "champion", "2")  # as the MLflow UI does
    champions.champions(params)
    assert pinned() == sha256_of(two_versions[1].weights)
    told = capsys.readouterr().err
    assert f"θ̂ is version 2 ({replace(KEY, seed=1)}), chosen by a person; it was " in told
    assert f"is not this project's own run: it is the run {replace(KEY, seed=1)}" in told


def test_a_pin_is_written_only_when_it_changes(
    params: Params, two_versions: list[RunFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    champions.champions(params)
    capsys.readouterr()
    before = PIN.stat()
    champions.champions(params)
    assert (PIN.stat().st_ino, PIN.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert capsys.readouterr().err == ""


def test_a_lost_alias_goes_back_to_what_is_pinned(store: Store, params: Params, two_versions: list[RunFolder]) -> None:
    promoted(store, "2")
    champions.champions(params)
    store.client.delete_registered_model_alias(MODEL, "champion")
    champions.champions(params)
    assert pinned() == sha256_of(two_versions[1].weights)
    assert str(registry.champion(store, MODEL).version) == "2"


@pytest.mark.parametrize("uri", ["http://127.0.0.1:{port}", "sqlite:///not/yet/made.db"])
def test_a_registry_that_is_away_leaves_the_pin_with_a_warning(
    params: Params, two_versions: list[RunFolder], uri: str, capsys: pytest.CaptureFixture[str]
) -> None:
    champions.champions(params)
    before = PIN.read_bytes()
    capsys.readouterr()
    uri = uri.format(port=free_port())
    champions.champions(at_uri(params, uri))
    assert PIN.read_bytes() == before
    told = capsys.readouterr().err
    assert told.startswith(f"warning: {MODEL}: keeping the pin {pinned()[:12]}…: ")
    assert told.count("warning") == 1
    assert uri in told
    assert not Path("not").exists()


def test_a_registry_that_dies_midway_leaves_the_pins_with_a_warning(
    store: Store, params: Params, two_versions: list[RunFolder], capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    champions.champions(params)
    before = PIN.read_bytes()
    capsys.readouterr()
    asked = []

    def die(_: object, name: str, __: str) -> None:
        asked.append(name)
        raise MlflowException("Max retries exceeded")

    monkeypatch.setattr(type(store.client), "get_model_version_by_alias", die)
    champions.champions(params)
    assert PIN.read_bytes() == before
    assert asked == [MODEL]
    told = capsys.readouterr().err
    assert f"warning: {MODEL}: keeping the pin {pinned()[:12]}…: who is champion of {MODEL}: the tracking" in told
    assert "Max retries exceeded" in told


def test_why_the_registry_is_away_is_told_word_for_word(
    params: Params, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Pin("type", "test_resnet", "d" * 64).write()
    message = "database is locked [SQL: SELECT] [parameters: ('a',)] [/not markup]"

    def refuse(_: object) -> None:
        raise TrackingError(message)

    monkeypatch.setattr(stores, "open_store", refuse)
    champions.champions(params)
    assert capsys.readouterr().err.endswith(f": {message}\n")


@pytest.mark.parametrize("uri", ["http://127.0.0.1:{port}", "sqlite:///not/yet/made.db"])
def test_without_pin_and_registry_there_is_no_champion(params: Params, uri: str) -> None:
    uri = uri.format(port=free_port())
    with pytest.raises(TrackingError, match=rf"{MODEL} has no champion, no pin and no run of its own here: .*{uri}"):
        champions.champions(at_uri(params, uri))
    assert not PIN.exists()


def test_without_pin_and_version_there_is_no_champion(params: Params) -> None:
    with pytest.raises(TrackingError, match="the registry knows no version of it"):
        champions.champions(params)
    assert not PIN.exists()


def test_a_registry_that_does_not_know_the_pin_leaves_it_with_a_warning(
    store: Store, params: Params, two_versions: list[RunFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    store.client.delete_registered_model_alias(MODEL, "champion")
    Pin("type", "test_resnet", "d" * 64, chosen_by="person").write()
    champions.champions(params)
    assert pinned() == "d" * 64
    assert "warning: " in (told := capsys.readouterr().err)
    assert "the registry knows no version of it; `rijksnet publish` adds it" in told
    assert registry.champion(store, MODEL) is None


def test_a_champion_that_does_not_name_its_weights_is_told(
    store: Store, params: Params, two_versions: list[RunFolder]
) -> None:
    champions.champions(params)
    before = PIN.read_bytes()
    store.client.create_model_version(MODEL, "file:///somewhere")
    promoted(store, "3")
    with pytest.raises(TrackingError, match=f"version 3 of {MODEL} has no tag `weights_sha256`"):
        champions.champions(params)
    assert PIN.read_bytes() == before


def test_tuned_weights_are_the_champions(
    params: Params, two_versions: list[RunFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    champions.champions(params)
    champions.tuned(params, "type", "test_resnet")
    out = paths.tuned_weights(COLLECTION, "type", "test_resnet")
    assert out.read_bytes() == two_versions[0].weights.read_bytes()
    assert str(two_versions[0].root) in capsys.readouterr().err


def test_tuned_weights_need_a_pin(params: Params) -> None:
    with pytest.raises(TrackingError, match=f"{PIN} is not there: run `rijksnet champions` first"):
        champions.tuned(params, "type", "test_resnet")


def test_tuned_weights_in_a_record_need_no_registry(params: Params, two_versions: list[RunFolder]) -> None:
    champions.champions(params)
    champions.tuned(at_uri(params, f"http://127.0.0.1:{free_port()}"), "type", "test_resnet")
    assert sha256_of(paths.tuned_weights(COLLECTION, "type", "test_resnet")) == pinned()
