"""Registered models, champions, pins, and the weights they name."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from helpers import COLLECTION, KEY, PARAMS, write_run
from processes import Warm
from rijksnet import paths
from rijksnet.errors import TrackingError
from rijksnet.files import sha256_of
from rijksnet.models import promotion
from rijksnet.publishing import publish
from rijksnet.runs.folder import RunFolder
from rijksnet.runs.key import RunKey
from rijksnet.tracking import pins, registry, stores
from rijksnet.tracking.pins import Pin
from rijksnet.tracking.registry import Champion
from rijksnet.tracking.stores import Store, pages
from stores import MODEL

OUT = Path("weights.safetensors")
SETTINGS = {name: value for name, value in PARAMS.items() if name not in pins.COUNTED}


def register(store: Store, at: RunFolder) -> tuple[str, bool]:
    (one,) = publish.publish_runs(store, [at])
    return registry.register(store, one.at, one.run, one.run_id, "")


def weights_of(at: RunFolder) -> str:
    return at.read(verify=True).files[at.weights.name]


def seed(n: int) -> RunFolder:
    """The run of the same run with another seed, and with weights of its own."""
    return write_run(replace(KEY, seed=n), seed=n)


# --- versions ---------------------------------------------------------------------------------------------------------


def test_weights_are_registered_once(store: Store, only_weights: None) -> None:
    at = write_run()
    assert register(store, at) == ("1", True)
    assert register(store, at) == ("1", False)
    (version,) = registry.versions(store, MODEL)
    (run,) = store.client.search_runs([store.experiment(KEY)])
    assert (version.run_id, version.status) == (run.info.run_id, "READY")
    assert version.tags == {
        "weights_sha256": weights_of(at),
        "run_key": str(KEY),
        "run_digest": at.digest(),
        "split_digest": "5" * 64,
        "settings": json.dumps(SETTINGS, sort_keys=True),
        "test_accuracy": "0.7000",
    }
    model = store.client.get_registered_model(MODEL)
    assert model.tags == {"collection": COLLECTION, "challenge": "type", "architecture": "test_resnet"}


def test_other_weights_are_another_version(store: Store, only_weights: None) -> None:
    (one,) = publish.publish_runs(store, [write_run()])
    for n in range(12):
        run = replace(one.run, files={**one.run.files, one.at.weights.name: f"{n:064}"})
        assert registry.register(store, one.at, run, one.run_id, "") == (str(n + 1), True)
    assert [int(one.version) for one in registry.versions(store, MODEL)] == list(range(1, 13))  # as numbers, not text


def test_the_same_weights_of_another_run_are_the_same_version(store: Store, only_weights: None) -> None:
    register(store, write_run())
    assert register(store, write_run(replace(KEY, seed=1), seed=0)) == ("1", False)


def test_a_model_that_nobody_registered_has_no_version_and_no_champion(store: Store) -> None:
    assert registry.versions(store, MODEL) == []
    assert registry.champion(store, MODEL) is None


# --- champions --------------------------------------------------------------------------------------------------------


def ensured(store: Store, pin: Pin | None, own: RunFolder | None = None) -> tuple[str, str] | None:
    """Number of the champion, and who chose it."""
    found = registry.ensure_champion(store, MODEL, own and own.read(verify=True), pin)
    return None if found is None else (str(found.version.version), found.by)


def promote(store: Store, number: int) -> None:
    registry.move(store, MODEL, registry.versions(store, MODEL)[number - 1], "person")


def test_without_a_pin_the_own_run_becomes_champion(store: Store, only_weights: None) -> None:
    ats = [seed(n) for n in range(2)]
    assert ensured(store, None, ats[1]) is None
    for at in ats:
        register(store, at)
    assert registry.champion(store, MODEL) is None
    assert ensured(store, None) is None  # whose weights they are nobody says
    assert ensured(store, None, ats[1]) == ("2", "pipeline")
    assert str(registry.champion(store, MODEL).version) == "2"


def test_a_version_that_a_person_had_chosen_becomes_champion_again(store: Store, only_weights: None) -> None:
    ats = [seed(n) for n in range(2)]
    for at in ats:
        register(store, at)
    pin = Pin("type", "test_resnet", weights_of(ats[1]), chosen_by="person")
    assert ensured(store, pin, ats[0]) == ("2", "person")
    assert ensured(store, pin, ats[0]) == ("2", "person")


def test_an_unknown_pin_makes_no_champion(store: Store, only_weights: None) -> None:
    at = write_run()
    register(store, at)
    assert ensured(store, Pin("type", "test_resnet", "d" * 64)) is None
    assert ensured(store, Pin("type", "test_resnet", "d" * 64, chosen_by="person"), at) is None
    assert registry.champion(store, MODEL) is None


def test_a_persons_champion_is_left_alone(store: Store, only_weights: None) -> None:
    ats = [seed(n) for n in range(2)]
    for at in ats:
        register(store, at)
    promote(store, 2)
    assert ensured(store, None, ats[0]) == ("2", "person")
    assert ensured(store, Pin("type", "test_resnet", weights_of(ats[0])), ats[0]) == ("2", "person")
    store.client.set_registered_model_alias(MODEL, "champion", "1")  # as the MLflow UI does
    assert ensured(store, None, ats[1]) == ("1", "person")


def test_a_run_that_was_trained_again_replaces_itself_as_champion(store: Store, only_weights: None) -> None:
    at = write_run()
    register(store, at)
    assert ensured(store, None, at) == ("1", "pipeline")
    again = write_run(seed=1)
    register(store, again)
    found = registry.ensure_champion(store, MODEL, again.read(verify=True), None)
    assert found is not None
    assert (str(found.version.version), found.by, str(found.instead_of.version)) == ("2", "pipeline", "1")
    at = write_run()  # and back: the cache restores the first
    assert ensured(store, None, at) == ("1", "pipeline")


@pytest.mark.parametrize("collected", [False, True])
def test_a_version_whose_run_is_gone_is_replaced(store: Store, only_weights: None, warm: Warm, collected: bool) -> None:
    at = write_run()
    assert register(store, at) == ("1", True)
    assert ensured(store, None, at) == ("1", "pipeline")
    promote(store, 1)
    store.client.delete_run(registry.versions(store, MODEL)[0].run_id)
    if collected:
        store_of = ["--backend-store-uri", "sqlite:///mlflow.db", "--tracking-uri", "sqlite:///mlflow.db"]
        warm.run("mlflow", "gc", *store_of)
    assert registry.with_weights(store, MODEL, at.read(verify=True).files[at.weights.name]) is None
    assert register(store, at) == ("2", True)
    assert ensured(store, None, at) == ("2", "person")


def test_there_may_be_more_versions_and_models_than_a_page_holds(store: Store, only_weights: None) -> None:
    at = write_run()
    (one,) = publish.publish_runs(store, [at])
    for n in range(stores.PAGE + 5):
        store.client.create_registered_model(f"rijksnet-a-{n}")
        run = replace(one.run, files={**one.run.files, at.weights.name: f"{n:064}"})
        registry.register(store, at, run, one.run_id, "")
    assert len(registry.versions(store, MODEL)) == stores.PAGE + 5
    assert registry.register(store, at, run, one.run_id, "") == (str(stores.PAGE + 5), False)
    found = pages(partial(store.client.search_registered_models, filter_string=promotion.OURS))
    assert len(found) == stores.PAGE + 6


def test_the_pin_of_a_version_says_what_it_is(store: Store, only_weights: None) -> None:
    at = write_run()
    register(store, at)
    (version,) = registry.versions(store, MODEL)
    run = at.read(verify=True)
    model = pins.model_of(KEY)
    assert registry.pin_of(Champion(version, "pipeline"), model) == Pin.of_run(run)
    pin = registry.pin_of(Champion(version, "person"), model)
    assert (pin.weights_sha256, pin.run_key, pin.chosen_by) == (weights_of(at), str(KEY), "person")
    assert pin.settings == SETTINGS
    assert pin.differences(run) == []
    other = replace(run, params=run.params | {"protocol": "as_released"}, digests={"split": "6" * 64})
    split, protocol = pin.differences(other)
    assert "another split" in split
    assert protocol == "protocol as_written rather than as_released"
    assert pin.differences(replace(run, key=replace(KEY, seed=4))) == [f"it is the run {KEY}"]


def test_a_version_that_does_not_name_its_weights_is_told(store: Store) -> None:
    store.client.create_registered_model(MODEL)
    version = store.client.create_model_version(MODEL, "file:///somewhere")
    with pytest.raises(TrackingError, match=f"version 1 of {MODEL} has no tag `weights_sha256`.*give the alias"):
        registry.pin_of(Champion(version, "person"), pins.model_of(KEY))


# --- pins -------------------------------------------------------------------------------------------------------------


def test_a_pin_reads_back_as_it_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert pins.read_pin("type", "test_resnet") is None
    pin = Pin("type", "test_resnet", "e" * 64)
    pin.write()
    assert pins.read_pin("type", "test_resnet") == pin
    assert json.loads(paths.pin("type", "test_resnet").read_text()) == {
        "challenge": "type",
        "architecture": "test_resnet",
        "weights_sha256": "e" * 64,
        "model": "",
        "run_key": "",
        "split_digest": "",
        "chosen_by": "pipeline",
        "settings": {},
    }


def test_a_damaged_pin_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Pin("type", "test_resnet", "e" * 64).write()
    file = paths.pin("type", "test_resnet")
    file.write_text(file.read_text()[:30])
    with pytest.raises(TrackingError, match=f"{file} cannot be read .*dvc checkout pins"):
        pins.read_pin("type", "test_resnet")


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
    assert pins.read_pin("type", "test_resnet") == old
    assert [path.name for path in paths.PINS.iterdir()] == ["type-test_resnet.json"]


# --- the weights of a pin ---------------------------------------------------------------------------------------------


def no_registry() -> Store:
    raise AssertionError("the registry was asked")


def test_weights_come_from_a_record_that_holds_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    damaged, wanted = write_run(), seed(1)
    damaged.metrics.unlink()  # another run's damage is no obstacle
    pin = Pin("type", "test_resnet", weights_of(wanted))
    assert registry.fetch_weights(pin, MODEL, OUT, no_registry) == str(wanted.root)
    assert OUT.read_bytes() == wanted.weights.read_bytes()


@pytest.mark.parametrize("harm", ["remove the record", "change its weights"])
def test_weights_come_from_the_registry_where_no_record_holds_them(store: Store, only_weights: None, harm: str) -> None:
    register(store, write_run(RunKey(COLLECTION, "type", "test_resnet", "fine_tuning", "imagenet", 5)))
    at = seed(1)
    register(store, at)
    identity = weights_of(at)
    if harm == "remove the record":
        at.run.unlink()
        at.weights.unlink()
    else:
        at.weights.write_bytes(at.weights.read_bytes()[:-1] + b"?")
    found = registry.fetch_weights(Pin("type", "test_resnet", identity), MODEL, OUT, lambda: store)
    assert found == f"version 2 of {MODEL}"
    assert sha256_of(OUT) == identity


def test_weights_that_the_registry_does_not_hold_as_promised_are_refused(
    store: Store, tmp_path: Path, only_weights: None
) -> None:
    at = write_run()
    register(store, at)
    identity = weights_of(at)
    at.weights.unlink()
    (kept,) = (tmp_path / "mlartifacts").rglob("weights.safetensors")
    kept.write_bytes(b"something else")
    with pytest.raises(TrackingError, match=f"version 1 of {MODEL} does not hold the weights that it names"):
        registry.fetch_weights(Pin("type", "test_resnet", identity), MODEL, OUT, lambda: store)
    assert not OUT.exists()


def test_weights_that_are_nowhere_are_told_with_what_to_do(store: Store, only_weights: None) -> None:
    register(store, write_run())
    pin = Pin("type", "test_resnet", "d" * 64)
    with pytest.raises(TrackingError, match=f"{pin.file} names weights dddddddddddd….*rijksnet promote {MODEL}"):
        registry.fetch_weights(pin, MODEL, OUT, lambda: store)
    assert not OUT.exists()
