"""Registered models, champions, pins, and the weights they name."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from helpers import COLLECTION, KEY, write_record
from rijksnet import paths
from rijksnet.errors import TrackingError
from rijksnet.files import sha256_of
from rijksnet.paths import RecordPaths, RunKey
from rijksnet.stages import publish
from rijksnet.tracking import record, registry
from rijksnet.tracking.mlflow_store import Store
from rijksnet.tracking.registry import Pin
from stores import MODEL

OUT = Path("weights.safetensors")


def register(store: Store, at: RecordPaths) -> tuple[str, bool]:
    (one,) = publish.publish_records(store, [at])
    return registry.register(store, one.at, one.run, one.run_id)


def weights_of(at: RecordPaths) -> str:
    return record.read_run(at).files[at.weights.name]


def seed(n: int) -> RecordPaths:
    """The record of the same run with another seed, and with weights of its own."""
    return write_record(replace(KEY, seed=n), seed=n)


# --- versions ---------------------------------------------------------------------------------------------------------


def test_weights_are_registered_once(store: Store, only_weights: None) -> None:
    at = write_record()
    assert register(store, at) == ("1", True)
    assert register(store, at) == ("1", False)
    (version,) = registry.versions(store, MODEL)
    (run,) = store.client.search_runs([store.experiment(KEY)])
    assert (version.run_id, version.status) == (run.info.run_id, "READY")
    assert version.description == f"{KEY}: test accuracy 70.0%"
    assert version.tags == {
        "weights_sha256": weights_of(at),
        "run_key": str(KEY),
        "split_digest": "5" * 64,
        "test_accuracy": "0.7000",
    }
    model = store.client.get_registered_model(MODEL)
    assert model.tags == {"challenge": "type", "architecture": "test_resnet"}


def test_other_weights_are_another_version(store: Store, only_weights: None) -> None:
    (one,) = publish.publish_records(store, [write_record()])
    for n in range(12):
        run = replace(one.run, files={**one.run.files, one.at.weights.name: f"{n:064}"})
        assert registry.register(store, one.at, run, one.run_id) == (str(n + 1), True)
    assert [int(one.version) for one in registry.versions(store, MODEL)] == list(range(1, 13))  # as numbers, not text


def test_the_same_weights_of_another_run_are_the_same_version(store: Store, only_weights: None) -> None:
    register(store, write_record())
    assert register(store, write_record(replace(KEY, seed=1), seed=0)) == ("1", False)


def test_a_model_that_nobody_registered_has_no_version_and_no_champion(store: Store) -> None:
    assert registry.versions(store, MODEL) == []
    assert registry.champion(store, MODEL) is None


# --- champions --------------------------------------------------------------------------------------------------------


def ensured(store: Store, pin: Pin | None) -> str | None:
    found = registry.ensure_champion(store, "type", "test_resnet", pin)
    return None if found is None else str(found.version)


def test_without_a_pin_the_first_version_becomes_champion(store: Store, only_weights: None) -> None:
    assert ensured(store, None) is None
    for n in range(2):
        register(store, seed(n))
    assert registry.champion(store, MODEL) is None
    assert ensured(store, None) == "1"
    assert str(registry.champion(store, MODEL).version) == "1"


def test_a_pinned_version_becomes_champion(store: Store, only_weights: None) -> None:
    for n in range(2):
        register(store, seed(n))
    pin = Pin("type", "test_resnet", weights_of(RecordPaths.of(replace(KEY, seed=1))))
    assert ensured(store, pin) == "2"


def test_an_unknown_pin_makes_no_champion(store: Store, only_weights: None) -> None:
    register(store, write_record())
    assert ensured(store, Pin("type", "test_resnet", "d" * 64)) is None
    assert registry.champion(store, MODEL) is None


def test_a_champion_is_left_alone(store: Store, only_weights: None) -> None:
    ats = [seed(n) for n in range(2)]
    for at in ats:
        register(store, at)
    registry.promote(store, MODEL, "2")
    assert ensured(store, None) == "2"
    assert ensured(store, Pin("type", "test_resnet", weights_of(ats[0]))) == "2"
    registry.promote(store, MODEL, "1")
    assert ensured(store, None) == "1"


def test_the_pin_of_a_version_is_its_weights(store: Store, only_weights: None) -> None:
    at = write_record()
    register(store, at)
    (version,) = registry.versions(store, MODEL)
    assert registry.pin_of(version, "type", "test_resnet") == Pin("type", "test_resnet", weights_of(at))


def test_a_version_that_does_not_name_its_weights_is_told(store: Store) -> None:
    store.client.create_registered_model(MODEL)
    version = store.client.create_model_version(MODEL, "file:///somewhere")
    with pytest.raises(TrackingError, match=f"version 1 of {MODEL} has no tag `weights_sha256`.*give the alias"):
        registry.pin_of(version, "type", "test_resnet")


# --- pins -------------------------------------------------------------------------------------------------------------


def test_a_pin_reads_back_as_it_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert registry.read_pin("type", "test_resnet") is None
    pin = Pin("type", "test_resnet", "e" * 64)
    pin.write()
    assert registry.read_pin("type", "test_resnet") == pin
    assert json.loads(paths.pin("type", "test_resnet").read_text()) == {
        "challenge": "type",
        "architecture": "test_resnet",
        "weights_sha256": "e" * 64,
    }


def test_a_pin_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    old = Pin("type", "test_resnet", "e" * 64)
    old.write()

    def disk_full(self: Path, text: str, **_: Any) -> None:
        with self.open("w") as file:
            file.write(text[:20])
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "write_text", disk_full)
    with pytest.raises(OSError, match="no space"):
        replace(old, weights_sha256="f" * 64).write()
    assert registry.read_pin("type", "test_resnet") == old
    assert [path.name for path in paths.PINS.iterdir()] == ["type-test_resnet.json"]


# --- the weights of a pin ---------------------------------------------------------------------------------------------


def no_registry() -> Store:
    raise AssertionError("the registry was asked")


def test_weights_come_from_a_record_that_holds_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    damaged, wanted = write_record(), seed(1)
    damaged.metrics.unlink()  # another run's damage is no obstacle
    pin = Pin("type", "test_resnet", weights_of(wanted))
    assert registry.fetch_weights(pin, OUT, no_registry) == str(wanted.root)
    assert OUT.read_bytes() == wanted.weights.read_bytes()


@pytest.mark.parametrize("harm", ["remove the record", "change its weights"])
def test_weights_come_from_the_registry_where_no_record_holds_them(store: Store, only_weights: None, harm: str) -> None:
    register(store, write_record(RunKey(COLLECTION, "type", "test_resnet", "fine_tuning", "imagenet", 5)))
    at = seed(1)
    register(store, at)
    identity = weights_of(at)
    if harm == "remove the record":
        at.run.unlink()
        at.weights.unlink()
    else:
        at.weights.write_bytes(at.weights.read_bytes()[:-1] + b"?")
    found = registry.fetch_weights(Pin("type", "test_resnet", identity), OUT, lambda: store)
    assert found == f"version 2 of {MODEL}"
    assert sha256_of(OUT) == identity


def test_weights_that_the_registry_does_not_hold_as_promised_are_refused(
    store: Store, tmp_path: Path, only_weights: None
) -> None:
    at = write_record()
    register(store, at)
    identity = weights_of(at)
    at.weights.unlink()
    (kept,) = (tmp_path / "mlartifacts").rglob("weights.safetensors")
    kept.write_bytes(b"something else")
    with pytest.raises(TrackingError, match=f"version 1 of {MODEL} does not hold the weights that it names"):
        registry.fetch_weights(Pin("type", "test_resnet", identity), OUT, lambda: store)
    assert not OUT.exists()


def test_weights_that_are_nowhere_are_told_with_what_to_do(store: Store, only_weights: None) -> None:
    register(store, write_record())
    pin = Pin("type", "test_resnet", "d" * 64)
    with pytest.raises(TrackingError, match=f"{pin.file} names weights dddddddddddd….*rijksnet promote {MODEL}"):
        registry.fetch_weights(pin, OUT, lambda: store)
    assert not OUT.exists()
