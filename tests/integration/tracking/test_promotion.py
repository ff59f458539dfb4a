"""What a person does with registered models: look at them, and promote one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.console import Console

from helpers import KEY, write_record
from rijksnet.errors import TrackingError
from rijksnet.files import sha256_of
from rijksnet.params import Params
from rijksnet.paths import RecordPaths
from rijksnet.stages import promotion, publish
from rijksnet.tracking import registry
from rijksnet.tracking.stores import Store
from stores import MODEL


@pytest.fixture
def two_versions(store: Store, params: Params, only_weights: None) -> list[RecordPaths]:
    """Version 1, the champion, is right about 7 of 10 images, version 2 about 9."""
    records = [write_record(replace(KEY, seed=n), seed=n, right=right) for n, right in ((0, 7), (1, 9))]
    publish.publish(params)
    return records


def champion(store: Store) -> str:
    return str(registry.champion(store, MODEL).version)


def test_promoting_shows_both_and_asks(
    store: Store, params: Params, two_versions: list[RecordPaths], capsys: pytest.CaptureFixture[str]
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


def test_a_no_changes_nothing(
    store: Store, params: Params, two_versions: list[RecordPaths], capsys: pytest.CaptureFixture[str]
) -> None:
    promotion.promote(params, MODEL, "2", lambda _: False)
    assert champion(store) == "1"
    assert "nothing changed" in capsys.readouterr().out


def test_it_can_be_told_not_to_ask(store: Store, params: Params, two_versions: list[RecordPaths]) -> None:
    promotion.promote(params, MODEL, "2", None)
    assert champion(store) == "2"


def test_the_champion_is_not_promoted_again(
    store: Store, params: Params, two_versions: list[RecordPaths], capsys: pytest.CaptureFixture[str]
) -> None:
    def never(_: str) -> bool:
        raise AssertionError("there is nothing to ask")

    promotion.promote(params, MODEL, "1", never)
    assert f"version 1 is the champion of {MODEL} already" in capsys.readouterr().out
    assert champion(store) == "1"


def test_accuracies_on_different_splits_are_said_not_to_compare(
    store: Store, params: Params, two_versions: list[RecordPaths], capsys: pytest.CaptureFixture[str]
) -> None:
    store.client.set_model_version_tag(MODEL, "2", "split_digest", "6" * 64)
    promotion.promote(params, MODEL, "2", None)
    assert "tested on different splits" in capsys.readouterr().out


def test_the_first_champion_can_be_a_persons_choice(
    store: Store, params: Params, two_versions: list[RecordPaths], capsys: pytest.CaptureFixture[str]
) -> None:
    store.client.delete_registered_model_alias(MODEL, "champion")
    promotion.promote(params, MODEL, "2", None)
    assert champion(store) == "2"
    assert "champion now: none" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["rijksnet-type-vgg19", "Rembrandt's"])
def test_an_unknown_model_is_told_with_those_there_are(
    params: Params, two_versions: list[RecordPaths], name: str
) -> None:
    with pytest.raises(TrackingError, match=rf"no registered model .*{name}.*the registry has \['{MODEL}'\]"):
        promotion.promote(params, name, "1", None)


@pytest.mark.parametrize("version", ["3", "champion", "01"])
def test_an_unknown_version_is_told_with_those_there_are(
    store: Store, params: Params, two_versions: list[RecordPaths], version: str
) -> None:
    with pytest.raises(TrackingError, match=rf"{MODEL} has no version '{version}'; it has \['1', '2'\]"):
        promotion.promote(params, MODEL, version, None)
    assert champion(store) == "1"


def test_the_table_has_a_line_for_each_version(
    store: Store, params: Params, two_versions: list[RecordPaths], capsys: pytest.CaptureFixture[str]
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
